"""Why a request was admitted or refused: the admission checks in their order, from what intent and log keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from consent.checks import CHECKS, label
from core.errors import BashuError, Reason
from database import Database
from gateway import store
from ledger.model import EntryType
from ledger.search import store as search

PERMIT: Final = "PERMIT"
_BEFORE: Final = ("1-certificate", "2-token", "3-request-id")
"""What every request passed that reached a decision: a refusal at the door is about no request."""
_LAST: Final = "16-intent"
_FORM: Final = "3-form"
"""The question's own shape, refused together with its id before anything is read."""
_RULES: Final = {4: "R22", 6: "R8 R10", 8: "R1 R18", 9: "R9 R23", 10: "R14 R21", 12: "R15"}
"""The rules of law (R1-R45) that a check enforces."""
_NOT_SEALED_YET_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One check; ``reason`` only of the one that refused, ``rule`` where a law or rule stands behind the check."""

    number: int
    name: str
    has_passed: bool
    reason: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The latest decision on a request: PERMIT or the reason of its refusal, and the checks made for it.

    ``policy_version``: of the table that an admission was decided by (0: none was set) or whose rule refused; None for
    other refusals.
    """

    steps: tuple[Step, ...]
    outcome: str
    policy_version: int | None = None


class _Decision(msgspec.Struct):
    reason: str
    rule: str = ""
    policy_version: int | None = None


class _Denied(msgspec.Struct):
    ts: datetime
    decision: _Decision


async def explain(db: Database, request_id: UUID, institution: str) -> Explained:
    """Explain the latest decision on a request of an institution.

    A refusal is found once it is in the tree, about a second later; an admission at once.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS.
    """
    admitted = await store.latest_trace(db, request_id, institution)
    found = await search.find_entries(
        db,
        limit=1,
        institution=institution,
        request_id=request_id,
        types=[EntryType.QUERY_DENIED.value],
        is_newest_first=True,
    )
    denied = msgspec.json.decode(found[0].body, type=_Denied) if found else None
    if denied is not None and (admitted is None or denied.ts >= admitted.at):
        explained = refused(denied.decision.reason, denied.decision.rule)
        return replace(explained, policy_version=denied.decision.policy_version)
    if admitted is not None:
        return replace(permitted(admitted.checks), policy_version=admitted.policy_version)
    raise BashuError(
        Reason.NOT_FOUND_OR_NOT_YOURS,
        "no decision on such a request, or not yours; a refusal is found a second after it was given",
        field="request_id",
        retry_after_s=_NOT_SEALED_YET_S,
    )


def permitted(trace: Sequence[str]) -> Explained:
    """Explain an admission by the checks that its intent says it passed."""
    return Explained(steps=tuple(_passed(name) for name in (*_BEFORE, *trace, _LAST)), outcome=PERMIT)


def refused(reason: str, rule: str) -> Explained:
    """Explain a refusal by the check that its entry names; checks after it were not made."""
    names = [label(check) for check in CHECKS]
    if rule in names:
        before, failed = (*_BEFORE, *names[: names.index(rule)]), rule
    else:
        before, failed = _BEFORE[:2], rule if rule in _BEFORE else _FORM
    number, name = _parts(failed)
    step = Step(number=number, name=name, has_passed=False, reason=reason, rule=_RULES.get(number, ""))
    return Explained(steps=(*map(_passed, before), step), outcome=reason)


def _passed(text: str) -> Step:
    number, name = _parts(text)
    return Step(number=number, name=name, has_passed=True, rule=_RULES.get(number, ""))


def _parts(text: str) -> tuple[int, str]:
    number, _, name = text.partition("-")
    return int(number), name
