"""What each platform holds about each fixed subject, read off docs/platforms/subjects.md by hand."""

from datetime import date
from decimal import Decimal

import pytest

from sandbox.facts import Direction, Grade, PlatformFile, PlatformId, Severity, Status
from sandbox.identifiers import organisation_check, uscc_check
from sandbox.subjects import FIXED_SUBJECTS

CQ, SC = PlatformId.CHONGQING, PlatformId.SICHUAN
HELD_BY = {
    "91500105XXTT00018M": {CQ, SC},
    "91510107XXTT00026H": {SC},
    "91500105XXTT00034B": {CQ},
    "91510107XXTT000427": {SC},
    "91500105XXTT000501": {CQ},
    "91510107XXTT00069Y": {SC},
    "91500105XXTT00077Q": {CQ, SC},
    "91510107XXTT00085L": {SC},
    "91500105XXTT00093E": {CQ},
    "91510107XXTT001065": {SC},
    "91500105XXTT00114Y": {CQ},
    "91510107XXTT00122T": {SC},
    "91500105XXTT00157C": {CQ},
    "92500112XXTT00130M": {CQ},
    "92510104XXTT001494": {SC},
    "91510107XXTT001658": {SC},
    "91500105XXTT001732": {CQ},
    "91510107XXTT00181X": {SC},
    "91500105XXTT0019XL": {CQ, SC},
}


def held(sandbox, platform, code) -> PlatformFile:
    file = sandbox.world.file(platform, code)
    assert file is not None
    return file


def money(rows) -> list[int]:
    return [row.fen for row in rows]


def test_every_subject_is_there_with_right_check_digits_and_held_where_the_table_says(sandbox):
    assert {subject.code for subject in FIXED_SUBJECTS} == set(HELD_BY)
    for code, platforms in HELD_BY.items():
        assert uscc_check(code[:17]) == code[17]
        assert organisation_check(code[8:16]) == code[16]
        assert {platform for platform in PlatformId if sandbox.world.file(platform, code)} == platforms


def test_chongqing_baseline_of_0018m(sandbox):
    file = held(sandbox, CQ, "91500105XXTT00018M")
    assert file.registration is not None
    assert file.registration.business_reg_no == "500105000000018"
    assert file.registration.registered_fen == file.registration.paid_in_fen == 1_250_000_000
    assert (file.registration.established_on, file.registration.term_to) == (date(2014, 6, 12), None)
    assert file.as_of.tax == date(2026, 10, 31)
    assert [(row.year, row.grade) for row in file.tax_grades] == [(2025, "A")]
    assert [(row.year, row.fen) for row in file.tax_paid] == [(2025, 24_600_000), (2024, 19_800_000)]
    assert [(row.year, row.fen) for row in file.tax_sales] == [(2025, 1_186_400_000), (2024, 962_150_000)]
    assert file.arrears_total_fen == 0
    assert len(file.sales) == len(file.insurance) == 24
    assert (file.sales[0].month, file.sales[0].fen, file.sales[0].invoices) == (date(2026, 10, 1), 18_350_000, 42)
    assert (file.sales[12].fen, file.sales[23].invoices) == (14_680_000, 31)
    assert (file.insurance[0].insured, file.insurance[0].paid_fen) == (46, 6_900_000)
    assert file.public_grade is not None
    assert file.public_grade.evaluated_on == date(2026, 10, 30)
    assert file.score is not None
    assert (file.score.value, file.score.grade) == (Decimal("83.5"), "AA")
    assert [(row.direction, row.fen, row.balance_fen) for row in file.guarantees] == [
        (Direction.RECEIVED, 200_000_000, 150_000_000)
    ]
    rows = (*file.shareholders, *file.key_persons, *file.sales, *file.insurance, *file.guarantees)
    assert len(rows) == 53


def test_sichuan_holds_branches_and_a_guarantee_of_0018m_and_nothing_else(sandbox):
    file = held(sandbox, SC, "91500105XXTT00018M")
    assert [row.status for row in file.branches] == [Status.ACTIVE, Status.DEREGISTERED]
    assert [row.other_code for row in file.guarantees] == ["91510107XXTT00026H"]
    assert (file.registration, file.score, file.public_grade, file.sales, file.tax_grades) == (None, None, None, (), ())


def test_sichuan_baseline_of_0026h(sandbox):
    file = held(sandbox, SC, "91510107XXTT00026H")
    assert [(row.year, row.grade) for row in file.tax_grades] == [(2024, "B"), (2025, "A")]
    assert [(row.year, row.quarter, row.sales_fen, row.paid_fen) for row in file.declarations[:2]] == [
        (2026, 3, 55_035_000, 1_651_050),
        (2026, 2, 55_035_000, 1_651_050),
    ]
    assert len(file.declarations) == 8
    assert (file.sales[0].month, file.sales[0].fen) == (date(2026, 10, 1), 18_345_000)
    assert (file.insurance[0].insured, file.insurance[0].due_fen) == (62, 9_300_000)
    assert [(row.direction, row.other_code) for row in file.guarantees] == [(Direction.GIVEN, "91500105XXTT00018M")]
    assert file.score is not None
    assert (file.score.value, file.score.grade, file.score.risk) == (782, "B1", Decimal("0.18"))


def test_0034b_is_a_dishonest_judgment_debtor(sandbox):
    file = held(sandbox, CQ, "91500105XXTT00034B")
    assert [(row.target_fen, row.outstanding_fen) for row in file.enforcements] == [
        (31_250_000, 30_000_000),
        (86_400_000, 86_400_000),
    ]
    assert [row.removed_on for row in file.dishonesty] == [None]
    assert file.public_grade is not None
    assert file.public_grade.grade is Grade.POOR
    assert file.tax_grades[0].grade == "C"
    assert file.score is not None
    assert (file.score.value, file.score.grade) == (22, "CC")


def test_00042_has_arrears_and_level_d(sandbox):
    file = held(sandbox, SC, "91510107XXTT000427")
    assert [(row.fen, row.announced, row.announced_on) for row in file.arrears] == [
        (35_600_000, True, date(2026, 10, 15)),
        (4_800_050, False, None),
    ]
    assert [row.grade for row in file.tax_grades] == ["C", "D"]
    assert file.score is not None
    assert (file.score.value, file.score.reasons) == (455, ("R02", "R05"))


def test_thin_and_empty_files_hold_what_they_say(sandbox):
    thin = held(sandbox, CQ, "91500105XXTT000501")
    assert thin.registration is not None
    assert (thin.registration.registered_fen, thin.registration.paid_in_fen) == (10_000_000, None)
    assert not thin.is_known_to_courts
    assert (thin.tax_grades, thin.arrears_total_fen, thin.insured, thin.public_grade) == ((), None, None, None)
    empty = held(sandbox, SC, "91510107XXTT00069Y")
    assert empty.name == "四川示例六号商务服务有限公司"
    assert empty.registration is None


def test_0077q_is_active_at_home_and_revoked_elsewhere(sandbox):
    here = held(sandbox, CQ, "91500105XXTT00077Q").registration
    there = held(sandbox, SC, "91500105XXTT00077Q").registration
    assert here is not None
    assert there is not None
    assert (here.status, there.status, there.revoked_on) == (Status.ACTIVE, Status.REVOKED, date(2026, 3, 2))
    assert there.established_on == date(2014, 6, 12)


def test_fixed_behaviours(sandbox):
    assert held(sandbox, SC, "91510107XXTT00085L").behaviour.silent_module == "ent-operate/social-insurance"
    assert held(sandbox, CQ, "91500105XXTT00093E").behaviour.job_never_ends
    assert held(sandbox, SC, "91510107XXTT001065").behaviour.is_revoked_after_first_module


@pytest.mark.parametrize(
    ("platform", "code", "rows"),
    [
        (CQ, "91500105XXTT00114Y", [("received", 180_000_000, 180_000_000), ("given", 300_000_000, 300_000_000)]),
        (SC, "91510107XXTT00122T", [("given", 250_000_000, 200_000_000), ("received", 300_000_000, 300_000_000)]),
        (CQ, "91500105XXTT00157C", [("given", 180_000_000, 180_000_000), ("received", 250_000_000, 200_000_000)]),
    ],
)
def test_each_member_of_the_ring_gives_and_receives_once(sandbox, platform, code, rows):
    held_rows = held(sandbox, platform, code).guarantees
    assert [(row.direction, row.fen, row.balance_fen) for row in held_rows] == rows


def test_the_score_of_00165_falls_from_the_day_after_the_start(sandbox):
    assert held(sandbox, SC, "91510107XXTT001658").score.value == 702
    sandbox.clocks.data.advance(1)
    score = held(sandbox, SC, "91510107XXTT001658").score
    assert (score.value, score.grade, score.risk) == (582, "C1", Decimal("0.44"))


def test_the_penalty_of_00173_is_shown_then_repaired_then_gone(sandbox):
    code = "91500105XXTT001732"
    penalty = held(sandbox, CQ, code).penalties[0]
    assert (penalty.fine_fen, penalty.severity, penalty.repaired_on) == (2_000_000, Severity.GENERAL, None)
    assert (penalty.decided_on, penalty.publish_until) == (date(2026, 8, 15), date(2027, 8, 15))
    sandbox.clocks.data.advance(1)
    assert held(sandbox, CQ, code).penalties[0].repaired_on == date(2026, 11, 24)
    sandbox.clocks.data.advance(30)
    assert held(sandbox, CQ, code).penalties[0].repaired_on == date(2026, 11, 24)
    sandbox.clocks.data.advance(1)
    assert held(sandbox, CQ, code).penalties == ()


def test_sole_proprietors(sandbox):
    snack_bar = held(sandbox, CQ, "92500112XXTT00130M")
    assert snack_bar.registration is not None
    assert snack_bar.registration.division.code == "500112"
    assert (snack_bar.shareholders, snack_bar.key_persons, snack_bar.guarantees, snack_bar.score) == ((), (), (), None)
    assert (snack_bar.insurance, snack_bar.insured.heads) == ((), 1)
    assert set(money(snack_bar.sales)) == {1_100_000}
    assert snack_bar.penalties[0].fine_fen == 100_000
    hairdresser = held(sandbox, SC, "92510104XXTT001494")
    assert hairdresser.registration.registered_fen is None
    assert (hairdresser.tax_grades, hairdresser.score, hairdresser.public_grade.grade) == ((), None, Grade.GOOD)
    assert set(money(hairdresser.sales)) == {600_000}


def test_00181_has_a_name_that_gbk_cannot_write(sandbox):
    name = held(sandbox, SC, "91510107XXTT00181X").name
    assert "\U00020bb7" in name
    assert "（" in name
    with pytest.raises(UnicodeEncodeError):
        name.encode("gbk")
    assert name.encode("gb18030").decode("gb18030") == name


def test_a_month_keeps_its_value_when_the_data_clock_moves(sandbox):
    code = "91510107XXTT00026H"
    before = {row.month: row.fen for row in held(sandbox, SC, code).sales}
    sandbox.clocks.data.advance(70)
    after = {row.month: row.fen for row in held(sandbox, SC, code).sales}
    assert max(after) == date(2027, 1, 1)
    assert len(after) == 24
    assert all(after[month] == before[month] for month in after.keys() & before.keys())
