"""Erasure: keys go, proofs stay, the retention clock and preserved records are respected, restores replay it."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import date, timedelta

import pytest

from bashu.v1 import subject_pb2
from core.clock import SHANGHAI
from core.errors import Reason
from core.ids import uuid7
from database import DatabaseUnavailable, RightMissing, StatementFailed, open_database
from gateway.rights.details import open_detail
from gateway.vault import store as vault_store
from gateway.vault.model import DetailKind
from tests.admission_stage import FIRM, OTHER_FIRM
from tests.rights_stage import (
    ADMIN,
    AUDITOR,
    BACKUPS,
    BANK,
    ONE,
    RETENTION,
    STAFF_NAME,
    STRANGER,
    SUBJECT,
    TWO,
    named,
    open_rights,
    refused,
    register_staff,
)

WORDS = "请删除我公司的留言 our own words"
ERASED, RESTRICTED = subject_pb2.ERASURE_STATE_ERASED, subject_pb2.ERASURE_STATE_RESTRICTED


@pytest.fixture
async def rights(fresh_database, fresh_keys, tmp_path):
    async with open_rights(fresh_database, fresh_keys, tmp_path) as rights:
        yield rights


async def a_detail(rights, subject=FIRM):
    """Seal something about a subject, as a dispute would, and store it."""
    owner = rights.stage.pseudonyms.subject(subject)
    sealed = await rights.vault.seal(owner, DetailKind.DISPUTE, b"a dispute", entry_id=uuid7())
    await vault_store.add_detail(rights.stage.db, sealed)
    return sealed


async def asked(rights, subject=FIRM, who=SUBJECT):
    return (await rights.subject("RequestErasure", who, subject=named(subject), reason=WORDS)).erasure


async def test_without_a_retention_period_the_key_goes_at_once_and_proofs_still_verify(rights):
    sealed, other = await a_detail(rights), await a_detail(rights, OTHER_FIRM)
    erasure = await asked(rights)
    assert (erasure.state, erasure.decided_by) == (ERASED, "RETENTION_OVER")
    lapse = (erasure.erased_at.ToDatetime(tzinfo=SHANGHAI) + BACKUPS).date()
    assert date.fromisoformat(erasure.backups_lapse_on) == lapse
    assert await refused(rights.vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await rights.vault.open(other) == b"a dispute"
    assert await rights.stage.check_log() == []
    first, *destroyed = await rights.of_type("ERASURE")
    assert first["status"] == {"from": "NONE", "to": "RESTRICTED", "reason": "SUBJECT_REQUEST", "actor": "SUBJECT"}
    assert {entry["status"]["to"] for entry in destroyed} == {"ERASED"}
    assert str(sealed.key_id) in {entry["object"] for entry in destroyed}
    read = (await rights.subject("GetErasure", subject=named(FIRM))).erasure
    assert read.backups_lapse_on == erasure.backups_lapse_on


async def test_until_the_retention_period_ends_what_is_sealed_opens_for_compliance_alone(rights):
    stage = rights.stage
    consent = await stage.grant()
    await stage.release(await stage.ask(consent))
    sealed = await a_detail(rights)
    erasure = await asked(rights)
    assert erasure.state == RESTRICTED
    exp = consent.exp
    assert abs(erasure.due_at.ToDatetime(tzinfo=SHANGHAI) - (exp + RETENTION)) < timedelta(seconds=1)
    assert (await asked(rights)).erasure_id == erasure.erasure_id
    assert await refused(open_detail(stage.db, rights.vault, sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
    entry = {"entry_id": erasure.entry_id, "field": "reason", "reason": "check the request"}
    for who in (AUDITOR, BANK, SUBJECT, ADMIN):
        assert await refused(rights.desk("Unmask", who, **entry)) is Reason.ROLE_NOT_ALLOWED
    assert await rights.of_type("UNMASK") == []
    assert json.loads((await rights.desk("Unmask", **entry)).value) == {"reason": WORDS}
    (unmask,) = await rights.of_type("UNMASK")
    assert unmask["object"] == f"{erasure.entry_id}/reason"
    assert await rights.erasures.carry_out() == 0
    stage.shift(days=40 + RETENTION.days)
    assert await rights.erasures.carry_out() == 1
    assert await refused(rights.vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(rights.desk("Unmask", **entry)) is Reason.NOT_FOUND_OR_NOT_YOURS
    done = (await rights.subject("GetErasure", subject=named(FIRM))).erasure
    assert (done.state, done.decided_by) == (ERASED, "RETENTION_OVER")


async def test_two_officers_decide_earlier_one_does_not(rights):
    await rights.stage.grant()
    sealed = await a_detail(rights)
    erasure = await asked(rights)
    decision = {"erasure_id": erasure.erasure_id, "reason": "collected unlawfully"}
    assert await refused(rights.desk("DecideErasure", AUDITOR, **decision)) is Reason.ROLE_NOT_ALLOWED
    for _ in range(2):
        assert (await rights.desk("DecideErasure", ONE, **decision)).erasure.state == RESTRICTED
    rights.stage.shift(hours=25)
    assert (await rights.desk("DecideErasure", TWO, **decision)).erasure.state == RESTRICTED
    done = (await rights.desk("DecideErasure", ONE, **decision)).erasure
    assert (done.state, done.decided_by) == (ERASED, "TWO_OFFICERS")
    assert await refused(rights.vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(rights.desk("DecideErasure", ONE, **decision)) is Reason.NOT_FOUND_OR_NOT_YOURS
    (order,) = [entry for entry in await rights.of_type("ERASURE") if entry["status"]["to"] == "ORDERED"]
    shown = await rights.desk("Unmask", entry_id=order["entry_id"], field="reason", reason="audit")
    assert json.loads(shown.value) == {"reason": "collected unlawfully"}


async def test_preserved_records_stop_every_erasure(rights):
    stage = rights.stage
    await stage.grant()
    sealed = await a_detail(rights)
    erasure = await asked(rights)
    rights.preserved.update({stage.pseudonyms.subject(FIRM), stage.pseudonyms.subject(OTHER_FIRM)})
    assert await refused(asked(rights, OTHER_FIRM, STRANGER)) is Reason.PRESERVED
    decision = {"erasure_id": erasure.erasure_id, "reason": "r"}
    assert await refused(rights.desk("DecideErasure", ONE, **decision)) is Reason.PRESERVED
    stage.shift(days=40 + RETENTION.days)
    assert await rights.erasures.carry_out() == 0
    (listed,) = (await rights.desk("ListErasures", AUDITOR)).erasures
    assert (listed.erasure_id, listed.preserved) == (erasure.erasure_id, True)
    assert await rights.vault.open(sealed) == b"a dispute"
    rights.preserved.clear()
    assert await rights.erasures.carry_out() == 1


async def test_a_restored_key_database_is_erased_again_before_serving(rights, fresh_keys):
    sealed, other = await a_detail(rights), await a_detail(rights, OTHER_FIRM)
    owner = await open_database(fresh_keys.owner_dsn)
    backup = await owner.fetch("SELECT key_id, owner, wrapping_kid, wrapped FROM data_key")
    await asked(rights)
    await rights.sealed()
    await owner.execute("DELETE FROM data_key")
    for row in backup:
        await owner.execute("INSERT INTO data_key (key_id, owner, wrapping_kid, wrapped) VALUES ($1, $2, $3, $4)", *row)
    assert await rights.vault.open(sealed) == b"a dispute"
    assert await rights.erasures.replay() == [sealed.key_id]
    assert await rights.erasures.replay() == []
    assert await refused(rights.vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await rights.vault.open(other) == b"a dispute"
    await owner.close()


async def test_a_dispute_keeps_what_was_said_for_its_own_retention_period(rights):
    stage = rights.stage
    await stage.owner.execute(
        "INSERT INTO dispute (dispute_id, pseudonym, record_id, platform_id, data_item, institution, opened_by, channel,"
        " seen_in_release, entry_id, received_at, due_at, next_try_at) VALUES (gen_random_uuid(), $1, repeat('a', 64),"
        " 'chongqing', '', 'subject-portal', 'SUBJECT', 'LETTER', false, gen_random_uuid(), bashu_now(),"
        " bashu_now() + interval '20 days', bashu_now())",
        stage.pseudonyms.subject(FIRM),
    )
    erasure = await asked(rights)
    assert erasure.state == RESTRICTED
    assert erasure.due_at.ToDatetime() - erasure.requested_at.ToDatetime() > RETENTION + timedelta(days=19)


async def test_a_query_since_then_begins_the_retention_period_anew_and_later_words_are_not_restricted(rights):
    stage = rights.stage
    await stage.grant()
    old = await a_detail(rights)
    first = await asked(rights)
    later = await a_detail(rights)
    assert await refused(open_detail(stage.db, rights.vault, old)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await open_detail(stage.db, rights.vault, later) == b"a dispute"
    stage.shift(days=100)
    now = await stage.owner.fetchval("SELECT bashu_now()")
    consent = await stage.grant(now=now)
    await stage.release(await stage.ask(consent))
    await rights.sealed()
    stage.shift(days=40 + RETENTION.days)
    assert await rights.erasures.carry_out() == 0
    put_off = (await rights.subject("GetErasure", subject=named(FIRM))).erasure
    assert put_off.state == RESTRICTED
    assert put_off.due_at.ToDatetime() - first.due_at.ToDatetime() > timedelta(days=99)
    with pytest.raises(RightMissing):
        await stage.db.execute("UPDATE erasure SET due_at = due_at - interval '1 day'")
    stage.shift(days=140 + RETENTION.days)
    assert await rights.erasures.carry_out() == 1
    assert await refused(rights.vault.open(later)) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_many_preserved_erasures_keep_no_other_from_its_day(rights, monkeypatch):
    monkeypatch.setattr("gateway.rights.erasures.AT_ONCE", 1)
    await rights.stage.grant()
    await rights.stage.grant(subject=OTHER_FIRM)
    await asked(rights)
    await asked(rights, OTHER_FIRM, STRANGER)
    rights.preserved.add(rights.stage.pseudonyms.subject(FIRM))
    rights.stage.shift(days=40 + RETENTION.days)
    await asyncio.gather(*(rights.erasures.carry_out() for _ in range(3)))
    destroyed = [entry["object"] for entry in await rights.of_type("ERASURE") if entry["status"]["to"] == "ERASED"]
    assert len(destroyed) == len(set(destroyed)) > 0
    states = {e.state for e in (await rights.desk("ListErasures", with_erased=True)).erasures}
    assert states == {RESTRICTED, ERASED}


async def test_keys_that_outlived_a_crash_after_their_entry_go_with_the_next_round(rights, monkeypatch):
    sealed = await a_detail(rights)

    async def crash(_keys):
        raise ConnectionResetError

    monkeypatch.setattr(rights.vault, "destroy", crash)
    with pytest.raises(ConnectionResetError):
        await asked(rights)
    monkeypatch.undo()
    assert await rights.vault.open(sealed) == b"a dispute"
    assert await rights.erasures.carry_out() == 1
    assert await refused(rights.vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_nobody_erases_another_subject_and_what_stands_cannot_be_turned_back(rights):
    assert await refused(asked(rights, FIRM, STRANGER)) is Reason.SUBJECT_MISMATCH
    assert await refused(rights.subject("GetErasure", subject=named(FIRM))) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert (
        await refused(rights.desk("DecideErasure", erasure_id=str(uuid.uuid4()), reason="r"))
        is Reason.NOT_FOUND_OR_NOT_YOURS
    )
    await asked(rights)
    for statement in (
        "UPDATE erasure SET due_at = now()",
        "DELETE FROM erasure",
        "UPDATE erasure SET keys_destroyed_at = now()",
    ):
        with pytest.raises((RightMissing, StatementFailed)):
            await rights.stage.db.execute(statement)


async def test_a_staff_number_and_name_are_unmasked_by_the_entry_they_stand_behind(rights):
    stage = rights.stage
    await register_staff(stage)
    await stage.release(await stage.ask(await stage.grant()))
    (intent,) = await rights.of_type("QUERY_INTENT")
    unmask = {"entry_id": intent["entry_id"], "field": "operator", "reason": "complaint 7"}
    assert (await rights.desk("Unmask", **unmask)).value == f"op-1 {STAFF_NAME}"
    (release,) = await rights.of_type("RELEASE")
    await rights.sealed()
    assert (await rights.desk("Unmask", **{**unmask, "entry_id": release["entry_id"]})).value == f"op-1 {STAFF_NAME}"
    (registered,) = await rights.of_type("CONSENT_REGISTERED")
    nobody = {**unmask, "entry_id": registered["entry_id"]}
    assert await refused(rights.desk("Unmask", **nobody)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(rights.desk("Unmask", **{**unmask, "field": "secret"})) is Reason.MALFORMED
    assert (
        await refused(rights.desk("Unmask", **{**unmask, "entry_id": str(uuid.uuid4())}))
        is Reason.NOT_FOUND_OR_NOT_YOURS
    )
    assert len(await rights.of_type("UNMASK")) == 2


async def test_what_was_written_at_a_hold_or_freeze_is_sealed_and_shown_until_it_is_erased(rights):
    freeze = {"subject": named(FIRM), "reason": "公章遗失 seal lost"}
    await rights.subject("FreezeFile", **freeze)
    (frozen,) = await rights.of_type("FILE_FROZEN")
    assert "detail_sha256" in frozen
    shown = await rights.desk("Unmask", entry_id=frozen["entry_id"], field="reason", reason="r")
    assert json.loads(shown.value)["reason"] == freeze["reason"]
    assert [hold.reason for hold in (await rights.desk("ListHolds", AUDITOR)).holds] == [freeze["reason"]]
    await asked(rights)
    (hold,) = (await rights.desk("ListHolds", AUDITOR)).holds
    assert (hold.kind, hold.reason) == ("FREEZE", "")


async def test_a_freeze_without_words_needs_no_key_database(rights, monkeypatch):
    async def away(*_args, **_kwargs):
        raise DatabaseUnavailable

    monkeypatch.setattr(rights.vault, "seal", away)
    await rights.subject("FreezeFile", subject=named(FIRM))
    assert len(await rights.of_type("FILE_FROZEN")) == 1
    assert await refused(rights.subject("FreezeFile", STRANGER, subject=named(OTHER_FIRM), reason="x"))


async def test_nothing_that_was_written_stands_in_a_table(rights, fresh_keys):
    await register_staff(rights.stage)
    await a_detail(rights)
    consent = await rights.stage.grant()
    await rights.subject("FreezeFile", subject=named(FIRM), reason="frozen so")
    hold = (await rights.desk("PlaceHold", ONE, consent_id=str(consent.consent_id), reason="held so")).hold
    for who in (ONE, TWO):
        await rights.desk("LiftHold", who, hold_id=hold.hold_id, reason="lifted so")
    erasure = await asked(rights)
    await rights.desk("Unmask", entry_id=erasure.entry_id, field="reason", reason="why so")
    keys = await open_database(fresh_keys.owner_dsn)
    for db in (rights.stage.owner, keys):
        for table in await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'bashu'"):
            text = await db.fetchval(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table['tablename']} AS t")
            for planted in (
                WORDS,
                "why so",
                "frozen so",
                "held so",
                "lifted so",
                FIRM.identifier,
                STAFF_NAME,
                "a dispute",
            ):
                assert planted not in text, (table["tablename"], planted)
                assert planted.encode().hex() not in text, (table["tablename"], planted)
    await keys.close()
