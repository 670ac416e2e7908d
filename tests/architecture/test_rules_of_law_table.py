"""The page of rules says what the code has: generated, and each named function and test exists."""

import ast
from functools import cache

import pytest

from loadtest.rules_table import PAGE, ROOT, WHERE, places, render
from standards.rules import RULES
from standards.tables import Tables

TO_BEGIN_WITH = {
    *(1, 3, 4, 5, 6, 7, 8, 9, 10, *range(14, 22), 22, 23, 24, 26, 27, 28, 29, 31, 32, 36, 37, 38),
    *(42, 43, 44, 45, 46, 48, 52, 53, 58, 59, *range(65, 70)),
}
"""The rules that the standard says to begin with."""


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_the_page_is_what_make_rules_table_writes():
    assert PAGE.read_text(encoding="utf-8") == render(), "run make rules-table"


@pytest.mark.parametrize(("rule", "place"), sorted(places().items()), ids=sorted(places()))
def test_every_named_function_and_test_exists(rule, place):
    assert set(place) == {"where", "code", "tests", "zh", "en"}
    assert place["where"] in WHERE
    for ref in place["code"]:
        path, _, name = ref.partition(":")
        assert name in names_in(path), (rule, ref)
    for ref in place["tests"]:
        path, _, name = ref.partition("::")
        assert path.startswith("tests/"), (rule, ref)
        assert name in names_in(path), (rule, ref)
    if place["where"] not in {"none", "later", "process"}:
        assert place["code"], rule
        assert place["tests"], rule


def test_every_rule_to_begin_with_has_a_place():
    known = set(places())
    assert known <= {row.text("rule_id") for row in Tables().rows("rules")}
    missing = {number for number in TO_BEGIN_WITH if f"R{number}" not in known}
    assert not missing, f"no row in rules-in-code.toml: {sorted(missing)}"


def test_every_rule_that_withholds_stands_in_the_table():
    assert {rule.rule_id for rule in RULES} <= set(places())
