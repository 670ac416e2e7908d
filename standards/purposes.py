"""Purposes of a query (查询原因): who may use one, what reference it needs, how platforms call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from core.permit import SubjectKind
from standards.subjects import SUBJECT_KINDS
from standards.tables import Tables, Validity, by_key


class Reference(StrEnum):
    """The reference that a query for a purpose must carry."""

    APPLICATION = "application_reference"
    LOAN = "loan_reference"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One row of ``purposes.csv``; a code of None means: not offered there."""

    purpose_id: str
    name_zh: str
    name_en: str
    subject_kinds: frozenset[SubjectKind]
    institution_kinds: frozenset[str]
    needs: Reference
    counts_as_enquiry: bool
    pboc_codes: Mapping[SubjectKind, str]
    platform_codes: Mapping[str, str]
    validity: Validity

    def code_at(self, platform_id: str) -> str | None:
        """Return the platform's own code; None: it does not offer the purpose (DENIED, PURPOSE_NOT_OFFERED)."""
        return self.platform_codes.get(platform_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purposes:
    """Every purpose by id."""

    rows: Mapping[str, Purpose]

    def get(self, purpose_id: str, *, on: date | None = None) -> Purpose | None:
        """Return a purpose valid on the day ``on`` (any day, if None); None for an unknown one: never a default."""
        purpose = self.rows.get(purpose_id)
        return purpose if purpose is not None and (on is None or purpose.validity.covers(on)) else None

    def all(self) -> tuple[Purpose, ...]:
        """Return all purposes in file order."""
        return tuple(self.rows.values())


def load_purposes(tables: Tables) -> Purposes:
    """Read ``purposes.csv``."""
    rows = []
    for cells in tables.rows("purposes"):
        kinds = frozenset(cells.listing("institution_kinds")) - {"none"}
        codes = {name: cells.optional(f"{name}_code") for name in ("chongqing", "sichuan")}
        pboc = {kind: cells.optional(f"pboc_{kind.value}_code") for kind in SubjectKind}
        purpose = Purpose(
            purpose_id=cells.text("purpose_id"),
            name_zh=cells.text("name_zh"),
            name_en=cells.text("name_en"),
            subject_kinds=cells.choice("subject_kinds", SUBJECT_KINDS),
            institution_kinds=kinds,
            needs=cells.parsed("needs", Reference, "application_reference, loan_reference or none"),
            counts_as_enquiry=cells.flag("counts_as_enquiry"),
            pboc_codes={kind: code for kind, code in pboc.items() if code is not None},
            platform_codes={name: code for name, code in codes.items() if code is not None},
            validity=cells.validity(),
        )
        rows.append((purpose.purpose_id, purpose, cells))
    return Purposes(rows=by_key(rows, "purpose_id"))
