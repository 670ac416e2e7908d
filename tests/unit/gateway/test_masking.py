"""Masking as the table of rules has it, and no staff number whole."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.masking import masked, masked_staff
from tests.admission_stage import FIRM, PERSON, STANDARD

TABLE = Path(STANDARD.__class__.__module__.replace(".", "/")).parent / "data" / "masking_rules.csv"
RULES = {row["field"]: row for row in csv.DictReader(TABLE.open(encoding="utf-8"))}


def test_an_id_number_is_shown_as_its_rule_has_it():
    rule = RULES["id_number"]
    assert masked(replace(PERSON, identifier=rule["example_in"])) == rule["example_out"]


def test_a_sole_proprietors_code_is_shown_as_its_rule_has_it_and_a_companys_whole():
    rule = RULES["uscc"]
    assert masked(replace(FIRM, identifier=rule["example_in"])) == rule["example_out"]
    assert masked(FIRM) == FIRM.identifier


@pytest.mark.parametrize(("number", "shown"), [("0001", "***1"), ("op-1", "***1"), ("7", "*"), ("", "")])
def test_a_staff_number_keeps_its_last_character_at_most(number, shown):
    assert masked_staff(number) == shown
