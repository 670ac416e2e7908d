"""Groups that are lists of like rows, one table each: which tag becomes which field of which message (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from adapters.chongqing.reading import Tag, code, day, flag, integer, month, text, wan
from adapters.chongqing.shapes import Shape
from bashu.v1 import items_pb2 as items
from standards.quantities import decimal_of, plain

LONG: Final = 2000
SEVERITY: Final = code({"1": "minor", "2": "general", "3": "serious"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One item's rows. ``owner`` is the field that holds the subject's code; ``choice`` the row's ``LB`` (类别)."""

    group: str
    message: type[Message]
    shape: Shape
    owner: str | None = "uscc"
    choice: str | None = None


def _must(name: str, field: str, read: object) -> Tag:
    return Tag(name=name, field=field, read=read, is_required=True)  # type: ignore[arg-type]  # a Read, as in Tag


def _may(name: str, field: str, read: object) -> Tag:
    return Tag(name=name, field=field, read=read)  # type: ignore[arg-type]  # a Read, as in Tag


def _numbered(*values: str) -> dict[str, str]:
    return {str(number): value for number, value in enumerate(values, start=1)}


def quantity(value: str, path: str) -> str | None:
    """Read a quantity in the unit of its kind."""
    number = decimal_of(value, path=path)
    return None if number is None else plain(number)


_UTILITY: Final = Shape(
    tags=(
        _may("GYDW", "provider", text(200)),
        _may("HH", "account_no_masked", text(32)),
        _must("YF", "period", month),
        _may("YL", "usage_quantity", quantity),
        _may("YJJE", "amount_due", wan),
        _may("SJJE", "amount_paid", wan),
        _may("QFJE", "arrears_total", wan),
        _may("ZT", "status", code({number: number for number in "1234"})),
    )
)
_AMOUNTS: Final = (
    ("LDZC", "current_assets"), ("HBZJ", "monetary_funds"), ("YSZK", "receivables"), ("CH", "inventories"),
    ("GDZC", "fixed_assets"), ("LDFZ", "current_liabilities"), ("DQJK", "short_term_borrowings"),
    ("CQJK", "long_term_borrowings"), ("SSZB", "paid_in_capital"), ("YYCB", "operating_cost"),
    ("YYLR", "operating_profit"), ("LRZE", "total_profit"), ("SDSFY", "income_tax"), ("JYXJL", "operating_cash_flow"),
)  # fmt: skip

LISTINGS: Final[Mapping[str, Listing]] = {
    "registration_change": Listing(
        group="BGXX",
        message=items.RegistrationChange,
        shape=Shape(
            tags=(
                _must("BGRQ", "changed_on", day),
                _must(
                    "BGSX",
                    "change_kind",
                    code(
                        _numbered(
                            "LEGAL_REPRESENTATIVE",
                            "CONTROLLER",
                            "SHAREHOLDER",
                            "REGISTERED_CAPITAL",
                            "KEY_PERSONNEL",
                            "NAME",
                            "ADDRESS",
                            "BUSINESS_SCOPE",
                        )
                        | {"9": "OTHER"}
                    ),
                ),
                _may("DJJG", "authority", text(200)),
            ),
            class3=frozenset({"BGQ", "BGH", "ZJHM"}),
        ),
    ),
    "abnormal_operation_list": Listing(
        group="JYYC",
        message=items.AbnormalOperationList,
        shape=Shape(
            tags=(
                _must("LRRQ", "listed_on", day),
                _must(
                    "LRYY",
                    "reason",
                    code(
                        _numbered("NO_ANNUAL_REPORT", "NO_ORDERED_DISCLOSURE", "FALSE_DISCLOSURE", "UNREACHABLE")
                        | {"9": "OTHER"}
                    ),
                ),
                _may("LRJG", "list_authority", text(200)),
                _may("WSH", "document_no", text(128)),
                _may("YCRQ", "removed_on", day),
                _may("YCJG", "removal_authority", text(200)),
            )
        ),
    ),
    "serious_dishonest_list": Listing(
        group="YZSX",
        message=items.SeriousDishonestList,
        shape=Shape(
            tags=(
                _must("ZTMC", "party_name", text(200)),
                _may("FDDBR", "legal_rep", text(50)),
                _must("MDLB", "list_name", text(200)),
                _must("RDYJ", "basis", text(LONG)),
                _must("RDBM", "authority", text(200)),
                _may("WSH", "document_no", text(128)),
                _must("LRRQ", "listed_on", day),
                _may("YCRQ", "removed_on", day),
                _may("SXCD", "severity", SEVERITY),
            ),
            class3=frozenset({"ZJHM"}),
        ),
    ),
    "major_tax_violation": Listing(
        group="ZDSS",
        message=items.MajorTaxViolation,
        shape=Shape(
            tags=(
                _must("WSH", "document_no", text(128)),
                _must("AJXZ", "violation_nature", text(200)),
                _may("WFSS", "violation_facts", text(LONG)),
                _may("SAJE", "amount", wan),
                _may("CLQK", "penalty_text", text(LONG)),
                _may("FDDBR", "legal_rep", text(50)),
                _must("QDJG", "tax_authority", text(200)),
                _may("SXCD", "severity", SEVERITY),
                _must("GBRQ", "published_on", day),
                _may("TZRQ", "removed_on", day),
            ),
            class3=frozenset({"ZJHM"}),
        ),
    ),
    "court_judgment": Listing(
        group="SJAJ",
        message=items.CourtJudgment,
        owner="party_uscc",
        shape=Shape(
            tags=(
                _must("AH", "case_no", text(100)),
                _must("FY", "court", text(200)),
                _must("AY", "cause", text(200)),
                _must("DSRDW", "role", code(_numbered("PLAINTIFF", "DEFENDANT", "THIRD_PARTY") | {"9": "OTHER"})),
                _may("BDJE", "amount", wan),
                _may("LARQ", "filed_on", day),
                _may("JAFS", "closed_mode", code({number: number for number in "123"})),
                _may("SXRQ", "effective_on", day),
            ),
            class3=frozenset({"ZJHM", "DFXM"}),
        ),
    ),
    "bankruptcy": Listing(
        group="PCCZ",
        message=items.Bankruptcy,
        shape=Shape(
            tags=(
                _must("AH", "case_no", text(100)),
                _must("CXLX", "procedure_kind", code(_numbered("LIQUIDATION", "REORGANISATION", "COMPOSITION"))),
                _must(
                    "CXJD",
                    "stage",
                    code(_numbered("APPLIED", "ACCEPTED", "DECLARED", "PLAN_APPROVED", "CLOSED", "REJECTED")),
                ),
                _must("SLFY", "court", text(200)),
                _may("SLRQ", "accepted_on", day),
                _may("GLR", "administrator", text(200)),
                _may("XGRQ", "declared_on", day),
                _may("ZJRQ", "closed_on", day),
            )
        ),
    ),
    "financial_statement": Listing(
        group="CWBB",
        message=items.FinancialStatement,
        shape=Shape(
            tags=(
                _must("JZRQ", "period_end", day),
                _must("BBLX", "statement_kind", code(_numbered("ANNUAL", "HALF_YEAR", "QUARTER", "MONTH"))),
                _may("SFSJ", "audited", flag),
                _may("SJJG", "auditor_name", text(200)),
                _must("ZCZJ", "total_assets", wan),
                _must("FZHJ", "total_liabilities", wan),
                _must("SYZQY", "net_assets", wan),
                _must("YYSR", "revenue", wan),
                _must("JLR", "net_profit", wan),
                *(_may(name, field, wan) for name, field in _AMOUNTS),
            )
        ),
    ),
    "cash_flow_monthly": Listing(
        group="ZJLXX",
        message=items.CashFlowMonthly,
        shape=Shape(
            tags=(
                _must("YF", "month", month),
                _must("LRJE", "inflow_amount", wan),
                _must("LCJE", "outflow_amount", wan),
                _must("JLRJE", "net_inflow", wan),
                _may("ZHS", "account_count", integer),
            ),
            class3=frozenset({"DSMC"}),
        ),
    ),
    "bank_credit_summary": Listing(
        group="RZXX",
        message=items.BankCreditSummary,
        shape=Shape(
            tags=(
                _must("TJYF", "as_of_month", month),
                _must("JGS", "lender_count_with_balance", integer),
                _must("DKYE", "balance_total", wan),
                _may("SXED", "credit_line_total", wan),
                _may("YQYE", "overdue_balance", wan),
                _must("ZCYQTS", "worst_overdue_days_24m", integer),
                _may("BLYE", "non_performing_balance", wan),
                _may("GZYE", "special_mention_balance", wan),
                _may("DWDBYE", "guarantee_balance", wan),
                _may("SCYF", "first_credit_month", month),
            )
        ),
    ),
    "water_usage": Listing(group="SDQXX", message=items.WaterUsage, shape=_UTILITY, choice="1"),
    "electricity_usage": Listing(group="SDQXX", message=items.ElectricityUsage, shape=_UTILITY, choice="2"),
    "gas_usage": Listing(group="SDQXX", message=items.GasUsage, shape=_UTILITY, choice="3"),
    "intellectual_property": Listing(
        group="ZSCQ",
        message=items.IntellectualProperty,
        owner=None,
        shape=Shape(
            tags=(
                _must(
                    "CQLB",
                    "ip_kind",
                    code(_numbered("INVENTION", "UTILITY_MODEL", "DESIGN", "TRADEMARK", "SOFTWARE", "COPYRIGHT")),
                ),
                _must("DJH", "ip_no", text(64)),
                _must("CQMC", "title", text(200)),
                _may("SQRQ", "applied_on", day),
                _may("SQGGR", "granted_on", day),
                _may("FLZT", "legal_status", text(64)),
                _may("SFZY", "pledged", flag),
            ),
            class3=frozenset({"FMRZJHM"}),
        ),
    ),
    "specialised_sme": Listing(
        group="RYZZ",
        message=items.SpecialisedSme,
        choice="2",
        shape=Shape(
            tags=(
                _must(
                    "RDLB",
                    "sme_level",
                    code(_numbered("INNOVATIVE_SME", "SPECIALISED_SME", "LITTLE_GIANT", "CHAMPION", "HIGH_TECH")),
                ),
                _may("RDPC", "batch", text(64)),
                _must("SYRQ", "recognised_on", day),
                _may("YXQZ", "valid_until", day),
                _may("CXRQ", "withdrawn_on", day),
                _may("SYDW", "authority", text(200)),
            )
        ),
    ),
    "honours_and_awards": Listing(
        group="RYZZ",
        message=items.HonoursAndAwards,
        choice="1",
        shape=Shape(
            tags=(
                _must("RYMC", "title", text(200)),
                _may("RYJB", "honour_level", code(_numbered("NATIONAL", "PROVINCIAL", "CITY", "COUNTY"))),
                _must("SYDW", "awarding_unit", text(200)),
                _may("ZSBH", "certificate_no", text(64)),
                _must("SYRQ", "awarded_on", day),
                _may("YXQZ", "valid_until", day),
                _may("CXRQ", "withdrawn_on", day),
            )
        ),
    ),
}
CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "SDQXX": frozenset("123"),
    "RYZZ": frozenset("12"),
}
"""Groups whose rows belong to several items, and the known ``LB``."""
