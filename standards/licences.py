"""Kinds of licence (许可与备案): who may answer, and who may ask, about whom (rules R1, R3, R4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from core.permit import SubjectKind
from standards.tables import Tables, Validity, by_key


class Side(StrEnum):
    """A provider answers credit queries, a user asks them."""

    PROVIDER = "provider"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceKind:
    """One row of ``licence_kinds.csv``."""

    kind: str
    name_zh: str
    name_en: str
    side: Side
    law: str
    subjects: frozenset[SubjectKind]
    validity: Validity


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceKinds:
    """Every kind of licence by id."""

    rows: Mapping[str, LicenceKind]

    def get(self, kind: str) -> LicenceKind | None:
        """Return a kind, None for an unknown one."""
        return self.rows.get(kind)

    def allows(self, kind: str, subject: SubjectKind, side: Side, *, on: date | None = None) -> bool:
        """Tell whether a licence of ``kind`` lets its holder act on ``side`` about ``subject``.

        征信业管理条例 Art. 7, 10, 36: an unknown kind allows nothing. The licence's own days are the caller's to check.
        """
        row = self.rows.get(kind)
        if row is None or row.side is not side or (on is not None and not row.validity.covers(on)):
            return False
        return subject in row.subjects


def load_licence_kinds(tables: Tables) -> LicenceKinds:
    """Read ``licence_kinds.csv``."""
    rows = []
    for cells in tables.rows("licence_kinds"):
        allowed = {kind for kind in SubjectKind if cells.flag(f"allows_{kind.value}")}
        licence = LicenceKind(
            kind=cells.text("kind"),
            name_zh=cells.text("name_zh"),
            name_en=cells.text("name_en"),
            side=cells.parsed("side", Side, "provider or user"),
            law=cells.text("law"),
            subjects=frozenset(allowed),
            validity=cells.validity(),
        )
        rows.append((licence.kind, licence, cells))
    return LicenceKinds(rows=by_key(rows, "kind"))
