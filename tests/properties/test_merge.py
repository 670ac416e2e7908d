"""The same set of answers gives the same bytes, in any order and however often one is repeated."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bashu.v1 import items_pb2 as items
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.report_pb2 import QUALITY_DERIVED, QUALITY_INFERRED, QUALITY_REPORTED
from core.permit import SubjectKind
from loadtest.permutations import first_difference
from standards.answer import ItemAnswer, Mark, record_of
from standards.catalogue import load_standard
from standards.merge import ReportFrame, merge

STANDARD = load_standard()
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
FRAME = ReportFrame(
    report_id="r",
    generated_at=NOW,
    operator=GatewayOperator(name="示例"),
    subject_key="91500105XXTT00018M",
    subject_kind=SubjectKind.ENTERPRISE,
    home_region="500000",
)
few = st.sampled_from(["甲", "乙", "（甲）", "(甲)"])
amounts = st.sampled_from(["1.00", "1.0", "2.50", None])
some_days = st.sampled_from(["2026-11-20", "2021-01-05", None])

penalties = st.builds(
    items.AdministrativePenalty,
    document_no=st.sampled_from(["1号", "2号", "", None]),
    authority=few,
    decided_on=some_days,
    fine_amount=amounts,
    publish_until=some_days,
)
registrations = st.builds(
    items.EnterpriseRegistration,
    uscc=st.just("91500105XXTT00018M"),
    name=few,
    registered_capital=amounts,
    paid_in_capital=amounts,
    currency=st.sampled_from(["CNY", "USD", None]),
    operating_status=st.sampled_from(["ACTIVE", "DEREGISTERED", None]),
    deregistered_on=some_days,
    no_fixed_term=st.sampled_from([True, False, None]),
    term_end=some_days,
)
shareholders = st.builds(
    items.ShareholderAndCapital,
    shareholder_name=few,
    subscribed_amount=amounts,
    share_ratio=st.sampled_from(["0.5", "0.50", None]),
)
scores = st.builds(items.PlatformScore, scale_id=st.sampled_from(["cq_score_0_100", "x"]), score=amounts)
guarantees = st.builds(
    items.FinancingGuarantee, direction=st.just("GIVEN"), counterparty_uscc=st.sampled_from(["A", None]), amount=amounts
)
BODIES = {
    "administrative_penalty": penalties,
    "enterprise_registration": registrations,
    "shareholder_and_capital": shareholders,
    "platform_score": scores,
    "financing_guarantee": guarantees,
}


@st.composite
def answers(draw):
    item = draw(st.sampled_from(sorted(BODIES)))
    platform, region = draw(st.sampled_from([("chongqing", "500000"), ("sichuan", "510000"), ("third", "510000")]))
    marks = st.sets(st.sampled_from(list(Mark)), max_size=2)
    bodies = draw(st.lists(st.tuples(BODIES[item], marks), max_size=4))
    records = tuple(record_of(body, marks=held) for body, held in bodies)
    empty = st.sampled_from(
        [
            PlatformStatus.PLATFORM_STATUS_NO_DATA,
            PlatformStatus.PLATFORM_STATUS_TIMEOUT,
            PlatformStatus.PLATFORM_STATUS_SKIPPED,
        ]
    )
    age = draw(st.sampled_from([-2, 0, 5, 40, None]))
    return ItemAnswer(
        platform_id=platform,
        region=region,
        item=item,
        status=PlatformStatus.PLATFORM_STATUS_OK if records else draw(empty),
        records=records,
        as_of=None if age is None else NOW - timedelta(days=age),
        fetched_at=NOW - timedelta(seconds=draw(st.integers(0, 2))),
        latency_ms=draw(st.integers(0, 2)),
        raw_digest=draw(st.sampled_from([b"a", b"b"])),
        quality=draw(st.sampled_from([QUALITY_REPORTED, QUALITY_DERIVED, QUALITY_INFERRED])),
    )


def merged_bytes(told):
    return merge(told, frame=FRAME, standard=STANDARD).SerializeToString(deterministic=True)


def shuffled(told, random_source):
    again = [*told, *random_source.choices(told, k=len(told))] if told else []
    random_source.shuffle(again)
    turned = []
    for one in again:
        records = list(one.records)
        random_source.shuffle(records)
        turned.append(
            ItemAnswer(**{name: getattr(one, name) for name in ItemAnswer.__slots__} | {"records": tuple(records)})
        )
    return turned


def test_colliding_answers_shuffled_and_repeated_give_the_same_report():
    """The short form of ``make permutations``."""
    assert first_difference(STANDARD, sets=25, times=8, seed=7)[0] is None


@settings(max_examples=150, deadline=None)
@given(told=st.lists(answers(), max_size=8), seed=st.integers())
def test_order_and_repetition_do_not_change_a_byte(told, seed):
    random_source = random.Random(seed)
    expected = merged_bytes(told)
    for _ in range(3):
        assert merged_bytes(shuffled(told, random_source)) == expected


@settings(max_examples=100, deadline=None)
@given(told=st.lists(answers(), max_size=8))
def test_nothing_is_lost_silently(told):
    report = merge(told, frame=FRAME, standard=STANDARD)
    ids = [record.record_id for record in report.records]
    assert len(set(ids)) == len(ids)
    sources = {source.source_id: source for source in report.sources}
    assert len(sources) == len(report.sources)
    assert all(set(record.source_ids) <= set(sources) and record.source_ids for record in report.records)
    # Every platform that sent records of an item is behind a shown record of it, or behind a withheld one.
    shown = {
        (record.data_item, sources[source].platform_id) for record in report.records for source in record.source_ids
    }
    held = {(one.data_item, one.platform_id) for one in report.withheld}
    assert {(one.item, one.platform_id) for one in told if one.records} == shown | held
    assert not any(Mark.REPAIRED in record.marks for record in report.records)


@settings(max_examples=100, deadline=None)
@given(told=st.lists(answers(), max_size=8))
def test_every_shown_value_was_sent_by_a_source_of_its_record(told):
    report = merge(told, frame=FRAME, standard=STANDARD)
    sent = {
        (one.item, field.name, value)
        for one in told
        for record in one.records
        for field, value in getattr(record, one.item).ListFields()
    }
    for record in report.records:
        assert {
            (record.data_item, field.name, value) for field, value in getattr(record, record.data_item).ListFields()
        } <= sent
