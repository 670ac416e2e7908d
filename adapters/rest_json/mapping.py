"""From a module's description to closures that turn one row into one record; no path is parsed while a query runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.rest_json.conversions import CONVERSIONS, DEFAULTS, Conversion, Row, code_conversion
from adapters.rest_json.description import Field, Module, Source
from adapters.rest_json.members import ABSENT, Find, compile_path
from adapters.rest_json.places import Key
from bashu.v1.report_pb2 import CreditRecord
from standards.answer import record_of
from standards.catalogue import Standard
from standards.forbidden import names_c3_information, names_prohibited_information
from standards.items import DataClass, DataItem
from standards.items import Field as StandardField
from standards.malformed import MalformedValueError
from standards.money import CNY

SUBJECT_FIELDS: Final = ("uscc", "party_uscc")
"""Fields that hold the subject itself: the gateway knows whom it asked about, so no file maps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReader:
    """How one field is read: where its value stands, and what is made of it. ``const`` stands for itself."""

    name: str
    path: str
    find: Find
    conversion: Conversion
    is_required: bool

    def read(self, row: Row, value: Any, place: str) -> None:
        """Write this field of ``value`` (one decoded row). Raises MalformedValueError."""
        path = f"{place}.{self.path}"
        self.conversion.write(row, self.name, self.find(value), path)
        if self.is_required and row.values.get(self.name) is None:
            raise MalformedValueError(path, f"a value: {self.name} is required by the standard")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReader:
    """Turns a row into a record of its item."""

    item: DataItem
    body: Callable[..., Any]
    fields: tuple[FieldReader, ...]
    personal: tuple[Find, ...]
    subject_field: str | None
    has_yuan: bool

    def read(self, value: Any, *, subject: str, place: str, standard: Standard) -> tuple[CreditRecord, int]:
        """Return the record and how many values of natural persons were dropped. Raises MalformedValueError."""
        if not isinstance(value, dict):
            raise MalformedValueError(place, "an object")
        row = Row(standard)
        for reader in self.fields:
            reader.read(row, value, place)
        values = {name: found for name, found in row.values.items() if found is not None}
        if self.subject_field is not None:
            values[self.subject_field] = subject
        if self.has_yuan:
            values.setdefault("currency", CNY)
        dropped = sum(1 for find in self.personal if find(value) not in (ABSENT, None, ""))
        return record_of(self.body(**values), marks=row.marks, field_quality=row.derived), dropped


def compile_rows(source: Source, module: Module, at: tuple[Key, ...], standard: Standard) -> RowReader:
    """Compile the fields of a module against the standard's dictionary. Raises DescriptionError."""
    item = standard.items.rows.get(module.item)
    if item is None or not item.is_typed:
        raise source.wrong((*at, "item"), f"an item of the standard with a message; found {module.item}")
    message = getattr(CreditRecord(), module.item)
    known = {field.field_id: field for field in item.fields if field.field_id in message.DESCRIPTOR.fields_by_name}
    readers = []
    for name, how in sorted(module.fields.items()):
        if name not in known:
            raise source.wrong((*at, "fields", name), _why_not(item, name))
        readers.append(_field(source, how, (*at, "fields", name), known[name]))
    subject_field = next((name for name in SUBJECT_FIELDS if name in known and name not in module.fields), None)
    written = {reader.name for reader in readers} | {n for reader in readers for n in reader.conversion.also}
    _refuse_gaps(source, module, at, known, written | {subject_field or ""})
    amounts = any(known[r.name].unit == "yuan" for r in readers if r.conversion.name != "capital_text")
    return RowReader(
        item=item,
        body=type(message),
        fields=tuple(readers),
        personal=tuple(_path(source, text, (*at, "personal")) for text in module.personal),
        subject_field=subject_field,
        has_yuan=amounts and "currency" in known and "currency" not in written,
    )


def _why_not(item: DataItem, name: str) -> str:
    """Tell why an item has no such field in its message."""
    declared = {field.field_id: field for field in item.fields}.get(name)
    if declared is not None and declared.data_class is DataClass.PERSONAL:
        return f"{name} belongs to a natural person: name the platform's member in 'personal' instead"
    return f"a field of {item.item_id}; it has no {name}"


def _field(source: Source, how: str | Field, at: tuple[Key, ...], target: StandardField) -> FieldReader:
    spec = Field(path=how) if isinstance(how, str) else how
    find, path = _finder(source, spec, at)
    conversion = _conversion(source, spec, target, at)
    return FieldReader(
        name=target.field_id, path=path, find=find, conversion=conversion, is_required=target.is_required
    )


def _finder(source: Source, spec: Field, at: tuple[Key, ...]) -> tuple[Find, str]:
    if sum(one is not None for one in (spec.path, spec.paths, spec.const)) != 1:
        raise source.wrong(at, "exactly one of path, paths and const")
    if spec.const is not None:
        const = spec.const
        return (lambda _: const), "const"
    if spec.paths is not None:
        finds = tuple(_path(source, text, at) for text in spec.paths)
        return (lambda value: [find(value) for find in finds]), spec.paths[0]
    assert spec.path is not None
    return _path(source, spec.path, at), spec.path


def _conversion(source: Source, spec: Field, target: StandardField, at: tuple[Key, ...]) -> Conversion:
    kind, _, list_id = target.type.partition(":")
    name = spec.conversion or DEFAULTS.get(kind)
    if name is None:
        fitting = ", ".join(one.name for one in CONVERSIONS.values() if one.fits(target))
        raise source.wrong(at, f"as = one of {fitting}: the unit of {target.field_id} cannot be guessed")
    if name == "code" and kind == "code":
        return code_conversion(list_id, spec.values)
    if spec.values is not None:
        raise source.wrong(at, f"values with a coded field alone; {target.field_id} is {target.type}")
    conversion = CONVERSIONS.get(name)
    if conversion is None or not conversion.fits(target):
        fitting = ", ".join(one.name for one in CONVERSIONS.values() if one.fits(target)) or "code"
        raise source.wrong(at, f"as = one of {fitting} for {target.field_id} ({target.type}); found {name}")
    if spec.paths is not None and name != "division":
        raise source.wrong(at, "paths with as = division alone; path for everything else")
    return conversion


def _refuse_gaps(
    source: Source,
    module: Module,
    at: tuple[Key, ...],
    known: Mapping[str, StandardField],
    written: set[str],
) -> None:
    for name in module.lacks:
        if name not in known or not known[name].is_required:
            raise source.wrong((*at, "lacks"), f"a required field of {module.item}; found {name}")
        if known[name].is_natural_key:
            raise source.wrong((*at, "lacks"), f"no field that records are told apart by; found {name}")
    missing = [n for n, field in known.items() if field.is_required and n not in written and n not in module.lacks]
    if missing:
        raise source.wrong((*at, "fields"), f"the required {', '.join(missing)} mapped, or named in 'lacks'")


def _path(source: Source, text: str, at: tuple[Key, ...]) -> Find:
    if names_prohibited_information(text):
        raise source.wrong(at, f"no member of what 条例 Art. 14 forbids to collect (rule R6); found {text}")
    if names_c3_information(text):
        raise source.wrong(at, f"no member of what authenticates a user, C3 (rule R58); found {text}")
    try:
        return compile_path(text)
    except ValueError as error:
        raise source.wrong(at, f"{error}; found {text}") from None
