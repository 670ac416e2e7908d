from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bashu.v1 import items_pb2 as items
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.report_pb2 import (
    COMPLETENESS_EMPTY,
    COMPLETENESS_FULL,
    COMPLETENESS_PARTIAL,
    COMPLETENESS_THIN,
    QUALITY_INFERRED,
)
from core.permit import SubjectKind
from standards.answer import GATEWAY, ItemAnswer, Mark, record_of
from standards.catalogue import load_standard
from standards.merge import ReportFrame, merge

STANDARD = load_standard()
CODE = "91500105XXTT00077Q"
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
OK = PlatformStatus.PLATFORM_STATUS_OK
NO_DATA = PlatformStatus.PLATFORM_STATUS_NO_DATA
REGIONS = {"chongqing": "500000", "sichuan": "510000"}


def answer(platform, item, *bodies, days_old=1, status=None, **more):
    records = tuple(body if body.DESCRIPTOR.name == "CreditRecord" else record_of(body) for body in bodies)
    more.setdefault("raw_digest", platform.encode().ljust(32, b"."))
    return ItemAnswer(
        platform_id=platform,
        region=REGIONS[platform],
        item=item,
        status=status or (OK if records else NO_DATA),
        records=records,
        as_of=None if days_old is None else NOW - timedelta(days=days_old),
        fetched_at=NOW,
        **more,
    )


def report(*answers, home="500000", coverage=None, now=NOW, kind=SubjectKind.ENTERPRISE):
    frame = ReportFrame(
        report_id="r",
        generated_at=now,
        operator=GatewayOperator(name="示例"),
        subject_key=CODE,
        subject_kind=kind,
        home_region=home,
    )
    return merge(answers, frame=frame, standard=STANDARD, coverage=coverage)


def registration(**fields):
    return items.EnterpriseRegistration(uscc=CODE, **fields)


def penalty(number, *, authority="重庆市江北区市场监督管理局", decided_on="2026-03-02", fine="5000.00", **fields):
    return items.AdministrativePenalty(
        document_no=number, authority=authority, decided_on=decided_on, fine_amount=fine, **fields
    )


# Registration: the home region


@pytest.mark.parametrize(
    ("home_age", "other_age", "status", "rule"),
    [
        (1, 0, "ACTIVE", "HOME_REGION"),
        (31, 1, "ACTIVE", "HOME_REGION"),
        (32, 1, "REVOKED_NOT_DEREGISTERED", "LATEST_AS_OF"),
        (None, 1, "ACTIVE", "HOME_REGION"),
        (40, None, "ACTIVE", "HOME_REGION"),
    ],
)
def test_home_region_wins_registration_unless_more_than_thirty_days_older(home_age, other_age, status, rule):
    merged = report(
        answer(
            "sichuan",
            "enterprise_registration",
            registration(operating_status="REVOKED_NOT_DEREGISTERED"),
            days_old=other_age,
        ),
        answer("chongqing", "enterprise_registration", registration(operating_status="ACTIVE"), days_old=home_age),
    )
    [record] = merged.records
    assert record.enterprise_registration.operating_status == status
    [conflict] = merged.conflicts
    assert (conflict.field, conflict.rule, conflict.record_id) == ("operating_status", rule, record.record_id)
    assert conflict.values[0].value == status
    assert {side.platform_id for side in conflict.values} == {"chongqing", "sichuan"}
    assert conflict.values[0].source_id == record.source_ids[0]


def test_an_as_of_in_the_future_is_marked_and_makes_nobody_the_latest():
    ahead = answer("sichuan", "enterprise_registration", registration(name="未来"), days_old=-2)
    merged = report(
        answer("chongqing", "enterprise_registration", registration(name="今"), days_old=9), ahead, home=None
    )
    [record] = merged.records
    assert record.enterprise_registration.name == "今"
    assert list(record.marks) == ["AS_OF_IN_FUTURE"]
    [conflict] = merged.conflicts
    assert conflict.rule == "LATEST_AS_OF"
    assert conflict.values[1].as_of.ToDatetime(UTC) == NOW + timedelta(days=2)
    [alone] = report(ahead, home=None).records
    assert list(alone.marks) == ["AS_OF_IN_FUTURE"]


def test_a_future_as_of_elsewhere_does_not_take_the_home_regions_word():
    merged = report(
        answer("sichuan", "enterprise_registration", registration(name="川"), days_old=-40),
        answer("chongqing", "enterprise_registration", registration(name="渝"), days_old=1),
    )
    assert merged.records[0].enterprise_registration.name == "渝"
    assert merged.conflicts[0].rule == "HOME_REGION"


def test_a_clock_that_is_a_few_minutes_ahead_is_no_future():
    early = NOW - timedelta(minutes=9)
    merged = report(answer("sichuan", "enterprise_registration", registration(name="川"), days_old=0), now=early)
    assert not merged.records[0].marks


def test_without_a_home_region_the_latest_registration_wins():
    merged = report(
        answer("chongqing", "enterprise_registration", registration(name="旧"), days_old=2),
        answer("sichuan", "enterprise_registration", registration(name="新"), days_old=1),
        home=None,
    )
    assert merged.records[0].enterprise_registration.name == "新"
    assert merged.conflicts[0].rule == "LATEST_AS_OF"


def test_field_that_the_chosen_source_left_unset_is_filled_and_names_its_source():
    merged = report(
        answer(
            "chongqing", "enterprise_registration", registration(name="甲", currency="CNY", registered_capital="1.00")
        ),
        answer(
            "sichuan",
            "enterprise_registration",
            registration(name="甲", currency="CNY", paid_in_capital="0.50", business_scope="软件"),
        ),
    )
    [record] = merged.records
    assert record.enterprise_registration.paid_in_capital == "0.50"
    other = record.source_ids[1]
    assert list(record.field_sources) == [f"business_scope={other}", f"paid_in_capital={other}"]
    assert not merged.conflicts


def test_amount_of_another_currency_is_shown_as_conflict_and_never_filled_in():
    merged = report(
        answer("chongqing", "enterprise_registration", registration(currency="USD", registered_capital="1000000.00")),
        answer("sichuan", "enterprise_registration", registration(currency="CNY", paid_in_capital="5.00")),
    )
    assert not merged.records[0].enterprise_registration.HasField("paid_in_capital")
    assert [conflict.field for conflict in merged.conflicts] == ["currency", "paid_in_capital"]
    assert [side.value for side in merged.conflicts[1].values] == ["", "5.00"]


def test_date_of_deregistration_does_not_join_an_active_status():
    merged = report(
        answer("chongqing", "enterprise_registration", registration(operating_status="ACTIVE")),
        answer(
            "sichuan",
            "enterprise_registration",
            registration(operating_status="DEREGISTERED", deregistered_on="2026-10-01"),
        ),
    )
    assert not merged.records[0].enterprise_registration.HasField("deregistered_on")


def test_same_name_in_full_width_brackets_is_no_conflict():
    merged = report(
        answer("chongqing", "enterprise_registration", registration(name="四川示例（成都）公司")),
        answer("sichuan", "enterprise_registration", registration(name="四川示例(成都)公司")),
    )
    assert merged.records[0].enterprise_registration.name == "四川示例（成都）公司"
    assert not merged.conflicts


# Other facts: latest as-of


def month(amount, ratio=None):
    return items.SalesInvoiceMonthly(uscc=CODE, month="2026-10", sales_amount=amount, top5_customer_ratio=ratio)


def test_latest_as_of_wins_and_the_other_value_stays_visible():
    merged = report(
        answer("chongqing", "sales_invoice_monthly", month("183500.00"), days_old=5),
        answer("sichuan", "sales_invoice_monthly", month("183450.00"), days_old=2),
    )
    assert merged.records[0].sales_invoice_monthly.sales_amount == "183450.00"
    [conflict] = merged.conflicts
    assert [side.value for side in conflict.values] == ["183450.00", "183500.00"]
    assert conflict.rule == "LATEST_AS_OF"


def test_equal_as_of_is_decided_by_quality_then_platform():
    tie = [
        answer("sichuan", "sales_invoice_monthly", month("2.00")),
        answer("chongqing", "sales_invoice_monthly", month("1.00")),
    ]
    merged = report(*tie)
    assert merged.records[0].sales_invoice_monthly.sales_amount == "1.00"
    assert merged.conflicts[0].rule == "PLATFORM_ORDER"
    inferred = answer("chongqing", "sales_invoice_monthly", month("1.00"), quality=QUALITY_INFERRED)
    assert report(tie[0], inferred).records[0].sales_invoice_monthly.sales_amount == "2.00"


def test_equal_decimals_are_no_conflict():
    merged = report(
        answer("chongqing", "sales_invoice_monthly", month("1.00", "0.125")),
        answer("sichuan", "sales_invoice_monthly", month("1.0", "0.1250")),
    )
    assert not merged.conflicts


def test_removal_that_only_one_source_knows_is_a_conflict_not_a_filling():
    fields = {"uscc": CODE, "listed_on": "2026-01-05", "reason": "UNREACHABLE"}
    merged = report(
        answer("chongqing", "abnormal_operation_list", items.AbnormalOperationList(**fields), days_old=1),
        answer(
            "sichuan",
            "abnormal_operation_list",
            items.AbnormalOperationList(**fields, removed_on="2026-06-01"),
            days_old=9,
        ),
    )
    assert not merged.records[0].abnormal_operation_list.HasField("removed_on")
    assert [side.value for side in merged.conflicts[0].values] == ["", "2026-06-01"]


def test_native_scores_of_two_platforms_stay_two_records():
    score = lambda scale: items.PlatformScore(uscc=CODE, scale_id=scale, score="80")  # noqa: E731
    merged = report(answer("chongqing", "platform_score", score("x")), answer("sichuan", "platform_score", score("x")))
    assert len({record.record_id for record in merged.records}) == 2
    assert not merged.conflicts


# Lists


def test_lists_are_united_and_record_ids_do_not_depend_on_the_platform():
    one, two = penalty("渝市监罚〔2026〕1号"), penalty("渝市监罚〔2026〕2号", fine="9.00")
    alone = report(answer("chongqing", "administrative_penalty", one))
    there = report(answer("sichuan", "administrative_penalty", one))
    both = report(answer("chongqing", "administrative_penalty", one), answer("sichuan", "administrative_penalty", two))
    assert alone.records[0].record_id == there.records[0].record_id
    assert len(both.records) == 2
    assert alone.records[0].record_id in {record.record_id for record in both.records}


def test_penalty_with_the_same_number_keeps_every_source():
    merged = report(
        answer("chongqing", "administrative_penalty", penalty("渝市监罚〔2026〕1号")),
        answer(
            "sichuan", "administrative_penalty", penalty("渝市监罚[2026] 1号", authority="江北区市监局", fine="1.00")
        ),
    )
    [record] = merged.records
    assert len(record.source_ids) == 2
    assert {conflict.field for conflict in merged.conflicts} == {"authority", "fine_amount"}


def test_penalty_of_the_same_authority_day_and_amount_is_one():
    merged = report(
        answer("chongqing", "administrative_penalty", penalty("渝市监罚〔2026〕1号")),
        answer("sichuan", "administrative_penalty", penalty("A-17", fine="5000.0")),
    )
    assert len(merged.records) == 1
    assert [conflict.field for conflict in merged.conflicts] == ["document_no"]


def test_two_papers_of_one_platform_with_the_same_day_and_amount_stay_two():
    merged = report(answer("chongqing", "administrative_penalty", penalty("1号"), penalty("2号")))
    assert len(merged.records) == 2


def permit(number, certificate, **fields):
    return items.AdministrativePermission(
        document_no=number,
        authority="重庆市示例区生态环境局",
        decided_on="2023-05-16",
        certificate_no=certificate,
        **fields,
    )


def test_a_permit_of_one_number_keeps_every_source_and_says_where_they_differ():
    merged = report(
        answer("chongqing", "administrative_permission", permit("渝示许〔2023〕8号", "1", status="VALID"), days_old=3),
        answer(
            "sichuan",
            "administrative_permission",
            permit("渝示许[2023]8号", "1", status="REVOKED", no_fixed_term=True),
            days_old=1,
        ),
    )
    [record] = merged.records
    assert len(record.source_ids) == 2
    assert record.administrative_permission.status == "REVOKED"
    assert record.administrative_permission.no_fixed_term
    [conflict] = [conflict for conflict in merged.conflicts if conflict.field == "status"]
    assert (conflict.rule, [side.value for side in conflict.values]) == ("LATEST_AS_OF", ["REVOKED", "VALID"])


def test_two_permits_of_one_decision_or_of_one_authority_and_day_stay_two():
    one_decision = (permit("渝示许〔2023〕8号", "1"), permit("渝示许〔2023〕8号", "2"))
    assert len(report(answer("chongqing", "administrative_permission", *one_decision)).records) == 2
    apart = (
        answer("chongqing", "administrative_permission", permit("渝示许〔2023〕8号", "1")),
        answer("sichuan", "administrative_permission", permit("渝示许〔2023〕9号", "1")),
    )
    assert len(report(*apart).records) == 2


def test_shareholders_of_one_name_are_not_merged():
    def holder(amount):
        return items.ShareholderAndCapital(
            uscc=CODE, shareholder_name="张伟", shareholder_kind="NATURAL_PERSON", subscribed_amount=amount
        )

    merged = report(
        answer("chongqing", "shareholder_and_capital", holder("1.00"), holder("2.00")),
        answer("sichuan", "shareholder_and_capital", holder("1.00")),
    )
    assert len({record.record_id for record in merged.records}) == 3
    assert not merged.conflicts


def test_marks_and_field_quality_of_the_chosen_source_are_kept():
    body = items.TaxCreditGrade(uscc=CODE, year=2025, scale_id="tax_payment_credit_2025", grade="A")
    merged = report(
        answer(
            "chongqing", "tax_credit_grade", record_of(body, marks=[Mark.CODE_UNKNOWN], field_quality=["year=INFERRED"])
        )
    )
    assert list(merged.records[0].marks) == ["CODE_UNKNOWN"]
    assert list(merged.records[0].field_quality) == ["year=INFERRED"]


# Sources, results, completeness


def test_answers_out_of_one_document_share_their_source():
    merged = report(
        answer("chongqing", "enterprise_registration", registration(name="甲")),
        answer("chongqing", "sales_invoice_monthly", month("1.00")),
        answer("sichuan", "sales_invoice_monthly", month("1.00")),
    )
    assert [source.platform_id for source in merged.sources] == ["chongqing", "sichuan"]
    assert [source.source_id for source in merged.sources] == ["s1", "s2"]
    known = {source.source_id for source in merged.sources}
    assert all(set(record.source_ids) <= known for record in merged.records)


def test_platform_that_did_not_answer_is_named_and_makes_the_report_partial():
    merged = report(
        answer("chongqing", "tax_payment"),
        answer(
            "sichuan", "tax_payment", status=PlatformStatus.PLATFORM_STATUS_TIMEOUT, detail="DEADLINE", latency_ms=1500
        ),
    )
    assert merged.completeness == COMPLETENESS_PARTIAL
    late = merged.platform_results[1]
    assert (late.platform_id, late.status, late.latency.ToMilliseconds(), late.detail) == (
        "sichuan",
        PlatformStatus.PLATFORM_STATUS_TIMEOUT,
        1500,
        "DEADLINE",
    )


def test_completeness_is_the_first_that_fits():
    found = answer("chongqing", "sales_invoice_monthly", month("1.00"))
    nothing = answer("sichuan", "sales_invoice_monthly")
    skipped = answer("sichuan", "branch_registration", status=PlatformStatus.PLATFORM_STATUS_SKIPPED)
    denied = answer("sichuan", "tax_payment", status=PlatformStatus.PLATFORM_STATUS_DENIED)
    assert report(nothing, skipped).completeness == COMPLETENESS_EMPTY
    assert report(found, nothing, skipped).completeness == COMPLETENESS_FULL
    counted = items.PlatformEnquiryCount(window_from="2026-08-27", window_to="2026-11-28", distinct_institutions=0)
    own = replace(answer("sichuan", "platform_enquiry_count", counted), platform_id=GATEWAY, region="")
    assert report(nothing, own, skipped).completeness == COMPLETENESS_EMPTY, "the gateway's count is no information"
    held_back = replace(nothing, held_back=1)
    assert report(held_back, skipped).completeness == COMPLETENESS_FULL
    assert [one.held_back_records for one in report(held_back).platform_results] == [1]
    assert report(found, coverage=Decimal("0.39")).completeness == COMPLETENESS_THIN
    assert report(found, coverage=Decimal("0.40")).completeness == COMPLETENESS_FULL
    assert report(nothing, denied, coverage=Decimal(0)).completeness == COMPLETENESS_PARTIAL


def test_dropped_personal_values_are_counted_at_their_platform():
    merged = report(answer("chongqing", "enterprise_registration", registration(name="甲"), dropped_class3=3))
    assert merged.platform_results[0].dropped_personal_values == 3
    assert merged.platform_results[0].record_count == 1


def test_answer_with_a_record_of_another_item_cannot_be_made():
    with pytest.raises(ValueError, match="another item"):
        answer("chongqing", "tax_payment", month("1.00"))
    with pytest.raises(TypeError, match="no data item"):
        record_of(GatewayOperator())


# Rules of law


def test_repair_known_to_one_source_removes_the_record_from_both():
    repaired = record_of(penalty("1号"), marks=[Mark.REPAIRED])
    merged = report(
        answer("chongqing", "administrative_penalty", repaired, days_old=9),
        answer("sichuan", "administrative_penalty", penalty("1号", fine="6000.00"), days_old=1),
    )
    assert not merged.records
    assert not merged.conflicts
    assert [(held.data_item, held.rule, held.reason, held.platform_id, held.count) for held in merged.withheld] == [
        ("administrative_penalty", "R27", "REPAIRED", "chongqing", 1),
        ("administrative_penalty", "R27", "REPAIRED", "sichuan", 1),
    ]
    assert merged.completeness == COMPLETENESS_FULL


@pytest.mark.parametrize(
    ("now", "shown"),
    [(datetime(2026, 11, 23, 15, 59, tzinfo=UTC), True), (datetime(2026, 11, 23, 16, 0, tzinfo=UTC), False)],
)
def test_publication_ends_with_the_last_beijing_day(now, shown):
    merged = report(answer("chongqing", "administrative_penalty", penalty("1号", publish_until="2026-11-23")), now=now)
    assert bool(merged.records) is shown
    assert [held.rule for held in merged.withheld] == ([] if shown else ["R28"])


@pytest.mark.parametrize(
    ("decided_on", "severity", "shown"),
    [
        ("2025-11-23", "general", True),
        ("2025-11-22", "general", False),
        ("2023-11-23", "serious", True),
        ("2023-11-22", "serious", False),
        ("2026-08-22", "minor", False),
        ("2001-01-01", "no such severity", True),
    ],
)
def test_penalty_without_a_last_day_ends_with_the_longest_period_of_its_severity(decided_on, severity, shown):
    body = penalty("1号", decided_on=decided_on, severity=severity)
    assert bool(report(answer("chongqing", "administrative_penalty", body)).records) is shown


def test_list_entry_stays_while_its_subject_is_on_the_list():
    entry = {"uscc": CODE, "list_name": "x", "listed_on": "2015-01-01", "severity": "serious"}
    on = items.SeriousDishonestList(**entry)
    off = items.SeriousDishonestList(**entry, removed_on="2018-01-01")
    assert report(answer("chongqing", "serious_dishonest_list", on)).records
    assert not report(answer("chongqing", "serious_dishonest_list", off)).records


@pytest.mark.parametrize(
    ("closed_on", "kind", "shown"),
    [
        ("2021-11-23", SubjectKind.PERSON, False),
        ("2021-11-24", SubjectKind.PERSON, True),
        ("2021-11-23", SubjectKind.ENTERPRISE, True),
        (None, SubjectKind.PERSON, True),
    ],
)
def test_negative_information_of_a_person_is_gone_on_the_fifth_anniversary(closed_on, kind, shown):
    body = items.JudgmentDebtor(case_no="(2019)渝01执1号", closed_on=closed_on)
    merged = report(answer("chongqing", "judgment_debtor", body), kind=kind)
    assert bool(merged.records) is shown
    assert [held.rule for held in merged.withheld] == ([] if shown else ["R24"])


def test_papers_without_a_number_stay_apart_with_ids_of_their_own():
    blank = {"authority": "甲", "decided_on": "2026-11-20"}
    one, two = (items.AdministrativePenalty(fine_amount=fine, **blank) for fine in ("1.00", "2.50"))
    merged = report(answer("chongqing", "administrative_penalty", one, two))
    turned = report(answer("chongqing", "administrative_penalty", two, one))
    assert len({record.record_id for record in merged.records}) == 2
    assert merged.SerializeToString(deterministic=True) == turned.SerializeToString(deterministic=True)
