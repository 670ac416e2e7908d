"""How accesses, traces, samples and anomalies look in the contract, to subjects and reviewers alike."""

from __future__ import annotations

from bashu.v1 import compliance_pb2, subject_pb2
from core.errors import BashuError, Reason
from gateway.accesses import ShownAccess
from gateway.desk.anomalies import Anomaly
from gateway.desk.reports import Trace
from gateway.desk.sampling import Drawn


def access_message(shown: ShownAccess) -> subject_pb2.Access:
    """Return the message of one access."""
    access = shown.access
    message = subject_pb2.Access(
        entry_id=str(access.entry_id),
        institution=access.institution,
        operator=shown.operator,
        purpose=access.purpose or "",
        data_items=access.data_items,
        platform_ids=access.platform_ids,
        outcome=access.type,
        reason=access.reason or "",
        consent_id=str(access.consent_id) if access.consent_id else "",
        request_id=str(access.request_id) if access.request_id else "",
        count=access.number,
    )
    message.at.FromDatetime(access.at)
    return message


def trace_message(trace: Trace) -> compliance_pb2.TraceConsentResponse:
    """Return the message of a consent's trace; entries in the order in which things happened."""
    message = compliance_pb2.TraceConsentResponse(
        accesses=[access_message(shown) for shown in trace.accesses],
        institution=trace.facts.institution,
        truncated=trace.is_truncated,
    )
    moments = [(event.at, str(event.entry_id)) for event in trace.events]
    moments += [(shown.access.at, str(shown.access.entry_id)) for shown in trace.accesses]
    message.entry_ids.extend(entry_id for _, entry_id in sorted(moments))
    for event in trace.events:
        traced = message.events.add(
            entry_id=str(event.entry_id),
            revision=event.revision,
            from_state=event.from_state.value,
            to_state=event.to_state.value,
            reason=event.reason,
            actor=event.actor.value,
        )
        traced.at.FromDatetime(event.at)
    return message


def sample_message(drawn: Drawn) -> compliance_pb2.DrawSampleResponse:
    """Return the message of a sample."""
    sample = drawn.sample
    message = compliance_pb2.DrawSampleResponse(
        sample_id=str(sample.sample_id),
        accesses=[access_message(shown) for shown in drawn.accesses],
        frame_size=sample.frame_size,
        seed=sample.seed,
    )
    for letter in drawn.letters:
        added = message.letters.add(
            entry_id=str(letter.entry_id), consent_id=str(letter.consent_id), institution=letter.institution
        )
        added.at.FromDatetime(letter.at)
    return message


def anomaly_message(anomaly: Anomaly) -> compliance_pb2.Anomaly:
    """Return the message of an anomaly."""
    rule = anomaly.rule
    message = compliance_pb2.Anomaly(
        kind=rule.kind,
        institution=anomaly.institution,
        text=f"{rule.zh} {rule.en}",
        rule=rule.rule_id,
        count=anomaly.count,
        threshold=rule.threshold,
        operator=anomaly.operator,
        entry_ids=[str(entry_id) for entry_id in anomaly.entry_ids],
    )
    message.at.FromDatetime(anomaly.at)
    return message


def institution_filter(text: str) -> str | None:
    """Return the institution asked for, None for any.

    Raises:
        BashuError: MALFORMED for a name that none can have.
    """
    if "\x00" in text:
        raise BashuError(Reason.MALFORMED, "institution: no such name", field="institution")
    return text or None
