"""Write facts in the platform's own units and codes (docs/platforms/chongqing.md sections 2 and 7)."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from sandbox.facts import Direction, Grade, PartyKind, Post, Severity, Status

UNKNOWN_DAY: Final = "00000000"
OPEN_END: Final = "99991231"

STATUS_CODES: Final = {
    Status.ACTIVE: "1",
    Status.REVOKED: "2",
    Status.DEREGISTERED: "3",
    Status.MOVED_OUT: "4",
    Status.OTHER: "9",
}
SHAREHOLDER_CODES: Final = {PartyKind.ENTERPRISE: "1", PartyKind.PERSON: "2"}
POST_CODES: Final = {Post.EXECUTIVE_DIRECTOR: "02", Post.SUPERVISOR: "04", Post.MANAGER: "05"}
SEVERITY_CODES: Final = {Severity.MINOR: "1", Severity.GENERAL: "2", Severity.SERIOUS: "3"}
DIRECTION_CODES: Final = {Direction.GIVEN: "1", Direction.RECEIVED: "2"}
COUNTERPARTY_CODES: Final = {PartyKind.ENTERPRISE: "1", PartyKind.PERSON: "2"}
PUBLIC_GRADE_CODES: Final = {Grade.EXCELLENT: "1", Grade.GOOD: "2", Grade.MEDIUM: "3", Grade.POOR: "4"}

_FEN_A_WAN: Final = Decimal(1_000_000)
_TWO_PLACES: Final = Decimal("0.01")
_FOUR_PLACES: Final = Decimal("0.0001")


def wan(fen: int | None) -> str | None:
    """Write fen as 万元 with two decimals and thousands commas (``1,250.00``)."""
    if fen is None:
        return None
    return f"{(fen / _FEN_A_WAN).quantize(_TWO_PLACES, ROUND_HALF_EVEN):,}"


def per_cent(share: Decimal | None) -> str | None:
    """Write a share of 1 as per cent: two decimals, four where two would lose something."""
    if share is None:
        return None
    percentage = (share * 100).quantize(_FOUR_PLACES, ROUND_HALF_EVEN)
    short = percentage.quantize(_TWO_PLACES)
    return f"{short if short == percentage else percentage}"


def count(number: int | None) -> str | None:
    """Write a count; 0 is a value, None is blank."""
    return None if number is None else str(number)


def day(value: date | None) -> str | None:
    """Write ``yyyyMMdd``; None is blank."""
    return None if value is None else f"{value:%Y%m%d}"


def month(value: date) -> str:
    """Write ``yyyyMM``."""
    return f"{value:%Y%m}"


def one_zero(value: bool) -> str:
    """Write a ``bool``."""
    return "1" if value else "0"


def yes_no(value: bool) -> str:
    """Write a ``shi``, the form of the older tags."""
    return "是" if value else "否"
