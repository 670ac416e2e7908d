"""Exports of a small log written with nothing but the standards: sound ones hold, every broken rule and byte is named."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bashu.verify import Selection, VerifierKey, verify_export
from bashu.verify.rules import TYPES
from ledger.model import EntryType
from tests.unit.bashu.conftest import Log, recursive_path

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CONSENT = "01890a5d-ac96-774b-bcce-b302099a8057"
OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"


class Story:
    """Entries of one lender and one consent, as the gateway would write them unless a test says otherwise."""

    def __init__(self, consent=CONSENT):
        self.leaves = []
        self.consent = consent
        self.revision = self.use = self.requests = 0
        self.event = None
        self.now = T0

    def add(self, kind, **members):
        self.now += timedelta(seconds=1)
        entry_id = f"01890a5d-ac96-774b-{self.consent[-4:]}-{len(self.leaves):012d}"
        common = {"v": 1, "origin": "bashu.example/log", "type": kind, "entry_id": entry_id, "ts": stamp(self.now)}
        leaf = json.dumps(common | members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.leaves.append(leaf)
        return entry_id

    def chained(self, kind, *, revision=None, previous=None, **members):
        self.revision += 1
        consent = {"id": self.consent, "artefact_hash": "ab", "revision": revision or self.revision}
        if self.event is not None:
            consent["previous"] = previous or self.event
        self.add(kind, consent=consent, requester={"institution": "bank"}, **members)
        self.event = hashlib.sha256(b"\x00" + self.leaves[-1]).hexdigest()
        return self

    def register(self, max_uses=3, per_day=2, days=90, apart_s=0, **members):
        usage = {"max_uses": max_uses, "frequency": {"n": per_day, "per": "DAY"}, "tz": "Asia/Shanghai"}
        usage["min_interval_s"] = apart_s
        window = {"nbf": stamp(T0), "exp": stamp(T0 + timedelta(days=days))}
        return self.chained("CONSENT_REGISTERED", usage=usage, window=window, **members)

    def status(self, to, **chain):
        return self.chained("CONSENT_STATUS", status={"from": "ACTIVE", "to": to, "reason": "r", "actor": "a"}, **chain)

    def ask(self, *, uses=1, use=None, attempt=1):
        self.requests += attempt == 1
        consent = {"id": self.consent, "artefact_hash": "ab"}
        if uses:
            self.use += 1
            consent["use"] = use or self.use
        named = {"request": f"r{self.requests}", "attempt": attempt, "uses": uses}
        expires = {"expires_at": stamp(self.now + timedelta(seconds=65))}
        self.add("QUERY_INTENT", consent=consent, requester={"institution": "bank"}, intent=named | expires)
        return self

    def close(self, kind="RELEASE", attempt=1, consent=None):
        digests = {"report_digest": "00"} if kind == "RELEASE" else {}
        named = {"request": f"r{self.requests}", "attempt": attempt}
        consent = {"id": consent or self.consent}
        self.add(kind, consent=consent, requester={"institution": "bank"}, intent=named, **digests)
        return self


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def export(leaves, log, *, places=None):
    hashes = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    lines = [
        {
            "leaf_index": n,
            "leaf": base64.b64encode(leaves[n]).decode(),
            "proof": [base64.b64encode(item).decode() for item in recursive_path(n, hashes)],
        }
        for n in (range(len(leaves)) if places is None else places)
    ]
    return [json.dumps(line).encode() + b"\n" for line in [*lines, {"checkpoint": log.checkpoint(hashes)}]]


def check(lines, log, **options):
    return verify_export(lambda: lines, VerifierKey.parse(log.vkey), **options)


def codes(story, log, **options):
    verdict = check(export(story.leaves, log), log, **options)
    return [f"{finding.code}@{finding.leaf_index}" for finding in verdict.findings]


def sound():
    story = Story().register().ask().close().ask(attempt=2, uses=0).close(attempt=2)
    story.ask().close("FAILED").close("USE_REFUNDED").status("PAUSED").status("ACTIVE").ask().close()
    story.add("PARTICIPANT_EVENT", object="bank")
    return story.status("REVOKED")


def test_the_changed_line_is_named_before_the_closing_that_it_seems_to_take_away(log):
    story = Story().register().ask().close()
    story.now += timedelta(hours=1)
    story.add("PARTICIPANT_EVENT", object="bank")
    lines = export(story.leaves, log)
    lines[2] = lines[2].replace(b'"proof"', b'"proog"')
    found = [(finding.code, finding.line) for finding in check(lines, log).findings]
    assert found == [("LINE_UNREADABLE", 3), ("INTENT_NOT_CLOSED", None)]


def test_a_sound_log_holds_whole(log):
    verdict = check(export(sound().leaves, log), log)
    assert (verdict.findings, verdict.is_whole, verdict.open_intents) == ((), True, 0)
    assert check(export([], log), log).is_whole


def test_both_spellings_of_a_line_are_read(log):
    lines = [
        json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        for line in export(sound().leaves, log)
    ]
    assert check(lines, log).is_whole


@pytest.mark.parametrize("state", ["REVOKED", "HELD", "PAUSED", "SUPERSEDED", "EXPIRED"])
def test_what_follows_the_end_of_permission_is_found(log, state):
    assert codes(Story().register().ask().status(state).close(), log) == [f"RELEASE_AFTER_{state}@3"]
    assert codes(Story().register().status(state).ask().close("ABANDONED"), log) == [f"QUERY_INTENT_AFTER_{state}@2"]


@pytest.mark.parametrize(("place", "lift"), [("HOLD_PLACED", "HOLD_LIFTED"), ("FILE_FROZEN", "FILE_THAWED")])
def test_what_is_released_under_a_hold_is_found_until_it_is_lifted(log, place, lift):
    story = Story().register().ask()
    hold = story.add(place, affects={"consents": [CONSENT], "intents": []})
    story.close()
    story.add(lift, lifts=hold, affects={"consents": [CONSENT], "intents": []})
    assert codes(story.ask().close(), log) == ["RELEASE_UNDER_HOLD@3"]
    standing = Story()
    hold = standing.add(place, affects={"consents": [], "intents": []})
    assert codes(standing.register(standing=[hold]).ask().close("ABANDONED"), log) == ["QUERY_INTENT_UNDER_HOLD@2"]


def test_a_second_or_missing_or_foreign_closing_is_found(log):
    assert codes(Story().register().ask().close().close("ABANDONED"), log) == ["CLOSED_TWICE@3"]
    assert codes(Story().register().close(), log) == ["CLOSING_WITHOUT_INTENT@1"]
    assert codes(Story().register().ask().close("FAILED", consent=OTHER), log) == ["CONSENT_DIFFERS@2"]
    story = Story().register().ask()
    assert codes(story, log) == []
    assert codes(story, log, now=story.now + timedelta(seconds=69)) == []
    assert codes(story, log, now=story.now + timedelta(seconds=71)) == ["INTENT_NOT_CLOSED@1"]


@pytest.mark.parametrize(("kind", "holds"), [("RELEASE", False), ("ABANDONED", True)])
def test_a_late_closing_is_an_error_where_data_left(log, kind, holds):
    story = Story().register().ask()
    story.now += timedelta(seconds=70)
    verdict = check(export(story.close(kind).leaves, log), log)
    assert [finding.code for finding in verdict.findings] == ["CLOSED_LATE"]
    assert verdict.holds is holds


def test_spent_budgets_and_windows_are_found_and_refunds_counted(log):
    assert codes(Story().register(max_uses=1).ask().close().ask().close(), log) == ["OVERSPENT@3"]
    assert codes(Story().register(per_day=1).ask().close().ask().close(), log) == ["WINDOW_OVERSPENT@3"]
    refunded = Story().register(max_uses=1, per_day=1).ask().close("FAILED").close("USE_REFUNDED").ask().close()
    assert codes(refunded, log) == []
    assert codes(refunded.close("USE_REFUNDED").close("USE_REFUNDED"), log) == ["REFUND_WRONG@7"]
    story = Story().register(per_day=1).ask().close()
    story.now = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    assert codes(story.ask().close(), log) == []


def amended(*, uses=2, state="SUPERSEDED", artefact="ab", **terms):
    """A consent of two uses spent today, and the one that supersedes it."""
    story = Story().register().ask().close().ask().close()
    if state:
        story.status(state)
    child = Story(OTHER)
    child.leaves, child.now, child.requests = story.leaves, story.now, story.requests
    named = {"consent_id": CONSENT, "artefact_hash": artefact, "uses": uses}
    return story, child.register(supersedes=named, **terms)


def test_an_amendment_carries_over_what_was_spent_in_all_and_in_the_window(log):
    _, child = amended(per_day=3)
    assert codes(child.ask().close(), log) == []
    assert codes(child.ask().close(), log) == ["OVERSPENT@9", "WINDOW_OVERSPENT@9"]
    assert codes(amended()[1].ask().close(), log) == ["WINDOW_OVERSPENT@7"]


def test_uses_closer_than_the_artefact_allows_are_found_over_an_amendment_too(log):
    # Each entry is a second after the one before: the second use is two seconds after the first.
    assert codes(Story().register(apart_s=2).ask().close().ask().close(), log) == []
    assert codes(Story().register(apart_s=3).ask().close().ask().close(), log) == ["USES_TOO_CLOSE@3"]
    assert codes(Story().register(apart_s=3).ask().close().ask(attempt=2, uses=0).close(attempt=2), log) == []
    _, child = amended(per_day=9, apart_s=5)
    assert codes(child.ask().close(), log) == ["USES_TOO_CLOSE@7"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"uses": 1}, "CARRIED_WRONG"),
        ({"state": ""}, "SUPERSEDES_WRONG"),
        ({"state": "PAUSED"}, "SUPERSEDES_WRONG"),
        ({"artefact": "cd"}, "SUPERSEDES_WRONG"),
    ],
)
def test_an_amendment_of_what_goes_on_or_with_fewer_uses_is_found(log, wrong, code):
    _, child = amended(**wrong)
    assert codes(child, log) == [f"{code}@{len(child.leaves) - 1}"]


def test_a_second_amendment_and_one_of_an_unknown_consent_are_found(log):
    story, _ = amended()
    third = Story("01890a5d-ac96-774b-bcce-b302099a8059")
    third.leaves, third.now = story.leaves, story.now
    third.register(supersedes={"consent_id": CONSENT, "artefact_hash": "ab", "uses": 2})
    assert codes(third, log) == ["SUPERSEDES_WRONG@7"]
    orphan = Story().register(supersedes={"consent_id": OTHER, "artefact_hash": "ab", "uses": 1})
    assert codes(orphan, log) == ["SUPERSEDES_UNKNOWN@0"]
    assert codes(orphan, log, selection=Selection(consent_id=CONSENT)) == []


def test_gaps_and_breaks_in_a_consents_numbers_are_found(log):
    assert codes(Story().register().ask(use=2).close(), log) == ["USE_GAP@1"]
    assert codes(Story().register().status("PAUSED", revision=3), log) == ["REVISION_GAP@1"]
    assert codes(Story().register().status("PAUSED", previous="00"), log) == ["CHAIN_BROKEN@1"]
    assert codes(Story().register().ask(attempt=2, uses=0).close(attempt=2), log) == ["ATTEMPT_GAP@1"]
    assert codes(Story().register(days=0).ask().close(), log) == ["QUERY_INTENT_AFTER_EXP@1", "RELEASE_AFTER_EXP@2"]


def test_odd_leaves_are_named(log):
    story = sound()
    story.leaves[2] = story.leaves[2].replace(b'"v":1', b'"v":2')
    story.leaves[4] = story.leaves[4].replace(b":", b": ", 1)
    story.leaves.append(story.leaves[-2])
    named = codes(story, log)
    assert {"MALFORMED_ENTRY@2", "MALFORMED_ENTRY@4", f"ENTRY_TWICE@{len(story.leaves) - 1}"} <= set(named)
    foreign = sound()
    foreign.leaves[-2] = foreign.leaves[-2].replace(b"bashu.example", b"other.example")
    assert codes(foreign, log) == [f"FOREIGN_ENTRY@{len(foreign.leaves) - 2}"]


def test_left_out_swapped_and_repeated_leaves_of_a_whole_log_are_named(log):
    lines = export([*sound().leaves, *Story(OTHER).register().leaves], log)

    def named(changed):
        return [f"{finding.code}@{finding.leaf_index}" for finding in check(changed, log).findings]

    assert named([*lines[:13], *lines[14:]]) == ["LEAF_SKIPPED@13"]
    assert "LEAF_SKIPPED@0" in named(lines[1:])
    assert "LEAF_OUT_OF_ORDER@4" in named([*lines[:4], lines[5], lines[4], *lines[6:]])
    assert "LEAF_OUT_OF_ORDER@4" in named([*lines[:5], *lines[4:]])
    assert named([*lines[:-2], lines[-1]]) == [f"EXPORT_SHORT@{len(lines) - 2}"]
    assert named(lines[:-1]) == ["CHECKPOINT_MISSING@None"]
    assert named([]) == ["CHECKPOINT_MISSING@None"]


def test_an_export_of_one_consent_is_recognised_and_complete_by_itself(log):
    first, second = sound(), Story(OTHER).register()
    leaves = [*second.leaves, *first.leaves]
    places = [n for n, leaf in enumerate(leaves) if CONSENT.encode() in leaf]
    verdict = check(export(leaves, log, places=places), log)
    assert (verdict.holds, verdict.is_whole, verdict.selection.consent_id) == (True, False, CONSENT)
    without_an_intent = check(export(leaves, log, places=[p for p in places if p != 2]), log)
    assert [finding.code for finding in without_an_intent.findings][:1] == ["CLOSING_WITHOUT_INTENT"]
    asked = check(export(leaves, log, places=places), log, selection=Selection(consent_id=OTHER))
    assert {finding.code for finding in asked.findings} == {"LEAF_UNASKED"}


def test_exports_of_an_institution_a_month_and_a_tail_are_checked_as_what_they_are(log):
    leaves = [*sound().leaves, *Story(OTHER).register().leaves]
    of_bank = [n for n, leaf in enumerate(leaves) if b'"institution"' in leaf]
    lines = export(leaves, log, places=of_bank)
    assert check(lines, log, selection=Selection(institution="bank")).holds
    assert not check(lines, log).holds
    assert check(export(leaves, log), log, selection=Selection(month="2026-03")).holds
    assert not check(export(leaves, log), log, selection=Selection(month="2026-04")).holds
    tail = export(leaves, log, places=range(2, len(leaves)))
    assert check(tail, log, selection=Selection(from_index=2)).holds
    assert not check(tail, log, selection=Selection(from_index=1)).holds


def test_another_logs_key_believes_nothing(log):
    verdict = check(export(sound().leaves, log), Log())
    assert [finding.code for finding in verdict.findings] == ["CHECKPOINT_MISSING"]


LOG = Log()
CONTENT = b"".join(export(sound().leaves, LOG))


@settings(max_examples=250, deadline=None)
@given(place=st.integers(0, len(CONTENT) - 1), change=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_found_on_its_line(place, change):
    changed = bytearray(CONTENT)
    changed[place] ^= change
    verdict = check(lines_of(bytes(changed)), LOG)
    line = CONTENT[:place].count(b"\n") + 1
    assert any(
        finding.is_error and finding.line is not None and abs(finding.line - line) <= 1 for finding in verdict.findings
    )
    assert not verdict.holds


def test_a_changed_byte_between_values_and_after_the_last_line_is_found():
    """JSON reads blanks of any kind alike; an export has one spelling of each line."""
    for place, byte in ((CONTENT.index(b" "), b"\t"), (len(CONTENT) - 1, b" "), (len(CONTENT) - 1, b"\r")):
        changed = CONTENT[:place] + byte + CONTENT[place + 1 :]
        assert not check(lines_of(changed), LOG).holds


def lines_of(content):
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def test_every_type_of_the_log_is_known():
    assert set(TYPES) == set(EntryType.__members__)
