import pytest

from standards.catalogue import load_standard

STANDARD = load_standard()


@pytest.mark.parametrize(
    ("rating", "best", "worst", "indicative"),
    [
        (("cq_public_credit_1234", "1", "public_credit_composite"), "excellent", "excellent", False),
        (("sc_public_credit_abcd", "A", "public_credit_composite"), "excellent", "excellent", False),
        (("customs_2021", "other", "customs_2026"), "certified", "regular", True),
        (("customs_2021", "dishonest", "customs_2026"), "dishonest", "serious_dishonest", True),
        (("tax_credit_2018", "M", "tax_payment_credit_2025"), "M", "M", True),
        (("environment_chongqing", "blue", "environment_sichuan"), "blue", "blue", True),
    ],
)
def test_a_rating_with_a_basis_becomes_a_range(rating, best, worst, indicative) -> None:
    found = STANDARD.translations.translate(*rating)
    assert (found.best, found.worst, found.is_indicative, found.refusal) == (best, worst, indicative, "")
    assert found.basis
    assert found.mapping_version == "bashu-rating-map/1"


@pytest.mark.parametrize(
    ("scale", "grade", "target", "refusal"),
    [
        ("tax_credit_2018", "M", "public_credit_composite", "INSUFFICIENT_HISTORY"),
        ("cq_score_0_100", "AA", "sc_score_300_1000", "NATIVE_SCORE"),
        ("xyd_ref_1", "XYD-1", "agency_long_term", "NO_BASIS"),
        ("environment_five_colour", "black", "environment_sichuan", "NO_BASIS"),
    ],
)
def test_a_rating_without_a_basis_is_refused_in_words(scale, grade, target, refusal) -> None:
    found = STANDARD.translations.translate(scale, grade, target)
    assert (found.refusal, found.best, found.worst) == (refusal, "", "")
    assert found.basis


def test_tax_level_m_has_no_rank() -> None:
    for scale in ("tax_credit_2018", "tax_payment_credit_2025"):
        assert next(grade for grade in STANDARD.scales.grades(scale) if grade.code == "M").rank is None
