"""Write the plain lists, one table each (docs/platforms/chongqing.md section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.chongqing import values
from sandbox.chongqing.codes import Kind
from sandbox.chongqing.writer import nest, tag, tags
from sandbox.facts import AsOf, Entry, PlatformFile

Write = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One item's rows: its kind, group, row tag, ``LB`` where rows of several items share the group, and tags."""

    item: str
    kind: Kind
    group: str
    row: str
    as_of: Callable[[AsOf], date]
    columns: tuple[tuple[str, str, Write], ...]
    choice: str | None = None

    def write(self, entry: Entry) -> str:
        """Write one row; a member that is absent is blank."""
        inner = tags((name, write(entry[key])) for name, key, write in self.columns if key in entry)
        return nest(self.row, tag("LB", self.choice) + inner)


def _codes(*names: str) -> Write:
    return lambda name: str(names.index(name) + 1) if name in names else "9"


def _text(value: str) -> str:
    return value


def _plain(value: Decimal) -> str:
    return f"{value:f}"


_DAY, _MONTH, _WAN, _COUNT, _FLAG = values.day, values.month, values.wan, values.count, values.one_zero
_SEVERITY: Final = _codes("minor", "general", "serious")
_UTILITY: Final = (
    ("GYDW", "provider", _text), ("YF", "month", _MONTH), ("YL", "quantity", _plain), ("YJJE", "due", _WAN),
    ("SJJE", "paid", _WAN), ("ZT", "status", _text),
)  # fmt: skip


def _registration(days: AsOf) -> date:
    return days.registration


def _judicial(days: AsOf) -> date:
    return days.judicial


def _tax(days: AsOf) -> date:
    return days.tax


LISTS: Final = (
    Listed(item="registration_change", kind=Kind.BGXX, group="BGXX", row="BG", as_of=_registration, columns=(
        ("BGRQ", "day", _DAY),
        ("BGSX", "what", _codes("LEGAL_REPRESENTATIVE", "CONTROLLER", "SHAREHOLDER", "REGISTERED_CAPITAL",
                                "KEY_PERSONNEL", "NAME", "ADDRESS", "BUSINESS_SCOPE")),
        ("BGQ", "before", _text), ("BGH", "after", _text), ("DJJG", "authority", _text), ("ZJHM", "id_no", _text),
    )),
    Listed(item="abnormal_operation_list", kind=Kind.JYYC, group="JYYC", row="YC", as_of=_registration, columns=(
        ("LRRQ", "listed", _DAY),
        ("LRYY", "reason", _codes("NO_ANNUAL_REPORT", "NO_ORDERED_DISCLOSURE", "FALSE_DISCLOSURE", "UNREACHABLE")),
        ("LRJG", "authority", _text), ("WSH", "number", _text), ("YCRQ", "removed", _DAY),
    )),
    Listed(item="serious_dishonest_list", kind=Kind.YZSX, group="YZSX", row="YZ", as_of=_registration, columns=(
        ("ZTMC", "party", _text), ("FDDBR", "legal_rep", _text), ("MDLB", "list", _text), ("RDYJ", "basis", _text),
        ("RDBM", "authority", _text), ("WSH", "number", _text), ("LRRQ", "listed", _DAY), ("YCRQ", "removed", _DAY),
        ("SXCD", "severity", _SEVERITY), ("XFRQ", "repaired", _DAY), ("ZJHM", "id_no", _text),
    )),
    Listed(item="major_tax_violation", kind=Kind.ZDSS, group="ZDSS", row="ZS", as_of=_tax, columns=(
        ("WSH", "number", _text), ("AJXZ", "nature", _text), ("WFSS", "facts", _text), ("SAJE", "fen", _WAN),
        ("CLQK", "decision", _text), ("FDDBR", "legal_rep", _text), ("QDJG", "authority", _text),
        ("SXCD", "severity", _SEVERITY), ("GBRQ", "published", _DAY), ("TZRQ", "removed", _DAY),
        ("XFRQ", "repaired", _DAY), ("ZJHM", "id_no", _text),
    )),
    Listed(item="court_judgment", kind=Kind.SJAJ, group="SJAJ", row="AJ", as_of=_judicial, columns=(
        ("AH", "number", _text), ("FY", "court", _text), ("AY", "cause", _text),
        ("DSRDW", "role", _codes("PLAINTIFF", "DEFENDANT", "THIRD_PARTY")), ("BDJE", "fen", _WAN),
        ("LARQ", "filed", _DAY), ("JAFS", "closed", _text), ("SXRQ", "effective", _DAY), ("ZJHM", "id_no", _text),
        ("DFXM", "other_person", _text),
    )),
    Listed(item="bankruptcy", kind=Kind.PCCZ, group="PCCZ", row="PC", as_of=_judicial, columns=(
        ("AH", "number", _text), ("CXLX", "procedure", _codes("LIQUIDATION", "REORGANISATION", "COMPOSITION")),
        ("CXJD", "stage", _codes("APPLIED", "ACCEPTED", "DECLARED", "PLAN_APPROVED", "CLOSED", "REJECTED")),
        ("SLFY", "court", _text), ("SLRQ", "accepted", _DAY), ("GLR", "administrator", _text), ("ZJRQ", "closed", _DAY),
    )),
    Listed(item="financial_statement", kind=Kind.CWBB, group="CWBB", row="BB", as_of=_tax, columns=(
        ("JZRQ", "end", _DAY), ("BBLX", "kind", _codes("ANNUAL", "HALF_YEAR", "QUARTER", "MONTH")),
        ("SFSJ", "audited", _FLAG), ("ZCZJ", "assets", _WAN), ("FZHJ", "liabilities", _WAN), ("SYZQY", "equity", _WAN),
        ("YYSR", "revenue", _WAN), ("JLR", "profit", _WAN),
    )),
    Listed(item="cash_flow_monthly", kind=Kind.ZJLX, group="ZJLXX", row="ZJ", as_of=_tax, columns=(
        ("YF", "month", _MONTH), ("LRJE", "inflow", _WAN), ("LCJE", "outflow", _WAN), ("JLRJE", "net", _WAN),
        ("ZHS", "accounts", _COUNT), ("DSMC", "other_person", _text),
    )),
    Listed(item="bank_credit_summary", kind=Kind.RZXX, group="RZXX", row="RZ", as_of=_tax, columns=(
        ("TJYF", "month", _MONTH), ("JGS", "lenders", _COUNT), ("DKYE", "balance", _WAN), ("SXED", "lines", _WAN),
        ("YQYE", "overdue", _WAN), ("ZCYQTS", "worst_days", _COUNT), ("SCYF", "first", _MONTH),
    )),
    Listed(item="water_usage", kind=Kind.YSXX, group="SDQXX", row="SD", as_of=_tax, columns=_UTILITY, choice="1"),
    Listed(item="electricity_usage", kind=Kind.YDXX, group="SDQXX", row="SD", as_of=_tax, columns=_UTILITY, choice="2"),
    Listed(item="gas_usage", kind=Kind.YQXX, group="SDQXX", row="SD", as_of=_tax, columns=_UTILITY, choice="3"),
    Listed(item="intellectual_property", kind=Kind.ZSCQ, group="ZSCQ", row="CQ", as_of=_registration, columns=(
        ("CQLB", "kind", _codes("INVENTION", "UTILITY_MODEL", "DESIGN", "TRADEMARK", "SOFTWARE", "COPYRIGHT")),
        ("DJH", "number", _text), ("CQMC", "title", _text), ("SQRQ", "applied", _DAY), ("SQGGR", "granted", _DAY),
        ("FLZT", "status", _text), ("SFZY", "pledged", _FLAG), ("FMRZJHM", "id_no", _text),
    )),
    Listed(item="honours_and_awards", kind=Kind.RYBZ, group="RYZZ", row="RZ", as_of=_registration, choice="1", columns=(
        ("RYMC", "title", _text), ("RYJB", "level", _codes("NATIONAL", "PROVINCIAL", "CITY", "COUNTY")),
        ("SYDW", "unit", _text), ("ZSBH", "number", _text), ("SYRQ", "day", _DAY), ("YXQZ", "until", _DAY),
    )),
    Listed(item="specialised_sme", kind=Kind.ZJTX, group="RYZZ", row="RZ", as_of=_registration, choice="2", columns=(
        ("RDLB", "level", _codes("INNOVATIVE_SME", "SPECIALISED_SME", "LITTLE_GIANT", "CHAMPION", "HIGH_TECH")),
        ("RDPC", "batch", _text), ("SYRQ", "day", _DAY), ("YXQZ", "until", _DAY), ("SYDW", "unit", _text),
    )),
    Listed(item="administrative_permission", kind=Kind.XZXK, group="XZXK", row="XK", as_of=_registration, columns=(
        ("WSH", "number", _text), ("WSMC", "title", _text), ("XDRMC", "party", _text), ("XDRDM", "party_code", _text),
        ("FDDBR", "legal_rep", _text),
        ("XKLB", "category", _codes("GENERAL", "FRANCHISE", "RECOGNITION", "VERIFICATION", "REGISTRATION")),
        ("ZSMC", "certificate", _text), ("ZSBH", "certificate_no", _text), ("XKNR", "content", _text),
        ("JDRQ", "day", _DAY), ("YXQQ", "from", _DAY), ("YXQZ", "until", _DAY), ("XKJG", "authority", _text),
        ("ZT", "status", _codes("VALID", "INVALID", "REVOKED", "DISPUTED")), ("LYDW", "source", _text),
        ("XDRZJLX", "id_type", _text), ("XDRZJHM", "id_no", _text), ("FRZJHM", "legal_rep_id_no", _text),
    )),
    Listed(item="housing_provident_fund", kind=Kind.GJJX, group="GJJXX", row="GJ", as_of=_tax, columns=(
        ("CJNY", "first", _MONTH), ("ZGRS", "employees", _COUNT), ("JCJS", "base", _WAN), ("ZJJFRQ", "paid_on", _DAY),
        ("JZNY", "paid_to", _MONTH), ("JFZT", "status", _text), ("QFJE", "arrears", _WAN), ("ZJHM", "id_no", _text),
    )),
    Listed(item="environment_credit", kind=Kind.HBXX, group="HBXX", row="HB", as_of=_registration, columns=(
        ("PJND", "year", _COUNT), ("PJDF", "score", _plain), ("PJDJ", "rank", _COUNT), ("PJJG", "authority", _text),
        ("PWXKZBH", "permit", _text),
    )),
    Listed(item="customs_credit_grade", kind=Kind.HGXX, group="HGXX", row="HG", as_of=_registration, columns=(
        ("HGBM", "number", _text), ("DJBZ", "scale", _text), ("XYDJ", "rank", _COUNT), ("RDRQ", "day", _DAY),
        ("AEOBM", "aeo", _text),
    )),
)  # fmt: skip
"""In the order in which their groups stand in ``BODY``."""


def rows_by_group(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[tuple[str, date, tuple[str, ...]]]:
    """Yield group, as-of day and written rows of the kinds asked; a shared group once, with the rows of each."""
    found: dict[str, tuple[date, list[str]]] = {}
    for listed in LISTS:
        if listed.kind in kinds:
            _, written = found.setdefault(listed.group, (listed.as_of(file.as_of), []))
            written.extend(map(listed.write, file.listed.get(listed.item, ())))
    return [(group, as_of, tuple(written)) for group, (as_of, written) in found.items()]
