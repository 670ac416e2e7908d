"""The guarantee ring 担保圈 of docs/platforms/subjects.md section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sandbox.baseline import (
    Moment,
    chongqing_file,
    sichuan_file,
)
from sandbox.facts import (
    Direction,
    Guarantee,
    PlatformFile,
    yuan,
)

RING_A: Final = "91500105XXTT00114Y"
RING_B: Final = "91510107XXTT00122T"
RING_C: Final = "91500105XXTT00157C"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    guarantor: str
    guaranteed: str
    amount: str
    balance: str
    start: date
    end: date


_RING: Final = (
    _Edge(
        guarantor=RING_A,
        guaranteed=RING_B,
        amount="3000000",
        balance="3000000",
        start=date(2025, 6, 1),
        end=date(2028, 5, 31),
    ),
    _Edge(
        guarantor=RING_B,
        guaranteed=RING_C,
        amount="2500000",
        balance="2000000",
        start=date(2025, 7, 1),
        end=date(2028, 6, 30),
    ),
    _Edge(
        guarantor=RING_C,
        guaranteed=RING_A,
        amount="1800000",
        balance="1800000",
        start=date(2025, 8, 1),
        end=date(2028, 7, 31),
    ),
)
RING_NAMES: Final[Mapping[str, str]] = {
    RING_A: "重庆示例十一号汽配有限公司",
    RING_B: "四川示例十二号机械有限公司",
    RING_C: "重庆示例十五号贸易有限公司",
}


def _ring_guarantees(code: str) -> tuple[Guarantee, ...]:
    """Return both edges at ``code``, the newest start first."""
    rows = [
        Guarantee(
            direction=Direction.GIVEN if edge.guarantor == code else Direction.RECEIVED,
            other_code=(other := edge.guaranteed if edge.guarantor == code else edge.guarantor),
            other_name=RING_NAMES[other],
            fen=yuan(edge.amount),
            balance_fen=yuan(edge.balance),
            start=edge.start,
            end=edge.end,
        )
        for edge in _RING
        if code in (edge.guarantor, edge.guaranteed)
    ]
    return tuple(sorted(rows, key=lambda row: row.start, reverse=True))


def ring_chongqing(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what chongqing holds about a member of the ring."""
    return replace(chongqing_file(code, name, at), guarantees=_ring_guarantees(code))


def ring_sichuan(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what sichuan holds about a member of the ring."""
    return replace(sichuan_file(code, name, at), guarantees=_ring_guarantees(code))
