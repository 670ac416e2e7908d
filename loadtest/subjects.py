"""Query every fixed subject of the sandbox and compare with what is expected: code, expected, got, same or different.

``advance`` in the expectations is the day of the data clock counted from the start, so the clock only ever moves on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tomllib
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.client import Bashu, new_request_id
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import common_pb2, credit_pb2, report_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.enquiries import COUNTED
from loadtest.stack import Stack, dev_stack
from standards.catalogue import load_standard

EXPECTED: Final = Path(__file__).parents[1] / "tests" / "fixed_subjects.toml"
PURPOSE: Final = "PRE_LOAN_REVIEW"
RELATED_PURPOSE: Final = "RELATED_PARTY_REVIEW"
GUARANTEE: Final = "financing_guarantee"
PAPERS: Final = (
    "administrative_permission",
    "housing_provident_fund",
    "qualification_certificates",
    "customs_credit_grade",
    "environment_credit",
)
"""What authorities decided or keep, asked under a consent of its own: the card reads none of it."""
DEADLINE_S: Final = 15.0
EVALUATION_DEADLINE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One query about one subject, the day of the data clock it is made on, and what must come out."""

    code: str
    name: str
    number: int
    day: int
    repeat: bool
    deadline_s: float
    expected: Mapping[str, Any]
    evaluation: str = ""
    related: Sequence[str] = ()
    ring: str = ""
    papers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as expected."""

    what: str
    expected: str
    got: str


def main() -> int:
    """Run all steps on a fresh stack; return 0 where everything is the same."""
    steps = sorted(_steps(tomllib.loads(EXPECTED.read_text())["subject"]), key=lambda step: step.day)
    with dev_stack() as stack:
        results = asyncio.run(_query_all(stack, steps))
    return _print(results)


def _steps(subjects: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    for subject in subjects:
        for number, expected in enumerate(subject["step"], start=1):
            yield Step(
                code=subject["code"],
                name=subject["name"],
                number=number,
                day=expected.get("advance", 0),
                repeat=expected.get("repeat", False),
                deadline_s=subject.get("deadline_s", DEADLINE_S),
                expected=expected,
                evaluation=subject.get("evaluation", "") if number == 1 else "",
                related=subject.get("related", ()) if number == 1 else (),
                ring=subject.get("ring", ""),
                papers=tuple(subject.get("papers", ())) if number == 1 else (),
            )


async def _query_all(stack: Stack, steps: Sequence[Step]) -> list[tuple[Step, list[Difference]]]:
    authority = SigningAuthority(stack.authorities["authority-cq"])
    requests: dict[str, credit_pb2.QueryCreditRequest] = {}
    results: list[tuple[Step, list[Difference]]] = []
    today = 0
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        for step in steps:
            if step.day > today:
                await asyncio.to_thread(_advance, stack.sandbox_control, step.day - today)
                today = step.day
            if step.code not in requests:
                requests[step.code] = await _consented_request(bank, authority, step)
            elif not step.repeat:
                requests[step.code].request_id = new_request_id()
            try:
                answer = await bank.query_credit(requests[step.code], deadline_s=step.deadline_s)
            except BashuCallError as error:
                results.append((step, [Difference(what="answer", expected="a report", got=str(error))]))
                continue
            differences = list(_differences(step.expected, answer.report))
            if step.evaluation:
                differences += await _evaluation_differences(bank, authority, step)
            if step.related:
                differences += await _ring_differences(bank, authority, step)
            if step.papers:
                differences += await _paper_differences(bank, authority, step)
            results.append((step, differences))
    return results


async def _evaluation_differences(bank: Bashu, authority: SigningAuthority, step: Step) -> list[Difference]:
    """Evaluate the subject under a consent of its own for all that the card asks, and compare the one line of it."""
    request = await _evaluation_request(bank, authority, step)
    try:
        evaluation = (await bank.evaluate_credit(request, deadline_s=EVALUATION_DEADLINE_S)).evaluation
    except BashuCallError as error:
        return [Difference(what="evaluation", expected=step.evaluation, got=str(error))]
    got = evaluation_line(evaluation)
    return [] if got == step.evaluation else [Difference(what="evaluation", expected=step.evaluation, got=got)]


async def _ring_differences(bank: Bashu, authority: SigningAuthority, step: Step) -> list[Difference]:
    """Evaluate the subject with the consents of its related firms, and compare what comes of its guarantees."""
    request = await _evaluation_request(bank, authority, step)
    for code in step.related:
        grant = Grant(institution="bank-cq", identifier=code, items=[GUARANTEE], max_uses=1, purpose=RELATED_PURPOSE)
        await bank.register_consent(authority.sign(grant))
        request.related_consent_ids.append(str(grant.consent_id))
    try:
        evaluation = (await bank.evaluate_credit(request, deadline_s=EVALUATION_DEADLINE_S)).evaluation
    except BashuCallError as error:
        return [Difference(what="ring", expected=step.ring, got=str(error))]
    network = evaluation.guarantee_network
    rings = (" ".join(ring.unified_social_credit_codes) for ring in network.rings)
    got = f"{evaluation.in_ring} {network.result or '-'}: {', '.join(rings)}; {evaluation_line(evaluation)}"
    return [] if got == step.ring else [Difference(what="ring", expected=step.ring, got=got)]


async def _evaluation_request(bank: Bashu, authority: SigningAuthority, step: Step) -> credit_pb2.QueryCreditRequest:
    card = load_standard().card
    items = sorted({item for rule in card.indicators for item in rule.items}.union(card.hard_stop_items))
    grant = Grant(institution="bank-cq", identifier=step.code, items=items, display=step.name, max_uses=1, acts=COUNTED)
    await bank.register_consent(authority.sign(grant))
    request = credit_pb2.QueryCreditRequest(
        request_id=new_request_id(),
        consent_id=str(grant.consent_id),
        purpose=PURPOSE,
        application_reference="SUBJECTS-1",
        include_evaluation=True,
    )
    request.subject.enterprise.unified_social_credit_code = step.code
    request.subject.enterprise.name = step.name
    return request


async def _paper_differences(bank: Bashu, authority: SigningAuthority, step: Step) -> list[Difference]:
    """Ask for permits, fund, certificates and grades under a consent of their own, and compare each record."""
    request = await _consented_request(bank, authority, step, items=PAPERS)
    try:
        report = (await bank.query_credit(request, deadline_s=step.deadline_s)).report
    except BashuCallError as error:
        return [Difference(what="papers", expected="a report", got=str(error))]
    found = Counter(record.data_item for record in report.records)
    wanted = Counter(line.split(" ")[0] for line in step.papers)
    excess = [] if found == wanted else [Difference(what="papers", expected=str(dict(wanted)), got=str(dict(found)))]
    return [*excess, *_record_differences(step.papers, report)]


def evaluation_line(evaluation: report_pb2.Evaluation) -> str:
    """Return grade, score (- without), coverage, why there is no grade (- with one) and the reasons' codes."""
    score = str(evaluation.score) if evaluation.HasField("score") else "-"
    codes = [reason.code for reason in evaluation.reasons]
    return " ".join((evaluation.grade, score, evaluation.coverage, evaluation.no_grade_reason or "-", *codes))


async def _consented_request(
    bank: Bashu, authority: SigningAuthority, step: Step, items: Sequence[str] = ITEMS
) -> credit_pb2.QueryCreditRequest:
    grant = Grant(institution="bank-cq", identifier=step.code, items=items, display=step.name, max_uses=3)
    await bank.register_consent(authority.sign(grant))
    request = credit_pb2.QueryCreditRequest(
        request_id=new_request_id(),
        consent_id=str(grant.consent_id),
        purpose=PURPOSE,
        application_reference="SUBJECTS-1",
    )
    request.subject.enterprise.unified_social_credit_code = step.code
    request.subject.enterprise.name = step.name
    return request


def _advance(control: str, days: int) -> None:
    request = urllib.request.Request(  # noqa: S310 - the sandbox's own loopback address
        f"{control}/control/advance",
        data=json.dumps({"days": days}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        answer.read()


def _differences(expected: Mapping[str, Any], report: report_pb2.CreditReport) -> Iterator[Difference]:
    if "completeness" in expected:
        got = report_pb2.Completeness.Name(report.completeness).removeprefix("COMPLETENESS_")
        if got != expected["completeness"]:
            yield Difference(what="completeness", expected=expected["completeness"], got=got)
    yield from _status_differences(expected, report)
    yield from _record_differences(expected.get("records", ()), report)
    items = Counter(record.data_item for record in report.records)
    for item in expected.get("absent", ()):
        if items[item]:
            yield Difference(what=item, expected="no record", got=f"{items[item]} records")
    conflicts = {f"{conflict.data_item} {conflict.field}" for conflict in report.conflicts}
    withheld = {f"{row.data_item} {row.rule}" for row in report.withheld}
    for line in set(expected.get("conflicts", ())) - conflicts:
        yield Difference(what="conflict", expected=line, got=", ".join(sorted(conflicts)) or "none")
    for line in set(expected.get("withheld", ())) - withheld:
        yield Difference(what="withheld", expected=line, got=", ".join(sorted(withheld)) or "none")


def _record_differences(lines: Sequence[str], report: report_pb2.CreditReport) -> Iterator[Difference]:
    for line in lines:
        item, *wanted = line.split(" ")
        bodies = [getattr(record, item) for record in report.records if record.data_item == item]
        if not any(_matches(body, wanted) for body in bodies):
            yield Difference(what=item, expected=" ".join(wanted), got=_nearest(bodies, wanted))


def _status_differences(expected: Mapping[str, Any], report: report_pb2.CreditReport) -> Iterator[Difference]:
    for platform in ("chongqing", "sichuan"):
        got = {
            result.data_item: common_pb2.PlatformStatus.Name(result.status).removeprefix("PLATFORM_STATUS_")
            for result in report.platform_results
            if result.platform_id == platform
        }
        wanted = expected.get(platform, {})
        for item in ITEMS if wanted else ():
            status = wanted.get(item, wanted["others"])
            if got.get(item, "SKIPPED") != status:
                yield Difference(what=f"{platform} {item}", expected=status, got=got.get(item, "nothing"))
        counts = expected.get("counts", {}).get(platform)
        if counts is not None and Counter(got.values()) != Counter(counts):
            yield Difference(what=f"{platform} statuses", expected=str(counts), got=str(dict(Counter(got.values()))))


def _matches(body: Any, wanted: Sequence[str]) -> bool:
    return all(_text(body, pair.split("=", 1)[0]) == pair.split("=", 1)[1] for pair in wanted)


def _nearest(bodies: Sequence[Any], wanted: Sequence[str]) -> str:
    if not bodies:
        return "no record"
    names = [pair.split("=", 1)[0] for pair in wanted]
    best = max(bodies, key=lambda body: sum(_matches(body, [pair]) for pair in wanted))
    return " ".join(f"{name}={_text(best, name)}" for name in names)


def _text(body: Any, field: str) -> str:
    if not body.HasField(field):
        return "(unset)"
    value = getattr(body, field)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print(results: Sequence[tuple[Step, list[Difference]]]) -> int:
    table = Table(title="固定行为主体 Fixed subjects", show_lines=False)
    for heading in ("统一社会信用代码 code", "步 step", "预期 expected", "得到 got", "结论"):
        table.add_column(heading, overflow="fold")
    different = 0
    for step, differences in results:
        if not differences:
            table.add_row(step.code, str(step.number), _summary(step.expected), "同左 as expected", "same")
        for difference in differences:
            different += 1
            table.add_row(
                step.code, str(step.number), f"{difference.what}: {difference.expected}", difference.got, "DIFFERENT"
            )
    console = Console(width=150)
    console.print(table)
    console.print(
        f"{len(results)} queries about {len({step.code for step, _ in results})} subjects, {different} different"
    )
    return 1 if different else 0


def _summary(expected: Mapping[str, Any]) -> str:
    parts = [str(expected.get("completeness", ""))]
    parts += [
        f"{len(expected[name])} {name}" for name in ("records", "conflicts", "withheld", "absent") if name in expected
    ]
    return ", ".join(part for part in parts if part)


if __name__ == "__main__":
    sys.exit(main())
