"""Administrative divisions (GB/T 2260) of Chongqing and Sichuan, in force and retired, with their days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from standards.tables import Tables, Validity

CHONGQING: Final = "500000"
SICHUAN: Final = "510000"
CHONGQING_BEFORE_1997: Final = frozenset({"5102", "5112", "5122", "5123", "5127", "5135", "5170"})
"""Prefectures of Sichuan that Chongqing took over in 1997; the tables do not trace every county of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One row: a code, its name while valid, and what became of it."""

    code: str
    name: str
    parent: str | None
    successor: str | None
    is_retired: bool
    validity: Validity


@dataclass(frozen=True, slots=True, kw_only=True)
class Divisions:
    """All rows by code; a re-used code has several."""

    rows: Mapping[str, tuple[Division, ...]]

    def is_known(self, code: str) -> bool:
        """Tell whether ``code`` stands in a shipped table, at any level, in force or retired."""
        return code in self.rows

    def is_known_county(self, code: str) -> bool:
        """Tell whether ``code`` is a known county-level code (last two digits not 00)."""
        return not code.endswith("00") and code in self.rows

    def on(self, code: str, day: date) -> Division | None:
        """Return what a code meant on a day (R67): 500110 is 万盛区 on 2011-01-01 and 綦江区 on 2012-01-01.

        An unknown first or last day never excludes one; of several that fit, the one in force comes before a retired
        one. None: the code is in no table, or stood for nothing on that day.
        """
        fits = [row for row in self.rows.get(code, ()) if row.validity.covers(day)]
        return min(fits, key=lambda row: row.is_retired, default=None)

    def region_of(self, code: str) -> str | None:
        """Return the region that a code belongs to today: 500000, 510000, or None for the rest of the country.

        A retired Sichuan code whose territory went to Chongqing in 1997 answers 500000.
        """
        if code[:2] == CHONGQING[:2]:
            return CHONGQING
        if code[:2] != SICHUAN[:2]:
            return None
        trail = self._trail(code)
        is_chongqing = any(step[:2] == CHONGQING[:2] or step[:4] in CHONGQING_BEFORE_1997 for step in trail)
        return CHONGQING if is_chongqing else SICHUAN

    def by_names(self, province: str, city: str, district: str) -> str | None:
        """Return the code of ``district`` in ``city`` in ``province``, as platforms without codes name it.

        Takes the row in force before an abolished or retired one; None where no row, or more than one, fits.
        Chongqing's districts stand directly under the municipality, so ``city`` is not looked at there.
        """
        wanted = district or city or province
        fits = [row for rows in self.rows.values() for row in rows if row.name == wanted]
        fits = [row for row in fits if self._lies_in(row, province, city if district else "")]
        for rows in ([row for row in fits if not row.is_retired], [row for row in fits if row.is_retired]):
            if len(rows) == 1:
                return rows[0].code
        return None

    def _trail(self, code: str) -> list[str]:
        trail = [code]
        while (successor := self._successor(trail[-1])) is not None and successor not in trail:
            trail.append(successor)
        return trail

    def _successor(self, code: str) -> str | None:
        return next((row.successor for row in self.rows.get(code, ()) if row.successor is not None), None)

    def _lies_in(self, row: Division, province: str, city: str) -> bool:
        region = self.rows.get(row.code[:2] + "0000", ())
        if province and not any(above.name == province for above in region):
            return False
        prefecture = self.rows.get(row.code[:4] + "00", ())
        return not city or row.code[:2] == CHONGQING[:2] or any(above.name == city for above in prefecture)


def load_divisions(tables: Tables) -> Divisions:
    """Read ``divisions_cq_sc.csv`` and ``divisions_retired.csv``."""
    rows: dict[str, list[Division]] = {}
    for cells in tables.rows("divisions_cq_sc"):
        row = Division(
            code=cells.text("code"),
            name=cells.text("name"),
            parent=cells.optional("parent_code"),
            successor=None,
            is_retired=False,
            validity=cells.validity(),
        )
        rows.setdefault(row.code, []).append(row)
    for cells in tables.rows("divisions_retired"):
        successor = cells.optional("successor")
        row = Division(
            code=cells.text("retired_code"),
            name=cells.text("name_at_the_time"),
            parent=None,
            # "500100/500200": split among several; the first one's province is that of all.
            successor=None if successor is None else successor.split("/")[0][:6],
            is_retired=True,
            validity=cells.validity(),
        )
        rows.setdefault(row.code, []).append(row)
    return Divisions(rows={code: tuple(found) for code, found in rows.items()})
