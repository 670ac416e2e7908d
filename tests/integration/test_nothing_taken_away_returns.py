"""With the gateway's own login: a revocation, a closed intent, a hold, a number of an entry cannot be undone."""

from __future__ import annotations

import uuid
from hashlib import sha256

import pytest

from consent.model import Actor, HoldKind
from core.permit import Subject, SubjectKind
from database import RightMissing
from tests.admission_stage import open_stage

TAKEN_AWAY = (
    "UPDATE consent SET version = version + 1, revoked_at = NULL",
    "UPDATE consent SET version = version + 1, last_use = last_use - 1, used = 0",
    "UPDATE consent SET version = version + 1, revision = revision - 1",
    "UPDATE consent SET held_count = 0",
    "UPDATE intent SET state = 'OPEN', closing_entry_id = NULL",
    "UPDATE intent SET paid = false",
    "UPDATE subject_hold SET pseudonym = 'somebody else'",
    "UPDATE subject_hold SET commitments = '{}'",
)


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as opened:
        yield opened


async def test_nothing_taken_away_returns(stage):
    consent = await stage.grant()
    await stage.release(await stage.ask(consent))
    await stage.consents.revoke(consent.consent_id, reason="", actor=Actor.LENDER)
    other = Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier="91510107XXTT00026H", name="")
    await stage.holds.place(other, HoldKind.FREEZE, reason="")
    for statement in TAKEN_AWAY:
        with pytest.raises(RightMissing):
            await stage.db.execute(statement)


async def test_the_gateway_gives_no_entry_its_number_or_time(stage):
    body = b"{}"
    values = (uuid.uuid4(), body, sha256(b"\x00" + body).digest())
    for column, value in (("seq", "-5"), ("appended_at", "now()")):
        with pytest.raises(RightMissing):
            await stage.db.execute(
                f"INSERT INTO ledger_entry (entry_id, body, leaf_hash, {column}) VALUES ($1, $2, $3, {value})", *values
            )
