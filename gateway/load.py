"""How much a worker takes on at a time; what is more is refused at once instead of queueing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from core.errors import BashuError, Reason, Turn

RETRY_AFTER_S: Final = 0.5
"""A queue this long would be worked off in about that time; a client with back-off spreads from there."""

REWOUND_RETRY_S: Final = 60.0
"""Catching up takes an operator minutes at least."""


class Places:
    """A bounded number of places; ``with places.of(institution):`` takes one or refuses.

    One institution has three quarters of them at most, rounded up: who opens all it can keeps nobody else out.
    """

    __slots__ = ("_most", "_share", "_taken_by", "taken")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._share: Final = -(-most * 3 // 4)
        self._taken_by: Final = Counter[str]()
        self.taken = 0

    @contextmanager
    def of(self, institution: str) -> Iterator[None]:
        """Hold a place for an institution.

        Raises:
            BashuError: OVERLOADED.
        """
        if self.taken >= self._most:
            raise _overloaded("The gateway has as much to do as it can; try again a little later")
        if self._taken_by[institution] >= self._share:
            raise _overloaded("The institution has as much under way as one alone may; try again a little later")
        self.taken += 1
        self._taken_by[institution] += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._taken_by[institution] -= 1


def _overloaded(message: str) -> BashuError:
    return BashuError(Reason.OVERLOADED, message, turn=Turn.CALLER, retry_after_s=RETRY_AFTER_S)


class LoadLimit:
    """The places of one worker, and whether it is draining.

    ``work`` are calls and single queries of a stream: whoever serves a stream takes ``with load.work.of(institution):``
    a query.
    ``streams`` are long-lived calls, counted apart so that idle ones do not keep work out.
    """

    def __init__(self, *, max_concurrent: int, max_streams: int) -> None:
        self.work: Final = Places(max_concurrent)
        self.streams: Final = Places(max_streams)
        self.draining: Final = asyncio.Event()
        self.rewound: Final = asyncio.Event()
        """Set while the database is older than the log already signed."""

    def refuse_when_rewound(self) -> None:
        """Refuse everything while what the database says may be out of date: consents, holds, registry alike.

        Raises:
            BashuError: EVIDENCE_UNAVAILABLE.
        """
        if self.rewound.is_set():
            raise BashuError(
                Reason.EVIDENCE_UNAVAILABLE,
                "数据库已恢复到较早状态，追上前不提供服务。"
                "The database was restored to an older state; it is not served "
                "until it has caught up with what was signed",
                turn=Turn.OPERATOR,
                retry_after_s=REWOUND_RETRY_S,
            )

    def refuse_when_draining(self) -> None:
        """Refuse new work of a worker that is going away.

        Raises:
            BashuError: DRAINING; another worker answers a retry. EVIDENCE_UNAVAILABLE, see above.
        """
        self.refuse_when_rewound()
        if self.draining.is_set():
            raise BashuError(Reason.DRAINING, "This worker is shutting down; try again", turn=Turn.CALLER)
