"""Serial numbers derived from what is asked, so that a retry or another worker sends the same (section 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

PLATFORM_ID: Final = "chongqing"
DIGITS: Final = 29
REPEATS: Final = ("", *(f"R{number}" for number in range(1, 10)))
"""Suffixes of a serial number, in the order in which an expired job or authorisation is sent anew."""


def filing_serial(*, institution: str, artefact_digest: str, purpose: str, kinds: Iterable[str], last_day: str) -> str:
    """Return ``LSH`` of XY1000; ``last_day`` is ``SQJZRQ``."""
    return _serial("A", "XY1000", institution, artefact_digest, purpose, ",".join(sorted(kinds)), last_day)


def submit_serial(*, institution: str, request_id: str, kinds: Iterable[str], authorisation: str) -> str:
    """Return ``LSH`` of XY1001; ``authorisation`` is ``SQSBH``, empty without one."""
    return _serial("Q", "XY1001", institution, request_id, ",".join(sorted(kinds)), authorisation)


def dispute_serial(*, dispute_id: str) -> str:
    """Return ``LSH`` of XY2001: sent again, it asks where the dispute stands."""
    return _serial("Y", "XY2001", dispute_id)


def book_serial(*, day: str, page: int) -> str:
    """Return ``LSH`` of XY9001; ``day`` is ``DZRQ``."""
    return _serial("D", "XY9001", day, str(page))


def enquiry_number(*, institution: str, request_id: str) -> str:
    """Return ``CXBH``: all jobs of one request are one enquiry mark."""
    return _serial("E", "CXBH", institution, request_id)


def _serial(letter: str, *lines: str) -> str:
    digest = hashlib.sha256("\n".join((PLATFORM_ID, *lines)).encode()).hexdigest()
    return letter + digest.upper()[:DIGITS]
