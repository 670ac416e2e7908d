"""The published and synthetic vectors of both identifiers, and the steps of identifier_rules.csv."""

import csv
from datetime import date
from pathlib import Path

import pytest

from standards import identifiers
from standards.catalogue import load_standard
from standards.identifiers import IdentifierFailure, parse_citizen_id, parse_uscc
from standards.tables import Tables

VECTORS = Path(__file__).parent / "vectors"
TODAY = date(2026, 11, 23)
DIVISIONS = load_standard().divisions


def vectors(name):
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check(result, row, verdict_column):
    expected_warnings = set(filter(None, row["warnings"].split(";")))
    assert {warning.value for warning in result.warnings} == expected_warnings
    assert len(result.warnings) == len(expected_warnings)
    if row[verdict_column] == "true":
        assert not isinstance(result, IdentifierFailure)
        assert result.normalised == row["normalised"]
        assert result.normalised not in repr(result)
    else:
        assert isinstance(result, IdentifierFailure)
        assert result.error.value == row["error"]


@pytest.mark.parametrize("row", vectors("uscc_vectors.csv"), ids=lambda row: row["code"])
def test_unified_social_credit_code_vector(row):
    check(parse_uscc(row["code"], divisions=DIVISIONS), row, "expected_valid_gb32100")
    value, _ = identifiers.normalise(row["code"])
    if row["gb32100_check_ok"]:
        assert (identifiers.uscc_check(value[:17]) == value[17]) is (row["gb32100_check_ok"] == "true")
        assert (identifiers.organisation_check(value[8:16]) == value[16]) is (row["gb11714_orgcode_check_ok"] == "true")


@pytest.mark.parametrize("row", vectors("cn_id_vectors.csv"), ids=lambda row: row["id_number"])
def test_citizen_id_vector(row):
    check(parse_citizen_id(row["id_number"], divisions=DIVISIONS, today=TODAY), row, "expected_valid_strict")
    value, _ = identifiers.normalise(row["id_number"])
    if row["checksum_ok_computed"]:
        assert (identifiers.citizen_id_check(value[:17]) == value[17]) is (row["checksum_ok_computed"] == "true")


def test_every_vector_file_is_complete():
    assert len(vectors("uscc_vectors.csv")) == 75
    assert len(vectors("cn_id_vectors.csv")) == 35


def test_constants_are_those_of_the_tables():
    alphabet = list(Tables().rows("uscc_alphabet_weights"))
    assert "".join(row.text("character_with_this_value") for row in alphabet) == identifiers.USCC_ALPHABET
    weights = [
        int(row.text("weight_for_position_index_plus_1"))
        for row in alphabet
        if row.optional("weight_for_position_index_plus_1")
    ]
    assert tuple(weights[:17]) == identifiers.USCC_WEIGHTS
    algorithm = list(Tables().rows("cn_id_algorithm"))
    assert tuple(int(row.text("weight")) for row in algorithm) == identifiers.CITIZEN_ID_WEIGHTS
    pairs = algorithm[0].text("check_map_for_sum_mod_11").removeprefix("mod->char: ").split()
    assert "".join(pair[-1] for pair in pairs) == identifiers.CITIZEN_ID_CHECKS


def test_codes_are_those_of_the_rules_table():
    rows = list(Tables().rows("identifier_rules"))
    errors = {row.text("code") for row in rows if row.text("effect") == "error"}
    warnings = {row.text("code") for row in rows if row.text("effect") == "warning"}
    assert errors | {"MALFORMED"} == {error.value for error in identifiers.IdentifierError}
    assert warnings == {warning.value for warning in identifiers.IdentifierWarning}
