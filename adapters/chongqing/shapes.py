"""The tables of section 7 as data: which tag becomes which field of which message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.chongqing.reading import (
    Tag,
    code,
    day,
    end_day,
    flag,
    integer,
    month,
    old_flag,
    percent,
    shaped,
    text,
    uscc,
    wan,
)

KINDS: Final[Mapping[str, str]] = {
    "enterprise_registration": "JBXX",
    "shareholder_and_capital": "GDXX",
    "enterprise_key_personnel": "ZYRY",
    "tax_credit_grade": "NSXY",
    "tax_payment": "NSSJ",
    "tax_arrears": "QSXX",
    "sales_invoice_monthly": "KPXX",
    "social_insurance_payment": "SBXX",
    "administrative_penalty": "XZCF",
    "judgment_debtor": "BZXR",
    "dishonest_judgment_debtor": "SXXX",
    "financing_guarantee": "DBXX",
    "public_credit_evaluation": "GGXY",
    "platform_score": "PTPF",
    "registration_change": "BGXX",
    "abnormal_operation_list": "JYYC",
    "serious_dishonest_list": "YZSX",
    "major_tax_violation": "ZDSS",
    "court_judgment": "SJAJ",
    "bankruptcy": "PCCZ",
    "financial_statement": "CWBB",
    "cash_flow_monthly": "ZJLX",
    "bank_credit_summary": "RZXX",
    "water_usage": "YSXX",
    "electricity_usage": "YDXX",
    "gas_usage": "YQXX",
    "intellectual_property": "ZSCQ",
    "specialised_sme": "ZJTX",
    "honours_and_awards": "RYBZ",
    "administrative_permission": "XZXK",
    "housing_provident_fund": "GJJX",
    "environment_credit": "HBXX",
    "customs_credit_grade": "HGXX",
}
"""Data item and kind (模块)."""
PUBLIC_KINDS: Final = frozenset({
    "JBXX", "GDXX", "ZYRY", "XZCF", "BZXR", "SXXX", "BGXX", "JYYC", "YZSX", "ZDSS", "SJAJ", "PCCZ",
    "ZSCQ", "ZJTX", "RYBZ", "XZXK", "HBXX", "HGXX",
})  # fmt: skip
"""Kinds that need no authorisation (column P)."""
PERSONAL_ITEMS: Final = frozenset({"judgment_debtor", "dishonest_judgment_debtor", "housing_provident_fund"})
"""Items that are asked about natural persons too."""
GROUP_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "JBXX": frozenset({"JBXX"}),
    "GDXX": frozenset({"GDXX"}),
    "ZYRY": frozenset({"ZYRY"}),
    "NSXX": frozenset({"NSXY", "NSSJ", "QSXX"}),
    "KPXX": frozenset({"KPXX"}),
    "SBXX": frozenset({"SBXX"}),
    "SHJF": frozenset({"SBXX"}),
    "XZCF": frozenset({"XZCF"}),
    "SFXX": frozenset({"BZXR", "SXXX"}),
    "ZXMC": frozenset({"BZXR"}),
    "SXMX": frozenset({"SXXX"}),
    "DBXX": frozenset({"DBXX"}),
    "BGXX": frozenset({"BGXX"}),
    "JYYC": frozenset({"JYYC"}),
    "YZSX": frozenset({"YZSX"}),
    "ZDSS": frozenset({"ZDSS"}),
    "SJAJ": frozenset({"SJAJ"}),
    "PCCZ": frozenset({"PCCZ"}),
    "CWBB": frozenset({"CWBB"}),
    "ZJLXX": frozenset({"ZJLX"}),
    "RZXX": frozenset({"RZXX"}),
    "SDQXX": frozenset({"YSXX", "YDXX", "YQXX"}),
    "ZSCQ": frozenset({"ZSCQ"}),
    "RYZZ": frozenset({"ZJTX", "RYBZ"}),
    "XZXK": frozenset({"XZXK"}),
    "GJJXX": frozenset({"GJJX"}),
    "HBXX": frozenset({"HBXX"}),
    "HGXX": frozenset({"HGXX"}),
}
"""Groups, and the kinds that bring them."""
SHARED_TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "NSXX": {"NSXYDJ": "NSXY", "NSE": "NSSJ", "YYSR": "NSSJ", "QSJE": "QSXX"},
    "SFXX": {"BZXRS": "BZXR", "SFSXBZXR": "SXXX"},
}
"""Tags of the groups that several kinds share, and the kind of each."""
SINGLE_TAGS: Final[Mapping[str, str]] = {"GGXYPJ": "GGXY", "GGXYRQ": "GGXY", "PTPF": "PTPF", "PTDJ": "PTPF"}
"""Tags of BODY that carry data, and their kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One table: its tags, and the tags with personal data (C3) that are dropped and counted."""

    tags: tuple[Tag, ...]
    class3: frozenset[str] = frozenset()


LIMIT: Final = 2000
PENALTIES: Final = {
    "01": "WARNING", "02": "CRITICISM", "03": "FINE", "04": "CONFISCATE_GAINS", "05": "CONFISCATE_PROPERTY",
    "06": "SUSPEND_PERMIT", "07": "DOWNGRADE", "08": "REVOKE_PERMIT", "09": "RESTRICT_OPERATION", "10": "ORDER_HALT",
    "11": "ORDER_CLOSE", "12": "BAN_OCCUPATION", "13": "DETENTION", "99": "OTHER",
}  # fmt: skip
POSTS: Final = {
    "01": "CHAIR", "02": "EXECUTIVE_DIRECTOR", "03": "DIRECTOR", "04": "SUPERVISOR", "05": "MANAGER",
    "06": "FINANCE_HEAD", "07": "BOARD_SECRETARY", "08": "MANAGING_PARTNER", "09": "HEAD", "99": "OTHER_SENIOR",
}  # fmt: skip
SHAREHOLDERS: Final = {"1": "ENTERPRISE", "2": "NATURAL_PERSON", "3": "STATE", "4": "FOREIGN", "9": "OTHER"}
CONTRIBUTIONS: Final = {
    "1": "CASH", "2": "IN_KIND", "3": "IP", "4": "LAND_USE", "5": "EQUITY", "6": "CLAIM", "9": "OTHER",
}  # fmt: skip
CLOSINGS: Final = {number: number for number in ("001", "002", "003", "004", "005", "006", "255")}
MODES: Final = {number: number for number in "12345679"}

REGISTRATION: Final = Shape(
    tags=(
        Tag(name="QYMC", field="name", read=text(200), is_required=True),
        Tag(name="TYSHXYDM", field="uscc", read=uscc, is_required=True),
        Tag(name="GSZCH", field="business_reg_no", read=text(15)),
        Tag(name="FDDBR", field="legal_rep_name", read=text(100), is_required=True),
        Tag(name="CLRQ", field="established_on", read=day, is_required=True),
        Tag(name="ZCZB", field="registered_capital", read=wan),
        Tag(name="SJZB", field="paid_in_capital", read=wan),
        Tag(name="ZBBZ", field="currency", read=shaped("[A-Z]{3}", "an ISO 4217 code")),
        Tag(name="HYDM", field="industry_code", read=shaped(r"\d{2,4}", "2 to 4 digits"), is_required=True),
        Tag(name="XZQH", field="division_code", read=shaped(r"\d{6}", "6 digits"), is_required=True),
        Tag(name="JYQXQ", field="term_start", read=day),
        Tag(name="JYQXZ", field="term_end", read=end_day),
    ),
    class3=frozenset({"FRZJHM", "FRLXDH"}),
)
SHAREHOLDER: Final = Shape(
    tags=(
        Tag(name="GDMC", field="shareholder_name", read=text(200), is_required=True),
        Tag(name="GDLX", field="shareholder_kind", read=code(SHAREHOLDERS), is_required=True),
        Tag(name="GDTYDM", field="shareholder_uscc", read=uscc),
        Tag(name="RJE", field="subscribed_amount", read=wan),
        Tag(name="SJE", field="paid_in_amount", read=wan),
        Tag(name="CZFS", field="contribution_form", read=code(CONTRIBUTIONS)),
        Tag(name="RJRQ", field="subscribed_due_on", read=day),
        Tag(name="SJRQ", field="paid_in_on", read=day),
        Tag(name="CGBL", field="share_ratio", read=percent),
        Tag(name="SFSKR", field="is_actual_controller", read=flag),
    ),
    class3=frozenset({"ZJHM", "ZZ"}),
)
PERSON: Final = Shape(
    tags=(
        Tag(name="XM", field="person_name", read=text(100), is_required=True),
        Tag(name="ZW", field="post", read=code(POSTS), is_required=True),
        Tag(name="SFFR", field="is_legal_representative", read=old_flag),
        Tag(name="RZRQ", field="term_from", read=day),
        Tag(name="LZRQ", field="term_to", read=end_day),
    ),
    class3=frozenset({"ZJLX", "ZJHM", "LXDH", "JTZZ"}),
)
INVOICES: Final = Shape(
    tags=(
        Tag(name="YF", field="month", read=month, is_required=True),
        Tag(name="XSE", field="sales_amount", read=wan, is_required=True),
        Tag(name="FPS", field="invoice_count", read=integer),
        Tag(name="GFS", field="buyer_count", read=integer),
        Tag(name="QWDZB", field="top5_customer_ratio", read=percent),
        Tag(name="HZFPZB", field="red_invoice_ratio", read=percent),
        Tag(name="ZFFPZB", field="void_invoice_ratio", read=percent),
    )
)
INSURANCE: Final = Shape(
    tags=(
        Tag(name="CBRS", field="insured_count", read=integer, is_required=True),
        Tag(name="JFJZY", field="paid_to_month", read=month, is_required=True),
    )
)
INSURANCE_MONTH: Final = Shape(
    tags=(
        Tag(name="YF", field="period", read=month, is_required=True),
        Tag(name="CBRS", field="insured_count", read=integer, is_required=True),
        Tag(name="YJJE", field="amount_due", read=wan),
        Tag(name="SJJE", field="amount_paid", read=wan),
        Tag(name="SFJN", field="paid", read=flag),
    ),
    class3=frozenset({"ZJHM"}),
)
PENALTY: Final = Shape(
    tags=(
        Tag(name="WSH", field="document_no", read=text(128), is_required=True),
        Tag(name="XDRMC", field="party_name", read=text(200), is_required=True),
        Tag(name="XDRDM", field="party_uscc", read=uscc, is_required=True),
        Tag(name="FDDBR", field="legal_rep", read=text(50)),
        Tag(name="CFJG", field="authority", read=text(200), is_required=True),
        Tag(name="CFJGDM", field="authority_uscc", read=uscc),
        Tag(name="WFXW", field="violation_type", read=text(LIMIT), is_required=True),
        Tag(name="WFSS", field="violation_facts", read=text(LIMIT), is_required=True),
        Tag(name="CFYJ", field="legal_basis", read=text(LIMIT), is_required=True),
        Tag(name="CFNR", field="penalty_content", read=text(LIMIT), is_required=True),
        Tag(name="CFLB", field="penalty_category", read=code(PENALTIES), is_required=True),
        Tag(name="FKJE", field="fine_amount", read=wan),
        Tag(name="MSJE", field="confiscated_amount", read=wan),
        Tag(name="JDRQ", field="decided_on", read=day, is_required=True),
        Tag(name="YXQZ", field="valid_until", read=end_day),
        Tag(name="GSJZQ", field="publish_until", read=day, is_required=True),
        Tag(name="SXCD", field="severity", read=code({"1": "minor", "2": "general", "3": "serious"})),
    ),
    class3=frozenset({"XDRZJHM", "FRZJHM"}),
)
ENFORCEMENT: Final = Shape(
    tags=(
        Tag(name="AH", field="case_no", read=text(100), is_required=True),
        Tag(name="ZXFY", field="court", read=text(200), is_required=True),
        Tag(name="LARQ", field="filed_on", read=day, is_required=True),
        Tag(name="ZXBD", field="amount", read=wan),
        Tag(name="WLXJE", field="outstanding_amount", read=wan),
        Tag(name="JARQ", field="closed_on", read=day),
        Tag(name="JAFS", field="close_mode", read=code(CLOSINGS)),
    ),
    class3=frozenset({"ZJHM"}),
)
DISHONESTY: Final = Shape(
    tags=(
        Tag(name="AH", field="case_no", read=text(100), is_required=True),
        Tag(name="ZXFY", field="court", read=text(LIMIT)),
        Tag(name="SF", field="province", read=text(LIMIT)),
        Tag(name="YJWH", field="basis_no", read=text(LIMIT)),
        Tag(name="YJDW", field="basis_unit", read=text(LIMIT)),
        Tag(name="YW", field="duty", read=text(LIMIT)),
        Tag(name="XWQX", field="conduct", read=text(LIMIT)),
        Tag(name="LXQK", field="performance", read=code({"0": "NONE", "1": "PARTIAL", "2": "FULL"})),
        Tag(name="FDDBR", field="legal_rep", read=text(50)),
        Tag(name="LARQ", field="filed_on", read=day),
        Tag(name="FBRQ", field="published_on", read=day),
        Tag(name="YCRQ", field="removed_on", read=day),
    ),
    class3=frozenset({"ZJHM"}),
)
GUARANTEE: Final = Shape(
    tags=(
        Tag(name="DBFX", field="direction", read=code({"1": "GIVEN", "2": "RECEIVED"}), is_required=True),
        Tag(name="DBLX", field="guarantee_kind", read=code({"1": "G1", "2": "G2", "3": "G3"})),
        Tag(name="DBFS", field="guarantee_mode", read=code(MODES)),
        Tag(name="DBJE", field="amount", read=wan, is_required=True),
        Tag(name="DBYE", field="balance", read=wan),
        Tag(name="QSRQ", field="started_on", read=day),
        Tag(name="DQRQ", field="due_on", read=day),
        Tag(name="JCRQ", field="released_on", read=day),
    ),
    class3=frozenset({"ZJHM"}),
)
COUNTERPARTY: Final = (
    Tag(name="DBR", field="counterparty_uscc", read=uscc),
    Tag(name="DBRMC", field="counterparty_name", read=text(200)),
)
"""Only of organisations: a natural person's name is personal data."""
