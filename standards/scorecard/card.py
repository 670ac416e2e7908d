"""The card as data: ``xyd_ref_1.toml``, read once and checked; no number of the card stands in code."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from standards.tables import TableError, Tables

FILE: Final = "xyd_ref_1.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bin; the first of an indicator's that holds counts. All bounds None: the rest."""

    points: int
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    category: str | None = None

    def holds(self, value: Decimal | str) -> bool:
        """Tell whether a measured value falls into this bin; both bounds are inside."""
        if isinstance(value, str):
            return self.category == value
        if self.category is not None:
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorRule:
    """One indicator of the card; ``window_months`` 0 where it has none, ``is_required`` of its items."""

    code: str
    group: str
    zh: str
    en: str
    most: int
    is_required: bool
    items: tuple[str, ...]
    measure: str
    window_months: int
    unit: str
    gives_reason: bool
    reason_zh: str
    reason_en: str
    bins: tuple[Bin, ...]

    def points(self, value: Decimal | str) -> int | None:
        """Return the points of a measured value, None for a category that the card does not know."""
        return next((one.points for one in self.bins if one.holds(value)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A code with its sentence in both languages; ``items`` where it rests on data items."""

    code: str
    zh: str
    en: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of indicators and its maximum."""

    name: str
    zh: str
    en: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The whole card. ``grades`` best first with the least score of each; ``no_grade`` by reason."""

    name: str
    version: str
    base: int
    least_coverage: Decimal
    most_reasons: int
    missing_share: Decimal
    disclaimer_zh: str
    disclaimer_en: str
    severity_weights: Mapping[str, int]
    grades: tuple[tuple[str, int], ...]
    hard_stops: tuple[Words, ...]
    no_grade: Mapping[str, Words]
    groups: tuple[Group, ...]
    indicators: tuple[IndicatorRule, ...]

    @property
    def most(self) -> int:
        """Points that all indicators can give together (550 of XYD-REF-1)."""
        return sum(rule.most for rule in self.indicators)

    @property
    def hard_stop_items(self) -> tuple[str, ...]:
        """Items that every evaluation asks for, public by law; sorted."""
        return tuple(sorted({item for stop in self.hard_stops for item in stop.items}))

    def grade_of(self, score: int) -> str:
        """Return the grade of a score."""
        return next((grade for grade, least in self.grades if score >= least), self.grades[-1][0])


def load_card(tables: Tables) -> Card:
    """Read the card. Raises TableError naming what is missing or does not add up."""
    label, text = tables.document(FILE)
    try:
        raw = tomllib.loads(text)
        card = _card(raw)
    except (tomllib.TOMLDecodeError, KeyError, ValueError, ArithmeticError, TypeError) as error:
        raise TableError(label, 0, "-", f"a scorecard ({type(error).__name__}: {error})") from error
    _check(card, label)
    return card


def _card(raw: Mapping[str, Any]) -> Card:
    return Card(
        name=raw["name"],
        version=raw["version"],
        base=raw["base"],
        least_coverage=Decimal(raw["least_coverage"]),
        most_reasons=raw["most_reasons"],
        missing_share=Decimal(raw["missing_share"]),
        disclaimer_zh=raw["disclaimer_zh"],
        disclaimer_en=raw["disclaimer_en"],
        severity_weights=dict(raw["severity_weights"]),
        grades=tuple((row["grade"], row["least"]) for row in raw["grade"]),
        hard_stops=tuple(_words(row) for row in raw["hard_stop"]),
        no_grade={row["reason"]: _words(row) for row in raw["no_grade"]},
        groups=tuple(Group(name=row["id"], zh=row["zh"], en=row["en"], most=row["most"]) for row in raw["group"]),
        indicators=tuple(_indicator(row) for row in raw["indicator"]),
    )


def _words(row: Mapping[str, Any]) -> Words:
    return Words(code=row["code"], zh=row["zh"], en=row["en"], items=tuple(row.get("items", ())))


def _indicator(row: Mapping[str, Any]) -> IndicatorRule:
    if row["need"] not in {"required", "optional"}:
        raise ValueError(f"{row['code']}: need must be required or optional")
    return IndicatorRule(
        code=row["code"],
        group=row["group"],
        zh=row["zh"],
        en=row["en"],
        most=row["most"],
        is_required=row["need"] == "required",
        items=tuple(row["items"]),
        measure=row["measure"],
        window_months=row["window_months"],
        unit=row["unit"],
        gives_reason=row["gives_reason"],
        reason_zh=row["reason_zh"],
        reason_en=row["reason_en"],
        bins=tuple(_bin(one) for one in row["bins"]),
    )


def _bin(row: Mapping[str, Any]) -> Bin:
    read: Callable[[str], Decimal | None] = lambda name: Decimal(row[name]) if name in row else None  # noqa: E731
    return Bin(points=row["points"], at_least=read("at_least"), at_most=read("at_most"), category=row.get("is"))


def _check(card: Card, label: str) -> None:
    codes = [rule.code for rule in card.indicators]
    if len(set(codes)) != len(codes):
        raise TableError(label, 0, "indicator", "codes that stand once")
    for rule in card.indicators:
        given = [one.points for one in rule.bins]
        if given != sorted(given, reverse=True) or given[:1] != [rule.most]:
            raise TableError(label, 0, rule.code, f"bins from best to worst, the first worth {rule.most}")
    for group in card.groups:
        if sum(rule.most for rule in card.indicators if rule.group == group.name) != group.most:
            raise TableError(label, 0, group.name, f"indicators that add up to {group.most}")
    if missing := {"CONFLICT", "NOT_ANSWERED", "NOT_GRANTED", "HUMAN_REVIEW", "LOW_COVERAGE"} - set(card.no_grade):
        raise TableError(label, 0, "no_grade", f"reasons {', '.join(sorted(missing))}")
