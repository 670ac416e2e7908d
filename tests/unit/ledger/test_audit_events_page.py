"""docs/audit-events.md against the tables that entries are built and checked with."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.model import COMMON, FIELDS, MEMBERS, EntryType

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-events.md"


def rows(heading):
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names(cell):
    return re.findall(r"`(\w+)`", cell)


def test_every_common_member_is_described_and_no_other():
    described = {names(name)[0]: meaning for name, meaning in rows("Members of every entry")}
    assert tuple(described) == COMMON
    assert all(described.values())


def test_every_further_member_is_described_with_all_it_holds_and_no_other():
    described = {names(row[0])[0]: row[1:] for row in rows("Further members")}
    assert {name: " ".join(names(holds)) for name, (holds, _) in described.items()} == dict(MEMBERS)
    unexplained = [
        f"{name}.{part}"
        for name, (holds, text) in described.items()
        for part in names(holds)
        if f"`{part}`" not in text
    ]
    assert unexplained == []


def test_every_type_is_described_with_what_it_must_and_may_have_and_no_other():
    described = {
        names(kind)[0]: (frozenset(names(must)), frozenset(names(may)))
        for kind, when, must, may in rows("Types")
        if when
    }
    fields = {
        kind.value: (
            frozenset(name[:-1] for name in text.split() if name[-1] == "!"),
            frozenset(name for name in text.split() if name[-1] != "!"),
        )
        for kind, text in FIELDS.items()
    }
    assert described == fields
    assert set(described) == set(EntryType.__members__)
