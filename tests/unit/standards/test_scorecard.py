from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditReport, PlatformResult
from loadtest.scorecard import PAGE, render
from standards.catalogue import load_standard
from standards.days import months_before
from standards.guarantees import Edge, Judged, Seen, Told, judge
from standards.scorecard.evaluation import evaluate
from standards.scorecard.evidence import read_evidence

STANDARD = load_standard()
CARD = STANDARD.card
ITEMS = sorted({item for rule in CARD.indicators for item in rule.items} | set(CARD.hard_stop_items))
OK, TIMEOUT = PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_TIMEOUT


def strong(*, silent: tuple[str, ...] = ()) -> CreditReport:
    """A firm with every item held and the best bin of all 27 indicators."""
    report = CreditReport(
        report_id="r",
        platform_results=[
            PlatformResult(platform_id="chongqing", data_item=item, status=TIMEOUT if item in silent else OK)
            for item in ITEMS
        ],
    )
    report.generated_at.FromDatetime(datetime(2026, 11, 27, tzinfo=UTC))
    months = [f"{2025 + (k + 10) // 12 - 1}-{(k + 10) % 12 + 1:02d}" for k in range(24)]

    def add(item: str, **fields: object) -> None:
        if item not in silent:
            record = report.records.add(record_id=f"{item}-{len(report.records)}", data_item=item)
            for name, value in fields.items():
                setattr(getattr(record, item), name, value)

    add(
        "enterprise_registration",
        established_on="2014-06-12",
        paid_in_capital="100",
        registered_capital="100",
        operating_status="ACTIVE",
    )
    for k, month in enumerate(months):
        add(
            "sales_invoice_monthly",
            month=month,
            sales_amount="100" if k < 12 else "130",
            top5_customer_ratio="0.4",
            red_invoice_ratio="0.01",
        )
        add("cash_flow_monthly", month=month, net_inflow="5")
        add("social_insurance_payment", period=month, insured_count=40, paid=True)
        add("electricity_usage", period=month, usage_quantity="50")
    add(
        "bank_credit_summary",
        as_of_month="2026-10",
        first_credit_month="2018-01",
        worst_overdue_days_24m=0,
        balance_total="100",
        lender_count_with_balance=2,
    )
    add("platform_enquiry_count", distinct_institutions=1)
    add("tax_credit_grade", year=2025, grade="A", scale_id="tax_payment_credit_2025")
    add("intellectual_property", ip_kind="SOFTWARE")
    add("specialised_sme", sme_level="X")
    return report


def run(report: CreditReport, granted=ITEMS):
    return evaluate(CARD, report, granted=granted, effects=STANDARD.status_effects)


def test_card_has_27_indicators_worth_550_points() -> None:
    assert (len(CARD.indicators), CARD.most, CARD.base) == (27, 550, 300)


def test_a_firm_in_every_best_bin_scores_850_with_full_coverage() -> None:
    result = run(strong())
    assert (result.score, result.grade, result.coverage, list(result.reasons)) == (850, "XYD-1", "1.0000", [])
    assert result.human_review_available
    assert "probability of default" in result.disclaimer


@pytest.mark.parametrize("rule", CARD.indicators, ids=lambda rule: rule.code)
def test_removing_a_held_good_item_lowers_score_and_coverage(rule) -> None:
    report = strong()
    if rule.items[0] == "enterprise_registration":
        for name in ("established_on",) if rule.code == "XG01" else ("paid_in_capital",):
            report.records[0].enterprise_registration.ClearField(name)
    else:
        report = strong(silent=rule.items)
    before, after = run(strong()), run(report)
    print(f"{rule.code} score {before.score} -> {after.score}, coverage {before.coverage} -> {after.coverage}")
    assert after.score < before.score
    assert Decimal(after.coverage) < Decimal(before.coverage)
    one = next(indicator for indicator in after.indicators if indicator.code == rule.code)
    assert Decimal(one.points) * 2 == rule.most
    assert one.missing in {"NOT_ANSWERED", "NOT_HELD"}


@pytest.mark.parametrize(
    "item", sorted({r.items[0] for r in CARD.indicators if r.is_required and r.items[0] not in CARD.hard_stop_items})
)
def test_leaving_out_a_required_item_gives_no_grade_and_names_it(item: str) -> None:
    result = run(strong(silent=(item,)), granted=[name for name in ITEMS if name != item])
    assert (result.grade, result.no_grade_reason, result.HasField("score")) == ("XYD-N", "NOT_GRANTED", False)
    assert item in result.reasons[0].text_zh


ADVERSE = {
    "enterprise_registration": {"operating_status": "REVOKED_NOT_DEREGISTERED"},
    "registration_change": {"change_kind": "CONTROLLER", "changed_on": "2026-10-01"},
    "abnormal_operation_list": {"listed_on": "2026-10-01"},
    "sales_invoice_monthly": {"month": "2026-11", "sales_amount": "0"},
    "bank_credit_summary": {"as_of_month": "2026-10", "worst_overdue_days_24m": 120},
    "tax_credit_grade": {"year": 2026, "grade": "D"},
    "tax_arrears": {"balance": "100"},
    "administrative_penalty": {"decided_on": "2026-10-01", "severity": "serious"},
    "judgment_debtor": {"case_no": "x", "amount": "9000"},
    "court_judgment": {"role": "DEFENDANT", "filed_on": "2026-10-01"},
    "social_insurance_payment": {"period": "2026-11", "insured_count": 1, "paid": False},
    "financing_guarantee": {"direction": "GIVEN", "amount": "9000"},
    "dishonest_judgment_debtor": {"is_listed": True},
    "serious_dishonest_list": {"listed_on": "2026-10-01"},
    "bankruptcy": {"stage": "ACCEPTED"},
    "major_tax_violation": {"published_on": "2026-10-01"},
}
"""What is bad of every item whose silence must not pay; nobody profits from keeping it out of a consent."""
EXPLAINING = {"shareholder_and_capital", "financial_statement"}
"""Required items that only explain another: without them that other's indicator is unseen, never good."""


def with_adverse(item: str) -> CreditReport:
    """The best firm with what is bad of ``item``; one case as a defendant does no harm, so five of them."""
    report = strong()
    if item == "enterprise_registration":
        report.records[0].enterprise_registration.operating_status = ADVERSE[item]["operating_status"]
        return report
    if item in {"financing_guarantee", "judgment_debtor"}:
        # Without a statement the guarantees could not be weighed; sales are what an enforcement is weighed against.
        statement = report.records.add(record_id="statement", data_item="financial_statement")
        statement.financial_statement.period_end, statement.financial_statement.net_assets = "2025-12-31", "100"
    for number in range(5 if item == "court_judgment" else 1):
        record = report.records.add(record_id=f"bad-{number}", data_item=item)
        for name, value in ADVERSE[item].items():
            setattr(getattr(record, item), name, value)
    return report


def without(report: CreditReport, item: str) -> CreditReport:
    """The same firm as it looks to a lender that did not ask for ``item``."""
    kept = CreditReport()
    kept.CopyFrom(report)
    del kept.records[:]
    kept.records.extend(record for record in report.records if record.data_item != item)
    del kept.platform_results[:]
    kept.platform_results.extend(result for result in report.platform_results if result.data_item != item)
    return kept


def test_every_required_item_has_its_adverse_case() -> None:
    required = {item for rule in CARD.indicators if rule.is_required for item in rule.items}
    assert required | set(CARD.hard_stop_items) == set(ADVERSE) | EXPLAINING


@pytest.mark.parametrize("item", sorted(ADVERSE))
def test_leaving_out_an_adverse_required_item_gives_no_grade_never_a_better_one(item: str) -> None:
    report = with_adverse(item)
    told = run(report)
    assert told.grade == "XYD-S" or told.score < run(strong()).score, "the record does this firm no harm"
    left_out = run(without(report, item), granted=[name for name in ITEMS if name != item])
    assert (left_out.grade, left_out.HasField("score")) == ("XYD-N", False)
    assert left_out.no_grade_reason in {"NOT_GRANTED", "NOT_ANSWERED"}
    assert item in left_out.reasons[0].text_zh
    silent = run(without(report, item))
    if item in CARD.hard_stop_items:
        assert (silent.grade, silent.no_grade_reason) == ("XYD-N", "NOT_ANSWERED")
    else:
        assert Decimal(silent.coverage) < Decimal(told.coverage)


def test_leaving_out_the_statement_that_guarantees_are_weighed_by_gives_no_grade() -> None:
    report = with_adverse("financing_guarantee")
    granted = [name for name in ITEMS if name != "financial_statement"]
    result = run(without(report, "financial_statement"), granted=granted)
    assert (result.grade, result.no_grade_reason) == ("XYD-N", "NOT_GRANTED")
    assert "financial_statement" in result.reasons[0].text_zh


def test_an_optional_item_left_out_earns_half() -> None:
    result = run(strong(silent=("cash_flow_monthly",)), granted=[i for i in ITEMS if i != "cash_flow_monthly"])
    assert result.score == 833  # 850 - 17.5 = 832.5, rounded half up once
    assert next(i for i in result.indicators if i.code == "XO06").missing == "NOT_GRANTED"


@pytest.mark.parametrize("item", CARD.hard_stop_items)
def test_a_hard_stop_without_its_answer_gives_no_grade(item: str) -> None:
    result = run(strong(silent=(item,)))
    assert (result.grade, result.no_grade_reason) == ("XYD-N", "NOT_ANSWERED")


@pytest.mark.parametrize("item", CARD.hard_stop_items)
def test_a_hard_stop_that_its_platform_keeps_back_is_not_read_as_nothing_found(item: str) -> None:
    report = strong()
    next(result for result in report.platform_results if result.data_item == item).held_back_records = 1
    result = run(report)
    assert (result.grade, result.no_grade_reason, result.HasField("score")) == ("XYD-N", "NOT_ANSWERED", False)


def test_the_gateways_own_count_makes_no_firm_known_that_platforms_know_nothing_of() -> None:
    report = CreditReport(
        platform_results=[PlatformResult(platform_id="chongqing", data_item=item, status=OK) for item in ITEMS]
    )
    report.generated_at.FromDatetime(datetime(2026, 11, 27, tzinfo=UTC))
    record = report.records.add(record_id="n", data_item="platform_enquiry_count")
    record.platform_enquiry_count.distinct_institutions = 3
    assert run(report).no_grade_reason == "LOW_COVERAGE"
    report.records.add(record_id="t", data_item="tax_arrears").tax_arrears.balance = "0"
    assert run(report).no_grade_reason == "NOT_ANSWERED", "who owes taxes is registered somewhere"


def test_a_listed_dishonest_debtor_is_a_hard_stop_linked_to_its_record() -> None:
    report = strong()
    record = report.records.add(record_id="d1", data_item="dishonest_judgment_debtor")
    record.dishonest_judgment_debtor.is_listed = True
    result = run(report)
    assert (result.grade, result.HasField("score"), result.reasons[0].code) == ("XYD-S", False, "XH01")
    assert list(result.reasons[0].record_ids) == ["d1"]


def test_sources_that_disagree_on_a_hard_stop_give_no_grade() -> None:
    report = strong()
    conflict = report.conflicts.add(
        record_id=report.records[0].record_id, data_item="enterprise_registration", field="operating_status"
    )
    for value in ("ACTIVE", "REVOKED_NOT_DEREGISTERED"):
        conflict.values.add(value=value)
    result = run(report)
    assert (result.grade, result.no_grade_reason, result.reasons[0].code) == ("XYD-N", "CONFLICT", "XM01")


def test_reasons_are_four_at_most_by_points_lost_and_written_in_chinese() -> None:
    report = strong()
    for record in report.records:
        if record.data_item == "sales_invoice_monthly":
            month = record.sales_invoice_monthly
            month.top5_customer_ratio, month.red_invoice_ratio = "0.95", "0.5"
        if record.data_item == "bank_credit_summary":
            record.bank_credit_summary.worst_overdue_days_24m = 120
            record.bank_credit_summary.lender_count_with_balance = 7
        if record.data_item == "tax_credit_grade":
            record.tax_credit_grade.grade = "D"
    result = run(report)
    assert [reason.code for reason in result.reasons] == ["XC01", "XP01", "XO04", "XO05"]
    assert all(reason.record_ids for reason in result.reasons)
    assert "XC01" in result.written_reasons_zh
    assert "征信业管理条例" in result.written_reasons_zh


def test_a_silent_platform_hides_no_adverse_record() -> None:
    report = strong()
    report.platform_results.add(platform_id="sichuan", data_item="administrative_penalty", status=TIMEOUT)
    assert next(i for i in run(report).indicators if i.code == "XP03").missing == "NOT_ANSWERED"
    record = report.records.add(record_id="p", data_item="administrative_penalty")
    record.administrative_penalty.decided_on, record.administrative_penalty.severity = "2026-10-01", "serious"
    assert next(i for i in run(report).indicators if i.code == "XP03").points == "5"


def test_guarantees_without_related_consents_leave_the_ring_unknown() -> None:
    report = strong()
    record = report.records.add(record_id="g", data_item="financing_guarantee")
    record.financing_guarantee.direction, record.financing_guarantee.amount = "GIVEN", "10"
    result = run(report)
    assert result.in_ring == "unknown"
    assert next(i for i in result.indicators if i.code == "XN02").missing == "NOT_GRANTED"


def ring_of_two(*, bad: bool = False) -> Judged:
    there, back = Edge(guarantor="A", guaranteed="B"), Edge(guarantor="B", guaranteed="A")
    own = Seen(subject="A", told=(Told(edge=there, record_id="g1"), Told(edge=back, record_id="g2")))
    return judge("A", {"A": own, "B": Seen(subject="B", stops=("XH01",) if bad else ())})


def network_of(report: CreditReport, network: Judged) -> tuple[str, list[str], str, str]:
    """Return value, records and kind of missing of XN02, and whether there is a ring."""
    for record_id, other in (("g1", "B"), ("g2", "B"), ("g3", "")):
        record = report.records.add(record_id=record_id, data_item="financing_guarantee")
        record.financing_guarantee.direction = "GIVEN"
        if other:
            record.financing_guarantee.counterparty_uscc = other
    result = evaluate(CARD, report, granted=ITEMS, effects=STANDARD.status_effects, network=network)
    one = next(i for i in result.indicators if i.code == "XN02")
    return one.value, list(one.record_ids), one.missing, result.in_ring


def test_a_ring_over_covered_edges_is_linked_to_its_own_records() -> None:
    assert network_of(strong(), ring_of_two()) == ("RING", ["g1", "g2"], "", "yes")


def test_a_bad_related_party_is_worse_than_a_ring_and_the_ring_stays_said() -> None:
    assert network_of(strong(), ring_of_two(bad=True)) == ("BAD", ["g1", "g2"], "", "yes")


@pytest.mark.parametrize(("hidden", "why"), [(2, "NOT_GRANTED"), (0, "NOT_ANSWERED")])
def test_what_keeps_a_ring_unknown_is_said(hidden: int, why: str) -> None:
    own = Seen(subject="A", hidden_given=hidden, hidden_received=hidden, is_whole=False)
    assert network_of(strong(), judge("A", {"A": own})) == ("", [], why, "unknown")


def test_little_information_is_not_graded() -> None:
    report = strong(silent=tuple(i for i in ITEMS if i not in CARD.hard_stop_items))
    assert (run(report).grade, run(report).no_grade_reason) == ("XYD-N", "LOW_COVERAGE")


def test_window_days() -> None:
    assert months_before(date(2024, 2, 29), 12) == date(2023, 2, 28)
    assert read_evidence(strong(), granted=ITEMS, severity_weights={}).today.isoformat() == "2026-11-27"


def test_the_cards_page_is_what_the_card_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()
