"""`bashu-gateway doctor`: from an operator's words to the findings, a line each as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from adapters.suite.bench import Plan
from gateway.adapter_check import CheckRefused, Question, plan_of
from gateway.doctor import Finding, State, diagnose
from gateway.doctor.samples import sample_findings
from gateway.settings import Settings, SettingsError, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The test subject that is asked about, as typed: ``CODE[=NAME]`` and ``CODE=FILE``."""

    subject: str
    artefacts: Sequence[str]
    institution: str
    purpose: str


async def run_doctor(
    file: Path, *, platforms: Sequence[str] | None, sample: Sample | None, as_json: bool, say: Callable[[str], None]
) -> int:
    """Print every finding and return the exit code. Raises SettingsError."""
    settings = load_settings(file)
    chosen = sorted(platforms or settings.platforms)
    if strange := [name for name in chosen if name not in settings.platforms]:
        raise SettingsError(
            f"no platform {strange[0]} in {file.name}; there are {', '.join(sorted(settings.platforms))}"
        )
    counts = dict.fromkeys(State, 0)
    async for finding in _all(file, settings, chosen, sample):
        counts[finding.state] += 1
        say(orjson.dumps(asdict(finding)).decode() if as_json else finding.line())
    if not as_json:
        say(" · ".join(f"{state.value} {count}" for state, count in counts.items()))
    return 1 if counts[State.FAIL] else 0


async def _all(
    file: Path, settings: Settings, platforms: Sequence[str], sample: Sample | None
) -> AsyncIterator[Finding]:
    plans = [_plan(file, name, sample) for name in platforms] if sample is not None else []
    async for finding in diagnose(settings, platforms=platforms):
        yield finding
    for plan in plans:
        async for finding in sample_findings(plan):
            yield finding


def _plan(file: Path, platform: str, sample: Sample) -> Plan:
    question = Question(
        platform=platform,
        subject=sample.subject,
        other=sample.subject,
        unknown=sample.subject,
        artefacts=sample.artefacts,
        institution=sample.institution,
        purpose=sample.purpose,
        books="",
    )
    try:
        return plan_of(file, question)
    except CheckRefused as error:
        raise SettingsError(str(error).replace("--subject", "--sample")) from error
