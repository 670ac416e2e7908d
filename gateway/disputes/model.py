"""A dispute as a value: its states, what an officer does next, and what reports say of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from core.permit import Subject, SubjectKind


class State(StrEnum):
    """States of ``dispute_states.csv``, in their order."""

    RECEIVED = "RECEIVED"
    FORWARDED = "FORWARDED"
    CHECKED = "CHECKED"
    ANSWERED = "ANSWERED"


class Channel(StrEnum):
    """How a dispute reaches its platform."""

    INTERFACE = "INTERFACE"
    LETTER = "LETTER"


class Opener(StrEnum):
    """Who opened it."""

    SUBJECT = "SUBJECT"
    LENDER = "LENDER"
    COMPLIANCE = "COMPLIANCE"


class Task(StrEnum):
    """What an officer does next."""

    NONE = ""
    SEND_LETTER = "SEND_LETTER"
    CHASE_PLATFORM = "CHASE_PLATFORM"
    WRITE_ANSWER = "WRITE_ANSWER"


class AnnotationKind(StrEnum):
    """Text of ``Annotation.kind``."""

    STATEMENT = "STATEMENT"
    DISPUTED = "DISPUTED"
    UNVERIFIABLE = "UNVERIFIABLE"


RIGHT: Final = "2"
"""数据无误: the record stands, so its mark goes (R32)."""
UNVERIFIABLE: Final = "UNVERIFIABLE"
CORRECTED: Final = frozenset({"1", "3", "4", "5"})
"""数据有误, 数据遗漏, 数据删除, 数据删除（欺诈）: the platform changes what it holds."""
OUTCOMES: Final = CORRECTED | {RIGHT, UNVERIFIABLE}
"""Codes of ``dispute_check_result`` and ``dispute_outcome_extra``."""
NEXT: Final = {State.RECEIVED: State.FORWARDED, State.FORWARDED: State.CHECKED, State.CHECKED: State.ANSWERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One row of ``dispute``."""

    dispute_id: UUID
    pseudonym: str
    record_id: str
    platform_id: str
    data_item: str
    institution: str
    opened_by: Opener
    channel: Channel
    seen_in_release: bool
    entry_id: UUID
    received_at: datetime
    due_at: datetime
    state: State = State.RECEIVED
    outcome: str | None = None
    platform_reference: str | None = None
    explanation_entry_id: UUID | None = None
    answer_entry_id: UUID | None = None
    forwarded_at: datetime | None = None
    checked_at: datetime | None = None
    answered_at: datetime | None = None
    tries: int = 0

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether the 20 days are over without a written answer (R31)."""
        return self.state is not State.ANSWERED and now >= self.due_at

    def task(self, now: datetime) -> Task:
        """Return an officer's next step."""
        if self.state is State.CHECKED:
            return Task.WRITE_ANSWER
        if self.state is State.RECEIVED and self.channel is Channel.LETTER:
            return Task.SEND_LETTER
        return Task.CHASE_PLATFORM if self.is_overdue(now) else Task.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One row of ``subject_statement``; an empty ``record_id`` is about the whole file."""

    statement_id: UUID
    pseudonym: str
    record_id: str
    entry_id: UUID
    added_at: datetime


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed beside DISPUTE_OPENED: whom and what it is about, as the platform has to be told."""

    text: str
    id_type: str
    identifier: str
    name: str
    locator: str = ""

    @property
    def subject(self) -> Subject:
        """Return the subject."""
        kind = SubjectKind.PERSON if self.id_type == "citizen_id" else SubjectKind.ENTERPRISE
        return Subject(kind=kind, id_type=self.id_type, identifier=self.identifier, name=self.name)


def annotation_of(state: State, outcome: str | None) -> AnnotationKind | None:
    """R31 and R32, 征信业管理条例 Art. 25: tell what reports say of a disputed record, None once nothing.

    Disputed from receipt until answered; found right, the mark goes at once; what cannot be verified stays recorded.
    """
    if outcome == UNVERIFIABLE:
        return AnnotationKind.UNVERIFIABLE
    return None if outcome == RIGHT or state is State.ANSWERED else AnnotationKind.DISPUTED


def may_step(current: State, to: State) -> bool:
    """R32: tell whether a dispute may take this step: one at a time, none back, none out of ANSWERED."""
    return NEXT.get(current) is to
