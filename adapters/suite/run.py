"""Run the facts, one bench each, and grade what was seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from adapters.kit.protocol import Adapter
from adapters.suite.bench import Bench, FactFailed, NotApplicable, Plan, ShiftedClock, build
from adapters.suite.between import Between
from adapters.suite.facts_broken import BROKEN
from adapters.suite.facts_honest import HONEST
from core.clock import SHANGHAI

Fact = Callable[[Bench], Awaitable[None]]
FACTS: Final[Sequence[Fact]] = (*HONEST, *BROKEN)
"""Every fact, in the order of the numbers their docstrings begin with."""


class Outcome(StrEnum):
    """What came of a fact."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One fact's outcome; ``seen`` says what was seen instead, or what it would take to check."""

    number: int
    name_zh: str
    text: str
    outcome: Outcome
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All facts of one run."""

    platform_id: str
    adapter: str
    at: datetime
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """Return the facts that fail."""
        return tuple(result for result in self.results if result.outcome is Outcome.FAILS)

    @property
    def grade(self) -> str:
        """Return A: all hold; B: all that could be checked hold; C: up to three fail; D: more."""
        if not self.failed:
            return "A" if all(result.outcome is Outcome.HOLDS for result in self.results) else "B"
        return "C" if len(self.failed) <= 3 else "D"  # noqa: PLR2004

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for machines."""
        return {
            "platform": self.platform_id,
            "adapter": self.adapter,
            "at": self.at.isoformat(),
            "grade": self.grade,
            "facts": [
                {"number": r.number, "name_zh": r.name_zh, "fact": r.text, "outcome": r.outcome.value, "seen": r.seen}
                for r in self.results
            ],
        }

    def as_text(self) -> str:
        """Return the verdict for people: grade and day, then the facts, the failing ones first."""
        head = f"{self.platform_id} ({self.adapter}) · {self.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} 北京时间"
        counts = {outcome: sum(r.outcome is outcome for r in self.results) for outcome in Outcome}
        held, failed, open_ = (counts[outcome] for outcome in Outcome)
        lines = [
            f"等级 grade {self.grade} · {head}",
            f"成立 hold {held} · 不成立 fail {failed} · 未核对 not checked {open_}",
        ]
        for result in self.results:
            seen = f" — {result.seen}" if result.seen else ""
            lines.append(f"{result.outcome.value:<11} {result.number:>2} {result.name_zh} {result.text}{seen}")
        return "\n".join(lines)


def name_of(fact: Fact) -> tuple[int, str, str]:
    """Return a fact's number, its Chinese name, and its sentence: its docstring's three parts."""
    number, _, rest = (fact.__doc__ or "").strip().partition(" ")
    name, _, text = rest.partition("。")
    return int(number), name, text


async def check(plan: Plan, *, facts: Sequence[Fact] = FACTS) -> AsyncIterator[Result]:
    """Check ``facts`` one by one; each gets a bench that nobody used before.

    Raises FactFailed where the platform cannot be asked at all: then no fact means anything.
    """
    async with Between(plan.config) as between:
        data_path, honest = await _honest(plan, between)
        for fact in facts:
            number, name_zh, text = name_of(fact)
            outcome, seen = await _checked(fact, plan, data_path, honest)
            yield Result(number=number, name_zh=name_zh, text=text, outcome=outcome, seen=seen)


async def verdict(plan: Plan, *, told: Callable[[Result], None] = lambda _: None) -> Verdict:
    """Check every fact and return them, the failing ones first; ``told`` hears of each as it is known."""
    results = []
    async for result in check(plan):
        told(result)
        results.append(result)
    order = {Outcome.FAILS: 0, Outcome.NOT_CHECKED: 1, Outcome.HOLDS: 2}
    return Verdict(
        platform_id=plan.config.platform_id,
        adapter=plan.config.adapter,
        at=datetime.now(UTC),
        results=tuple(sorted(results, key=lambda result: (order[result.outcome], result.number))),
    )


def _check_artefacts(plan: Plan, adapter: Adapter) -> None:
    """Raise FactFailed where a test firm has no consent that the adapter's items need: each would just be DENIED."""
    if all(plan.standard.items.public_by_law(item) for item in adapter.platform.items):
        return
    firms = {"--subject": plan.subject, "--other": plan.other, "--unknown": plan.unknown}
    missing = [option for option, firm in firms.items() if plan.artefact(firm) is None]
    if missing:
        raise FactFailed(f"--artefact CODE=FILE: a consent of {', '.join(missing)} too; items of this adapter need one")


async def _honest(plan: Plan, between: Between) -> tuple[str, dict[str, Any]]:
    """Ask once without any fault: which call brings the data, and what an honest answer is."""
    clock = ShiftedClock()
    adapter = build(plan, between.url, clock)
    bench = Bench(plan=plan, between=between, adapter=adapter, clock=clock, data_path="")
    try:
        _check_artefacts(plan, adapter)
        answers = await bench.ask()
    finally:
        await adapter.close()
    sizes: dict[str, int] = {}
    for passed in between.watched.passed:
        sizes[passed.path] = sizes.get(passed.path, 0) + len(passed.body)
    if not sizes:
        raise FactFailed("the platform was not reached: check address, credentials and purpose")
    return max(sizes, key=lambda path: sizes[path]), answers


async def _checked(fact: Fact, plan: Plan, data_path: str, honest: dict[str, Any]) -> tuple[Outcome, str]:
    clock = ShiftedClock()
    async with Between(plan.config) as between:
        adapter = build(plan, between.url, clock)
        bench = Bench(plan=plan, between=between, adapter=adapter, clock=clock, data_path=data_path, honest=honest)
        try:
            await fact(bench)
        except FactFailed as failed:
            return Outcome.FAILS, str(failed)
        except NotApplicable as why:
            return Outcome.NOT_CHECKED, str(why)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the other facts are still checked
            return Outcome.FAILS, f"the adapter raised {type(error).__name__}"
        finally:
            await adapter.close()
    return Outcome.HOLDS, ""
