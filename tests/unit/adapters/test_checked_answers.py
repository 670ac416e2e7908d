"""The gateway's check of answers trusts no adapter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from google.protobuf.message import Message

from adapters.kit.checked import MAX_RECORDS, Checked, FindingKind, check_answers
from adapters.kit.free_text import mask_persons
from bashu.v1 import items_pb2 as items
from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditRecord
from core.permit import Permit, Subject, SubjectKind
from standards.answer import ItemAnswer, Mark, record_of
from standards.catalogue import load_standard

SUBJECT, OTHER = "91500105XXTT00018M", "91510107XXTT00026H"


def a_permit(**targets: frozenset[str]) -> Permit:
    return Permit(
        request_id=UUID(int=1), institution="bank-cq", attempt=1, purpose="PRE_LOAN_REVIEW",
        subject=Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=SUBJECT, name=""),
        targets=targets, look_from=date(2025, 11, 23), look_to=date(2026, 11, 23),
        expires_at=datetime(2026, 11, 24, tzinfo=UTC), intent_leaf_hash=b"",
    )  # fmt: skip


def an_answer(item: str, *bodies: Message, platform: str = "chongqing", **more: object) -> ItemAnswer:
    marks = more.pop("marks", ())
    status = PlatformStatus.PLATFORM_STATUS_OK if bodies else PlatformStatus.PLATFORM_STATUS_NO_DATA
    records = tuple(record_of(body, marks=marks) for body in bodies)  # type: ignore[arg-type]
    return ItemAnswer(
        platform_id=platform, region="500000", item=item, status=more.pop("status", status),  # type: ignore[arg-type]
        records=records, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def checked(item: str, *bodies: Message, **more: object) -> Checked:
    return check_answers(a_permit(chongqing=frozenset({item})), [an_answer(item, *bodies, **more)])


def kinds(result: Checked) -> list[tuple[str, int]]:
    return [(finding.kind.value, finding.count) for finding in result.findings]


def test_a_good_answer_passes_unchanged() -> None:
    answer = an_answer("tax_arrears", items.TaxArrears(uscc=SUBJECT, balance="0.00"))
    result = check_answers(a_permit(chongqing=frozenset({"tax_arrears"})), [answer])
    assert result.answers == (answer,)
    assert result.findings == ()


@pytest.mark.parametrize(
    ("item", "body"),
    [
        ("tax_arrears", items.TaxArrears(uscc=OTHER, balance="0.00")),
        ("judgment_debtor", items.JudgmentDebtor(party_uscc=OTHER)),
        ("branch_registration", items.BranchRegistration(uscc=OTHER, branch_uscc=SUBJECT)),
    ],
)
def test_an_answer_about_another_subject_is_malformed_and_empty(item: str, body: Message) -> None:
    result = checked(item, body)
    (answer,) = result.answers
    assert answer.status == PlatformStatus.PLATFORM_STATUS_MALFORMED
    assert (answer.records, answer.detail) == ((), "WRONG_SUBJECT")
    assert kinds(result) == [("WRONG_SUBJECT", 1)]


def test_a_branchs_penalty_may_name_the_branch() -> None:
    penalty = items.AdministrativePenalty(party_uscc=OTHER, decided_on="2026-05-01")
    assert len(checked("administrative_penalty", penalty, marks=(Mark.BRANCH,)).answers[0].records) == 1
    assert kinds(checked("administrative_penalty", penalty)) == [("WRONG_SUBJECT", 1)]


def test_an_item_that_was_not_granted_at_that_platform_is_dropped() -> None:
    permit = a_permit(chongqing=frozenset({"tax_arrears"}), sichuan=frozenset({"platform_score"}))
    good = an_answer("tax_arrears", items.TaxArrears(uscc=SUBJECT))
    score = an_answer("platform_score", items.PlatformScore(uscc=SUBJECT))
    result = check_answers(permit, [good, score])
    assert result.answers == (good,)
    assert [(f.kind, f.platform_id, f.item) for f in result.findings] == [
        (FindingKind.NOT_ASKED, "chongqing", "platform_score")
    ]


def test_a_second_answer_for_one_item_is_dropped() -> None:
    answer = an_answer("tax_arrears", items.TaxArrears(uscc=SUBJECT))
    result = check_answers(a_permit(chongqing=frozenset({"tax_arrears"})), [answer, answer])
    assert len(result.answers) == 1
    assert kinds(result) == [("DUPLICATE", 1)]


def test_an_item_that_an_adapter_left_out_is_no_silent_gap() -> None:
    permit = a_permit(chongqing=frozenset({"tax_arrears", "platform_score"}))
    result = check_answers(permit, [an_answer("tax_arrears")])
    assert [(a.item, PlatformStatus.Name(a.status)) for a in result.answers][1:] == [
        ("platform_score", "PLATFORM_STATUS_UNAVAILABLE")
    ]
    assert kinds(result) == [("MISSING", 1)]


def test_too_many_records_are_malformed() -> None:
    row = items.TaxArrears(uscc=SUBJECT)
    result = checked("tax_arrears", *[row] * (MAX_RECORDS + 1))
    assert result.answers[0].status == PlatformStatus.PLATFORM_STATUS_MALFORMED
    assert kinds(result) == [("OVERSIZED", 1)]


def test_the_other_party_of_a_guarantee_is_taken_out_and_told_unless_the_permit_keeps_it() -> None:
    given = {"direction": "GIVEN", "counterparty_uscc": OTHER}
    result = checked("financing_guarantee", items.FinancingGuarantee(**given))
    assert not result.answers[0].records[0].financing_guarantee.HasField("counterparty_uscc")
    assert kinds(result) == [("NOT_ASKED", 1)]
    answer = an_answer("financing_guarantee", items.FinancingGuarantee(**given))
    permit = replace(a_permit(chongqing=frozenset({"financing_guarantee"})), keeps_counterparties=True)
    result = check_answers(permit, [answer])
    assert result.answers[0].records[0].financing_guarantee.counterparty_uscc == OTHER
    assert kinds(result) == []


def test_what_an_adapter_dropped_becomes_a_finding() -> None:
    result = checked("tax_arrears", dropped_class3=3, detail="NOT_ASKED 2")
    assert kinds(result) == [("CLASS_3", 3), ("NOT_ASKED", 2)]


def kept(item: str, body: Message) -> bool:
    return bool(checked(item, body).answers[0].records)


@pytest.mark.parametrize(
    ("item", "body", "is_kept"),
    [
        ("administrative_penalty", items.AdministrativePenalty(decided_on="2025-11-23"), True),
        ("administrative_penalty", items.AdministrativePenalty(decided_on="2025-11-22"), False),
        ("administrative_penalty", items.AdministrativePenalty(decided_on="2026-11-23"), True),
        ("administrative_penalty", items.AdministrativePenalty(decided_on="2026-11-24"), False),
        ("administrative_penalty", items.AdministrativePenalty(), True),
        ("sales_invoice_monthly", items.SalesInvoiceMonthly(month="2025-11"), True),
        ("sales_invoice_monthly", items.SalesInvoiceMonthly(month="2025-10"), False),
        ("tax_payment", items.TaxPayment(period="2025-12", period_months=12), True),
        ("tax_payment", items.TaxPayment(period="2024-12", period_months=12), False),
        ("judgment_debtor", items.JudgmentDebtor(filed_on="2020-01-01"), True),
        ("judgment_debtor", items.JudgmentDebtor(filed_on="2020-01-01", closed_on="2021-01-01"), False),
        ("dishonest_judgment_debtor", items.DishonestJudgmentDebtor(filed_on="2019-01-01", is_listed=True), True),
        ("financing_guarantee", items.FinancingGuarantee(started_on="2019-01-01", released_on="2025-11-22"), False),
        ("tax_credit_grade", items.TaxCreditGrade(year=2020), True),
        ("enterprise_registration", items.EnterpriseRegistration(established_on="1999-01-01"), True),
    ],
)
def test_records_outside_the_look_back_are_dropped_and_lasting_ones_count_until_they_end(
    item: str, body: Message, is_kept: bool
) -> None:
    assert kept(item, body) is is_kept


def test_an_answer_left_empty_by_the_look_back_is_no_data() -> None:
    result = checked("sales_invoice_monthly", items.SalesInvoiceMonthly(month="2020-01"))
    assert result.answers[0].status == PlatformStatus.PLATFORM_STATUS_NO_DATA
    assert result.answers[0].detail == "OUTSIDE_LOOKBACK 1"
    assert kinds(result) == [("OUTSIDE_LOOKBACK", 1)]


NOBODYS = "500105209901010015"
"""A citizen's number by its form, of somebody born in 2099."""


@pytest.mark.parametrize(
    "text",
    [
        "证号%s，住址不详",
        "证号500105 20990101 0015",
        "证号500105-2099-0101-0015",
        "电话13000000000",
        "+86 130-0000-0000",
        "008613000000000",
        "130－0000－0000",
        "130–0000\u30000000",
        "１３" + "０" * 9,
        "联系13000000000.",
    ],
)
def test_a_persons_number_in_a_free_text_is_masked_and_counted(text: str) -> None:
    text = text.replace("%s", NOBODYS)
    result = checked("administrative_penalty", items.AdministrativePenalty(party_uscc=SUBJECT, penalty_content=text))
    (answer,) = result.answers
    body = answer.records[0].administrative_penalty
    assert "〔号码已略〕" in body.penalty_content
    assert not any(
        part in body.penalty_content for part in (NOBODYS, "13000000000", "0000", "００００", "0101", "0015")
    )
    assert answer.dropped_class3 == 1
    assert kinds(result) == [("CLASS_3", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "张某，男，住不存在省样本市无名路0号。",
        "（住不存在省样本市无名路0号）",
        "张某，现住样本县某镇某村三组，经营小吃店",
        "住址：样本市无名小区1栋2单元301室",
        "当事人 居住在样本市无名路0号",
    ],
)
def test_a_home_address_in_a_free_text_is_masked_and_counted(text: str) -> None:
    result = checked("administrative_penalty", items.AdministrativePenalty(party_uscc=SUBJECT, penalty_content=text))
    (answer,) = result.answers
    told = answer.records[0].administrative_penalty.penalty_content
    assert "〔住址已略〕" in told
    assert not any(part in told for part in ("无名", "某村", "三组", "301"))
    assert answer.dropped_class3 == 1


@pytest.mark.parametrize(
    "text",
    [
        "住所：重庆市样本区无名路0号",
        "，住所地重庆市样本区无名路0号",
        "住房公积金缴存证明第8号",
        "，住建委渝建罚8号",
        "住址不详，罚款通知书第3号",
        "在样本市无名路0号经营",
    ],
)
def test_a_seat_of_a_firm_and_other_words_stay(text: str) -> None:
    result = checked("administrative_penalty", items.AdministrativePenalty(party_uscc=SUBJECT, penalty_content=text))
    assert result.answers[0].records[0].administrative_penalty.penalty_content == text


@pytest.mark.parametrize(
    "text",
    [
        "渝示例市监罚〔2026〕17号",
        "500105209901010014",
        "13000000000.00",
        "91500105XXTT00018M",
        "X13000000000",
        "130000000001",
    ],
)
def test_other_numbers_in_a_free_text_stay(text: str) -> None:
    result = checked("administrative_penalty", items.AdministrativePenalty(party_uscc=SUBJECT, penalty_content=text))
    assert result.answers[0].records[0].administrative_penalty.penalty_content == text
    assert result.findings == ()


def test_every_free_text_of_the_dictionary_is_looked_at_and_no_number_of_a_document() -> None:
    standard = load_standard()
    for item in (item for item in standard.items.all() if item.is_typed):
        body = getattr(CreditRecord(), item.item_id)
        texts = [field.field_id for field in item.fields if field.type == "string" and field.access.value != "never"]
        for name in texts:
            setattr(body, name, "13000000000")
        numbered = {name for name in texts if name.endswith(("_no", "_code", "uscc", "_id"))}
        masked = mask_persons(body)
        left = {name for name in texts if getattr(body, name) == "13000000000"}
        assert left == numbered, item.item_id
        assert masked == len(texts) - len(left)


def test_the_number_of_a_document_is_no_text() -> None:
    body = items.AdministrativePenalty(party_uscc=SUBJECT, document_no="13000000000")
    assert checked("administrative_penalty", body).findings == ()


@pytest.mark.parametrize(
    ("item", "body", "is_inside"),
    [
        ("cash_flow_monthly", items.CashFlowMonthly(uscc=SUBJECT, month="2025-10"), False),
        ("cash_flow_monthly", items.CashFlowMonthly(uscc=SUBJECT, month="2025-11"), True),
        ("electricity_usage", items.ElectricityUsage(uscc=SUBJECT, period="2025-10"), False),
        ("financial_statement", items.FinancialStatement(uscc=SUBJECT, period_end="2024-12-31"), False),
        (
            "administrative_permission",
            items.AdministrativePermission(party_uscc=SUBJECT, valid_from="2019-03-12", valid_until="2024-03-11"),
            False,
        ),
        (
            "administrative_permission",
            items.AdministrativePermission(party_uscc=SUBJECT, valid_from="2019-03-12", no_fixed_term=True),
            True,
        ),
        (
            "qualification_certificates",
            items.QualificationCertificates(uscc=SUBJECT, issued_on="2019-03-12", valid_until="2025-11-23"),
            True,
        ),
        ("housing_provident_fund", items.HousingProvidentFund(uscc=SUBJECT, paid_to_month="2020-01"), True),
    ],
)
def test_months_and_papers_outside_the_look_back_are_dropped_too(item: str, body: Message, is_inside: bool) -> None:
    result = checked(item, body)
    assert bool(result.answers[0].records) is is_inside
    assert kinds(result) == ([] if is_inside else [("OUTSIDE_LOOKBACK", 1)])
