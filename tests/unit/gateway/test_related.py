"""Whom the guarantees lead to: outward step by step, under the consents named, and no further."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.items_pb2 import DishonestJudgmentDebtor, FinancingGuarantee
from bashu.v1.report_pb2 import CreditReport
from consent.model import Ask, Scope
from core.clock import SystemClock
from core.commitments import subject_commitment
from core.errors import BashuError, Reason
from core.permit import BatchPromise, Permit, Receipt, Subject, SubjectKind
from gateway.admission import Admitted
from gateway.pseudonyms import Pseudonyms
from gateway.related import MOST_PARTIES, Related, Relations
from gateway.release import Part
from standards.answer import ItemAnswer, record_of
from standards.catalogue import load_standard
from standards.guarantees import Network
from standards.merge import ReportFrame, merge

STANDARD = load_standard()
KEYS = {"commitment-1": b"sandbox-commitment-not-real"}
A, B, C, D = "91500105XXTT00114Y", "91510107XXTT00122T", "91500105XXTT00157C", "91500105XXTT00018M"
FRAME = ReportFrame(
    report_id="r",
    generated_at=datetime(2026, 11, 27, tzinfo=UTC),
    operator=GatewayOperator(),
    subject_key=A,
    subject_kind=SubjectKind.ENTERPRISE,
    home_region=None,
)
OK = PlatformStatus.PLATFORM_STATUS_OK
Guarantees = Mapping[str, Sequence[str]]


def subject(code: str) -> Subject:
    return Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=code, name="")


def answers(code: str, network: Guarantees) -> list[ItemAnswer]:
    """What one platform tells of a firm: whom it guarantees, and who guarantees it."""
    ends = [("GIVEN", to) for to in network.get(code, ())]
    ends += [("RECEIVED", giver) for giver, given in network.items() if code in given]
    records = tuple(record_of(FinancingGuarantee(direction=way, counterparty_uscc=end)) for way, end in ends)
    status = OK if records else PlatformStatus.PLATFORM_STATUS_NO_DATA
    return [ItemAnswer(platform_id="p", region="500000", item="financing_guarantee", status=status, records=records)]


def permit(ask: Ask) -> Permit:
    assert ask.request_id is not None
    return Permit(
        request_id=ask.request_id,
        institution=ask.institution,
        attempt=1,
        subject=ask.subject,
        purpose=ask.purpose,
        targets={"p": frozenset(ask.items)},
        look_from=date(2020, 1, 1),
        look_to=date(2026, 11, 27),
        expires_at=datetime.now(UTC) + timedelta(minutes=1),
        intent_leaf_hash=b"",
        consent_id=ask.consent_id,
    )


def admitted(ask: Ask) -> Admitted:
    scope = Scope(items=ask.items, platforms=("p",), targets={}, look_from=date(2020, 1, 1), look_to=date(2026, 11, 27))
    return Admitted(permit=permit(ask), scope=scope, attempt=1, consent_revision=1, subject_commitment="")


@dataclass(slots=True)
class Doors:
    """Admissions and releases that say yes, but for what a test refuses; remembers what was asked and closed."""

    refused: dict[str, Reason] = field(default_factory=dict)
    foreseen: dict[UUID | None, Reason] = field(default_factory=dict)
    gone: dict[str, Reason] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    failed: list[tuple[str, Reason]] = field(default_factory=list)
    denied: int = 0

    async def admit(self, ask: Ask) -> Admitted:
        self.asked.append(ask)
        if reason := self.refused.get(ask.subject.identifier):
            raise BashuError(reason, "refused")
        return admitted(ask)

    async def foresee(self, asks: Sequence[Ask]) -> list[BashuError | None]:
        assert not any(ask.subject.identifier for ask in asks)
        return [BashuError(why, "") if (why := self.foreseen.get(ask.consent_id)) else None for ask in asks]

    async def refuse(self, *_: object) -> None:
        self.denied += 1

    async def deny(self, *_: object) -> None:
        self.denied += 1

    async def release_together(self, parts: Sequence[Part], **_: object) -> Receipt | dict[UUID, Reason]:
        codes = {part.permit.subject.identifier: part.permit.request_id for part in parts}
        if gone := {codes[code]: why for code, why in self.gone.items() if code in codes}:
            return gone
        promise = BatchPromise(note="", root=b"", leaf_index=0, batch_size=1, path=())
        return Receipt(entry=b"", leaf_hash=b"", promise=promise, publish_by=datetime.now(UTC))

    async def fail(self, permit: Permit, reason: Reason, **_: object) -> None:
        self.failed.append((permit.subject.identifier, reason))


@dataclass(frozen=True, slots=True)
class Rows:
    """The lender's consents by the code that they are about, as the one statement returns them."""

    ids: dict[str, UUID]

    async def fetch(self, _sql: str, ids: Sequence[UUID], _institution: str) -> list[dict[str, Any]]:
        names = ("authority", "authority_kid", "subject_display", "window_key")
        row: dict[str, Any] = dict.fromkeys(names, "") | dict.fromkeys(
            (
                "version",
                "plus_days",
                "max_uses",
                "used",
                "last_use",
                "window_used",
                "revision",
                "held_count",
                "carried",
            ),
            0,
        )
        row |= dict.fromkeys(("nbf", "exp", "registered_at"), datetime.now(UTC))
        row |= dict.fromkeys(("last_use_at", "revoked_at", "superseded_by", "ended_by_loan", "paused_at"))
        row |= {"institution": "bank", "artefact_hash": b"", "last_event": b"", "ends_with_loan": False}
        row |= {"subject_kind": "enterprise", "id_type": "uscc", "commitment_kid": "commitment-1"}
        row |= {"purpose": "RELATED_PARTY_REVIEW", "hold": None}
        return [
            row | {"consent_id": one, "commitment": subject_commitment(KEYS["commitment-1"], "uscc", code)}
            for code, one in self.ids.items()
            if one in ids
        ]


async def relations(
    network: Guarantees, named: Sequence[str], doors: Doors, *, left_s: float = 10.0, dishonest: str = ""
) -> tuple[Related, Relations]:
    ids = {code: uuid4() for code in named}
    ask = Ask(
        request_id=uuid4(),
        institution="bank",
        institution_kind="bank",
        operator="op",
        participant="bank",
        subject=subject(A),
        purpose="PRE_LOAN_REVIEW",
        request_digest=bytes(32),
        deadline_s=left_s,
        consent_id=uuid4(),
        related_consent_ids=tuple(ids.values()),
        items=("financing_guarantee",),
    )
    related = Related(
        Rows(ids),  # type: ignore[arg-type]
        admissions=doors,  # type: ignore[arg-type]
        releases=doors,  # type: ignore[arg-type]
        pseudonyms=Pseudonyms(b"pseudonym-key-not-real", KEYS, operator_key=b"operator-key-not-real"),
        standard=STANDARD,
        clock=SystemClock(),
    )

    async def platforms(permit: Permit, _deadline: float) -> list[ItemAnswer]:
        found = answers(permit.subject.identifier, network)
        return [*found, LISTED] if permit.subject.identifier == dishonest else found

    found = await related.ask(
        ask, admitted(ask), answers(A, network), platforms=platforms, deadline=time.monotonic() + left_s
    )
    return related, found


def codes(found: Relations) -> list[str]:
    return [one.code for one in found.covered]


LISTED = ItemAnswer(
    platform_id="p",
    region="500000",
    item="dishonest_judgment_debtor",
    status=OK,
    records=(record_of(DishonestJudgmentDebtor(is_listed=True)),),
)
LINE: Guarantees = {A: [B], B: [C], C: [D]}


async def test_consents_are_found_outward_step_by_step() -> None:
    doors = Doors()
    _, found = await relations(LINE, [D, C, B], doors)
    assert codes(found) == [B, C, D]
    assert [ask.subject.identifier for ask in doors.asked] == [B, C, D]
    assert len({ask.request_id for ask in doors.asked}) == 3
    assert {ask.request_digest for ask in doors.asked} == {bytes(32)}


async def test_nobody_is_followed_past_a_firm_whose_consent_is_refused_meanwhile_and_nothing_is_told_of_it() -> None:
    doors = Doors(refused={B: Reason.CONSENT_REVOKED})
    _, found = await relations(LINE, [B, C], doors)
    assert (codes(found), found.outcomes) == ([], {})
    assert [ask.subject.identifier for ask in doors.asked] == [B]


async def test_a_ring_is_walked_once() -> None:
    doors = Doors()
    _, found = await relations({A: [B], B: [C], C: [A]}, [B, C], doors)
    assert sorted(codes(found)) == sorted([B, C])
    assert len(doors.asked) == 2


async def test_with_no_time_left_nobody_is_asked() -> None:
    doors = Doors()
    _, found = await relations(LINE, [B, D], doors, left_s=0.0)
    assert (doors.asked, list(found.outcomes.values())) == ([], ["OUT_OF_TIME", "OUT_OF_TIME"])


async def test_whoever_was_reached_through_a_firm_that_ended_goes_with_it() -> None:
    doors = Doors(gone={B: Reason.CONSENT_REVOKED})
    related, found = await relations({**LINE, A: [B, D]}, [B, C, D], doors)
    own = Part(permit=permit(replace(found.ask, items=())), platforms=())
    left = await related.release(replace(found, own=tuple(answers(A, {A: [B, D]}))), own, report_digest=bytes(32))
    assert isinstance(left, Relations)
    # C guarantees D, so it is still reached; B is gone with what only it told.
    assert sorted(codes(left)) == sorted([C, D])
    assert "CONSENT_REVOKED" in left.outcomes.values()
    lone = Doors(gone={B: Reason.CONSENT_REVOKED})
    related, found = await relations(LINE, [B, C], lone)
    left = await related.release(found, own, report_digest=bytes(32))
    assert isinstance(left, Relations)
    assert codes(left) == []
    assert lone.failed == [(C, Reason.REVISION_CHANGED)]
    report = CreditReport()
    left.judge_into(report)
    outcomes = [one.outcome for one in report.guarantee_network.related_consents]
    assert outcomes == ["CONSENT_REVOKED", "NOT_REACHED"]


async def test_a_covered_firm_under_a_hard_stop_is_a_bad_related_party_and_which_stop_is_said() -> None:
    _, found = await relations(LINE, [B, C], Doors(), dishonest=C)
    report = merge(found.shown(), frame=FRAME, standard=STANDARD)
    assert found.judge_into(report).network is Network.BAD
    assert [list(one.hard_stops) for one in report.guarantee_network.related_consents] == [[], ["XH01"]]
    assert "is_listed" not in str(report)


async def test_a_firm_with_thousands_of_guarantees_costs_a_bounded_look() -> None:
    crowd = [f"{number:018}" for number in range(2 * MOST_PARTIES)]
    _, found = await relations({A: [*crowd, B]}, [B], Doors())
    assert codes(found) == []
    assert Relations.shown(found)[0].detail == f"COUNTERPARTY_WITHHELD {2 * MOST_PARTIES + 1}"


@pytest.mark.parametrize("code", ["91500105XXTT00114Z", "not a code", ""])
async def test_what_is_no_code_is_nobodys(code: str) -> None:
    _, found = await relations({A: [code]}, [B], Doors())
    assert codes(found) == []
