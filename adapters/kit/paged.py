"""Long reads of many pages: each page has a deadline of its own, and one that fails is asked for again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from adapters.kit.failures import TRIPPING, Failure, PlatformFailureError

T = TypeVar("T")

PAGE_S: Final = 10.0
PAGE_TRIES: Final = 4
_AGAIN: Final = TRIPPING | {Failure.NOT_ANSWERED, Failure.FAILED, Failure.MALFORMED}


async def a_page(ask: Callable[[float], Awaitable[T]], *, deadline: float, monotonic: Callable[[], float]) -> T:
    """Return what ``ask`` makes of one page; it is given the page's own deadline, ``deadline`` is the whole read's.

    Only for reads that leave nothing behind. Raises the last try's PlatformFailureError.
    """
    for _ in range(PAGE_TRIES - 1):
        try:
            return await ask(min(deadline, monotonic() + PAGE_S))
        except PlatformFailureError as failure:
            if failure.failure not in _AGAIN or monotonic() >= deadline:
                raise
    return await ask(min(deadline, monotonic() + PAGE_S))
