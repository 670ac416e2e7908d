"""Answers made to mislead: what is shown names the source that sent it, and what was sent is shown or contradicted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bashu.v1 import items_pb2 as items
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.report_pb2 import CreditRecord, CreditReport
from core.permit import SubjectKind
from standards.answer import ItemAnswer, body_of, record_of
from standards.catalogue import load_standard
from standards.choosing import NEVER_FILLED
from standards.matching import amount_key, field_key
from standards.merge import ReportFrame, merge

STANDARD = load_standard()
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
SUBJECT = "91500105XXTT00018M"
FRAME = ReportFrame(
    report_id="r",
    generated_at=NOW,
    operator=GatewayOperator(name="示例"),
    subject_key=SUBJECT,
    subject_kind=SubjectKind.ENTERPRISE,
    home_region="500000",
)
PLATFORMS = (("chongqing", "500000"), ("sichuan", "510000"), ("third", "330000"))
names = st.sampled_from(["甲", "乙", "（甲）", "(甲)", "", "  ", "\u3000", None])
amounts = st.sampled_from(["0", "0.00", "1.00", "1.0", "-1.00", "2.50", "99999999999999999.99", None])
currencies = st.sampled_from(["CNY", "USD", None])
some_days = st.sampled_from(["2026-11-20", "2024-02-29", None])
flags = st.sampled_from([True, False, None])
BODIES = {
    "enterprise_registration": st.builds(
        items.EnterpriseRegistration,
        uscc=st.just(SUBJECT),
        name=names,
        registered_capital=amounts,
        paid_in_capital=amounts,
        currency=currencies,
        operating_status=st.sampled_from(["ACTIVE", "DEREGISTERED", "奇怪", None]),
        deregistered_on=some_days,
        term_end=some_days,
        no_fixed_term=flags,
    ),
    "shareholder_and_capital": st.builds(
        items.ShareholderAndCapital,
        uscc=st.just(SUBJECT),
        shareholder_name=names,
        subscribed_amount=amounts,
        paid_in_amount=amounts,
        currency=currencies,
        is_actual_controller=flags,
    ),
    "tax_credit_grade": st.builds(
        items.TaxCreditGrade,
        uscc=st.just(SUBJECT),
        year=st.sampled_from([2024, 2025]),
        scale_id=st.sampled_from(["tax_credit_2018", "tax_payment_credit_2025", None]),
        grade=st.sampled_from(["A", "D", "Z", None]),
    ),
    "financing_guarantee": st.builds(
        items.FinancingGuarantee,
        direction=st.sampled_from(["GIVEN", "RECEIVED"]),
        counterparty_uscc=st.sampled_from(["91510107XXTT00026H", None]),
        amount=amounts,
        balance=amounts,
        started_on=some_days,
        released_on=some_days,
    ),
    "sales_invoice_monthly": st.builds(
        items.SalesInvoiceMonthly,
        uscc=st.just(SUBJECT),
        month=st.sampled_from(["2026-10", "2026-09"]),
        sales_amount=amounts,
        invoice_count=st.sampled_from([0, 2, None]),
    ),
}
"""Items without a rule of law, so that nothing is withheld."""


@st.composite
def answers(draw: st.DrawFn) -> list[ItemAnswer]:
    """One answer for each of some items from each of some platforms, every source with a document of its own."""
    told = []
    for number, (platform, region) in enumerate(PLATFORMS):
        for item in draw(st.sets(st.sampled_from(sorted(BODIES)), max_size=3)):
            records = tuple(record_of(body) for body in draw(st.lists(BODIES[item], min_size=1, max_size=4)))
            age = draw(st.sampled_from([0, 29, 31, None]))
            told.append(
                ItemAnswer(
                    platform_id=platform,
                    region=region,
                    item=item,
                    status=PlatformStatus.PLATFORM_STATUS_OK,
                    records=records,
                    as_of=None if age is None else NOW - timedelta(days=age),
                    raw_digest=bytes([number]) * 32 + item.encode(),
                )
            )
    return told


def merged(told: list[ItemAnswer]) -> CreditReport:
    return merge(told, frame=FRAME, standard=STANDARD)


def sent_by(report: CreditReport, told: list[ItemAnswer]) -> dict[tuple[str, str], list[CreditRecord]]:
    """What each source sent about an item."""
    sources = {source.source_id: bytes(source.raw_digest) for source in report.sources}
    return {
        (one.item, source): list(one.records)
        for one in told
        for source, digest in sources.items()
        if digest == one.raw_digest
    }


def compared(item: str, record: CreditRecord, name: str) -> object:
    body = body_of(record)
    text = field_key(body, name)
    return text if text is None or name not in STANDARD.items.get(item).decimal_fields else amount_key(text)


@settings(max_examples=200, deadline=None)
@given(told=answers())
def test_each_shown_value_was_sent_by_the_very_source_that_it_names(told: list[ItemAnswer]) -> None:
    report = merged(told)
    sent = sent_by(report, told)
    for record in report.records:
        filled = dict(entry.split("=", 1) for entry in record.field_sources)
        assert set(filled.values()) <= set(record.source_ids)
        for field, value in body_of(record).ListFields():
            source = filled.get(field.name, record.source_ids[0])
            bodies = [body_of(one) for one in sent[record.data_item, source]]
            assert any(body.HasField(field.name) and getattr(body, field.name) == value for body in bodies)


@settings(max_examples=200, deadline=None)
@given(told=answers())
def test_an_amount_or_grade_never_gets_another_sources_currency_or_scale(told: list[ItemAnswer]) -> None:
    report = merged(told)
    sent = sent_by(report, told)
    for record in report.records:
        body = body_of(record)
        filled = dict(entry.split("=", 1) for entry in record.field_sources)
        for name, anchor in STANDARD.items.get(record.data_item).anchors.items():
            if name not in body.DESCRIPTOR.fields_by_name or not body.HasField(name):
                continue
            source = filled.get(name, record.source_ids[0])
            assert any(
                compared(record.data_item, one, name) == compared(record.data_item, record, name)
                and compared(record.data_item, one, anchor) == compared(record.data_item, record, anchor)
                for one in sent[record.data_item, source]
            )


@settings(max_examples=200, deadline=None)
@given(told=answers())
def test_each_value_that_was_sent_is_shown_or_stands_in_a_conflict(told: list[ItemAnswer]) -> None:
    report = merged(told)
    assert not report.withheld
    visible = {
        (record.data_item, field.name, compared(record.data_item, record, field.name))
        for record in report.records
        for field, _ in body_of(record).ListFields()
    }
    for conflict in report.conflicts:
        for side in conflict.values:
            holder = record_of(type(body_of(next(r for r in report.records if r.data_item == conflict.data_item)))())
            body = body_of(holder)
            kind = body.DESCRIPTOR.fields_by_name[conflict.field]
            if side.value and kind.cpp_type == kind.CPPTYPE_STRING:
                setattr(body, conflict.field, side.value)
                visible.add((conflict.data_item, conflict.field, compared(conflict.data_item, holder, conflict.field)))
            visible.add((conflict.data_item, conflict.field, side.value))
    for one in told:
        for record in one.records:
            for field, value in body_of(record).ListFields():
                key = compared(one.item, record, field.name)
                said = str(value).lower() if isinstance(value, bool) else str(value)
                is_there = (one.item, field.name, key) in visible or (one.item, field.name, said) in visible
                assert key is None or is_there, (field.name, value)


@settings(max_examples=200, deadline=None)
@given(told=answers())
def test_a_conflict_quotes_its_sources_and_shows_the_chosen_value_first(told: list[ItemAnswer]) -> None:
    report = merged(told)
    records = {record.record_id: record for record in report.records}
    sent = sent_by(report, told)
    for conflict in report.conflicts:
        body = body_of(records[conflict.record_id])
        shown = getattr(body, conflict.field) if body.HasField(conflict.field) else ""
        shown = str(shown).lower() if isinstance(shown, bool) else str(shown)
        assert conflict.values[0].value == shown
        assert len({side.value for side in conflict.values}) > 1
        for side in conflict.values:
            said = set()
            for one in sent[conflict.data_item, side.source_id]:
                has_it = body_of(one).HasField(conflict.field)
                value = getattr(body_of(one), conflict.field) if has_it else ""
                said.add(str(value).lower() if isinstance(value, bool) else str(value))
            assert side.value in said
            # Silence contradicts only where silence says something, or where the shown record stays blank.
            assert side.value.strip() or conflict.field in NEVER_FILLED or side is conflict.values[0]


def test_thousands_of_papers_from_both_platforms_are_each_one_decision() -> None:
    def papers(platform: str, region: str) -> ItemAnswer:
        bodies = (
            items.AdministrativePenalty(
                document_no=f"{number}号",
                authority="局",
                decided_on="2026-05-05",
                publish_until="2027-05-05",
                fine_amount="1.00",
            )
            for number in range(2_000)
        )
        return ItemAnswer(
            platform_id=platform,
            region=region,
            item="administrative_penalty",
            status=PlatformStatus.PLATFORM_STATUS_OK,
            records=tuple(map(record_of, bodies)),
            as_of=NOW,
        )

    report = merged([papers(*PLATFORMS[0]), papers(*PLATFORMS[1])])
    assert len(report.records) == 2_000
    assert all(len(record.source_ids) == 2 for record in report.records)
