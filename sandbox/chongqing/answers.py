"""What a transaction answers, before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.chongqing.codes import Fhm


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``FHM``, its words, and the inside of ``BODY`` as written; None: no ``BODY``."""

    fhm: Fhm
    words: str
    inner: str | None = None
    is_signed: bool = False
    """Carries ``QM`` (XY1003, XY9001)."""


def bare(fhm: Fhm) -> Answer:
    """Return an answer of a code alone."""
    return Answer(fhm=fhm, words=fhm.words)
