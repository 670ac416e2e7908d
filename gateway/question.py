"""From a lender's message to a question: identifiers parsed and normalised once, ids and references typed."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Final
from uuid import UUID

from bashu.v1.common_pb2 import Lookback
from bashu.v1.common_pb2 import Subject as SubjectMessage
from bashu.v1.credit_pb2 import QueryCreditRequest
from consent.model import Ask
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason
from core.permit import Subject, SubjectKind
from gateway.identity.model import Caller, Role
from standards.catalogue import Standard
from standards.identifiers import IdentifierFailure, parse_citizen_id, parse_uscc

CITIZEN_ID: Final = "citizen_id"
USCC: Final = "uscc"


def read_subject(message: SubjectMessage, *, standard: Standard, today: date) -> Subject:
    """Parse and normalise a subject (GB 32100-2015, GB 11643-1999).

    Raises:
        BashuError: IDENTIFIER_INVALID with the failing step, MALFORMED for another kind of document.
    """
    if message.WhichOneof("kind") == "person":
        person = message.person
        if person.id_type != CITIZEN_ID:
            raise BashuError(Reason.MALFORMED, "id_type must be citizen_id", field="subject.person.id_type")
        citizen = parse_citizen_id(person.id_number, divisions=standard.divisions, today=today)
        if isinstance(citizen, IdentifierFailure):
            raise _invalid("subject.person.id_number", citizen)
        return Subject(
            kind=SubjectKind.PERSON, id_type=CITIZEN_ID, identifier=citizen.normalised, name=person.name.strip()
        )
    if message.WhichOneof("kind") is None:
        raise BashuError(Reason.MALFORMED, "subject: name an enterprise or a person", field="subject")
    code = parse_uscc(message.enterprise.unified_social_credit_code, divisions=standard.divisions)
    if isinstance(code, IdentifierFailure):
        raise _invalid("subject.enterprise.unified_social_credit_code", code)
    return Subject(
        kind=SubjectKind.ENTERPRISE,
        id_type=USCC,
        identifier=code.normalised,
        name=message.enterprise.name.strip(),
        home_region=standard.divisions.region_of(code.division),
    )


def read_question(
    request: QueryCreditRequest, *, caller: Caller, standard: Standard, clock: Clock, deadline_s: float
) -> Ask:
    """Turn a validated message into a question; a subject's agent asks about its own subject, as its caller checked.

    Raises:
        BashuError: IDENTIFIER_INVALID, MALFORMED.
    """
    is_evaluated = request.include_evaluation
    if is_evaluated and request.subject.WhichOneof("kind") == "person":
        raise BashuError(
            Reason.MALFORMED,
            "the reference evaluation is of enterprises only: ask without it",
            field="include_evaluation",
        )
    if request.subject.WhichOneof("kind") == "person" and not request.subject.person.name.strip():
        # Platforms compare it: a mistyped number must not bring somebody else's report.
        raise BashuError(Reason.MALFORMED, "a person is asked about by number and name", field="subject.person.name")
    today = clock.now().astimezone(SHANGHAI).date()
    related = tuple(_required_uuid(text, "related_consent_ids") for text in request.related_consent_ids)
    if related and (not request.consent_id or request.subject.WhichOneof("kind") != "enterprise"):
        message = "related consents go with a consent of the enterprise asked about"
        raise BashuError(Reason.MALFORMED, message, field="related_consent_ids")
    if request.consent_id.lower() in map(str, related):
        message = "the question's own consent is not a related one"
        raise BashuError(Reason.MALFORMED, message, field="related_consent_ids")
    return Ask(
        request_id=_uuid(request.request_id, "request_id"),
        institution=caller.institution,
        institution_kind=caller.institution_kind.value,
        operator=caller.operator or caller.actor_commitment or "",
        participant=caller.participant_id,
        subject=read_subject(request.subject, standard=standard, today=today),
        purpose=request.purpose,
        request_digest=request_digest(request),
        deadline_s=deadline_s,
        consent_id=_uuid(request.consent_id, "consent_id"),
        related_consent_ids=related,
        application_reference=request.application_reference,
        loan_reference=request.loan_reference,
        items=tuple(sorted(set(request.data_items))),
        regions=tuple(sorted(set(request.regions))),
        lookback=read_lookback(request.lookback),
        allow_narrowing=request.allow_narrowing,
        min_consent_revision=request.min_consent_revision,
        resend_all=request.resend_all,
        legal_basis=request.legal_basis,
        acts=frozenset({"QUERY", "EVALUATE"}) if is_evaluated else frozenset({"QUERY"}),
        public_items=standard.card.hard_stop_items if is_evaluated else (),
        is_self=caller.role is Role.SUBJECT_AGENT,
    )


def request_digest(request: QueryCreditRequest) -> bytes:
    """Return the SHA-256 over the deterministic bytes of the request without ``resend_all``: a repeat has the same."""
    if not request.resend_all:
        return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    first = QueryCreditRequest()
    first.CopyFrom(request)
    first.resend_all = False
    return hashlib.sha256(first.SerializeToString(deterministic=True)).digest()


def read_lookback(message: Lookback) -> int | tuple[date, date] | None:
    """Return days before today, or first and last day, or None where neither is given.

    Raises:
        BashuError: MALFORMED.
    """
    match message.WhichOneof("range"):
        case "days":
            return int(message.days)
        case "dates":
            try:
                # `from` is a word of Python's own, so the field is read by name.
                first, last = (date.fromisoformat(getattr(message.dates, name)) for name in ("from", "to"))
            except ValueError as error:
                raise BashuError(Reason.MALFORMED, "lookback: no such day", field="lookback.dates") from error
            if last < first:
                raise BashuError(Reason.MALFORMED, "lookback ends before it starts", field="lookback.dates")
            return first, last
        case _:
            return None


def _uuid(text: str, field: str) -> UUID | None:
    return _required_uuid(text, field) if text else None


def _required_uuid(text: str, field: str) -> UUID:
    try:
        value = UUID(text)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, f"{field} is not a UUID", field=field) from error
    if str(value) != text.lower():
        raise BashuError(Reason.MALFORMED, f"{field} is not a UUID in its usual form", field=field)
    return value


def _invalid(field: str, failure: IdentifierFailure) -> BashuError:
    return BashuError(
        Reason.IDENTIFIER_INVALID,
        f"the identifier fails the step {failure.error.value}",
        field=field,
        metadata={"step": failure.error.value, "kind": failure.kind.value},
    )
