"""The witnesses' age on the primary: what it refuses at once, what it lets go, and how each change is told once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bashu.verify import VerifierKey, verify_export
from consent.witnessing import WitnessBudgets
from core.clock import SystemClock
from core.errors import BashuError, Reason
from core.ids import uuid7
from gateway.admission import OperatorLicence
from gateway.doctor.model import State
from gateway.doctor.witnesses import witness_findings
from gateway.settings import load_settings
from gateway.witness.asking import Asking
from gateway.witness.client import WitnessClient
from gateway.witness.grading import OBJECT, WitnessGrading
from gateway.witness.model import Witness
from ledger import store as ledger_store
from ledger.export import export_lines
from ledger.fsck import fsck
from ledger.note import parse_vkey
from ledger.witness import store
from ledger.witness.cosignature import parse_witness_vkey
from tests.admission_stage import PERSON, SIGNER, a_payload, a_snapshot, licence, open_stage, signed
from tests.witness_stage import SmallWitness

NAME = "w.example/1"


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path, witness_budgets=WitnessBudgets()) as stage:
        yield stage


@pytest.fixture
async def witness(tmp_path):
    witness = SmallWitness(NAME, log_vkey=SIGNER.vkey, state=tmp_path / "witness")
    await witness.start()
    yield witness
    await witness.stop()


def grading(stage, witnesses=(NAME,)):
    return WitnessGrading(stage.db, witnesses=witnesses, budgets=WitnessBudgets(), entries=stage.entries)


async def age(stage, seconds):
    """Make the last quorum ``seconds`` old, as only the owner without its triggers can."""
    await store.take_turn(stage.sealer_db, uuid7())
    await stage.owner.execute("ALTER TABLE ledger_witnessed DISABLE TRIGGER ALL")
    row = "UPDATE ledger_witnessed SET quorum_at = clock_timestamp() - make_interval(secs => $1)"
    await stage.owner.execute(row, float(seconds))


async def sealed(stage):
    while await stage.sealer.run_round():
        pass


async def told(stage):
    rows = await stage.owner.fetch("SELECT body FROM ledger_entry ORDER BY seq")
    entries = [json.loads(row["body"]) for row in rows]
    return [
        (entry["object"], entry["status"]["from"], entry["status"]["to"])
        for entry in entries
        if entry["type"] == "POLICY_CHANGE"
    ]


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value


async def test_after_an_hour_a_question_about_a_person_is_refused_and_one_about_a_firm_admitted(
    fresh_database, tmp_path
):
    items, personal = ("social_insurance_payment",), (licence("PERSONAL_CREDIT_LICENCE"),)
    snapshot = a_snapshot()
    platforms = {name: replace(platform, licences=personal) for name, platform in snapshot.platforms.items()}
    operator = OperatorLicence(licences=personal)
    payload = a_payload(subject=PERSON, data={"items": [{"id": items[0], "necessity": "required"}]})
    async with open_stage(fresh_database, tmp_path, operator=operator, witness_budgets=WitnessBudgets()) as stage:
        firm = await stage.grant()
        stage.registry.current = replace(snapshot, platforms=platforms)
        person = (await stage.consents.register(signed(payload))).facts
        await age(stage, 3500)
        await stage.ask(person, subject=PERSON, items=items)
        await age(stage, 3601)
        error = await refused(stage.ask(person, subject=PERSON, items=items))
        assert (error.reason, error.metadata["witness_grade"]) == (Reason.EVIDENCE_STALE, "PERSONS_REFUSED")
        stage.registry.current = snapshot
        await stage.ask(firm)


async def test_after_four_hours_nothing_is_admitted_and_what_was_admitted_is_released(stage):
    consent = await stage.grant()
    await age(stage, 14_300)
    admitted = await stage.ask(consent)
    await age(stage, 14_401)
    error = await refused(stage.ask(consent))
    assert (error.reason, error.metadata["rule"]) == (Reason.EVIDENCE_STALE, "15-evidence")
    assert error.metadata["witness_grade"] == "ALL_REFUSED"
    assert await stage.release(admitted)


async def test_a_quorum_that_returns_is_read_by_the_very_next_admission(stage):
    consent = await stage.grant()
    await age(stage, 20_000)
    await refused(stage.ask(consent))
    await store.reach_quorum(stage.sealer_db, 0)
    await stage.ask(consent)


async def test_witnesses_that_no_sealer_ever_asked_admit_nothing(stage):
    consent = await stage.grant()
    assert (await refused(stage.ask(consent))).reason is Reason.EVIDENCE_STALE
    assert await grading(stage).look() == 0


async def test_a_real_witness_over_http_is_what_admissions_rest_on(stage, witness):
    consent = await stage.grant()
    client = WitnessClient()
    known = Witness(key=parse_witness_vkey(witness.vkey), url=witness.url)
    asking = Asking(stage.sealer_db, witnesses=[known], quorum=1, client=client, clock=SystemClock())
    await asking.look()
    await client.close()
    await stage.ask(consent)
    assert (await ledger_store.freshness(stage.db)).witnessed_s < 60
    assert (await store.witnessed_checkpoint(stage.db)).note.count(f"— {NAME} ") == 1


async def test_each_change_of_grade_is_one_entry_however_many_gateways_look(stage):
    await age(stage, 0)
    watchers = [grading(stage) for _ in range(5)]
    for seconds, written in ((0, 0), (61, 1), (62, 0), (3601, 1), (14_401, 1), (0, 1), (0, 0)):
        await age(stage, seconds)
        assert sum(await asyncio.gather(*(each.look() for each in watchers))) == written
    assert await told(stage) == [
        (OBJECT, "FRESH", "WARNED"),
        (OBJECT, "WARNED", "PERSONS_REFUSED"),
        (OBJECT, "PERSONS_REFUSED", "ALL_REFUSED"),
        (OBJECT, "ALL_REFUSED", "FRESH"),
    ]
    await sealed(stage)
    assert [finding async for finding in fsck(stage.db, key=parse_vkey(SIGNER.vkey))] == []
    lines = [line async for line in export_lines(stage.db)]
    assert verify_export(lambda: lines, VerifierKey.parse(SIGNER.vkey)).holds


async def test_grade_age_and_states_are_counted(stage):
    await age(stage, 61)
    await store.put_state(stage.sealer_db, NAME, "UNREACHABLE")
    watcher = grading(stage)
    await watcher.look()
    assert (watcher.metrics.grade, watcher.metrics.states) == ("WARNED", {NAME: "UNREACHABLE"})
    assert watcher.metrics.age_s >= 61
    assert watcher.metrics.changes == {"WARNED": 1}


async def test_a_witness_that_contradicts_the_log_is_told_once_and_only_its_cosignature_ends_that(stage):
    await age(stage, 0)
    watcher = grading(stage)
    for state, written in (
        ("COSIGNED", 0),
        ("UNREACHABLE", 0),
        ("FORKED", 1),
        ("FORKED", 0),
        ("UNREACHABLE", 0),
        ("AHEAD", 1),
        ("COSIGNED", 1),
        ("COSIGNED", 0),
    ):
        await store.put_state(stage.sealer_db, NAME, state)
        assert await watcher.look() == written
    assert await told(stage) == [
        (f"witness/{NAME}", "NONE", "FORKED"),
        (f"witness/{NAME}", "FORKED", "AHEAD"),
        (f"witness/{NAME}", "AHEAD", "COSIGNED"),
    ]


async def test_a_gateway_without_witnesses_tells_and_refuses_nothing(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        await age(stage, 100_000)
        await stage.ask(await stage.grant())
        watcher = WitnessGrading(stage.db, witnesses=(), budgets=None, entries=stage.entries)
        await watcher.run()
        assert await watcher.look() == 0
        assert await told(stage) == []


def settings_of(tmp_path: Path, witness=None):
    file = tmp_path / "gateway.toml"
    ledger = 'origin = "log.example/bashu"\nsigning_key = "k"\nhighwater = "h"\n'
    if witness is not None:
        ledger += f'quorum = 1\n[[ledger.witnesses]]\nname = "{NAME}"\nurl = "{witness.url}"\nvkey = "{witness.vkey}"\n'
    keys = "".join(f'{name} = "k"\n' for name in ("name_seal", "operator_commitment", "subject_commitment"))
    file.write_text(
        f'region = "CN"\nprofile = "dev"\n[database]\ndsn_file = "d"\n[keys]\n{keys}'
        f'[vault]\ndsn_file = "d"\nwrapping_key = "k"\n[ledger]\n{ledger}'
    )
    return load_settings(file, environment={})


async def findings(stage, settings):
    return [(finding.check, finding.state) for finding in await witness_findings(settings, stage.db)]


async def test_the_doctor_says_what_the_witnesses_age_refuses_and_how_each_stands(stage, tmp_path, witness):
    assert await findings(stage, settings_of(tmp_path)) == [("ledger.witnesses", State.NOT_CHECKED)]
    settings, mine = settings_of(tmp_path, witness), f"ledger.witness.{NAME}"
    assert await findings(stage, settings) == [("ledger.witnesses", State.FAIL), (mine, State.NOT_CHECKED)]
    for seconds, state, quorum, one in (
        (0, "COSIGNED", State.OK, State.OK),
        (61, "UNREACHABLE", State.WARN, State.WARN),
        (3601, "REFUSED", State.FAIL, State.WARN),
        (0, "FORKED", State.OK, State.FAIL),
    ):
        await age(stage, seconds)
        await store.put_state(stage.sealer_db, NAME, state, size=1)
        assert await findings(stage, settings) == [("ledger.witnesses", quorum), (mine, one)]
    await grading(stage).look()
    await store.put_state(stage.sealer_db, NAME, "UNREACHABLE")
    assert (await findings(stage, settings))[1] == (mine, State.FAIL)
    await age(stage, 3601)
    (quorum, _) = await witness_findings(settings, stage.db)
    assert "persons are refused" in quorum.en
    assert "warn 60 s, persons 3600 s, all 14400 s" in quorum.en
