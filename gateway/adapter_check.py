"""`bashu-gateway adapter check`: from an operator's words to the suite's plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from adapters.registry import AdapterNotLoadedError
from adapters.suite.bench import FactFailed, Firm, Marks, Plan
from adapters.suite.books import sandbox_marks
from adapters.suite.run import Outcome, Result, Verdict, verdict
from gateway.platform.configs import platform_configs
from gateway.settings import SettingsError, load_settings
from standards.catalogue import Standard, load_standard
from standards.identifiers import IdentifierFailure, parse_uscc

MAX_ARTEFACT_BYTES: Final = 32 * 1024
_MARKS: Final = {Outcome.HOLDS: "✓", Outcome.FAILS: "✗", Outcome.NOT_CHECKED: "·"}


class CheckRefused(Exception):  # noqa: N818 - named after the fact
    """The check cannot begin; the message names the option and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an operator asks for, as typed."""

    platform: str
    subject: str
    other: str
    unknown: str
    artefacts: Sequence[str]
    institution: str
    purpose: str
    books: str


def run_check(settings: Path, question: Question, *, told: Callable[[str], None] | None) -> Verdict:
    """Check every fact; ``told`` gets a line for each as it is known. Raises CheckRefused."""
    try:
        plan = plan_of(settings, question)
        return asyncio.run(verdict(plan, told=_teller(told)))
    except (SettingsError, AdapterNotLoadedError, FactFailed) as error:
        raise CheckRefused(str(error)) from error


def plan_of(settings: Path, question: Question) -> Plan:
    """Return the suite's plan. Raises CheckRefused or SettingsError."""
    loaded = load_settings(settings)
    configs = platform_configs(loaded)
    if question.platform not in configs:
        raise CheckRefused(f"no platform {question.platform} in the settings; there are {', '.join(sorted(configs))}")
    standard = load_standard(loaded.standard.tables)
    if standard.purposes.get(question.purpose) is None:
        raise CheckRefused(f"--purpose: a purpose of the standard, not {question.purpose}")
    artefacts = dict(_artefact(text) for text in question.artefacts)
    return Plan(
        config=configs[question.platform],
        standard=standard,
        subject=_firm(question.subject, "--subject", standard),
        other=_firm(question.other, "--other", standard),
        unknown=_firm(question.unknown, "--unknown", standard),
        institution=question.institution,
        purpose=question.purpose,
        artefact=lambda firm: _known(artefacts, firm),
        marks=_marks(question),
    )


def _firm(text: str, option: str, standard: Standard) -> Firm:
    code, _, name = text.partition("=")
    parsed = parse_uscc(code, divisions=standard.divisions)
    if isinstance(parsed, IdentifierFailure):
        raise CheckRefused(f"{option}: a unified social credit code (GB 32100-2015), with =NAME behind it if need be")
    return Firm(code=parsed.normalised, name=name)


def _artefact(text: str) -> tuple[str, bytes]:
    code, _, file = text.partition("=")
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(MAX_ARTEFACT_BYTES + 1).strip()
    except OSError:
        raise CheckRefused(f"--artefact: the file {file} cannot be read") from None
    if not content.isascii() or len(content) > MAX_ARTEFACT_BYTES:
        raise CheckRefused(f"--artefact: {file} is no compact JWS of at most 32 KiB")
    return code, content


def _known(artefacts: Mapping[str, bytes], firm: Firm) -> bytes | None:
    return artefacts.get(firm.code)


def _marks(question: Question) -> Marks | None:
    if not question.books:
        return None
    if urlsplit(question.books).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise CheckRefused("--books: the loopback address of a sandbox's control")
    return sandbox_marks(question.books, question.platform)


def _teller(told: Callable[[str], None] | None) -> Callable[[Result], None]:
    if told is None:
        return lambda _: None
    return lambda r: told(f"{_MARKS[r.outcome]} {r.number:>2} {r.name_zh} {r.text}")
