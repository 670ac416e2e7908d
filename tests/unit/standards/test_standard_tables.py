import csv
from datetime import date

import pytest

from core.permit import SubjectKind
from standards.catalogue import load_standard
from standards.items import Access
from standards.licences import Side
from standards.purposes import Reference
from standards.tables import SHIPPED, TableError

STANDARD = load_standard()


@pytest.fixture
def folder(tmp_path):
    def put(name, edit=lambda text: text):
        (tmp_path / name).write_text(edit((SHIPPED / name).read_text(encoding="utf-8")), encoding="utf-8")
        return tmp_path

    return put


def test_operator_file_stands_for_the_shipped_one(folder):
    path = folder("purposes.csv", lambda text: text.replace("贷前审查", "贷前调查"))
    assert load_standard(path).purposes.get("PRE_LOAN_REVIEW").name_zh == "贷前调查"
    assert STANDARD.purposes.get("PRE_LOAN_REVIEW").name_zh == "贷前审查"


def test_error_names_file_line_and_column(folder):
    path = folder("purposes.csv", lambda text: text.replace("loan_reference,N", "loan_refrence,N", 1))
    with pytest.raises(TableError) as caught:
        load_standard(path)
    assert caught.value.metadata == {"file": str(path / "purposes.csv"), "line": "3", "column": "needs"}


@pytest.mark.parametrize(
    ("name", "edit", "column"),
    [
        ("divisions_cq_sc.csv", lambda text: text.replace("2025-11-06", "2025-11-31", 1), "effective_to"),
        ("licence_kinds.csv", lambda text: text.replace(",Y,N,yes", ",J,N,yes", 1), "allows_person"),
        ("shared_items.csv", lambda text: text.replace("held_by", "holder", 1), "held_by"),
        ("purposes.csv", lambda text: text + text.splitlines()[1] + "\n", "purpose_id"),
        ("code_aliases.csv", lambda text: text.replace(",ACTIVE,", ",AKTIVE,", 1), "code"),
        ("code_aliases.csv", lambda text: text + "a,b\n", "-"),
    ],
)
def test_broken_cell_is_refused(folder, name, edit, column):
    with pytest.raises(TableError) as caught:
        load_standard(folder(name, edit))
    assert caught.value.metadata["column"] == column


def test_file_that_replaces_nothing_is_refused(tmp_path):
    (tmp_path / "purpose.csv").write_text("x\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"purpose\.csv"):
        load_standard(tmp_path)


def test_a_replaced_table_that_no_code_reads_is_read_and_held_to_its_columns_all_the_same(folder):
    path = folder("rules.csv", lambda text: text.replace("text_verified", "verified", 1))
    with pytest.raises(TableError) as caught:
        load_standard(path)
    assert caught.value.metadata == {"file": str(path / "rules.csv"), "line": "1", "column": "text_verified"}


def test_an_unknown_division_of_the_shipped_table_is_known_once_the_operators_file_has_it(folder):
    row = "500199,两江新区,county,500100,市辖区,active,2025-11-07,,,,,,own table\n"

    def added(text):
        cells = [""] * len(next(csv.reader([text.splitlines()[0]])))
        names = next(csv.reader([text.splitlines()[0]]))
        given = dict(zip(("code", "name", "level", "parent_code"), row.split(",")[:4], strict=True)) | {"source": "own"}
        for name, value in given.items():
            cells[names.index(name)] = value
        return text.rstrip("\n") + "\n" + ",".join(cells) + "\n"

    assert not STANDARD.divisions.is_known("500199")
    assert load_standard(folder("divisions_cq_sc.csv", added)).divisions.is_known("500199")


def test_every_table_read_by_code_names_its_source():
    for codes in STANDARD.codes.lists.values():
        assert all(code.source for code in codes)


def test_dictionary_answers_admission():
    items = STANDARD.items
    assert len(items.all()) == 59
    assert items.exists("tax_payment")
    assert not items.exists("tax")
    assert items.public_by_law("enterprise_registration")
    assert not items.public_by_law("tax_credit_grade")
    assert items.get("tax_credit_grade").access is Access.PER_FIELD
    assert items.is_restricted("tax_payment")
    assert items.holders("administrative_penalty") == ("chongqing", "sichuan")
    assert items.holders("branch_registration") == ("sichuan",)
    assert items.is_about("court_judgment", SubjectKind.PERSON)
    assert not items.is_about("enterprise_registration", SubjectKind.PERSON)
    assert items.get("administrative_penalty").natural_key == ("document_no", "authority")


def test_purpose_says_reference_institutions_and_platform_codes():
    purpose = STANDARD.purposes.get("PRE_LOAN_REVIEW")
    assert purpose.needs is Reference.APPLICATION
    assert purpose.institution_kinds == {"bank", "micro_lender", "leasing", "factoring"}
    assert (purpose.code_at("chongqing"), purpose.code_at("sichuan")) == ("01", "LOAN_APPROVAL")
    assert STANDARD.purposes.get("DISPUTE_CHECK").code_at("chongqing") is None
    assert STANDARD.purposes.get("KEY_PERSON_REVIEW").code_at("sichuan") is None
    assert STANDARD.purposes.get("SELF_CHECK").institution_kinds == frozenset()
    assert STANDARD.purposes.get("") is None


def test_purpose_is_offered_on_its_days_only(folder):
    edit = lambda text: text.replace("application_reference,Y,,,", "application_reference,Y,2026-01-01,2026-12-31,", 1)  # noqa: E731
    purposes = load_standard(folder("purposes.csv", edit)).purposes
    assert purposes.get("PRE_LOAN_REVIEW", on=date(2026, 1, 1)) is not None
    assert purposes.get("PRE_LOAN_REVIEW", on=date(2026, 12, 31)) is not None
    assert purposes.get("PRE_LOAN_REVIEW", on=date(2027, 1, 1)) is None


def test_licence_decides_about_whom_it_answers_and_asks():
    licences = STANDARD.licences
    assert licences.allows("PERSONAL_CREDIT_LICENCE", SubjectKind.PERSON, Side.PROVIDER)
    assert not licences.allows("PERSONAL_CREDIT_LICENCE", SubjectKind.ENTERPRISE, Side.PROVIDER)
    assert licences.allows("ENTERPRISE_CREDIT_FILING", SubjectKind.ENTERPRISE, Side.PROVIDER)
    assert not licences.allows("ENTERPRISE_CREDIT_FILING", SubjectKind.PERSON, Side.PROVIDER)
    assert licences.allows("FINANCIAL_LICENCE", SubjectKind.PERSON, Side.USER)
    assert not licences.allows("FINANCIAL_LICENCE", SubjectKind.PERSON, Side.PROVIDER)
    assert not licences.allows("NO_SUCH_LICENCE", SubjectKind.ENTERPRISE, Side.PROVIDER)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("存续（在营、开业、在册）", "ACTIVE"),
        ("存续(在营、开业、在册)", "ACTIVE"),
        ("存续", "ACTIVE"),
        ("吊销", "REVOKED_NOT_DEREGISTERED"),
        ("吊销，未注销", "REVOKED_NOT_DEREGISTERED"),
        ("吊销，已注销", "REVOKED_AND_DEREGISTERED"),
        ("注销", "DEREGISTERED"),
        ("迁出", "MOVED_OUT"),
    ],
)
def test_operating_status_text_has_one_canonical_code(text, value):
    coded = STANDARD.codes.registration_status(text)
    assert (coded.value, coded.is_known) == (value, True)


def test_operating_status_of_chongqing_is_read_by_its_own_numbers():
    read = {code: STANDARD.codes.registration_status_of_chongqing(code).value for code in "12349"}
    assert read == {"1": "ACTIVE", "2": "REVOKED_NOT_DEREGISTERED", "3": "DEREGISTERED", "4": "MOVED_OUT", "9": "OTHER"}
    unknown = STANDARD.codes.registration_status_of_chongqing("5")
    assert (unknown.value, unknown.is_known) == ("5", False)


def test_unknown_code_is_kept_as_it_came():
    coded = STANDARD.codes.resolve("key_personnel_post", "首席荣誉顾问")
    assert (coded.value, coded.is_known) == ("首席荣誉顾问", False)


def test_every_code_list_that_fields_name_exists():
    elsewhere = {"divisions_cq_sc", "rating_scales", "pboc2_account_types", "id_type"}
    named = {
        field.type.removeprefix("code:")
        for item in STANDARD.items.all()
        for field in item.fields
        if field.type.startswith("code:")
    }
    missing = {
        name for name in named - elsewhere if not STANDARD.codes.codes(name) and not STANDARD.scales.exists(name)
    }
    assert missing == set()


def test_industry_section_follows_from_name_or_digits():
    codes = STANDARD.codes
    for text, section in (
        ("信息传输、软件和信息技术服务业", "I"),
        ("3484", "C"),
        ("C3484", "C"),
        ("65", "I"),
        ("I", "I"),
    ):
        assert codes.industry_section(text).value == section
    assert not codes.industry_section("D3484").is_known
    assert not codes.industry_section("99").is_known


def test_enterprise_type_falls_back_to_the_longest_known_prefix():
    assert STANDARD.codes.enterprise_type_group("1153").value == "1150"
    assert STANDARD.codes.enterprise_type_group("8888").value == "8000"
    assert STANDARD.codes.enterprise_type_group("0001") is None


def test_tax_level_of_a_year_stands_on_the_scale_of_its_publication():
    assert STANDARD.scales.tax_scale(2024) == "tax_credit_2018"
    assert STANDARD.scales.tax_scale(2025) == "tax_payment_credit_2025"
    assert STANDARD.scales.resolve("tax_credit_2018", "A级").value == "A"
    assert not STANDARD.scales.resolve("tax_credit_2018", "E").is_known
