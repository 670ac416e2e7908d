"""docs/platforms/faults.md says what the fault suite holds: every fault of the sandbox, every column, no cell empty."""

from __future__ import annotations

from loadtest.fault_matrix import COLUMNS, PAGE, read_matrix, render
from sandbox.faults import FaultKind


def test_the_page_is_what_make_fault_matrix_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_fault_that_the_sandbox_can_show_has_a_row() -> None:
    assert {fault.fault_id for fault in read_matrix()} >= {kind.value for kind in FaultKind}


def test_a_cell_is_brought_about_or_says_why_not() -> None:
    for fault in read_matrix():
        assert set(COLUMNS) == fault.cells.keys() | fault.why.keys()
        assert all(fault.why.values())
