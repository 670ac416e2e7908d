"""To the microsecond, on the database's clock, which stands still here: ends, beginnings, windows, ends of keys.

The pure decisions are held at the same edges in ``tests/unit/consent``; here the statements decide, and both readers of
the log agree with them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.verify.export import verify_export
from bashu.verify.note import VerifierKey
from consent.model import ConsentState, HoldKind, LoanEnd
from consent.state import state
from core.commitments import subject_commitment
from core.errors import BashuError, Reason
from core.ids import uuid7
from ledger.export import export_lines
from tests.admission_stage import (
    AUTHORITY_KEY,
    COMMITMENT_HOLDERS,
    COMMITMENT_KEYS,
    FIRM,
    POST_LOAN,
    SIGNER,
    USCC,
    a_key,
    a_payload,
    a_snapshot,
    open_stage,
    signed,
)

TICK = timedelta(microseconds=1)
END = datetime(2028, 2, 29, 16, tzinfo=UTC)
"""Midnight after the leap day, by Beijing time."""
NEXT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


class StoppedClock:
    """The process's clock: what passes is the database's time alone."""

    def now(self):
        return datetime.now(UTC)

    def monotonic(self):
        return 0.0


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path, clock=StoppedClock()) as opened:
        yield opened


async def stop_at(stage, moment):
    """Let ``bashu_now()`` be ``moment`` until further notice."""
    assert moment.tzinfo is not None
    await stage.owner.execute(
        f"""CREATE OR REPLACE FUNCTION bashu_now() RETURNS timestamptz
        LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$ BEGIN RETURN '{moment.isoformat()}'::timestamptz; END $$"""
    )


async def granted(stage, moment, **changes):
    await stop_at(stage, moment)
    return await stage.grant(now=moment, **changes)


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value


async def found_by_both_readers(stage):
    found = await stage.check_log()
    lines = [line async for line in export_lines(stage.owner)]
    verdict = verify_export(lambda: iter(lines), VerifierKey.parse(SIGNER.vkey))
    return found + [finding.text() for finding in verdict.findings]


async def test_a_microsecond_before_exp_all_is_well_and_at_exp_nothing(stage):
    consent = await granted(stage, END - timedelta(minutes=1), exp=int(END.timestamp()))
    await stop_at(stage, END - TICK)
    in_time, late = await stage.ask(consent), await stage.ask(consent)
    await stage.release(in_time)
    await stop_at(stage, END)
    assert (await refused(stage.release(late))).reason is Reason.CONSENT_EXPIRED
    assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_EXPIRED
    assert (await stage.types())[-3:] == ["RELEASE", "RELEASE_WITHHELD", "QUERY_DENIED"]
    assert await found_by_both_readers(stage) == []


async def test_a_microsecond_before_nbf_nothing_and_at_nbf_all_is_well(stage):
    consent = await granted(stage, END - timedelta(days=1), nbf=int(END.timestamp()))
    await stop_at(stage, END - TICK)
    assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_NOT_STARTED
    await stop_at(stage, END)
    await stage.release(await stage.ask(consent))
    assert await found_by_both_readers(stage) == []


async def test_days_after_a_loan_closed_end_to_the_microsecond(stage):
    begun = END - timedelta(days=1)
    await stop_at(stage, begun)
    await stage.loans.register(
        "bank-cq", "loan-1", subject=FIRM, application_reference="", opened_on=date(2028, 1, 1), due_on=date(2029, 1, 1)
    )
    consent = await granted(stage, begun, **POST_LOAN, term={"until": "LOAN_CLOSED", "plus_days": 1})
    named = {"purpose": "POST_LOAN_MANAGEMENT", "loan_reference": "loan-1", "application_reference": ""}
    admitted = await stage.ask(consent, **named)
    await stage.loans.close("bank-cq", "loan-1", reason=LoanEnd.SETTLED)
    assert (await refused(stage.release(admitted))).reason is Reason.LOAN_CLOSED
    assert (await stage.facts(consent)).end == END
    for moment, reached in ((END - TICK, ConsentState.ACTIVE), (END, ConsentState.EXPIRED)):
        await stop_at(stage, moment)
        shown = await stage.consents.show(consent.consent_id, institution=None)
        assert state(shown.facts, shown.now) is reached
    assert await found_by_both_readers(stage) == []


@pytest.mark.parametrize(
    ("per", "zone", "first_of_next"),
    [
        pytest.param("DAY", "Asia/Shanghai", END - timedelta(days=1), id="into the leap day"),
        pytest.param("DAY", "Asia/Shanghai", END, id="out of the leap day"),
        pytest.param("MONTH", "Asia/Shanghai", END, id="month end on the leap day"),
        pytest.param("MONTH", "Asia/Shanghai", datetime(2027, 2, 28, 16, tzinfo=UTC), id="month end without one"),
        pytest.param("MONTH", "Asia/Shanghai", datetime(2027, 12, 31, 16, tzinfo=UTC), id="year's end"),
        pytest.param("WEEK", "Asia/Shanghai", datetime(2028, 1, 2, 16, tzinfo=UTC), id="week over new year"),
        pytest.param("MONTH", "UTC", datetime(2028, 3, 1, tzinfo=UTC), id="month end of another zone"),
        pytest.param("DAY", "America/New_York", datetime(2028, 3, 12, 5, tzinfo=UTC), id="before 23 hours of a day"),
        pytest.param("DAY", "America/New_York", datetime(2028, 3, 13, 4, tzinfo=UTC), id="after 23 hours of a day"),
    ],
)
async def test_a_window_ends_with_the_day_of_the_artefacts_own_zone(stage, per, zone, first_of_next):
    usage = {"frequency": {"n": 1, "per": per}, "tz": zone}
    consent = await granted(stage, first_of_next - TICK, usage=usage)
    await stage.release(await stage.ask(consent))
    error = await refused(stage.ask(consent))
    assert error.reason is Reason.FREQUENCY_EXCEEDED
    assert error.retry_after_s == pytest.approx(TICK.total_seconds())
    await stop_at(stage, first_of_next)
    await stage.release(await stage.ask(consent))
    assert (await refused(stage.ask(consent))).reason is Reason.FREQUENCY_EXCEEDED
    assert await found_by_both_readers(stage) == []


async def test_midnight_in_beijing_is_no_midnight_elsewhere(stage):
    consent = await granted(stage, END - TICK, usage={"frequency": {"n": 1, "per": "DAY"}, "tz": "UTC"})
    await stage.release(await stage.ask(consent))
    await stop_at(stage, END)
    assert (await refused(stage.ask(consent))).reason is Reason.FREQUENCY_EXCEEDED


async def test_when_an_authoritys_key_ended_its_consents_stand_and_its_successor_signs(stage):
    old = replace(a_key(AUTHORITY_KEY, kid="authority-1"), valid_to=END)
    stage.registry.current = a_snapshot(keys={"authority-1": old, "authority-2": a_key(NEXT_KEY, kid="authority-2")})
    standing = await granted(stage, END - TICK)
    await stop_at(stage, END)
    error = await refused(stage.grant(now=END - timedelta(seconds=1)))
    assert error.reason is Reason.ARTEFACT_UNKNOWN_KEY
    later = await stage.consents.register(signed(a_payload(now=END), key=NEXT_KEY, kid="authority-2"))
    for consent in (standing, later.facts):
        await stage.release(await stage.ask(consent))
    assert await found_by_both_readers(stage) == []


async def test_a_new_commitment_key_leaves_consents_under_the_old_one_standing(stage, monkeypatch):
    monkeypatch.setitem(COMMITMENT_HOLDERS, "commitment-2", {"authority-cq"})
    commitment = subject_commitment(COMMITMENT_KEYS["commitment-2"], "uscc", USCC)
    old = await stage.grant()
    payload = a_payload()
    payload["subject"] |= {"commitment": commitment, "commitment_kid": "commitment-2"}
    new = (await stage.consents.register(signed(payload))).facts
    for consent in (old, new):
        await stage.release(await stage.ask(consent))
    await stage.holds.place(FIRM, HoldKind.HOLD, reason="X")
    for consent in (old, new):
        assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_HELD
    assert await found_by_both_readers(stage) == []


async def test_a_compromised_key_stops_what_it_signed_at_once_and_nothing_else(stage):
    keys = {"authority-1": a_key(AUTHORITY_KEY, kid="authority-1"), "authority-2": a_key(NEXT_KEY, kid="authority-2")}
    stage.registry.current = a_snapshot(keys=keys)
    spoiled = await granted(stage, END)
    sound = (await stage.consents.register(signed(a_payload(now=END), key=NEXT_KEY, kid="authority-2"))).facts
    stage.registry.current = a_snapshot(
        keys=keys | {"authority-1": replace(keys["authority-1"], revoked_at=END, compromised_at=END)}
    )
    assert (await refused(stage.ask(spoiled))).reason is Reason.ARTEFACT_UNKNOWN_KEY
    assert (await refused(stage.grant(now=END, consent_id=str(uuid7())))).reason is Reason.ARTEFACT_UNKNOWN_KEY
    await stage.release(await stage.ask(sound))
    assert await found_by_both_readers(stage) == []
