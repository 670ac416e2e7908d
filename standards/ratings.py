"""Rating scales: a rating always travels with its scale id, and is never converted here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from standards.codes import Coded
from standards.identifiers import to_half_width
from standards.tables import Tables, Validity

TAX_SCALES: Final = ("tax_payment_credit_2025", "tax_credit_2018")
"""Successive scales of the tax credit level, newest first."""
PUBLICATION_MONTH: Final = 4
"""A year's tax levels are determined in April of the next (纳税信用管理办法 Art. 24, unverified)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One grade of a scale; ``rank`` 1 is best, None where the grade is outside the order."""

    scale_id: str
    rank: int | None
    code: str
    label_zh: str
    score_min: Decimal | None
    score_max: Decimal | None
    validity: Validity
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingScales:
    """Every scale by id, best grade first."""

    rows: Mapping[str, tuple[Grade, ...]]

    def exists(self, scale_id: str) -> bool:
        """Tell whether the standard has the scale."""
        return scale_id in self.rows

    def grades(self, scale_id: str) -> tuple[Grade, ...]:
        """Return the grades of a scale in file order; empty for an unknown scale."""
        return self.rows.get(scale_id, ())

    def resolve(self, scale_id: str, text: str) -> Coded:
        """Read a grade by code or Chinese label (``A`` and ``A级`` alike); an unknown one is kept as it came."""
        wanted = to_half_width(text).strip()
        for grade in self.grades(scale_id):
            if wanted in {grade.code, grade.label_zh, f"{grade.code}级"}:
                return Coded(value=grade.code, is_known=True)
        return Coded(value=text, is_known=False)

    def grade_of(self, scale_id: str, score: Decimal) -> Grade | None:
        """Return the grade whose band holds a score (R68): from ``score_min`` on, below ``score_max``.

        None where the scale has no bands or none holds the score: a grade is never guessed.
        """
        banded = (grade for grade in self.grades(scale_id) if (grade.score_min, grade.score_max) != (None, None))
        return next((grade for grade in banded if _holds(grade, score)), None)

    def tax_scale(self, year: int) -> str:
        """Return the scale of the tax credit level assessed for ``year``: the one in force when it is published."""
        published = date(year + 1, PUBLICATION_MONTH, 1)
        in_force = (name for name in TAX_SCALES if any(grade.validity.covers(published) for grade in self.grades(name)))
        return next(in_force, TAX_SCALES[-1])


def load_rating_scales(tables: Tables) -> RatingScales:
    """Read ``rating_scales.csv``."""
    rows: dict[str, list[Grade]] = {}
    for cells in tables.rows("rating_scales"):
        grade = Grade(
            scale_id=cells.text("scale_id"),
            rank=cells.optional_parsed("rank_best_1", int, "a whole number or blank"),
            code=cells.text("grade_code"),
            label_zh=cells.text("label_zh"),
            score_min=cells.optional_parsed("score_min", _decimal, "a decimal or blank"),
            score_max=cells.optional_parsed("score_max", _decimal, "a decimal or blank"),
            validity=cells.validity(),
            source=cells.text("source"),
        )
        rows.setdefault(grade.scale_id, []).append(grade)
    return RatingScales(rows={scale: tuple(grades) for scale, grades in rows.items()})


def _holds(grade: Grade, score: Decimal) -> bool:
    is_over = grade.score_min is None or grade.score_min <= score
    return is_over and (grade.score_max is None or score < grade.score_max)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
