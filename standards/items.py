"""The dictionary of data items (信用信息项) and of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.permit import SubjectKind
from standards.forbidden import names_c3_information, names_prohibited_information
from standards.subjects import SUBJECT_KINDS
from standards.tables import Tables, by_key

HOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "chongqing": ("chongqing",),
    "sichuan": ("sichuan",),
    "both": ("chongqing", "sichuan"),
    "none": (),
}
ENQUIRY_COUNT: Final = "platform_enquiry_count"
"""The one item that no platform holds: the gateway's own ledger does."""
NEVER_MERGED: Final = frozenset({"platform_score", "public_credit_evaluation"})
"""Scores and grades on a platform's own scale: two of them are two records, never one."""


ANCHORS: Final[Mapping[str, str]] = {
    "grade": "scale_id",
    "score": "scale_id",
    "revoked_on": "operating_status",
    "deregistered_on": "operating_status",
    "term_end": "no_fixed_term",
    "valid_until": "no_fixed_term",
}
"""See :class:`DataItem`; every amount in yuan hangs on ``currency`` besides, where the item has one."""


class Access(StrEnum):
    """Who may see an item or a field; PER_FIELD stands at items only, VERIFY and NEVER at fields only."""

    PUBLIC = "public"
    AUTHORISED = "authorised"
    LIMITED = "limited"
    PER_FIELD = "per_field"
    VERIFY = "verify"
    NEVER = "never"


class ConsentNeed(StrEnum):
    """Whether an item needs the subject's consent; PER_FIELD: only its public fields come without."""

    NO = "no"
    YES = "yes"
    PER_FIELD = "per_field"


class SharingMode(StrEnum):
    """How the owning department shares an item (国办发〔2021〕52号); the last two are no department's."""

    BULK = "物理归集 (bulk collection)"
    CALL = "系统接口调用 (API call)"
    VERIFY_ONLY = "数据核验 (yes/no verification)"
    PLATFORM = "平台自采"
    LEDGER = "网关自产 (own ledger)"


class DataClass(StrEnum):
    """Whose data a value is (standard, "Whose data is it"); PERSONAL is dropped from an enterprise's answer."""

    ENTERPRISE = "1"
    DUTY = "2"
    PERSONAL = "3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One row of ``data_elements.csv``; ``type`` is string, decimal, integer, date, month, bool or code:LIST."""

    field_id: str
    name_zh: str
    name_en: str
    type: str
    unit: str | None
    is_required: bool
    is_natural_key: bool
    sensitivity: str
    access: Access
    data_class: DataClass
    note: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """One row of ``shared_items.csv`` with its fields in file order.

    ``natural_key`` names the fields behind ``record_id``. ``anchors`` names for a field the one that gives it its
    meaning: an amount without its currency, or a grade without its scale, says nothing.
    """

    item_id: str
    name_zh: str
    name_en: str
    category: str
    owning_department: str
    subject_kinds: frozenset[SubjectKind]
    sharing_mode: SharingMode
    access: Access
    consent: ConsentNeed
    sensitivity: str
    is_restricted: bool
    retention_rule: str | None
    held_by: tuple[str, ...]
    is_typed: bool
    note: str | None
    source: str
    fields: tuple[Field, ...]
    natural_key: tuple[str, ...]
    decimal_fields: frozenset[str]
    anchors: Mapping[str, str]

    @property
    def is_registration_fact(self) -> bool:
        """Tell whether the home region's answer wins in a merge."""
        return self.category == "registration"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDictionary:
    """Every data item by id. Look-ups of an unknown id raise KeyError, apart from :meth:`exists` and :meth:`find`."""

    rows: Mapping[str, DataItem]

    def exists(self, item_id: str) -> bool:
        """Tell whether the standard has the item."""
        return item_id in self.rows

    def find(self, item_id: str) -> DataItem | None:
        """Return an item, None for an unknown id."""
        return self.rows.get(item_id)

    def get(self, item_id: str) -> DataItem:
        """Return an item."""
        return self.rows[item_id]

    def public_by_law(self, item_id: str) -> bool:
        """Tell whether the whole item may be asked without a consent; False where only some fields may."""
        return self.rows[item_id].consent is ConsentNeed.NO

    def is_restricted(self, item_id: str) -> bool:
        """Tell whether 条例 Art. 14 para 2 restricts the item for a person or a sole proprietor's owner."""
        return self.rows[item_id].is_restricted

    def is_about(self, item_id: str, kind: SubjectKind) -> bool:
        """Tell whether the item exists as a record of this kind of subject."""
        return kind in self.rows[item_id].subject_kinds

    def holders(self, item_id: str) -> tuple[str, ...]:
        """Return the platform ids that hold the item."""
        return self.rows[item_id].held_by

    def held_by(self, platform_id: str) -> tuple[str, ...]:
        """Return the ids of the items that a platform holds, in file order."""
        return tuple(item.item_id for item in self.rows.values() if platform_id in item.held_by)

    def public_fields(self, item_id: str) -> frozenset[str]:
        """Return the fields that are public whatever their value (a tax level A is public by value, not here)."""
        return frozenset(field.field_id for field in self.rows[item_id].fields if field.access is Access.PUBLIC)

    def all(self) -> tuple[DataItem, ...]:
        """Return all items in file order."""
        return tuple(self.rows.values())


def load_items(tables: Tables) -> ItemDictionary:
    """Read ``shared_items.csv`` and ``data_elements.csv``."""
    fields = _load_fields(tables)
    rows = []
    for cells in tables.rows("shared_items"):
        item_id = cells.text("item_id")
        own = tuple(fields.pop(item_id, ()))
        item = DataItem(
            item_id=item_id,
            name_zh=cells.text("name_zh"),
            name_en=cells.text("name_en"),
            category=cells.text("category"),
            owning_department=cells.text("owning_department"),
            subject_kinds=cells.choice("subject_kinds", SUBJECT_KINDS),
            sharing_mode=cells.parsed("sharing_mode_suggested", SharingMode, "a known sharing mode"),
            access=cells.parsed("access_class_suggested", Access, "public, authorised, limited or per_field"),
            consent=cells.parsed("consent_required", ConsentNeed, "yes, no or per_field"),
            sensitivity=cells.text("sensitivity"),
            is_restricted=cells.flag("restricted_item"),
            retention_rule=cells.optional("retention"),
            held_by=cells.choice("held_by", HOLDERS),
            is_typed=cells.flag("typed"),
            note=cells.optional("note"),
            source=cells.text("source"),
            fields=own,
            natural_key=tuple(field.field_id for field in own if field.is_natural_key),
            decimal_fields=frozenset(field.field_id for field in own if field.type == "decimal"),
            anchors=_anchors(own),
        )
        if not own:
            raise cells.error("item_id", "an item with fields in data_elements.csv")
        rows.append((item_id, item, cells))
    return ItemDictionary(rows=by_key(rows, "item_id"))


def _load_fields(tables: Tables) -> dict[str, list[Field]]:
    fields: dict[str, list[Field]] = {}
    for cells in tables.rows("data_elements"):
        row = Field(
            field_id=cells.text("field_id"),
            name_zh=cells.text("name_zh"),
            name_en=cells.text("name_en"),
            type=cells.text("type"),
            unit=cells.optional("unit"),
            is_required=cells.flag("required"),
            is_natural_key=cells.flag("natural_key"),
            sensitivity=cells.text("sensitivity"),
            access=cells.parsed("access", Access, "an access class"),
            data_class=cells.parsed("class", DataClass, "1, 2 or 3"),
            note=cells.optional("note"),
            source=cells.text("source"),
        )
        known = fields.setdefault(cells.text("item_id"), [])
        if any(field.field_id == row.field_id for field in known):
            raise cells.error("field_id", f"a field that stands once, found {row.field_id} again")
        if any(
            names_prohibited_information(name) or names_c3_information(name) for name in (row.field_id, row.name_zh)
        ):
            raise cells.error("field_id", "no information that may not be collected (rules R6, R58)")
        known.append(row)
    return fields


def _anchors(fields: tuple[Field, ...]) -> Mapping[str, str]:
    names = {field.field_id for field in fields}
    wanted = {field.field_id: "currency" if field.unit == "yuan" else ANCHORS.get(field.field_id) for field in fields}
    return {name: anchor for name, anchor in wanted.items() if anchor is not None and anchor in names}
