import csv
from collections import Counter
from pathlib import Path

import pytest

from sandbox.facts import Direction, Grade, PlatformId
from sandbox.identifiers import organisation_check, uscc_check
from sandbox.population import LARGEST, Population

VECTORS = Path("tests/conformance/vectors/uscc_vectors.csv")


def population(size: int = 20_000, seed: int = 7) -> Population:
    return Population(seed=seed, enterprises=size, persons=2_000)


def test_check_digits_agree_with_outside_vectors():
    with VECTORS.open(encoding="utf-8") as stream:
        real = [
            row for row in csv.DictReader(stream) if row["kind"] == "real" and row["expected_valid_gb32100"] == "true"
        ]
    assert real
    for row in real:
        assert uscc_check(row["normalised"][:17]) == row["normalised"][17]
        if row["gb11714_orgcode_check_ok"] == "true":
            assert organisation_check(row["normalised"][8:16]) == row["normalised"][16]


def test_codes_are_invented_distinct_and_have_right_check_digits():
    codes = list(population().codes(0, 20_000))
    assert len(set(codes)) == 20_000
    for code in codes:
        assert code[8:12] == "XXTT"
        assert not code[12].isdigit()
        assert uscc_check(code[:17]) == code[17]
        assert organisation_check(code[8:16]) == code[16]


def test_code_and_name_lead_back_to_the_firm_at_any_size():
    large = population(LARGEST)
    for index in (0, 1, 625_610, 625_611, 1_251_222, LARGEST - 1):
        assert large.index_of_code(large.code(index)) == index
        assert large.index_of_name(large.name(index)) == index


def test_a_code_beyond_the_population_is_unknown():
    small, large = population(10), population(11)
    assert small.index_of_code(large.code(10)) is None
    assert small.index_of_code("91500105XXTT00018M") is None
    assert list(small.codes(8, 5)) == list(large.codes(8, 2))


def test_a_population_cannot_be_larger_than_its_codes():
    with pytest.raises(ValueError, match="enterprises"):
        population(LARGEST + 1)


def test_grades_are_spread_as_published():
    firms = population()
    counts = Counter(firms.grade(index) for index in range(firms.size))
    shares = {grade: count / firms.size for grade, count in counts.items()}
    assert shares[Grade.EXCELLENT] == pytest.approx(0.023, abs=0.005)
    assert shares[Grade.GOOD] == pytest.approx(0.764, abs=0.01)
    assert shares[Grade.MEDIUM] == pytest.approx(0.200, abs=0.01)
    assert shares[Grade.POOR] == pytest.approx(0.013, abs=0.004)


def test_the_same_seed_gives_the_same_history_and_another_one_does_not(make_sandbox):
    first, again, other = (make_sandbox(seed=seed, enterprises=200).world for seed in (1, 1, 2))
    codes = first.codes(0, 200)

    def files(world):
        return [world.file(platform, code) for platform in PlatformId for code in codes]

    assert files(first) == files(again)
    assert files(first) != files(other)


def test_each_firm_is_held_by_its_home_alone(make_sandbox):
    world = make_sandbox(enterprises=50).world
    for code in world.codes(0, 50):
        home = PlatformId.CHONGQING if code.startswith("9150") else PlatformId.SICHUAN
        assert [platform for platform in PlatformId if world.file(platform, code)] == [home]
        name = world.file(home, code).name
        assert world.file_by_name(home, name).code == code


def test_a_guarantee_is_told_by_both_firms(make_sandbox):
    world = make_sandbox(enterprises=400).world
    told: dict[tuple[str, str], set[Direction]] = {}
    for code in world.codes(0, 400):
        for platform in PlatformId:
            file = world.file(platform, code)
            for row in file.guarantees if file else ():
                given = row.direction is Direction.GIVEN
                edge = (code, row.other_code) if given else (row.other_code, code)
                told.setdefault(edge, set()).add(row.direction)
    assert told
    assert all(directions == {Direction.GIVEN, Direction.RECEIVED} for directions in told.values())


def test_chongqing_amounts_are_whole_hundreds_of_yuan(make_sandbox):
    world = make_sandbox(enterprises=100).world
    for code in world.codes(0, 100):
        file = world.file(PlatformId.CHONGQING, code)
        assert file is None or all(row.fen % 10_000 == 0 for row in file.sales)
