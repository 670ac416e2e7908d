"""Modules that are lists of like rows, one table each: and which member becomes which field (section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec
from google.protobuf.message import Message

from adapters.sichuan import messages as sc
from adapters.sichuan.reading import Reading, path_of
from bashu.v1 import items_pb2 as items
from bashu.v1.report_pb2 import CreditRecord
from standards import days, money, quantities
from standards.malformed import MalformedValueError

Read = Callable[[Reading, Any, str], Any]
"""Turn a member's value, found at a path, into a field's; None for an unknown. Raises MalformedValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: its JSON type, the field it fills, and how it is read."""

    name: str
    field: str
    type: Any
    read: Read
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One item's rows. ``owner`` is the field that holds the subject's code; ``choice`` the row's ``kind``."""

    item: str
    message: type[Message]
    members: tuple[Member, ...]
    personal: tuple[str, ...] = ()
    owner: str | None = "uscc"
    choice: str | None = None

    def map(self, reading: Reading, rows: Sequence[Any]) -> list[CreditRecord]:
        """Turn decoded rows into records; personal members are dropped and counted."""
        records = []
        for number, row in enumerate(rows):
            if self.choice is not None and row.kind != self.choice:
                continue
            at = path_of(reading, number)
            reading.drop(*(getattr(row, name) for name in self.personal))
            body = self.message()
            if self.owner is not None and reading.subject is not None:
                setattr(body, self.owner, reading.subject)
            for member in self.members:
                value = member.read(reading, getattr(row, member.name), at(member.name))
                if value is not None:
                    setattr(body, member.field, value)
                elif member.is_required:
                    raise MalformedValueError(at(member.name), "a value, the member is mandatory")
            records.append(reading.record(body))
        return records


def row_type(name: str, listings: Sequence[Listing]) -> type[msgspec.Struct]:
    """Return the type of the rows of a module that brings ``listings``."""
    members: dict[str, tuple[str, Any, Any]] = {}
    if any(listing.choice is not None for listing in listings):
        members["kind"] = ("kind", sc.Text, msgspec.NODEFAULT)
    for listing in listings:
        for name_ in listing.personal:
            members[name_] = (name_, sc.Personal, None)
        for member in listing.members:
            is_always = member.is_required and len(listings) == 1
            members.setdefault(
                member.name,
                (
                    member.name,
                    member.type if is_always else member.type | None,
                    msgspec.NODEFAULT if is_always else None,
                ),
            )
    return msgspec.defstruct(name, list(members.values()), kw_only=True)


def _text(_: Reading, value: Any, __: str) -> Any:
    return value or None


def _day(_: Reading, value: Any, path: str) -> Any:
    return days.day(value, path=path)


def _last_day(_: Reading, value: Any, path: str) -> Any:
    return days.end_day(value, path=path).day


def _month(_: Reading, value: Any, path: str) -> Any:
    return days.month(value, path=path)


def _yuan(_: Reading, value: Any, path: str) -> Any:
    return money.yuan(value, path=path)


def _count(_: Reading, value: Any, path: str) -> Any:
    return quantities.count(value, path=path)


def _number(_: Reading, value: Any, path: str) -> Any:
    number = quantities.decimal_of(value, path=path)
    return None if number is None else quantities.plain(number)


def _flag(_: Reading, value: Any, __: str) -> Any:
    return value


def _named(list_id: str) -> Read:
    return lambda reading, value, _: reading.code(list_id, value)


def _of(known: Mapping[str, str]) -> Read:
    return lambda reading, value, _: reading.listed(known, value)


def _must(name: str, field: str, type_: Any, read: Read) -> Member:
    return Member(name=name, field=field, type=type_, read=read, is_required=True)


def _may(name: str, field: str, type_: Any, read: Read) -> Member:
    return Member(name=name, field=field, type=type_, read=read)


SEVERITY: Final = _of({"轻微": "minor", "一般": "general", "严重": "serious"})
_UTILITY: Final = (
    _may("provider", "provider", str, _text),
    _must("month", "period", str, _month),
    _may("quantity", "usage_quantity", Decimal, _number),
    _may("dueAmt", "amount_due", Decimal, _yuan),
    _may("paidAmt", "amount_paid", Decimal, _yuan),
    _may("status", "status", str, _named("utility_payment_status")),
)

LISTINGS: Final[Mapping[str, tuple[Listing, ...]]] = {
    "ent-ba/changes": (
        Listing(
            item="registration_change",
            message=items.RegistrationChange,
            personal=("before", "after", "idNo"),
            members=(
                _must("changeDate", "changed_on", str, _day),
                _must("changeItem", "change_kind", str, _named("registration_change_kind")),
                _may("regAuthority", "authority", str, _text),
            ),
        ),
    ),
    "ent-ba/abnormal": (
        Listing(
            item="abnormal_operation_list",
            message=items.AbnormalOperationList,
            members=(
                _must("inDate", "listed_on", str, _day),
                _must("inReason", "reason", str, _named("abnormal_reason")),
                _may("inAuthority", "list_authority", str, _text),
                _may("docNo", "document_no", str, _text),
                _may("outDate", "removed_on", str, _day),
            ),
        ),
    ),
    "ent-operate/serious-dishonest": (
        Listing(
            item="serious_dishonest_list",
            message=items.SeriousDishonestList,
            personal=("idNo",),
            members=(
                _must("partyName", "party_name", str, _text),
                _may("legalPerson", "legal_rep", str, _text),
                _must("listName", "list_name", str, _text),
                _must("basis", "basis", str, _text),
                _must("authority", "authority", str, _text),
                _may("docNo", "document_no", str, _text),
                _must("inDate", "listed_on", str, _day),
                _may("outDate", "removed_on", str, _day),
                _may("severity", "severity", str, SEVERITY),
            ),
        ),
    ),
    "ent-operate/utilities": tuple(
        Listing(item=item, message=message, members=_UTILITY, choice=choice)
        for item, message, choice in (
            ("water_usage", items.WaterUsage, "WATER"),
            ("electricity_usage", items.ElectricityUsage, "POWER"),
            ("gas_usage", items.GasUsage, "GAS"),
        )
    ),
    "ent-operate/housing-fund": (
        Listing(
            item="housing_provident_fund",
            message=items.HousingProvidentFund,
            personal=("employeeIdNo",),
            members=(
                _may("firstMonth", "first_paid_month", str, _month),
                _may("employeeCnt", "employee_count", int, _count),
                _may("baseAmt", "contribution_base", Decimal, _yuan),
                _may("lastPayDate", "last_paid_on", str, _day),
                _must("paidToMonth", "paid_to_month", str, _month),
                _must("status", "status", str, _named("housing_fund_status_enterprise")),
                _may("arrearsAmt", "arrears", Decimal, _yuan),
            ),
        ),
    ),
    "ent-operate/finances": (
        Listing(
            item="financial_statement",
            message=items.FinancialStatement,
            members=(
                _must("periodEnd", "period_end", str, _day),
                _must("reportType", "statement_kind", str, _named("statement_kind")),
                _may("audited", "audited", bool, _flag),
                _must("totalAssets", "total_assets", Decimal, _yuan),
                _must("totalLiabilities", "total_liabilities", Decimal, _yuan),
                _must("netAssets", "net_assets", Decimal, _yuan),
                _must("revenue", "revenue", Decimal, _yuan),
                _must("netProfit", "net_profit", Decimal, _yuan),
            ),
        ),
    ),
    "ent-operate/ip": (
        Listing(
            item="intellectual_property",
            message=items.IntellectualProperty,
            owner=None,
            personal=("inventorIdNo",),
            members=(
                _must("ipType", "ip_kind", str, _named("ip_kind")),
                _must("regNo", "ip_no", str, _text),
                _must("title", "title", str, _text),
                _may("applyDate", "applied_on", str, _day),
                _may("grantDate", "granted_on", str, _day),
                _may("legalStatus", "legal_status", str, _text),
                _may("pledged", "pledged", bool, _flag),
            ),
        ),
    ),
    "ent-operate/qualifications": (
        Listing(
            item="honours_and_awards",
            message=items.HonoursAndAwards,
            choice="HONOUR",
            members=(
                _must("title", "title", str, _text),
                _may("level", "honour_level", str, _named("honour_level")),
                _must("unit", "awarding_unit", str, _text),
                _may("certNo", "certificate_no", str, _text),
                _must("startDate", "awarded_on", str, _day),
                _may("endDate", "valid_until", str, _day),
            ),
        ),
        Listing(
            item="specialised_sme",
            message=items.SpecialisedSme,
            choice="SME",
            members=(
                _must("smeLevel", "sme_level", str, _named("specialised_sme_level")),
                _may("batch", "batch", str, _text),
                _must("startDate", "recognised_on", str, _day),
                _may("endDate", "valid_until", str, _day),
                _may("unit", "authority", str, _text),
            ),
        ),
        Listing(
            item="qualification_certificates",
            message=items.QualificationCertificates,
            choice="CERT",
            members=(
                _must("certKind", "certificate_kind", str, _text),
                _must("title", "certificate_name", str, _text),
                _must("certNo", "certificate_no", str, _text),
                _may("certLevel", "qualification_grade", str, _text),
                _must("startDate", "issued_on", str, _day),
                _may("endDate", "valid_until", str, _last_day),
                _must("unit", "authority", str, _text),
                _may("status", "status", str, _named("certificate_status")),
            ),
        ),
    ),
    "justices/cases": (
        Listing(
            item="court_judgment",
            message=items.CourtJudgment,
            owner="party_uscc",
            personal=("partyCardNum", "otherPerson"),
            members=(
                _must("caseNo", "case_no", str, _text),
                _must("court", "court", str, _text),
                _must("cause", "cause", str, _text),
                _must("role", "role", str, _named("litigation_role")),
                _may("amount", "amount", Decimal, _yuan),
                _may("filingDate", "filed_on", str, _day),
                _may("closeMode", "closed_mode", str, _named("civil_judgment_close")),
                _may("effectiveDate", "effective_on", str, _day),
            ),
        ),
    ),
    "justices/bankruptcy": (
        Listing(
            item="bankruptcy",
            message=items.Bankruptcy,
            members=(
                _must("caseNo", "case_no", str, _text),
                _must("procedure", "procedure_kind", str, _named("bankruptcy_procedure")),
                _must("stage", "stage", str, _named("bankruptcy_stage")),
                _must("court", "court", str, _text),
                _may("acceptDate", "accepted_on", str, _day),
                _may("administrator", "administrator", str, _text),
                _may("closeDate", "closed_on", str, _day),
            ),
        ),
    ),
    "taxinfo/major-violations": (
        Listing(
            item="major_tax_violation",
            message=items.MajorTaxViolation,
            personal=("idNo",),
            members=(
                _must("docNo", "document_no", str, _text),
                _must("nature", "violation_nature", str, _text),
                _may("facts", "violation_facts", str, _text),
                _may("amount", "amount", Decimal, _yuan),
                _may("decision", "penalty_text", str, _text),
                _may("legalPerson", "legal_rep", str, _text),
                _must("taxAuthority", "tax_authority", str, _text),
                _may("severity", "severity", str, SEVERITY),
                _must("publishDate", "published_on", str, _day),
                _may("endDate", "removed_on", str, _day),
            ),
        ),
    ),
    "finance/credit-summary": (
        Listing(
            item="bank_credit_summary",
            message=items.BankCreditSummary,
            members=(
                _must("month", "as_of_month", str, _month),
                _must("lenderCnt", "lender_count_with_balance", int, _count),
                _must("balance", "balance_total", Decimal, _yuan),
                _may("creditLine", "credit_line_total", Decimal, _yuan),
                _may("overdueAmt", "overdue_balance", Decimal, _yuan),
                _must("worstOverdueDays", "worst_overdue_days_24m", int, _count),
                _may("firstMonth", "first_credit_month", str, _month),
            ),
        ),
    ),
    "finance/cash-flow": (
        Listing(
            item="cash_flow_monthly",
            message=items.CashFlowMonthly,
            personal=("counterparty",),
            members=(
                _must("month", "month", str, _month),
                _must("inAmt", "inflow_amount", Decimal, _yuan),
                _must("outAmt", "outflow_amount", Decimal, _yuan),
                _must("netAmt", "net_inflow", Decimal, _yuan),
                _may("accountCnt", "account_count", int, _count),
            ),
        ),
    ),
}
PUBLIC: Final = frozenset(LISTINGS) - {
    "ent-operate/utilities", "ent-operate/housing-fund", "ent-operate/finances", "finance/credit-summary",
    "finance/cash-flow",
}  # fmt: skip
"""Modules that need no authorisation (column P)."""
