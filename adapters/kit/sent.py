"""Whether a byte of a question may have left for a platform: a use is given back only where none did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Sending:
    """What became of one question: ``was_sent`` once any call of it may have reached its platform."""

    was_sent: bool = False


_CURRENT: ContextVar[Sending | None] = ContextVar("sending", default=None)


@contextmanager
def watched() -> Iterator[Sending]:
    """Watch the calls made inside, those of tasks started inside too."""
    sending = Sending()
    token = _CURRENT.set(sending)
    try:
        yield sending
    finally:
        _CURRENT.reset(token)


def note_sent() -> None:
    """Say that a call of the question under way was sent, or may have been."""
    sending = _CURRENT.get()
    if sending is not None:
        sending.was_sent = True
