"""Rows of the plain lists in sichuan's words, one table a module (docs/platforms/sichuan.md section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.facts import OPEN_END, Entry, PlatformFile
from sandbox.sichuan.rows import Row

Write = Callable[[Any], Any]
Columns = tuple[tuple[str, str, Write], ...]


def _as_is(value: Any) -> Any:
    return value


def _yuan(fen: int) -> int | Decimal:
    return fen // 100 if fen % 100 == 0 else (Decimal(fen) / 100).normalize()


def _month(value: date) -> str:
    return value.strftime("%Y-%m")


def _end(value: date) -> date | None:
    return None if value == OPEN_END else value


def _words(**names: str) -> Write:
    return lambda value: names.get(value, "其他")


_SEVERITY: Final = _words(minor="轻微", general="一般", serious="严重")
_UTILITY: Final[Columns] = (
    ("provider", "provider", _as_is), ("month", "month", _month), ("quantity", "quantity", _as_is),
    ("dueAmt", "due", _yuan), ("paidAmt", "paid", _yuan), ("status", "status", lambda _: "正常缴费"),
)  # fmt: skip
TABLES: Final[Mapping[str, tuple[tuple[str, str | None, Columns], ...]]] = {
    "ent-ba/changes": (("registration_change", None, (
        ("changeDate", "day", _as_is),
        ("changeItem", "what", _words(
            LEGAL_REPRESENTATIVE="法定代表人变更", CONTROLLER="实际控制人变更", SHAREHOLDER="股东变更",
            BUSINESS_SCOPE="经营范围变更", ADDRESS="住所变更", NAME="名称变更")),
        ("before", "before", _as_is), ("after", "after", _as_is), ("regAuthority", "authority", _as_is),
        ("idNo", "id_no", _as_is),
    )),),
    "ent-ba/abnormal": (("abnormal_operation_list", None, (
        ("inDate", "listed", _as_is),
        ("inReason", "reason", _words(
            NO_ANNUAL_REPORT="未按规定期限公示年度报告", UNREACHABLE="通过登记的住所或者经营场所无法联系")),
        ("inAuthority", "authority", _as_is), ("docNo", "number", _as_is), ("outDate", "removed", _as_is),
    )),),
    "ent-operate/serious-dishonest": (("serious_dishonest_list", None, (
        ("partyName", "party", _as_is), ("legalPerson", "legal_rep", _as_is), ("listName", "list", _as_is),
        ("basis", "basis", _as_is), ("authority", "authority", _as_is), ("docNo", "number", _as_is),
        ("inDate", "listed", _as_is), ("outDate", "removed", _as_is), ("severity", "severity", _SEVERITY),
        ("idNo", "id_no", _as_is),
    )),),
    "ent-operate/utilities": (
        ("water_usage", "WATER", _UTILITY), ("electricity_usage", "POWER", _UTILITY), ("gas_usage", "GAS", _UTILITY),
    ),
    "ent-operate/housing-fund": (("housing_provident_fund", None, (
        ("firstMonth", "first", _month), ("employeeCnt", "employees", _as_is), ("baseAmt", "base", _yuan),
        ("lastPayDate", "paid_on", _as_is), ("paidToMonth", "paid_to", _month),
        ("status", "status", _words(**{"0": "正常缴费", "1": "暂停缴费（中断）", "2": "终止缴费"})),
        ("arrearsAmt", "arrears", _yuan), ("employeeIdNo", "id_no", _as_is),
    )),),
    "ent-operate/finances": (("financial_statement", None, (
        ("periodEnd", "end", _as_is), ("reportType", "kind", _words(ANNUAL="年报", QUARTER="季报", MONTH="月报")),
        ("audited", "audited", _as_is), ("totalAssets", "assets", _yuan), ("totalLiabilities", "liabilities", _yuan),
        ("netAssets", "equity", _yuan), ("revenue", "revenue", _yuan), ("netProfit", "profit", _yuan),
    )),),
    "ent-operate/ip": (("intellectual_property", None, (
        ("ipType", "kind", _words(INVENTION="发明专利", UTILITY_MODEL="实用新型专利", SOFTWARE="计算机软件著作权")),
        ("regNo", "number", _as_is), ("title", "title", _as_is), ("applyDate", "applied", _as_is),
        ("grantDate", "granted", _as_is), ("legalStatus", "status", _as_is), ("pledged", "pledged", _as_is),
        ("inventorIdNo", "id_no", _as_is),
    )),),
    "ent-operate/qualifications": (
        ("honours_and_awards", "HONOUR", (
            ("title", "title", _as_is), ("level", "level", _words(NATIONAL="国家级", PROVINCIAL="省（市）级")),
            ("unit", "unit", _as_is), ("certNo", "number", _as_is), ("startDate", "day", _as_is),
            ("endDate", "until", _as_is),
        )),
        ("specialised_sme", "SME", (
            ("smeLevel", "level", _words(
                INNOVATIVE_SME="创新型中小企业", SPECIALISED_SME="专精特新中小企业", HIGH_TECH="高新技术企业")),
            ("batch", "batch", _as_is), ("startDate", "day", _as_is), ("endDate", "until", _as_is),
            ("unit", "unit", _as_is),
        )),
        ("qualification_certificates", "CERT", (
            ("certKind", "what", _as_is), ("title", "title", _as_is), ("certNo", "number", _as_is),
            ("certLevel", "level", _as_is), ("startDate", "day", _as_is), ("endDate", "until", _end),
            ("unit", "unit", _as_is), ("status", "status", _words(
                VALID="有效", EXPIRED="过期", REVOKED="吊销或撤销", CANCELLED="注销")),
        )),
    ),
    "ent-operate/administrative-permissions": (("administrative_permission", None, (
        ("docNo", "number", _as_is), ("docName", "title", _as_is), ("partyName", "party", _as_is),
        ("creditCode", "party_code", _as_is), ("headOfficeCode", "head_office", _as_is),
        ("legalPerson", "legal_rep", _as_is),
        ("category", "category", _words(
            GENERAL="普通", FRANCHISE="特许", RECOGNITION="认可", VERIFICATION="核准", REGISTRATION="登记")),
        ("certName", "certificate", _as_is), ("certNo", "certificate_no", _as_is), ("content", "content", _as_is),
        ("decisionDate", "day", _as_is), ("validFrom", "from", _as_is), ("validTo", "until", _end),
        ("authority", "authority", _as_is), ("status", "status", _words(
            VALID="有效", INVALID="无效", REVOKED="撤销", DISPUTED="异议")), ("sourceUnit", "source", _as_is),
        ("partyIdType", "id_type", _as_is), ("partyIdNo", "id_no", _as_is),
        ("legalPersonIdNo", "legal_rep_id_no", _as_is),
    )),),
    "justices/cases": (("court_judgment", None, (
        ("caseNo", "number", _as_is), ("court", "court", _as_is), ("cause", "cause", _as_is),
        ("role", "role", _words(PLAINTIFF="原告", DEFENDANT="被告", THIRD_PARTY="第三人")), ("amount", "fen", _yuan),
        ("filingDate", "filed", _as_is), ("closeMode", "closed", lambda _: "判决"),
        ("effectiveDate", "effective", _as_is), ("partyCardNum", "id_no", _as_is),
        ("otherPerson", "other_person", _as_is),
    )),),
    "justices/bankruptcy": (("bankruptcy", None, (
        ("caseNo", "number", _as_is),
        ("procedure", "procedure", _words(LIQUIDATION="破产清算", REORGANISATION="重整", COMPOSITION="和解")),
        ("stage", "stage", _words(ACCEPTED="受理", DECLARED="宣告破产", CLOSED="终结")), ("court", "court", _as_is),
        ("acceptDate", "accepted", _as_is), ("administrator", "administrator", _as_is),
        ("closeDate", "closed", _as_is),
    )),),
    "taxinfo/major-violations": (("major_tax_violation", None, (
        ("docNo", "number", _as_is), ("nature", "nature", _as_is), ("facts", "facts", _as_is),
        ("amount", "fen", _yuan), ("decision", "decision", _as_is), ("legalPerson", "legal_rep", _as_is),
        ("taxAuthority", "authority", _as_is), ("severity", "severity", _SEVERITY),
        ("publishDate", "published", _as_is), ("endDate", "removed", _as_is), ("idNo", "id_no", _as_is),
    )),),
    "finance/credit-summary": (("bank_credit_summary", None, (
        ("month", "month", _month), ("lenderCnt", "lenders", _as_is), ("balance", "balance", _yuan),
        ("creditLine", "lines", _yuan), ("overdueAmt", "overdue", _yuan), ("worstOverdueDays", "worst_days", _as_is),
        ("firstMonth", "first", _month),
    )),),
    "finance/cash-flow": (("cash_flow_monthly", None, (
        ("month", "month", _month), ("inAmt", "inflow", _yuan), ("outAmt", "outflow", _yuan), ("netAmt", "net", _yuan),
        ("accountCnt", "accounts", _as_is), ("counterparty", "other_person", _as_is),
    )),),
}  # fmt: skip
"""Module → item, ``kind`` of its rows where they share the module, and its members."""


def rows_of(module: str) -> Callable[[PlatformFile], list[Row]]:
    """Return what makes the rows of a module; a repaired entry is no longer sent."""

    def content(file: PlatformFile) -> list[Row]:
        return [
            _row(entry, kind, columns)
            for item, kind, columns in TABLES[module]
            for entry in file.listed.get(item, ())
            if "repaired" not in entry
        ]

    return content


def _row(entry: Entry, kind: str | None, columns: Columns) -> Row:
    known = {name: write(entry[key]) for name, key, write in columns if key in entry}
    return known if kind is None else {"kind": kind, **known}
