"""Modules of figures: social insurance, tax, evaluation, score; from decoded rows to records (section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.sichuan import messages as sc
from adapters.sichuan.reading import Reading, mandatory_day, mandatory_month, path_of
from bashu.v1 import items_pb2 as items
from bashu.v1.report_pb2 import CreditRecord
from standards import days, money, quantities
from standards.answer import Mark

PUBLIC_SCALE: Final = "sc_public_credit_abcd"
SCORE_SCALE: Final = "sc_score_300_1000"
ALL: Final = "ALL"
QUARTER_MONTHS: Final = 3
TAX_KINDS: Final[Mapping[str, str]] = {
    "增值税": "VAT", "企业所得税": "CIT", "个人所得税": "PIT", "消费税": "CONSUMPTION", "合计": ALL,
}  # fmt: skip


def insurance(reading: Reading, rows: Sequence[sc.InsuredMonth]) -> list[CreditRecord]:
    """Map ent-operate/social-insurance; the list of employees is dropped whole."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        employees = row.employees if isinstance(row.employees, list) else []
        reading.drop(*(one.get("idNo") for one in employees if isinstance(one, dict)))
        body = items.SocialInsurancePayment(
            uscc=reading.subject,
            period=mandatory_month(row.month, at("month")),
            insurance_kind=ALL,
            insured_count=quantities.count(row.insured_cnt, path=at("insuredCnt")),
            amount_due=money.yuan(row.due_amt, path=at("dueAmt")),
            amount_paid=money.yuan(row.paid_amt, path=at("paidAmt")),
            paid=row.is_paid,
        )
        records.append(reading.record(body))
    return records


def tax_levels(reading: Reading, rows: Sequence[sc.TaxLevel]) -> list[CreditRecord]:
    """Map taxinfo/taxcreditlevels: the newest row counts."""
    if not rows:
        return []
    row = max(rows, key=lambda one: one.year)
    year = days.year(row.year, path=path_of(reading)("year")) or 0
    scale = reading.standard.scales.tax_scale(year)
    grade = reading.standard.scales.resolve(scale, row.level)
    reading.marks |= set() if grade.is_known else {Mark.CODE_UNKNOWN}
    return [reading.record(items.TaxCreditGrade(uscc=reading.subject, year=year, scale_id=scale, grade=grade.value))]


def arrears(reading: Reading, rows: Sequence[sc.Arrears]) -> list[CreditRecord]:
    """Map taxinfo/arrears."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        body = items.TaxArrears(
            uscc=reading.subject,
            tax_kind=TAX_KINDS.get(row.tax_type, "OTHER") if row.tax_type else None,
            arisen_period=days.month(row.period, path=at("period")),
            balance=money.yuan(row.arrears_amt, path=at("arrearsAmt")),
            announced=row.announced,
            announced_on=days.day(row.announce_date, path=at("announceDate")),
            cleared_on=days.day(row.clear_date, path=at("clearDate")),
            tax_authority=row.tax_authority or None,
        )
        records.append(reading.record(body))
    return records


def invoices(reading: Reading, rows: Sequence[sc.InvoiceMonth]) -> list[CreditRecord]:
    """Map taxinfo/saleinvoice."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        body = items.SalesInvoiceMonthly(
            uscc=reading.subject,
            month=mandatory_month(row.month, at("month")),
            sales_amount=money.fen(row.sale_amt_fen, path=at("saleAmtFen")),
            invoice_count=quantities.count(row.invoice_cnt, path=at("invoiceCnt")),
            buyer_count=quantities.count(row.buyer_cnt, path=at("buyerCnt")),
            top5_customer_ratio=quantities.ratio(row.top5_ratio, path=at("top5Ratio")),
            red_invoice_ratio=quantities.ratio(row.red_invoice_ratio, path=at("redInvoiceRatio")),
            void_invoice_ratio=quantities.ratio(row.void_invoice_ratio, path=at("voidInvoiceRatio")),
        )
        records.append(reading.record(body))
    return records


def declarations(reading: Reading, rows: Sequence[sc.Declaration]) -> list[CreditRecord]:
    """Map taxinfo/declarations: a quarter is its last month and a length of three."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        year, _, quarter = row.period.partition("Q")
        body = items.TaxPayment(
            uscc=reading.subject,
            period=mandatory_month(f"{year}-{int(quarter) * QUARTER_MONTHS:02d}", at("period")),
            period_months=QUARTER_MONTHS,
            tax_kind=TAX_KINDS.get(row.tax_type, "OTHER"),
            declared_sales=money.yuan(row.declared_sales_amt, path=at("declaredSalesAmt")),
            tax_payable=money.yuan(row.payable_amt, path=at("payableAmt")),
            tax_paid=money.yuan(row.paid_amt, path=at("paidAmt")),
            declared_on_time=row.on_time,
        )
        records.append(reading.record(body))
    return records


def public_evaluation(reading: Reading, rows: Sequence[sc.PublicEvaluation]) -> list[CreditRecord]:
    """Map credit/public-evaluation: the native grade on its own scale."""
    (row,) = rows
    at = path_of(reading)
    reading.own(row.credit_code, row.head_office_code)
    grade = reading.standard.scales.resolve(PUBLIC_SCALE, row.grade)
    reading.marks |= set() if grade.is_known else {Mark.CODE_UNKNOWN}
    body = items.PublicCreditEvaluation(
        uscc=reading.subject,
        scale_id=PUBLIC_SCALE,
        grade=grade.value,
        score=quantities.score(row.score, path=at("score")),
        evaluated_on=days.day(row.eval_date, path=at("evalDate")),
        model_version=row.version or None,
    )
    return [reading.record(body)]


def platform_score(reading: Reading, rows: Sequence[sc.Score]) -> list[CreditRecord]:
    """Map customized/score: kept on its own scale as it is."""
    (row,) = rows
    at = path_of(reading)
    grade = None
    if row.grade:
        coded = reading.standard.scales.resolve(SCORE_SCALE, row.grade)
        reading.marks |= set() if coded.is_known else {Mark.CODE_UNKNOWN}
        grade = coded.value
    body = items.PlatformScore(
        uscc=reading.subject,
        scale_id=SCORE_SCALE,
        score=quantities.score(row.score, path=at("score")),
        grade=grade,
        risk_index=quantities.ratio(row.risk_index, path=at("riskIndex")),
        reasons=";".join(row.reasons) if row.reasons else None,
        model_version=row.model_ver or None,
        calculated_on=mandatory_day(row.calc_time, at("calcTime")),
    )
    return [reading.record(body)]
