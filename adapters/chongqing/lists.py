"""Groups that are lists of like rows, one table each: which tag becomes which field of which message (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.chongqing.authorities import AUTHORITIES
from adapters.chongqing.listing import Listing, may, must, numbered
from adapters.chongqing.reading import code, day, flag, integer, month, text, wan
from adapters.chongqing.shapes import Shape
from bashu.v1 import items_pb2 as items
from standards.quantities import decimal_of, plain

LONG: Final = 2000
SEVERITY: Final = code({"1": "minor", "2": "general", "3": "serious"})


def quantity(value: str, path: str) -> str | None:
    """Read a quantity in the unit of its kind."""
    number = decimal_of(value, path=path)
    return None if number is None else plain(number)


_UTILITY: Final = Shape(
    tags=(
        may("GYDW", "provider", text(200)),
        may("HH", "account_no_masked", text(32)),
        must("YF", "period", month),
        may("YL", "usage_quantity", quantity),
        may("YJJE", "amount_due", wan),
        may("SJJE", "amount_paid", wan),
        may("QFJE", "arrears_total", wan),
        may("ZT", "status", code({number: number for number in "1234"})),
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
                must("BGRQ", "changed_on", day),
                must(
                    "BGSX",
                    "change_kind",
                    code(
                        numbered(
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
                may("DJJG", "authority", text(200)),
            ),
            class3=frozenset({"BGQ", "BGH", "ZJHM"}),
        ),
    ),
    "abnormal_operation_list": Listing(
        group="JYYC",
        message=items.AbnormalOperationList,
        shape=Shape(
            tags=(
                must("LRRQ", "listed_on", day),
                must(
                    "LRYY",
                    "reason",
                    code(
                        numbered("NO_ANNUAL_REPORT", "NO_ORDERED_DISCLOSURE", "FALSE_DISCLOSURE", "UNREACHABLE")
                        | {"9": "OTHER"}
                    ),
                ),
                may("LRJG", "list_authority", text(200)),
                may("WSH", "document_no", text(128)),
                may("YCRQ", "removed_on", day),
                may("YCJG", "removal_authority", text(200)),
            )
        ),
    ),
    "serious_dishonest_list": Listing(
        group="YZSX",
        message=items.SeriousDishonestList,
        shape=Shape(
            tags=(
                must("ZTMC", "party_name", text(200)),
                may("FDDBR", "legal_rep", text(50)),
                must("MDLB", "list_name", text(200)),
                must("RDYJ", "basis", text(LONG)),
                must("RDBM", "authority", text(200)),
                may("WSH", "document_no", text(128)),
                must("LRRQ", "listed_on", day),
                may("YCRQ", "removed_on", day),
                may("SXCD", "severity", SEVERITY),
            ),
            class3=frozenset({"ZJHM"}),
        ),
    ),
    "major_tax_violation": Listing(
        group="ZDSS",
        message=items.MajorTaxViolation,
        shape=Shape(
            tags=(
                must("WSH", "document_no", text(128)),
                must("AJXZ", "violation_nature", text(200)),
                may("WFSS", "violation_facts", text(LONG)),
                may("SAJE", "amount", wan),
                may("CLQK", "penalty_text", text(LONG)),
                may("FDDBR", "legal_rep", text(50)),
                must("QDJG", "tax_authority", text(200)),
                may("SXCD", "severity", SEVERITY),
                must("GBRQ", "published_on", day),
                may("TZRQ", "removed_on", day),
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
                must("AH", "case_no", text(100)),
                must("FY", "court", text(200)),
                must("AY", "cause", text(200)),
                must("DSRDW", "role", code(numbered("PLAINTIFF", "DEFENDANT", "THIRD_PARTY") | {"9": "OTHER"})),
                may("BDJE", "amount", wan),
                may("LARQ", "filed_on", day),
                may("JAFS", "closed_mode", code({number: number for number in "123"})),
                may("SXRQ", "effective_on", day),
            ),
            class3=frozenset({"ZJHM", "DFXM"}),
        ),
    ),
    "bankruptcy": Listing(
        group="PCCZ",
        message=items.Bankruptcy,
        shape=Shape(
            tags=(
                must("AH", "case_no", text(100)),
                must("CXLX", "procedure_kind", code(numbered("LIQUIDATION", "REORGANISATION", "COMPOSITION"))),
                must(
                    "CXJD",
                    "stage",
                    code(numbered("APPLIED", "ACCEPTED", "DECLARED", "PLAN_APPROVED", "CLOSED", "REJECTED")),
                ),
                must("SLFY", "court", text(200)),
                may("SLRQ", "accepted_on", day),
                may("GLR", "administrator", text(200)),
                may("XGRQ", "declared_on", day),
                may("ZJRQ", "closed_on", day),
            )
        ),
    ),
    "financial_statement": Listing(
        group="CWBB",
        message=items.FinancialStatement,
        shape=Shape(
            tags=(
                must("JZRQ", "period_end", day),
                must("BBLX", "statement_kind", code(numbered("ANNUAL", "HALF_YEAR", "QUARTER", "MONTH"))),
                may("SFSJ", "audited", flag),
                may("SJJG", "auditor_name", text(200)),
                must("ZCZJ", "total_assets", wan),
                must("FZHJ", "total_liabilities", wan),
                must("SYZQY", "net_assets", wan),
                must("YYSR", "revenue", wan),
                must("JLR", "net_profit", wan),
                *(may(name, field, wan) for name, field in _AMOUNTS),
            )
        ),
    ),
    "cash_flow_monthly": Listing(
        group="ZJLXX",
        message=items.CashFlowMonthly,
        shape=Shape(
            tags=(
                must("YF", "month", month),
                must("LRJE", "inflow_amount", wan),
                must("LCJE", "outflow_amount", wan),
                must("JLRJE", "net_inflow", wan),
                may("ZHS", "account_count", integer),
            ),
            class3=frozenset({"DSMC"}),
        ),
    ),
    "bank_credit_summary": Listing(
        group="RZXX",
        message=items.BankCreditSummary,
        shape=Shape(
            tags=(
                must("TJYF", "as_of_month", month),
                must("JGS", "lender_count_with_balance", integer),
                must("DKYE", "balance_total", wan),
                may("SXED", "credit_line_total", wan),
                may("YQYE", "overdue_balance", wan),
                must("ZCYQTS", "worst_overdue_days_24m", integer),
                may("BLYE", "non_performing_balance", wan),
                may("GZYE", "special_mention_balance", wan),
                may("DWDBYE", "guarantee_balance", wan),
                may("SCYF", "first_credit_month", month),
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
                must(
                    "CQLB",
                    "ip_kind",
                    code(numbered("INVENTION", "UTILITY_MODEL", "DESIGN", "TRADEMARK", "SOFTWARE", "COPYRIGHT")),
                ),
                must("DJH", "ip_no", text(64)),
                must("CQMC", "title", text(200)),
                may("SQRQ", "applied_on", day),
                may("SQGGR", "granted_on", day),
                may("FLZT", "legal_status", text(64)),
                may("SFZY", "pledged", flag),
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
                must(
                    "RDLB",
                    "sme_level",
                    code(numbered("INNOVATIVE_SME", "SPECIALISED_SME", "LITTLE_GIANT", "CHAMPION", "HIGH_TECH")),
                ),
                may("RDPC", "batch", text(64)),
                must("SYRQ", "recognised_on", day),
                may("YXQZ", "valid_until", day),
                may("CXRQ", "withdrawn_on", day),
                may("SYDW", "authority", text(200)),
            )
        ),
    ),
    "honours_and_awards": Listing(
        group="RYZZ",
        message=items.HonoursAndAwards,
        choice="1",
        shape=Shape(
            tags=(
                must("RYMC", "title", text(200)),
                may("RYJB", "honour_level", code(numbered("NATIONAL", "PROVINCIAL", "CITY", "COUNTY"))),
                must("SYDW", "awarding_unit", text(200)),
                may("ZSBH", "certificate_no", text(64)),
                must("SYRQ", "awarded_on", day),
                may("YXQZ", "valid_until", day),
                may("CXRQ", "withdrawn_on", day),
            )
        ),
    ),
    **AUTHORITIES,
}
CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "SDQXX": frozenset("123"),
    "RYZZ": frozenset("12"),
}
"""Groups whose rows belong to several items, and the known ``LB``."""
