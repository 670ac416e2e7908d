"""Figures of a scorecard's validation, over (score, bad) pairs: higher scores are meant to be better. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SCALE: Final = (387.60, 72.13)
"""Design of the scale (standard page): score = 387.60 - 72.13 ln(PD / (1 - PD)); no fitted probability."""
PSI_FLOOR: Final = 1e-4
"""Share that an empty band counts as, or the logarithm has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One evaluated firm; ``bad``: it defaulted. ``score`` None: no score (hard stop or not graded)."""

    code: str
    grade: str
    score: int | None
    coverage: float
    bad: bool
    province: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Firms of neighbouring scores: how many, how many of them bad."""

    name: str
    count: int
    bad: int

    @property
    def rate(self) -> float:
        """Share of bad ones; 0 of none."""
        return self.bad / self.count if self.count else 0.0


def auc(pairs: Sequence[tuple[int, bool]]) -> float | None:
    """Return how often a good firm scores above a bad one, ties half (Mann-Whitney); None without both kinds."""
    bad = sum(is_bad for _, is_bad in pairs)
    good = len(pairs) - bad
    if not bad or not good:
        return None
    above, below = 0.0, 0
    for _, (goods, bads) in sorted(_counts(pairs).items()):
        above += goods * (below + bads / 2)
        below += bads
    return above / (bad * good)


def ks(pairs: Sequence[tuple[int, bool]]) -> float | None:
    """Return the largest distance between the scores' distributions of bad and good firms (Kolmogorov-Smirnov)."""
    return max((abs(bads - goods) for _, goods, bads in curve(pairs)), default=None)


def curve(pairs: Sequence[tuple[int, bool]]) -> list[tuple[int, float, float]]:
    """Return, for each score, which share of the good and of the bad firms has it or less; empty without both kinds."""
    bad = sum(is_bad for _, is_bad in pairs)
    good = len(pairs) - bad
    if not bad or not good:
        return []
    points, goods, bads = [], 0, 0
    for score, (more_good, more_bad) in sorted(_counts(pairs).items()):
        goods, bads = goods + more_good, bads + more_bad
        points.append((score, goods / good, bads / bad))
    return points


def brier(pairs: Sequence[tuple[int, bool]]) -> float | None:
    """Return the mean squared distance between outcome and the probability of the scale's design; None of none."""
    if not pairs:
        return None
    return sum((design_probability(score) - is_bad) ** 2 for score, is_bad in pairs) / len(pairs)


def design_probability(score: int) -> float:
    """Return the probability of default that the scale was designed with, 0..1."""
    offset, factor = SCALE
    return 1 / (1 + math.exp((score - offset) / factor))


def deciles(pairs: Sequence[tuple[int, bool]]) -> list[Band]:
    """Return ten bands of equal size, lowest scores first; equal scores may stand in two, in the order given."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    bands = []
    for number in range(10):
        part = ordered[len(ordered) * number // 10 : len(ordered) * (number + 1) // 10]
        if part:
            name = f"{part[0][0]}-{part[-1][0]}"
            bands.append(Band(name=name, count=len(part), bad=sum(is_bad for _, is_bad in part)))
    return bands


def by(cases: Iterable[Case], key: Callable[[Case], str]) -> dict[str, list[Case]]:
    """Group cases, in the order of the keys."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[key(case)].append(case)
    return dict(sorted(groups.items()))


def psi(expected: Sequence[int], actual: Sequence[int], edges: Sequence[int]) -> float | None:
    """Return the population stability index of two sets of scores over bands cut at ``edges``; None of an empty one."""
    if not expected or not actual:
        return None
    total = 0.0
    for before, now in zip(_shares(expected, edges), _shares(actual, edges), strict=True):
        total += (now - before) * math.log(now / before)
    return total


def rises_never(rates: Sequence[float]) -> bool:
    """Tell whether rates fall or stay from each band to the next better one."""
    return all(after <= before for before, after in pairwise(rates))


def _counts(pairs: Sequence[tuple[int, bool]]) -> dict[int, tuple[int, int]]:
    counts: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for score, is_bad in pairs:
        goods, bads = counts[score]
        counts[score] = (goods + (not is_bad), bads + is_bad)
    return counts


def _shares(scores: Sequence[int], edges: Sequence[int]) -> list[float]:
    counts = [0] * (len(edges) + 1)
    for score in scores:
        counts[sum(score >= edge for edge in edges)] += 1
    return [max(count / len(scores), PSI_FLOOR) for count in counts]
