"""Decisions are numbered without gaps and doubles, and each file says its own number."""

from __future__ import annotations

from pathlib import Path

DECISIONS = sorted((Path(__file__).parents[2] / "docs" / "decisions").glob("*.md"))


def test_numbers_have_no_gaps_and_no_doubles() -> None:
    assert [int(file.name[:4]) for file in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_a_decision_begins_with_its_number() -> None:
    assert [
        file.name for file in DECISIONS if not file.read_text(encoding="utf-8").startswith(f"# {file.name[:4]} ")
    ] == []
