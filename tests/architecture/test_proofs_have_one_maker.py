"""Permits and receipts are proofs: each is made in one place only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "adapters",
    "bashu",
    "console",
    "consent",
    "core",
    "database",
    "gateway",
    "ledger",
    "loadtest",
    "sandbox",
    "standards",
)


def makers(name, module):
    """Files that call ``name`` of ``module``: imported from it, or as its attribute."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if name in text and module in text and calls(ast.parse(text), name, module):
                found.add(str(path.relative_to(ROOT)))
    return found


def calls(tree, name, module):
    local = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
        if alias.name == name
    }
    return any(
        (isinstance(node.func, ast.Name) and node.func.id in local)
        or (isinstance(node.func, ast.Attribute) and node.func.attr == name and "permit" in ast.unparse(node.func))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )


SUITE = "adapters/suite/bench.py"
"""Asks test subjects of a test environment; nothing that serves queries may import it (import-linter)."""


@pytest.mark.parametrize(
    ("name", "allowed"), [("Permit", {"gateway/admission.py", SUITE}), ("Receipt", {"ledger/store.py"})]
)
def test_only_one_module_makes(name, allowed):
    assert makers(name, "core.permit") == allowed


def test_a_second_maker_would_be_found():
    tree = ast.parse("from core.permit import Permit as P\nP(x=1)")
    assert calls(tree, "Permit", "core.permit")
