"""An answer leaves as its platform's export policy says, before anything is merged."""

from __future__ import annotations

import pytest

from bashu.v1 import items_pb2
from bashu.v1.common_pb2 import PlatformStatus
from gateway.identity.model import ExportPolicy
from gateway.platform.standing import export
from standards.answer import ItemAnswer, record_of
from standards.catalogue import Standard, load_standard

OK = PlatformStatus.PLATFORM_STATUS_OK


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


def answered(item: str, *bodies: object, status: int = OK) -> ItemAnswer:
    return ItemAnswer(
        platform_id="chongqing",
        region="500000",
        item=item,
        status=status,  # type: ignore[arg-type]
        records=tuple(record_of(body) for body in bodies),  # type: ignore[arg-type]
        detail="as the platform said",
    )


ARREARS = answered("tax_arrears", items_pb2.TaxArrears(uscc="X", balance="1.00"), items_pb2.TaxArrears(balance="2.00"))
GRADE = answered(
    "tax_credit_grade",
    items_pb2.TaxCreditGrade(
        uscc="X", year=2025, scale_id="tax_2025", grade="A", score="93.00", tax_authority="示例局"
    ),
)


def test_values_leave_as_they_are(standard: Standard) -> None:
    assert export(ARREARS, ExportPolicy.VALUES, standard) is ARREARS


def test_verify_only_says_yes_or_no_and_no_value(standard: Standard) -> None:
    told = export(ARREARS, ExportPolicy.VERIFY_ONLY, standard)
    assert (told.status, told.records, told.detail) == (OK, (), "VERIFY_ONLY YES")
    nothing = answered("tax_arrears", status=PlatformStatus.PLATFORM_STATUS_NO_DATA)
    assert export(nothing, ExportPolicy.VERIFY_ONLY, standard).detail == "VERIFY_ONLY NO"
    assert (told.held_back, export(nothing, ExportPolicy.VERIFY_ONLY, standard).held_back) == (1, 0)


def test_who_did_not_answer_said_neither_yes_nor_no(standard: Standard) -> None:
    silent = answered("tax_arrears", status=PlatformStatus.PLATFORM_STATUS_TIMEOUT)
    for policy in ExportPolicy:
        assert export(silent, policy, standard) is silent


def test_derived_says_how_many_and_of_a_graded_item_the_grade(standard: Standard) -> None:
    told = export(ARREARS, ExportPolicy.DERIVED, standard)
    assert (told.records, told.detail, told.held_back) == ((), "DERIVED COUNT 2", 2)
    assert export(GRADE, ExportPolicy.DERIVED, standard).held_back == 0
    (record,) = export(GRADE, ExportPolicy.DERIVED, standard).records
    grade = record.tax_credit_grade
    assert (grade.uscc, grade.year, grade.scale_id, grade.grade) == ("X", 2025, "tax_2025", "A")
    assert not grade.HasField("score")
    assert not grade.HasField("tax_authority")
    assert GRADE.records[0].tax_credit_grade.HasField("score")
