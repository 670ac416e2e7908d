"""Ratings from one scale to another: only where ``rating_mappings.csv`` holds a basis, as a range, never guessed.

The place of agencies' ratings (registry of agencies and their scales, document hash and signature, validity and
withdrawal) is beside this module; a filed agency's scale comes as rows of ``rating_scales.csv``, and its ratings are
recognised by document hash alone, never translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from standards.ratings import RatingScales
from standards.tables import Tables

NATIVE_SCALES: Final = frozenset({"cq_score_0_100", "sc_score_300_1000"})
"""Platforms' own scores, which are never converted into one another or into anything else."""
TAX_M: Final = "M"


class NoTranslation(StrEnum):
    """Why a rating has no counterpart."""

    NO_BASIS = "NO_BASIS"
    NATIVE_SCORE = "NATIVE_SCORE"
    INSUFFICIENT_HISTORY = "INSUFFICIENT_HISTORY"


WORDS: Final[Mapping[NoTranslation, str]] = {
    NoTranslation.NO_BASIS: "没有可依据的对照关系，不作推测 no basis for a mapping exists, and none is guessed",
    NoTranslation.NATIVE_SCORE: "平台自有评分不作换算 platforms' own scores are never converted",
    NoTranslation.INSUFFICIENT_HISTORY: (
        "M级表示历史不足，不在B、C之间，不能换算 "
        "M means insufficient history, stands not between B and C and has no counterpart"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A range on the target scale, ``best`` first; or a ``refusal`` with its words in ``basis``."""

    best: str = ""
    worst: str = ""
    is_indicative: bool = False
    mapping_version: str = ""
    basis: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translations:
    """Every mapping by scale, grade and target scale."""

    rows: Mapping[tuple[str, str, str], Translation]

    def translate(self, scale_id: str, grade: str, target_scale_id: str) -> Translation:
        """Return the range on the target scale; a known grade of a known scale is asked for."""
        if scale_id == target_scale_id:
            return Translation(best=grade, worst=grade, basis="同一量表 the same scale")
        found = self.rows.get((scale_id, grade, target_scale_id))
        return found if found is not None else _refused(_why(scale_id, grade, target_scale_id))


def load_translations(tables: Tables, scales: RatingScales) -> Translations:
    """Read ``rating_mappings.csv``. Raises TableError for a grade that its scale does not have."""
    rows: dict[tuple[str, str, str], Translation] = {}
    for cells in tables.rows("rating_mappings"):
        source, target = cells.text("scale_id"), cells.text("target_scale_id")
        for scale, column in ((source, "grade_code"), (target, "best"), (target, "worst")):
            if cells.text(column) not in {grade.code for grade in scales.grades(scale)}:
                raise cells.error(column, f"a grade of {scale}")
        rows[source, cells.text("grade_code"), target] = Translation(
            best=cells.text("best"),
            worst=cells.text("worst"),
            is_indicative=cells.flag("indicative"),
            mapping_version=cells.text("mapping_version"),
            basis=f"{cells.text('basis')} ({cells.text('source')})",
        )
    return Translations(rows=rows)


def _why(scale_id: str, grade: str, target_scale_id: str) -> NoTranslation:
    if NATIVE_SCALES & {scale_id, target_scale_id}:
        return NoTranslation.NATIVE_SCORE
    if grade == TAX_M and scale_id.startswith("tax_"):
        return NoTranslation.INSUFFICIENT_HISTORY
    return NoTranslation.NO_BASIS


def _refused(reason: NoTranslation) -> Translation:
    return Translation(basis=WORDS[reason], refusal=reason.value)
