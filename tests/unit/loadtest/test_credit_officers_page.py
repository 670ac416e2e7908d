"""The one page for a credit officer says what the fixed subject really gets, and its links lead somewhere."""

import re
import tomllib
from pathlib import Path

from loadtest.scorecard import render as card_page

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "standard"
FIRM = "91510107XXTT000427"


def test_the_example_is_what_the_firm_gets() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    subjects = tomllib.loads((ROOT / "tests" / "fixed_subjects.toml").read_text(encoding="utf-8"))["subject"]
    expected = next(subject["evaluation"] for subject in subjects if subject["code"] == FIRM)
    grade, score, coverage, no_grade, *reasons = expected.split()
    assert f"等级 grade {grade}   分数 score {score}   覆盖度 coverage {coverage}" in page
    assert no_grade == "-"
    answer = next(line for line in page.splitlines() if "为什么没有通过" in line)
    assert re.findall(r"X[A-Z]\d\d", answer) == reasons


def test_every_code_of_the_example_is_on_the_card() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"| {code} |" in card_page() for code in re.findall(r"X[OPGCSNI]\d\d", page))


def test_the_links_of_every_page_lead_somewhere() -> None:
    for page in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
