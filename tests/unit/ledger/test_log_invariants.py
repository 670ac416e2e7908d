"""Each rule is broken once, starting from a log that keeps them all."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from ledger.invariants import Finding, LogEntry, Severity, check_invariants, exit_code
from ledger.model import EntryType, build_entry

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CONSENT = "01890a5d-ac96-774b-bcce-b302099a8057"
REQUEST = "01890a5d-ac96-774b-bcce-000000000001"
FORM = {"subject_commitment": "cd", "scope": {"items": []}}


class Log:
    """Entries in order, with the chain of consent events kept right unless a test says otherwise."""

    def __init__(self):
        self.entries = []
        self.revision = 0
        self.use = 0
        self.now = T0

    def add(self, kind, fields):
        self.now += timedelta(seconds=1)
        entry = build_entry(EntryType(kind), origin="log", ts=self.now, fields=fields)
        members = json.loads(entry.body)
        self.entries.append(LogEntry(leaf_index=len(self.entries), leaf_hash=entry.leaf_hash, members=members))
        return str(entry.entry_id)

    def event(self, kind, fields, **consent):
        self.revision += 1
        events = [e for e in self.entries if "revision" in e.members.get("consent", {})]
        named = {"id": CONSENT, "artefact_hash": "ab", "revision": self.revision}
        if events:
            named["previous"] = events[-1].leaf_hash.hex()
        return self.add(kind, {"consent": named | consent, **fields})

    def register(self, usage=None, exp=None, **fields):
        default = {"mode": "PERIODIC", "max_uses": 3, "frequency": {"n": 2, "per": "DAY"}, "tz": "Asia/Shanghai"}
        self.event(
            "CONSENT_REGISTERED",
            {
                "requester": {"institution": "bank"},
                "subject_commitment": "cd",
                "scope": {"items": []},
                "usage": usage or default,
                "window": {"nbf": stamp(T0), "exp": stamp(exp or T0 + timedelta(days=90))},
                **fields,
            },
        )
        return self

    def status(self, to, **consent):
        self.event("CONSENT_STATUS", {"status": {"from": "ACTIVE", "to": to, "reason": "x", "actor": "y"}}, **consent)
        return self

    def intent(self, request=REQUEST, attempt=1, uses=1, **consent):
        named = {"id": CONSENT, "artefact_hash": "ab"}
        if uses:
            self.use += 1
            named["use"] = self.use
        self.add(
            "QUERY_INTENT",
            {
                "consent": named | consent,
                "requester": {"institution": "bank"},
                "subject_commitment": "cd",
                "scope": {"items": []},
                "request_digest": "ef",
                "intent": {
                    "request": request,
                    "attempt": attempt,
                    "uses": uses,
                    "expires_at": stamp(self.now + timedelta(seconds=65)),
                },
            },
        )
        return self

    def close(self, kind="RELEASE", request=REQUEST, attempt=1, consent=CONSENT):
        digests = {"request_digest": "ef", "report_digest": "01", "platforms": []}
        self.add(
            kind,
            {
                "consent": {"id": consent},
                "requester": {"institution": "bank"},
                "intent": {"request": request, "attempt": attempt},
                **(digests if kind == "RELEASE" else {"decision": {"outcome": kind, "reason": "OUT_OF_TIME"}}),
            },
        )
        return self

    def refund(self, request=REQUEST):
        self.add(
            "USE_REFUNDED",
            {
                "consent": {"id": CONSENT},
                "requester": {"institution": "bank"},
                "intent": {"request": request, "attempt": 1},
            },
        )
        return self

    def hold(self, kind="HOLD_PLACED", **extra):
        return self.add(kind, {"affects": {"consents": [CONSENT], "intents": []}, **extra})

    def codes(self, **options):
        return [f.code for f in check_invariants(self.entries, **options)]


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def request(n):
    return str(uuid.UUID(int=n))


def test_a_sound_log_has_no_finding():
    log = Log().register().intent().close().intent(attempt=2, uses=0).close(attempt=2)
    log.intent(request(2)).close("FAILED", request(2)).refund(request(2)).intent(request(3)).close(request=request(3))
    log.status("PAUSED").status("ACTIVE").status("REVOKED")
    assert log.codes() == []


@pytest.mark.parametrize("state", ["REVOKED", "HELD", "PAUSED", "SUPERSEDED", "EXPIRED"])
def test_release_after_permission_was_taken_away_is_found(state):
    assert Log().register().intent().status(state).close().codes() == [f"RELEASE_AFTER_{state}"]


@pytest.mark.parametrize("state", ["REVOKED", "HELD", "PAUSED", "SUPERSEDED", "EXPIRED"])
def test_intent_after_permission_was_taken_away_is_found(state):
    assert Log().register().status(state).intent().close("ABANDONED").codes() == [f"QUERY_INTENT_AFTER_{state}"]


def test_withheld_before_the_revocation_is_sound():
    assert Log().register().intent().close("RELEASE_WITHHELD").status("REVOKED").codes() == []


def test_release_after_resume_is_sound():
    assert Log().register().intent().status("PAUSED").status("ACTIVE").close().codes() == []


@pytest.mark.parametrize(("place", "lift"), [("HOLD_PLACED", "HOLD_LIFTED"), ("FILE_FROZEN", "FILE_THAWED")])
def test_release_under_hold_or_freeze_is_found_until_lifted(place, lift):
    log = Log().register().intent()
    first = log.hold(place)
    log.close()
    assert log.codes() == ["RELEASE_UNDER_HOLD"]
    log.hold(lift, lifts=first)
    log.intent(request(2)).close(request=request(2))
    assert log.codes() == ["RELEASE_UNDER_HOLD"]


def test_a_second_hold_stands_when_the_first_is_lifted():
    log = Log().register().intent()
    first, _ = log.hold(), log.hold("FILE_FROZEN")
    log.hold("HOLD_LIFTED", lifts=first)
    assert log.close().codes() == ["RELEASE_UNDER_HOLD"]


def test_consent_registered_under_a_standing_hold_is_blocked_by_it():
    log = Log()
    held = log.add("HOLD_PLACED", {"affects": {"consents": [], "intents": []}})
    log.register(standing=[held]).intent()
    assert "QUERY_INTENT_UNDER_HOLD" in log.codes()


def test_lifting_what_does_not_stand_is_found():
    log = Log().register()
    log.hold("HOLD_LIFTED", lifts=request(9))
    assert log.codes() == ["LIFT_WITHOUT_HOLD"]


def test_release_after_the_consents_end_is_found_by_its_time():
    assert Log().register(exp=T0 + timedelta(seconds=3)).intent().close().codes() == ["RELEASE_AFTER_EXP"]


def test_an_open_intent_is_reported_and_an_overdue_one_is_an_error():
    log = Log().register().intent()
    assert log.codes() == ["INTENT_OPEN"]
    assert log.codes(now=log.now + timedelta(seconds=69)) == ["INTENT_OPEN"]
    assert log.codes(now=log.now + timedelta(seconds=71)) == ["INTENT_NOT_CLOSED"]


def test_second_closing_closing_without_intent_and_second_intent_are_found():
    assert Log().register().intent().close().close("ABANDONED").codes() == ["CLOSED_TWICE"]
    assert Log().register().close().codes() == ["CLOSING_WITHOUT_INTENT"]
    assert Log().register().intent().close().intent().codes() == ["INTENT_TWICE"]


@pytest.mark.parametrize(("kind", "severity"), [("RELEASE", Severity.ERROR), ("ABANDONED", Severity.WARNING)])
def test_late_closing_is_found(kind, severity):
    log = Log().register().intent()
    log.now += timedelta(seconds=70)
    (finding,) = check_invariants(log.close(kind).entries)
    assert (finding.code, finding.severity, finding.leaf_index) == ("CLOSED_LATE", severity, 2)


def test_closing_under_another_consent_is_found():
    log = Log().register().intent()
    log.close("FAILED", consent=request(5))
    assert log.codes() == ["CONSENT_DIFFERS"]


def test_more_uses_than_granted_are_found():
    log = Log().register(usage={"mode": "PERIODIC", "max_uses": 1}).intent().close()
    assert log.intent(request(2)).close(request=request(2)).codes() == ["OVERSPENT"]


def test_uses_of_a_superseded_consent_carry_over_in_all_and_in_the_window():
    def log(state="SUPERSEDED", uses=1, artefact="ab", **usage):
        log = Log().register().intent().close().status(state)
        usage = {"mode": "PERIODIC", "max_uses": 3, "frequency": {"n": 1, "per": "DAY"}, "tz": "Asia/Shanghai"} | usage
        named = {"consent_id": CONSENT, "artefact_hash": artefact, "uses": uses}
        child = {"id": request(9), "revision": 1, "previous": None}
        members = {"usage": usage, "supersedes": named, "window": {"exp": stamp(T0 + timedelta(days=9))}}
        log.event("CONSENT_REGISTERED", {"requester": {"institution": "bank"}, **FORM, **members}, **child)
        log.use = 0
        return log

    def spent(log):
        return log.intent(request(2), id=request(9)).close(request=request(2), consent=request(9)).codes()

    assert spent(log()) == ["WINDOW_OVERSPENT"]
    assert spent(log(frequency={"n": 2, "per": "DAY"}, max_uses=1)) == ["OVERSPENT"]
    assert spent(log(frequency={"n": 1, "per": "MONTH"})) == []
    assert log(uses=0).codes() == ["CARRIED_WRONG"]
    assert log(state="PAUSED").codes() == log(artefact="cd").codes() == ["SUPERSEDES_WRONG"]
    orphan = Log().register(supersedes={"consent_id": request(1), "artefact_hash": "00", "uses": 1})
    assert orphan.codes() == ["SUPERSEDES_UNKNOWN"]
    assert orphan.codes(whole=False) == []


def test_more_uses_a_day_than_granted_are_found_and_the_next_local_day_is_another_window():
    log = Log().register()
    for n in range(2):
        log.intent(request(n)).close(request=request(n))
    log.now = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    log.intent(request(2)).close(request=request(2))
    assert log.codes() == []
    log = Log().register(usage={"mode": "PERIODIC", "max_uses": 9, "frequency": {"n": 2, "per": "DAY"}})
    for n in range(3):
        log.intent(request(n)).close(request=request(n))
    assert log.codes() == ["WINDOW_OVERSPENT"]


def test_a_refund_gives_back_one_use_once():
    log = Log().register(usage={"mode": "ONE_TIME", "max_uses": 1}).intent().close("FAILED").refund()
    log.intent(request(2)).close(request=request(2))
    assert log.codes() == []
    assert log.refund().codes() == ["REFUND_WRONG"]
    assert Log().register().refund().codes() == ["REFUND_WITHOUT_INTENT"]


def test_gaps_in_uses_revisions_and_attempts_are_found():
    assert Log().register().intent(use=2).close().codes() == ["USE_GAP"]
    assert Log().register().status("PAUSED", revision=3).codes() == ["REVISION_GAP"]
    assert Log().register().intent(attempt=2).close(attempt=2).codes() == ["ATTEMPT_GAP"]
    assert Log().register().intent(uses=0).close().codes() == []


def test_a_use_without_its_ordinal_is_found():
    log = Log().register().intent().close()
    del log.entries[1].members["consent"]["use"]
    assert log.codes() == ["USE_UNNUMBERED"]


def test_an_event_that_names_another_predecessor_breaks_the_chain():
    assert Log().register().status("PAUSED", previous=hashlib.sha256(b"").hexdigest()).codes() == ["CHAIN_BROKEN"]


def test_another_artefact_under_the_same_consent_is_found():
    assert Log().register().intent(artefact_hash="ff").close().codes() == ["ARTEFACT_CHANGED"]


def test_what_was_never_registered_is_found_in_a_whole_log_only():
    log = Log().intent().close()
    assert log.codes() == ["CONSENT_UNREGISTERED"]
    assert exit_code(check_invariants(log.entries, whole=False)) == 0


def test_entries_of_unknown_or_wrong_shape_are_findings_not_crashes():
    log = Log().register().intent().close()
    log.entries[1].members["intent"]["expires_at"] = "yesterday"
    log.entries[0].members["type"] = "SOMETHING"
    del log.entries[2].members["report_digest"]
    assert log.codes() == ["UNKNOWN_ENTRY", "CONSENT_UNREGISTERED", "MALFORMED_ENTRY", "MALFORMED_ENTRY"]


def test_findings_are_one_line_each_and_the_worst_decides_the_exit_code():
    warning = Finding(severity=Severity.WARNING, code="A", message="b", leaf_index=3)
    error = Finding(severity=Severity.ERROR, code="C", message="d")
    assert warning.line() == "WARNING leaf 3 A: b"
    assert error.line() == "ERROR leaf - C: d"
    assert [exit_code([]), exit_code([warning]), exit_code([warning, error])] == [0, 1, 2]
