"""The modules in the order in which they are asked: item, subject key, shape, type (section 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import conduct, figures, registers
from adapters.sichuan import messages as sc
from adapters.sichuan.listings import LISTINGS, PUBLIC, row_type
from adapters.sichuan.reading import Reading
from bashu.v1.report_pb2 import CreditRecord

ACTUAL_CONTROLLER: Final = "ent-ba/actual-controller"
INSURANCE: Final = "ent-operate/social-insurance"
INVOICES: Final = "taxinfo/saleinvoice"
CASH_FLOW: Final = "finance/cash-flow"
MONTHLY: Final = frozenset({INSURANCE, INVOICES, CASH_FLOW})
"""Modules that take ``months``."""
PUNISHMENTS: Final = "ent-operate/administrative-punishments"
PERMISSIONS: Final = "ent-operate/administrative-permissions"
DISHONESTY: Final = "justices/discredit-enforcements"
SHAREHOLDERS: Final = "ent-ba/shareholders"
PAGE_ROWS: Final = 20
"""``pageSize``: asked for, and clamped to."""
MAX_ROWS: Final = 2_000
_PLACE: Final = re.compile(r"`\$([^`]*)`$")
_FIELD: Final = re.compile(r"required field `(\w+)`")

Mapper = Callable[[Reading, Sequence[Any]], list[CreditRecord]]
"""Turns a module's decoded rows (one for an object) into records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of one answer of a module; ``total`` None: it has no pages."""

    rows: Sequence[Any]
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module: ``key`` names the subject in the single call, ``decoder`` knows its shape."""

    name: str
    item: str
    key: str
    decoder: msgspec.json.Decoder[Any]
    map: Mapper
    is_public: bool = False
    others: Mapping[str, Mapper] = field(default_factory=dict)

    @property
    def items(self) -> Mapping[str, Mapper]:
        """Every item that the module brings, and how each is mapped."""
        return {self.item: self.map, **self.others}

    def page(self, data: bytes) -> Page:
        """Decode a payload. Raises PlatformFailureError (MALFORMED) with the member's place."""
        try:
            decoded = self.decoder.decode(data)
        except msgspec.ValidationError as error:
            raise PlatformFailureError(Failure.MALFORMED, self.name + _place(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise PlatformFailureError(Failure.MALFORMED, self.name) from None
        if isinstance(decoded, sc.Paged):
            return Page(rows=decoded.rows, total=int(decoded.total))
        return Page(rows=decoded if isinstance(decoded, list) else [decoded], total=None)


def no_rows(_: Reading, __: Sequence[Any]) -> list[CreditRecord]:
    """Map a module that is no record by itself."""
    return []


CODE, NAME, TAXPAYER = "creditCode", "enterprise", "taxpyrIdNo"
_TABLE: Final[Sequence[tuple[str, str, Any, Mapper, str, str]]] = (
    ("ent-ba/basicinfo", "enterprise_registration", sc.BasicInfo, registers.basic_info, CODE, "P"),
    (SHAREHOLDERS, "shareholder_and_capital", list[sc.Shareholder], registers.shareholders, CODE, "P"),
    (ACTUAL_CONTROLLER, "shareholder_and_capital", sc.Controller, no_rows, CODE, "P"),
    ("ent-ba/persons", "enterprise_key_personnel", sc.Paged[sc.Person], registers.persons, CODE, "P"),
    ("ent-ba/branches", "branch_registration", sc.Paged[sc.Branch], registers.branches, CODE, "P"),
    (INSURANCE, "social_insurance_payment", sc.Paged[sc.InsuredMonth], figures.insurance, CODE, ""),
    (PUNISHMENTS, "administrative_penalty", sc.Paged[sc.Punishment], conduct.punishments, NAME, "P"),
    ("ent-operate/guarantees", "financing_guarantee", sc.Paged[sc.Guarantee], conduct.guarantees, CODE, ""),
    ("justices/enforcements", "judgment_debtor", sc.Paged[sc.Enforcement], conduct.enforcements, NAME, "P"),
    (DISHONESTY, "dishonest_judgment_debtor", sc.Paged[sc.Dishonesty], conduct.dishonesties, NAME, "P"),
    ("taxinfo/taxcreditlevels", "tax_credit_grade", list[sc.TaxLevel], figures.tax_levels, TAXPAYER, ""),
    ("taxinfo/arrears", "tax_arrears", list[sc.Arrears], figures.arrears, TAXPAYER, ""),
    (INVOICES, "sales_invoice_monthly", sc.Paged[sc.InvoiceMonth], figures.invoices, TAXPAYER, ""),
    ("taxinfo/declarations", "tax_payment", list[sc.Declaration], figures.declarations, TAXPAYER, ""),
    ("credit/public-evaluation", "public_credit_evaluation", sc.PublicEvaluation, figures.public_evaluation, CODE, ""),
    ("customized/score", "platform_score", sc.Score, figures.platform_score, CODE, ""),
)  # fmt: skip


def _paged(row: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    paged: Any = sc.Paged
    return msgspec.json.Decoder(paged[row])


MODULES: Final[Mapping[str, Module]] = (
    {
        name: Module(
            name=name, item=item, key=key, decoder=msgspec.json.Decoder(shape), map=mapper, is_public=mark == "P"
        )
        for name, item, shape, mapper, key, mark in _TABLE
    }
    | {
        name: Module(
            name=name,
            item=first.item,
            key=NAME if name.startswith("justices/") else TAXPAYER if name.startswith("taxinfo/") else CODE,
            decoder=_paged(row_type("Row", (first, *others))),
            map=first.map,
            is_public=name in PUBLIC,
            others={other.item: other.map for other in others},
        )
        for name, (first, *others) in LISTINGS.items()
    }
    | {
        PERMISSIONS: Module(
            name=PERMISSIONS,
            item="administrative_permission",
            key=NAME,
            decoder=msgspec.json.Decoder(sc.Paged[sc.Permission]),
            map=conduct.permissions,
            is_public=True,
        )
    }
)
ITEMS: Final = frozenset(item for module in MODULES.values() for item in module.items)


PERSONAL_ITEMS: Final = frozenset({"judgment_debtor", "dishonest_judgment_debtor", "housing_provident_fund"})
"""Items that are asked about natural persons too."""


def modules_of(items: frozenset[str]) -> tuple[Module, ...]:
    """Return the modules that bring these items, in the order of the page."""
    return tuple(module for module in MODULES.values() if not items.isdisjoint(module.items))


def _place(error: str) -> str:
    place, missing = _PLACE.search(error), _FIELD.search(error)
    return ("" if place is None else place[1]) + ("" if missing is None else f".{missing[1]}")
