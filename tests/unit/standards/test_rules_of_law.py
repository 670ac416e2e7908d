from datetime import date

import pytest

from bashu.v1.report_pb2 import CreditRecord
from standards.catalogue import load_standard
from standards.choosing import NEVER_FILLED, NOT_COMPARED
from standards.matching import DOCUMENTS
from standards.rules import ENDED_ON, LISTED_ON, RULES, months_later
from standards.tables import Tables

STANDARD = load_standard()
BODIES = {field.name: field.message_type for field in CreditRecord.DESCRIPTOR.oneofs_by_name["body"].fields}


def test_every_implemented_rule_stands_in_the_table_of_rules():
    known = {row.text("rule_id") for row in Tables().rows("rules")}
    assert {rule.rule_id for rule in RULES} <= known
    for rule in RULES:
        assert rule.rule_id in rule.withholds.__doc__


def test_items_get_their_own_rules_only():
    assert [rule.rule_id for rule in STANDARD.rules["administrative_penalty"]] == ["R27", "R28", "R24"]
    assert [rule.rule_id for rule in STANDARD.rules["judgment_debtor"]] == ["R24"]
    assert STANDARD.rules["enterprise_registration"] == ()


@pytest.mark.parametrize("item", STANDARD.items.all(), ids=lambda item: item.item_id)
def test_dictionary_and_messages_name_the_same_fields(item):
    if not item.is_typed:
        assert item.item_id not in BODIES
        return
    message = {field.name for field in BODIES[item.item_id].fields}
    shown = {field.field_id for field in item.fields if field.access.value != "never"}
    assert message == shown
    assert set(item.natural_key) <= message


def test_fields_that_rules_read_exist():
    assert all(field in BODIES[item].fields_by_name for item, field in (*ENDED_ON.items(), *LISTED_ON.items()))
    for item, paper in DOCUMENTS.items():
        assert {paper.number, paper.authority, paper.day, paper.amount} - {None} <= set(BODIES[item].fields_by_name)
    everywhere = {name for body in BODIES.values() for name in body.fields_by_name}
    assert everywhere >= NEVER_FILLED
    assert everywhere >= NOT_COMPARED


def test_items_that_the_five_year_rule_names_have_a_field_for_the_end():
    typed = {item.item_id for item in STANDARD.items.all() if item.retention_rule == "R24" and item.is_typed}
    # Sums of a moment have no event that ended; the platform leaves old ones out.
    assert typed - set(ENDED_ON) == {"bank_credit_summary"}


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2024, 2, 29), 60, date(2029, 2, 28)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2025, 12, 31), 12, date(2026, 12, 31)),
    ],
)
def test_months_later_stays_inside_its_month(day, months, expected):
    assert months_later(day, months) == expected
