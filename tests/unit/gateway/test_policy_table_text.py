"""A policy table as JSON: read strictly, written canonically."""

from __future__ import annotations

import json

import pytest

from core.errors import BashuError, Reason
from gateway.policy.table import MOST_RULES, read_table, table_json
from standards.catalogue import load_standard

STANDARD = load_standard()


def row(**changes):
    return {"id": "A", "effect": "DENY", "purpose": "PRE_LOAN_REVIEW", **changes}


def table(*rows):
    return json.dumps({"rules": rows}).encode()


WRONG = {
    "no object": b"[]",
    "twice the same member": b'{"rules": [], "rules": []}',
    "a member nobody knows": table(row(region="500000")),
    "no rules": b"{}",
    "no effect": table({"id": "A"}),
    "an unknown effect": table(row(effect="MAYBE")),
    "an id in small letters": table(row(id="a")),
    "an id with a line break": table(row(id="A\n")),
    "the id of the rule about minors": table(row(id="MINOR")),
    "two rules of one id": table(row(), row(purpose="GUARANTOR_REVIEW")),
    "two rules about one case": table(row(), row(id="B", effect="ALLOW")),
    "an unknown purpose": table(row(purpose="CURIOSITY")),
    "a subject's own query": table(row(purpose="SELF_CHECK")),
    "an unknown item": table(row(data_item="favourite_colour")),
    "an unknown kind of institution": table(row(institution_kind="circus")),
    "an unknown kind of subject": table(row(subject_kind="dog")),
    "a look-back without days": table(row(effect="LOOKBACK")),
    "days without a look-back": table(row(lookback_days=30)),
    "days below zero": table(row(effect="LOOKBACK", lookback_days=-1)),
    "days as a text": table(row(effect="LOOKBACK", lookback_days="30")),
    "too many rules": table(*(row(id=f"A{n}") for n in range(MOST_RULES + 1))),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused_and_its_field_named(name):
    with pytest.raises(BashuError) as caught:
        read_table(WRONG[name], STANDARD)
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED, "table")


def test_a_table_written_is_read_back_and_has_the_same_bytes_whatever_the_order():
    rows = [
        row(id="B", effect="LOOKBACK", lookback_days=90, data_item="tax_payment", subject_kind="enterprise"),
        row(institution_kind="bank"),
        {"id": "C", "effect": "ALLOW"},
    ]
    rules = read_table(table(*rows), STANDARD)
    written = table_json(rules)
    assert written == table_json(read_table(table(*reversed(rows)), STANDARD)) == table_json(tuple(reversed(rules)))
    assert read_table(written, STANDARD) == rules
    assert json.loads(written)["rules"][2] == {"id": "C", "effect": "ALLOW"}


def test_the_empty_table_is_one():
    assert read_table(table(), STANDARD) == ()
    assert table_json(()) == b'{"rules":[]}'
