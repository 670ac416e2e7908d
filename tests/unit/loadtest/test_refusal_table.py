"""`make refusals` leaves no reason of the contract out, and says of none what is no longer so."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent.checks import CHECKS
from core.errors import Reason
from loadtest.refusal_cases import CASES, Case, Trail
from loadtest.refusal_world import World
from loadtest.refusals import ELSEWHERE, Outcome, _differences

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "ab" * 32


def test_every_reason_of_the_contract_stands_in_exactly_one_place() -> None:
    requested = {case.reason for case in CASES}
    assert requested | ELSEWHERE.keys() == set(Reason)
    assert not requested & ELSEWHERE.keys()


def test_every_reason_that_an_admission_can_give_is_asked_for() -> None:
    given = {reason for check in CHECKS for reason in check.reasons}
    asked_for = {case.reason for case in CASES if case.trail is Trail.DENIED}
    # A stored artefact that was altered and a commitment key that is not at hand: no request brings these about.
    assert given - asked_for == {Reason.LEDGER_INCONSISTENT, Reason.INTERNAL}


@pytest.mark.parametrize(("reason", "proof"), ELSEWHERE.items())
def test_the_test_said_to_prove_a_reason_names_it(reason: Reason, proof: str) -> None:
    assert reason.value in (ROOT / proof).read_text(encoding="utf-8")


async def prepare_nothing(_world: World) -> None:
    return None


def outcome(*, got: str = "SCOPE_EXCEEDED", moved_books: bool = False) -> Outcome:
    case = Case(name="x", reason=Reason.SCOPE_EXCEEDED, prepare=prepare_nothing, trail=Trail.DENIED)  # type: ignore[arg-type]
    return Outcome(case=case, got=got, request_id="1", request_digest=DIGEST, unread_from="", moved_books=moved_books)


def denied(reason: str = "SCOPE_EXCEEDED") -> dict[str, object]:
    return {"type": "QUERY_DENIED", "request_digest": DIGEST, "decision": {"reason": reason}}


def test_the_right_reason_with_one_entry_and_quiet_books_is_the_same() -> None:
    assert list(_differences(outcome(), [denied(), {"type": "RELEASE", "request_digest": "other"}])) == []


@pytest.mark.parametrize(
    ("seen", "entries"),
    [
        (outcome(got="answered"), [denied()]),
        (outcome(moved_books=True), [denied()]),
        (outcome(), []),
        (outcome(), [denied(), denied()]),
        (outcome(), [denied("PURPOSE_MISMATCH")]),
    ],
    ids=["another answer", "a platform was asked", "no entry", "two entries", "an entry with another reason"],
)
def test_anything_else_is_different(seen: Outcome, entries: list[dict[str, object]]) -> None:
    assert len(list(_differences(seen, entries))) == 1
