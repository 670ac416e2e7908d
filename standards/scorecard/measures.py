"""What each indicator measures: one pure function a name in the card's ``measure``. None: nothing held to measure.

Months are counted back from the newest month that the records tell of, because tax data come monthly from one region
and quarterly from the other; days are counted back from the report's day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from standards.days import YEAR_MONTHS, months_before
from standards.guarantees import Judged, Network
from standards.items import ENQUIRY_COUNT
from standards.scorecard.card import IndicatorRule
from standards.scorecard.evidence import Evidence, Row, day_of, month_number, number

ZERO: Final = Decimal(0)
BEYOND: Final = Decimal("Infinity")
"""A ratio over nothing: debt without sales falls into the last bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value to be binned, and the records behind it."""

    value: Decimal | str
    rows: tuple[Row, ...] = ()


Measure = Callable[[Evidence, IndicatorRule], Measured | None]


def _age_years(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    for row in evidence.of("enterprise_registration"):
        if opened := day_of(row.body, "established_on"):
            today = evidence.today
            years = today.year - opened.year - ((today.month, today.day) < (opened.month, opened.day))
            return Measured(value=Decimal(years), rows=(row,))
    return None


def _control_changes(evidence: Evidence, rule: IndicatorRule) -> Measured:
    kinds = {"LEGAL_REPRESENTATIVE", "CONTROLLER"}
    rows = [row for row in evidence.of("registration_change") if row.body.change_kind in kinds]
    return _count(_since(evidence, rule, rows, "changed_on"))


def _paid_in_ratio(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    for row in evidence.of("enterprise_registration"):
        paid, subscribed = number(row.body, "paid_in_capital"), number(row.body, "registered_capital")
        if paid is not None and subscribed:
            return Measured(value=paid / subscribed, rows=(row,))
    rows = evidence.of("shareholder_and_capital")
    paid_parts = [number(row.body, "paid_in_amount") for row in rows]
    subscribed_parts = [number(row.body, "subscribed_amount") for row in rows]
    # Amounts in different currencies are never added, and one unknown part makes the sum unknown.
    if not rows or None in paid_parts or None in subscribed_parts or len({row.body.currency for row in rows}) > 1:
        return None
    whole = _total(subscribed_parts)
    return Measured(value=_total(paid_parts) / whole, rows=rows) if whole else None


def _abnormal_listing(evidence: Evidence, rule: IndicatorRule) -> Measured:
    rows = evidence.of("abnormal_operation_list")
    listed = [row for row in rows if not row.body.HasField("removed_on")]
    removed = _since(evidence, rule, rows, "removed_on")
    return Measured(value="LISTED" if listed else "REMOVED" if removed else "NONE", rows=tuple(listed or removed))


def _sales_growth(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = _months(evidence, "sales_invoice_monthly", "month", 2 * YEAR_MONTHS)
    if len({row.body.month for row in rows}) < 2 * YEAR_MONTHS:
        return None
    recent = _sum(_months(evidence, "sales_invoice_monthly", "month", YEAR_MONTHS))
    before = _sum(rows) - recent
    return Measured(value=recent / before - 1, rows=rows) if before > 0 else None


def _sum(rows: Iterable[Row]) -> Decimal:
    return _total(number(row.body, "sales_amount") for row in rows)


def _months_with_sales(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    rows = _months(evidence, "sales_invoice_monthly", "month", rule.window_months)
    return _months_counted(rows, "month", lambda row: (number(row.body, "sales_amount") or ZERO) > 0)


def _sales_variation(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    rows = _months(evidence, "sales_invoice_monthly", "month", rule.window_months)
    if not rows:
        return None
    known = [number(row.body, "sales_amount") or ZERO for row in rows]
    amounts = known + [ZERO] * (rule.window_months - len(known))
    mean = _total(amounts) / len(amounts)
    if mean <= 0:
        return Measured(value=BEYOND, rows=tuple(rows))
    variance = _total((amount - mean) ** 2 for amount in amounts) / len(amounts)
    return Measured(value=variance.sqrt() / mean, rows=tuple(rows))


def _top5_share(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    return _weighted(evidence, rule, ("top5_customer_ratio",))


def _red_void_share(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    return _weighted(evidence, rule, ("red_invoice_ratio", "void_invoice_ratio"))


def _weighted(evidence: Evidence, rule: IndicatorRule, fields: Sequence[str]) -> Measured | None:
    """Return the mean of the sum of ``fields``, weighted by sales, over the months that tell at least one of them."""
    told = [
        row
        for row in _months(evidence, "sales_invoice_monthly", "month", rule.window_months)
        if any(row.body.HasField(name) for name in fields)
    ]
    whole = _sum(told)
    if not told or whole <= 0:
        return None
    part = _total(
        (number(row.body, name) or ZERO) * (number(row.body, "sales_amount") or ZERO) for row in told for name in fields
    )
    return Measured(value=part / whole, rows=tuple(told))


def _net_inflow_months(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    rows = _months(evidence, "cash_flow_monthly", "month", rule.window_months)
    return _months_counted(rows, "month", lambda row: (number(row.body, "net_inflow") or ZERO) > 0)


def _worst_overdue_days(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = [row for row in _newest_summaries(evidence) if row.body.HasField("worst_overdue_days_24m")]
    return _most(rows, "worst_overdue_days_24m")


def _debt_to_sales(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = [row for row in _newest_summaries(evidence) if row.body.HasField("balance_total")]
    debt = _total(number(row.body, "balance_total") for row in rows)
    return _over_sales(evidence, debt, rows) if rows else None


def _enquiring_lenders(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    return _most(evidence.of(ENQUIRY_COUNT), "distinct_institutions")


def _lenders_with_balance(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    return _most(_newest_summaries(evidence), "lender_count_with_balance")


def _credit_history_months(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = [row for row in evidence.of("bank_credit_summary") if row.body.HasField("first_credit_month")]
    rows = [row for row in rows if row.body.HasField("as_of_month")]
    if not rows:
        return None
    first = min(month_number(row.body.first_credit_month) for row in rows)
    newest = max(month_number(row.body.as_of_month) for row in rows)
    return Measured(value=Decimal(newest - first), rows=tuple(rows))


def _tax_level(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = [row for row in evidence.of("tax_credit_grade") if row.body.HasField("grade")]
    if not rows:
        return None
    newest = max(rows, key=lambda row: row.body.year)
    return Measured(value=str(newest.body.grade), rows=(newest,))


def _tax_arrears(evidence: Evidence, rule: IndicatorRule) -> Measured:
    rows = evidence.of("tax_arrears")
    owed = [row for row in rows if not row.body.HasField("cleared_on") and number(row.body, "balance") != 0]
    cleared = _since(evidence, rule, rows, "cleared_on")
    return Measured(value="OPEN" if owed else "CLEARED" if cleared else "NONE", rows=tuple(owed or cleared))


def _weighted_penalties(evidence: Evidence, rule: IndicatorRule) -> Measured:
    rows = _since(evidence, rule, evidence.of("administrative_penalty"), "decided_on")
    weights = evidence.severity_weights
    weight = sum(weights.get(row.body.severity, weights["unknown"]) for row in rows)
    return Measured(value=Decimal(weight), rows=tuple(rows))


def _enforcement_to_sales(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = [row for row in evidence.of("judgment_debtor") if not row.body.HasField("closed_on")]
    rows = [row for row in rows if row.body.HasField("case_no") or row.body.open_case_count > 0]
    amounts = [_outstanding(row) for row in rows]
    if None in amounts:
        # Open cases of an amount that nobody tells: known to be adverse, so not rewarded as unseen.
        return Measured(value=BEYOND, rows=tuple(rows))
    return _over_sales(evidence, _total(amounts), rows)


def _outstanding(row: Row) -> Decimal | None:
    left = number(row.body, "outstanding_amount")
    return number(row.body, "amount") if left is None else left


def _defendant_cases(evidence: Evidence, rule: IndicatorRule) -> Measured:
    rows = [row for row in evidence.of("court_judgment") if row.body.role == "DEFENDANT"]
    return _count(_since(evidence, rule, rows, "filed_on", "effective_on"))


def _headcount_change(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    heads: dict[int, Row] = {}
    for row in (row for row in evidence.of("social_insurance_payment") if row.body.HasField("period")):
        month = month_number(row.body.period)
        if row.body.HasField("insured_count") and (
            month not in heads or heads[month].body.insured_count < row.body.insured_count
        ):
            heads[month] = row
    newest = max(heads, default=0)
    if newest - rule.window_months not in heads:
        return None
    now, before = heads[newest], heads[newest - rule.window_months]
    if before.body.insured_count == 0:
        return None
    change = Decimal(now.body.insured_count) / Decimal(before.body.insured_count) - 1
    return Measured(value=change, rows=(now, before))


def _insurance_months(evidence: Evidence, rule: IndicatorRule) -> Measured | None:
    rows = _months(evidence, "social_insurance_payment", "period", rule.window_months)
    if len({row.body.period for row in rows}) < 2:  # noqa: PLR2004 - a single total tells no months
        return None
    return _months_counted(rows, "period", _is_paid)


def _is_paid(row: Row) -> bool:
    if row.body.HasField("paid"):
        return bool(row.body.paid)
    due, paid = number(row.body, "amount_due"), number(row.body, "amount_paid")
    return paid is not None and paid > 0 and (due is None or paid >= due)


def _utility_change(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    found = [change for item in ("electricity_usage", "water_usage") if (change := _usage_change(evidence, item))]
    return min(found, key=lambda one: one.value, default=None)


def _usage_change(evidence: Evidence, item: str) -> Measured | None:
    """Compare the newest 12 months with the same months a year before, over the months that both years tell."""
    used: dict[int, Decimal] = {}
    rows = _months(evidence, item, "period", 2 * YEAR_MONTHS)
    for row in rows:
        quantity = number(row.body, "usage_quantity")
        if quantity is not None:
            month = month_number(row.body.period)
            used[month] = used.get(month, ZERO) + quantity
    newest = max(used, default=0)
    both = [month for month in used if month > newest - YEAR_MONTHS and month - YEAR_MONTHS in used]
    before = _total(used[month - YEAR_MONTHS] for month in both)
    if before <= 0:
        return None
    return Measured(value=_total(used[month] for month in both) / before - 1, rows=tuple(rows))


def _guarantees_to_net_assets(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    given = [row for row in _open_guarantees(evidence) if row.body.direction == "GIVEN"]
    if not given:
        return Measured(value=ZERO)
    statements = [row for row in evidence.of("financial_statement") if row.body.HasField("net_assets")]
    if not statements:
        return None
    newest = max(statements, key=lambda row: row.body.period_end)
    assets = number(newest.body, "net_assets") or ZERO
    amount = _total(_guaranteed(row) for row in given)
    return Measured(value=amount / assets if assets > 0 else BEYOND, rows=(*given, newest))


def _guaranteed(row: Row) -> Decimal | None:
    balance = number(row.body, "balance")
    return number(row.body, "amount") if balance is None else balance


def _guarantee_network(evidence: Evidence, _rule: IndicatorRule) -> Measured | None:
    rows = _open_guarantees(evidence)
    if not rows:
        return Measured(value="NEITHER")
    if evidence.network is not None:
        return _judged(evidence.network, rows)
    told = {row.body.in_ring.lower() for row in rows}
    if "yes" in told:
        return Measured(value="RING", rows=rows)
    return Measured(value="CHAIN", rows=rows) if told == {"no"} else None


def _judged(found: Judged, rows: tuple[Row, ...]) -> Measured | None:
    """Link a ring, or a bad party, to the subject's own records of it; others' records are not in the report."""
    if found.network is None:
        return None
    named = {Network.RING: found.ring_members, Network.BAD: frozenset(found.bad)}.get(found.network, frozenset())
    behind = tuple(row for row in rows if row.body.counterparty_uscc in named)
    return Measured(value=found.network.value, rows=behind or rows)


def _open_guarantees(evidence: Evidence) -> tuple[Row, ...]:
    rows = evidence.of("financing_guarantee")
    return tuple(row for row in rows if not row.body.HasField("released_on"))


def _patents(evidence: Evidence, _rule: IndicatorRule) -> Measured:
    kinds = {"INVENTION", "UTILITY_MODEL", "DESIGN", "SOFTWARE"}
    rows = tuple(row for row in evidence.of("intellectual_property") if row.body.ip_kind in kinds)
    return Measured(value="YES" if rows else "NO", rows=rows)


def _recognised(evidence: Evidence, _rule: IndicatorRule) -> Measured:
    rows = tuple(row for row in evidence.of("specialised_sme") if not row.body.HasField("withdrawn_on"))
    return Measured(value="YES" if rows else "NO", rows=rows)


def _since(evidence: Evidence, rule: IndicatorRule, rows: Iterable[Row], *fields: str) -> list[Row]:
    first = months_before(evidence.today, rule.window_months)
    return [row for row in rows if (day := day_of(row.body, *fields)) is not None and day >= first]


def _months(evidence: Evidence, item: str, field: str, count: int) -> tuple[Row, ...]:
    """Return the rows of the newest ``count`` months that an item tells of."""
    return evidence.newest_months(item, field, count)


def _months_counted(rows: Sequence[Row], field: str, is_good: Callable[[Row], bool]) -> Measured | None:
    if not rows:
        return None
    return Measured(value=Decimal(len({getattr(row.body, field) for row in rows if is_good(row)})), rows=tuple(rows))


def _newest_summaries(evidence: Evidence) -> tuple[Row, ...]:
    return _months(evidence, "bank_credit_summary", "as_of_month", 1)


def _most(rows: Iterable[Row], field: str) -> Measured | None:
    found = tuple(row for row in rows if row.body.HasField(field))
    return Measured(value=Decimal(max(getattr(row.body, field) for row in found)), rows=found) if found else None


def _count(rows: Sequence[Row]) -> Measured:
    return Measured(value=Decimal(len(rows)), rows=tuple(rows))


def _over_sales(evidence: Evidence, amount: Decimal, rows: Sequence[Row]) -> Measured | None:
    """Divide by a year's invoiced sales; nothing is nothing whatever the sales are."""
    if amount == 0:
        return Measured(value=ZERO, rows=tuple(rows))
    months = _months(evidence, "sales_invoice_monthly", "month", YEAR_MONTHS)
    if not months:
        return None
    sales = _sum(months)
    return Measured(value=amount / sales if sales > 0 else BEYOND, rows=(*rows, *months))


def _total(parts: Iterable[Decimal | None]) -> Decimal:
    return sum((part for part in parts if part is not None), ZERO)


MEASURES: Final[Mapping[str, Measure]] = {
    "abnormal_listing": _abnormal_listing,
    "age_years": _age_years,
    "control_changes": _control_changes,
    "credit_history_months": _credit_history_months,
    "debt_to_sales": _debt_to_sales,
    "defendant_cases": _defendant_cases,
    "enforcement_to_sales": _enforcement_to_sales,
    "enquiring_lenders": _enquiring_lenders,
    "guarantee_network": _guarantee_network,
    "guarantees_to_net_assets": _guarantees_to_net_assets,
    "headcount_change": _headcount_change,
    "insurance_months": _insurance_months,
    "lenders_with_balance": _lenders_with_balance,
    "months_with_sales": _months_with_sales,
    "net_inflow_months": _net_inflow_months,
    "paid_in_ratio": _paid_in_ratio,
    "patents": _patents,
    "recognised": _recognised,
    "red_void_share": _red_void_share,
    "sales_growth": _sales_growth,
    "sales_variation": _sales_variation,
    "tax_arrears": _tax_arrears,
    "tax_level": _tax_level,
    "top5_share": _top5_share,
    "utility_change": _utility_change,
    "weighted_penalties": _weighted_penalties,
    "worst_overdue_days": _worst_overdue_days,
}
