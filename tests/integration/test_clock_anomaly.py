"""The database's clock jumps: one entry, admissions refused until it is sound again, and no fork."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from core.errors import BashuError, Reason
from gateway.cli import app
from gateway.clock.watch import ClockWatch
from gateway.doctor.local import clock_finding
from tests.admission_stage import ORIGIN, open_stage
from tests.integration.test_log_keys import SETTINGS


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
async def consent(stage):
    await stage.clock_watch.look()
    return await stage.grant()


async def refusal(stage, consent):
    with pytest.raises(BashuError) as refused:
        await stage.ask(consent)
    return refused.value.reason, refused.value.metadata.get("clock")


async def told(stage):
    entries = [entry for entry in await stage.entries_written() if entry["type"] == "CLOCK_ANOMALY"]
    return [(entry["status"]["from"], entry["status"]["to"]) for entry in entries]


STALE = (Reason.EVIDENCE_STALE, "JUMPED")


@pytest.mark.parametrize(("jump", "state"), [({"hours": -1}, "BACK"), ({"days": 1}, "AHEAD")])
async def test_a_jump_is_told_once_and_admissions_are_refused_until_the_clock_is_right_again(
    stage, consent, jump, state
):
    under_way = await stage.ask(consent)
    await stage.jump(**jump)
    # The admission itself notices: nothing is dated by the wrong clock until the next look.
    assert await refusal(stage, consent) == STALE
    other = ClockWatch(stage.db, origin=ORIGIN)
    assert (await other.look()).value == state
    await stage.clock_watch.look()
    assert await told(stage) == [("SOUND", state)]
    if state == "BACK":
        # They refuse admissions only; a day ahead the question's own minute is over.
        await stage.release(under_way)
    await stage.jump()
    await stage.clock_watch.look()
    assert (await other.look()).value == "SOUND"
    await stage.ask(await stage.grant())
    assert await told(stage) == [("SOUND", state), (state, "SOUND")]
    (entry, *_) = [entry for entry in await stage.entries_written() if entry["type"] == "CLOCK_ANOMALY"]
    assert set(entry["clock"]) == {"expected", "seen"}
    assert (entry["clock"]["seen"] < entry["clock"]["expected"]) == (state == "BACK")


async def test_many_gateways_tell_a_jump_once(stage, consent):
    watches = [ClockWatch(stage.db, origin=ORIGIN) for _ in range(5)]
    for watch in watches:
        await watch.look()
    await stage.jump(hours=-1)
    await asyncio.gather(*(watch.look() for watch in watches))
    assert await told(stage) == [("SOUND", "BACK")]
    assert not any(watch.is_sound for watch in watches)


async def test_time_shifted_on_purpose_is_no_anomaly(stage, consent):
    stage.shift(days=3)
    await stage.ask(consent)
    stage.shift(days=0)
    await stage.ask(await stage.grant())
    assert await told(stage) == []


async def test_an_operator_accepts_a_clock_that_is_right_after_all(stage, consent, tmp_path):
    await stage.jump(days=1)
    assert await refusal(stage, consent) == STALE
    settings = tmp_path / "gateway.toml"
    settings.write_text(SETTINGS)
    (tmp_path / "dsn").touch(mode=0o600)
    (tmp_path / "dsn").write_text(stage.fresh.gateway_dsn)
    newcomer = ClockWatch(stage.db, origin=ORIGIN)
    assert (await newcomer.look()).value != "SOUND"

    async def command(word):
        done = await asyncio.to_thread(
            CliRunner().invoke, app, ["clock", word, "--settings", str(settings)], env={"BASHU_PARENT_PID": None}
        )
        assert done.exit_code == 0, done.output
        return done.output

    assert "AHEAD" in await command("show")
    assert (await clock_finding(stage.db)).state == "FAIL"
    await command("accept")
    assert (await clock_finding(stage.db)).state == "OK"
    assert (await newcomer.look()).value == "SOUND"
    await stage.clock_watch.look()
    await stage.ask(await stage.grant())
    assert await told(stage) == [("SOUND", "AHEAD"), ("AHEAD", "ACCEPTED")]
    await command("accept")
    assert len(await told(stage)) == 2


async def test_what_time_alone_brings_about_stands_still_while_the_clock_is_not_sound(stage, consent):
    begun, ended = asyncio.Queue(), []

    async def work():
        await begun.put(True)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    working = asyncio.create_task(stage.clock_watch.while_sound(work))
    await begun.get()
    await stage.jump(days=1)
    assert (await stage.clock_watch.look()).value == "AHEAD"
    while not ended:
        await asyncio.sleep(0)
    assert begun.empty()
    await stage.jump()
    await stage.clock_watch.look()
    await begun.get()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_entries_about_the_clock_are_sealed_and_break_no_rule(stage, consent):
    await stage.jump(hours=-1)
    await stage.clock_watch.look()
    await stage.jump()
    await stage.clock_watch.look()
    assert await stage.check_log() == []
