"""A wrong description is refused with file, line and what was expected; a right one compiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.rest_json.calls import compile_modules
from adapters.rest_json.conversions import CONVERSIONS
from adapters.rest_json.description import MAX_FILE_BYTES, DescriptionError, Module, json_schema, read_description
from standards.catalogue import Standard, load_standard

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "rest_json"
GOOD = (EXAMPLES / "api-key.toml").read_text()


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


def refused(tmp_path: Path, standard: Standard, text: str) -> DescriptionError:
    file = tmp_path / "platform.toml"
    file.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        compile_modules(read_description(file), standard)
    assert str(caught.value).startswith(f"platform.toml:{caught.value.line}: ")
    return caught.value


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.toml")))
def test_each_example_compiles(name: str, standard: Standard) -> None:
    assert compile_modules(read_description(EXAMPLES / name), standard)


def test_an_example_of_a_platform_is_under_60_lines() -> None:
    assert len((EXAMPLES / "hmac-post.toml").read_text().splitlines()) < 60


WRONG = {
    "an unknown key": ('kind = "api_key"', 'kind = "api_key"\nkye = 1', "unknown field `kye`"),
    "an unknown kind": ('kind = "api_key"', 'kind = "password"', "Invalid value 'password'"),
    "no TOML": ('rows = "data"', "rows = ", "TOML"),
    "another schema": ('"bashu-rest-json/1"', '"bashu-rest-json/2"', "Invalid enum value"),
    "an unknown purpose": ("POST_LOAN_MANAGEMENT", "MARKETING", "a purpose of the standard; found MARKETING"),
    "an unknown item": ('item = "tax_arrears"', 'item = "tax_debts"', "found tax_debts"),
    "an unknown field": ('tax_kind = "taxKind"', 'tax_sort = "taxKind"', "it has no tax_sort"),
    "a person's field": (
        'legal_rep_name = "legalPerson"',
        'legal_rep_name = "legalPerson"\nlegal_rep_id_no = "legalPersonIdNo"',
        "belongs to a natural person",
    ),
    "a password": ('tax_kind = "taxKind"', 'tax_kind = "loginPassword"', "C3 (rule R58)"),
    "a faith": ('tax_kind = "taxKind"', 'tax_kind = "ownerReligion"', "(rule R6)"),
    "an amount without its unit": (
        'balance = { path = "balanceFen", as = "fen" }',
        'balance = "balanceFen"',
        "as = one of yuan, wan_yuan, fen, capital_text: the unit of balance cannot be guessed",
    ),
    "an unknown conversion": ('as = "fen"', 'as = "cents"', "found cents"),
    "a conversion of another type": ('as = "fen"', 'as = "percent"', "found percent"),
    "a share as points": (
        'score = { path = "score", as = "score" }',
        'score = { path = "score", as = "percent" }',
        "as = one of score",
    ),
    "a path that is none": ('rows = "data"', 'rows = "data..list"', "a path as data.list"),
    "path and const": (
        'scale_id = { const = "example_score_0_100" }',
        'scale_id = { const = "x", path = "y" }',
        "exactly one",
    ),
    "a required field that is missing": (
        'document_no = "docNo"\n',
        "",
        "the required document_no mapped, or named in 'lacks'",
    ),
    "a key field that is lacking": (
        'lacks = ["party_type"',
        'lacks = ["document_no", "party_type"',
        "told apart by; found document_no",
    ),
    "lacks what is not required": (
        'lacks = ["party_type"',
        'lacks = ["fine_amount", "party_type"',
        "a required field",
    ),
    "an unknown variable": ('code = "{uscc}"', 'code = "{secret}"', "found {secret}"),
    "a name in a header": ('X-Evidence-Hash = "{evidence}"', 'X-Name = "{name}"', "found {name}"),
    "the artefact in an address": ('path = "/v1/data"', 'path = "/v1/{artefact}"', "found {artefact}"),
    "a brace alone": ('code = "{uscc}"', 'code = "{uscc"', "braces around a variable only"),
    "an error without sign": ('path = "code"\nequals = 4001\n', "", "status, or path with equals"),
    "an error half said": ("equals = 4001\n", "", "path and equals together"),
    "an unknown failure": ('failure = "QUOTA"', 'failure = "BUSY"', "Invalid enum value 'BUSY'"),
    "a body with GET": ('rows = "data"', 'rows = "data"\nbody = { a = "b" }', "a body with method = POST alone"),
    "a limit out of bounds": ("[headers]", "[limits]\nin_flight = 0\n\n[headers]", "Expected `int` >= 1"),
    "as-of twice": ('as_of = { path = "asOf" }', 'as_of = { path = "asOf", header = "X-As-Of" }', "path and header"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_line(case: str, tmp_path: Path, standard: Standard) -> None:
    before, after, expected = WRONG[case]
    assert before in GOOD
    text = GOOD.replace(before, after, 1)
    error = refused(tmp_path, standard, text)
    assert expected in str(error)
    first = next(
        n for n, (old, new) in enumerate(zip(GOOD.splitlines(), text.splitlines(), strict=False), 1) if old != new
    )
    far = {"an error without sign", "an error half said", "a required field that is missing"}
    assert 0 <= error.line - first <= 1 or case in far or "unknown key" in case


def test_each_file_line_is_found_exactly_where_it_matters(tmp_path: Path, standard: Standard) -> None:
    lines = GOOD.splitlines()
    error = refused(tmp_path, standard, GOOD.replace('taxKind"', 'tax Kind"'))
    assert lines[error.line - 1].startswith("tax_kind")
    twice = GOOD + GOOD[GOOD.rindex("[[module]]") :]
    error = refused(tmp_path, standard, twice)
    assert "each item once; found platform_score again" in str(error)
    assert error.line == len(lines) + 2
    error = refused(tmp_path, standard, GOOD.replace('document_no = "docNo"\n', ""))
    assert GOOD.replace('document_no = "docNo"\n', "").splitlines()[error.line - 1] == "[module.fields]"


def test_a_file_that_is_too_large_or_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(DescriptionError, match="256 KiB"):
        read_description(file)
    file.write_bytes("schema = '四川'".encode("gb18030"))
    with pytest.raises(DescriptionError, match="UTF-8"):
        read_description(file)


def test_the_schema_for_editors_is_the_one_that_is_checked() -> None:
    shipped = json.loads((ROOT / "adapters" / "rest_json" / "rest_json.schema.json").read_text())
    assert shipped == json.loads(json.dumps(json_schema()))


def test_the_page_names_every_conversion_and_every_key() -> None:
    page = (ROOT / "docs" / "adapters.md").read_text()
    missing = [name for name in {*CONVERSIONS, "code", *Module.__struct_fields__} if f"`{name}`" not in page]
    assert not missing
