"""The modules served: shape, subject key, whether public, as-of day, rows (docs/platforms/sichuan.md section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sandbox.facts import AsOf, PlatformFile
from sandbox.sichuan import listed, rows
from sandbox.sichuan.envelope import DataStatus
from sandbox.sichuan.rows import Row

PAGE_SIZE: Final = 20
"""Larger pages are clamped to it silently."""
MONTHS_DEFAULT: Final = 12
MONTHS_MOST: Final = 36


class SubjectKey(StrEnum):
    """The one query parameter that names the subject."""

    CODE = "creditCode"
    NAME = "enterprise"
    TAXPAYER = "taxpyrIdNo"


class Shape(StrEnum):
    """Form of a payload."""

    OBJECT = "object"
    ARRAY = "array"
    PAGED = "paged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module. ``content`` gives an object (or None), or all rows, newest first."""

    name: str
    shape: Shape
    key: SubjectKey = SubjectKey.CODE
    is_public: bool = False
    is_monthly: bool = False
    as_of: Callable[[AsOf], date]
    content: Callable[[PlatformFile], Row | list[Row] | None]

    @property
    def server(self) -> str:
        """Name of the department's server in error texts."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What part of a module is wanted; months 1-36, page from 1, page size 1-20."""

    months: int = MONTHS_DEFAULT
    page: int = 1
    page_size: int = PAGE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a module answers with 200."""

    status: DataStatus
    content: Any


def _module(
    name: str,
    shape: Shape,
    as_of: Callable[[AsOf], date],
    content: Callable[[PlatformFile], Row | list[Row] | None],
    **more: Any,
) -> Module:
    return Module(name=name, shape=shape, as_of=as_of, content=content, **more)


def _registration(days: AsOf) -> date:
    return days.registration


def _penalties(days: AsOf) -> date:
    return days.penalties


def _judicial(days: AsOf) -> date:
    return days.judicial


def _guarantees(days: AsOf) -> date:
    return days.guarantees


def _insurance(days: AsOf) -> date:
    return days.insurance


def _invoices(days: AsOf) -> date:
    return days.invoices


def _tax(days: AsOf) -> date:
    return days.tax


def _score(days: AsOf) -> date:
    return days.score


_LISTED: Final = (
    ("ent-ba/changes", _registration, SubjectKey.CODE, True),
    ("ent-ba/abnormal", _registration, SubjectKey.CODE, True),
    ("ent-operate/serious-dishonest", _penalties, SubjectKey.CODE, True),
    ("ent-operate/utilities", _invoices, SubjectKey.CODE, False),
    ("ent-operate/finances", _tax, SubjectKey.CODE, False),
    ("ent-operate/ip", _penalties, SubjectKey.CODE, True),
    ("ent-operate/qualifications", _penalties, SubjectKey.CODE, True),
    ("ent-operate/housing-fund", _invoices, SubjectKey.CODE, False),
    ("ent-operate/administrative-permissions", _penalties, SubjectKey.NAME, True),
    ("justices/cases", _judicial, SubjectKey.NAME, True),
    ("justices/bankruptcy", _judicial, SubjectKey.NAME, True),
    ("taxinfo/major-violations", _tax, SubjectKey.TAXPAYER, True),
    ("finance/credit-summary", _invoices, SubjectKey.CODE, False),
    ("finance/cash-flow", _invoices, SubjectKey.CODE, False),
)

_ALL: Final = (
    _module("ent-ba/basicinfo", Shape.OBJECT, _registration, rows.basicinfo, is_public=True),
    _module(
        "ent-ba/shareholders",
        Shape.ARRAY,
        _registration,
        lambda file: [rows.shareholder(row) for row in file.shareholders],
        is_public=True,
    ),
    _module("ent-ba/actual-controller", Shape.OBJECT, _registration, rows.actual_controller, is_public=True),
    _module(
        "ent-ba/persons",
        Shape.PAGED,
        _registration,
        lambda file: [rows.person(row) for row in file.key_persons],
        is_public=True,
    ),
    _module(
        "ent-ba/branches",
        Shape.PAGED,
        _registration,
        lambda file: [rows.branch(row, file.code) for row in file.branches],
        is_public=True,
    ),
    _module(
        "ent-operate/social-insurance",
        Shape.PAGED,
        _insurance,
        lambda file: [rows.insurance(row) for row in file.insurance],
        is_monthly=True,
    ),
    _module(
        "ent-operate/administrative-punishments",
        Shape.PAGED,
        _penalties,
        lambda file: [rows.punishment(row) for row in file.penalties if row.repaired_on is None],
        key=SubjectKey.NAME,
        is_public=True,
    ),
    _module(
        "ent-operate/guarantees",
        Shape.PAGED,
        _guarantees,
        lambda file: [rows.guarantee(row) for row in file.guarantees],
    ),
    _module(
        "justices/enforcements",
        Shape.PAGED,
        _judicial,
        lambda file: [rows.enforcement(row) for row in file.enforcements],
        key=SubjectKey.NAME,
        is_public=True,
    ),
    _module(
        "justices/discredit-enforcements",
        Shape.PAGED,
        _judicial,
        lambda file: [rows.dishonesty(row) for row in file.dishonesty],
        key=SubjectKey.NAME,
        is_public=True,
    ),
    _module("taxinfo/taxcreditlevels", Shape.ARRAY, _tax, rows.tax_levels, key=SubjectKey.TAXPAYER),
    _module("taxinfo/arrears", Shape.ARRAY, _tax, rows.arrears, key=SubjectKey.TAXPAYER),
    _module(
        "taxinfo/saleinvoice",
        Shape.PAGED,
        _invoices,
        lambda file: [rows.sale_invoice(row) for row in file.sales],
        key=SubjectKey.TAXPAYER,
        is_monthly=True,
    ),
    _module(
        "taxinfo/declarations",
        Shape.ARRAY,
        _tax,
        lambda file: [rows.declaration(row) for row in file.declarations],
        key=SubjectKey.TAXPAYER,
    ),
    *(
        _module(
            name,
            Shape.PAGED,
            as_of,
            listed.rows_of(name),
            key=key,
            is_public=is_public,
            is_monthly=name == "finance/cash-flow",
        )
        for name, as_of, key, is_public in _LISTED
    ),
    _module("credit/public-evaluation", Shape.OBJECT, _score, rows.public_evaluation),
    _module("customized/score", Shape.OBJECT, _score, rows.score),
)

MODULES: Final[Mapping[str, Module]] = {module.name: module for module in _ALL}
PERSONAL_MODULES: Final = frozenset(
    {"justices/enforcements", "justices/discredit-enforcements", "ent-operate/housing-fund"}
)
"""Held about natural persons too."""


def payload(module: Module, file: PlatformFile | None, window: Window) -> Payload:
    """Return what ``module`` answers about a file; None is a subject unknown here."""
    content = None if file is None else module.content(file)
    if module.shape is Shape.OBJECT:
        return Payload(status=DataStatus.SUCCESS if content else DataStatus.NODATA, content=content)
    assert not isinstance(content, dict)
    found = content or []
    if module.is_monthly:
        found = found[: window.months]
    if not found:
        return Payload(status=DataStatus.NODATA, content=[])
    return Payload(status=DataStatus.SUCCESS, content=found if module.shape is Shape.ARRAY else _page(found, window))


def _page(found: list[Row], window: Window) -> Row:
    total = len(found)
    start = (window.page - 1) * window.page_size
    return {
        "list": found[start : start + window.page_size],
        # The platform writes some totals as text; here those that are odd.
        "total": str(total) if total % 2 else total,
        "pageNumber": window.page,
        "pageSize": window.page_size,
    }
