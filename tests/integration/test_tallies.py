"""Tallies: once an hour whoever runs, without a gap in an institution's ranges, and checked by both verifiers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from bashu.verify import Selection, VerifierKey, verify_export
from gateway.tallies import Tallies
from ledger.export import export_lines
from ledger.fsck import fsck
from ledger.note import parse_vkey
from ledger.search import store as search
from tests.admission_stage import SIGNER, open_stage


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


async def sealed(stage):
    while await stage.sealer.run_round():
        pass


async def own_export(stage):
    wanted = search.EntryFilter(institution="bank-cq")
    return [line async for line in export_lines(stage.db, wanted=wanted)]


def verdict(lines):
    return verify_export(lambda: lines, VerifierKey.parse(SIGNER.vkey), selection=Selection(institution="bank-cq"))


async def test_each_hour_is_tallied_once_however_many_gateways_run_and_each_that_a_stop_missed(stage, fresh_database):
    tallies = [Tallies(stage.db, entries=stage.entries) for _ in range(5)]
    # From the middle of an hour on, whenever the test runs: an hour that ends meanwhile would have its own tally.
    middle = timedelta(minutes=(90 - datetime.now(UTC).minute) % 60)
    fresh_database.shift_time(middle)
    await tallies[0].tally()
    await stage.release(await stage.ask(await stage.grant()))
    await sealed(stage)
    assert await tallies[0].tally() == 0
    for hours, written in ((1, 1), (1, 0), (9, 0)):
        fresh_database.shift_time(middle + timedelta(hours=hours))
        assert sum(await asyncio.gather(*(each.tally() for each in tallies))) == written
        await sealed(stage)
    # The stop: nobody tallies, and at its end nobody seals either.
    for hours, grants in ((9, 1), (11, 2), (13, 1)):
        fresh_database.shift_time(middle + timedelta(hours=hours))
        for _ in range(grants):
            await stage.grant()
        if hours < 13:
            await sealed(stage)
    fresh_database.shift_time(middle + timedelta(hours=30))
    await sealed(stage)
    assert sum(await asyncio.gather(*(each.tally() for each in tallies))) == 3
    await sealed(stage)
    lines = await own_export(stage)
    found = [json.loads(entry.body)["tally"] for entry in await search.find_entries(stage.db, types=["TALLY"], limit=9)]
    hours = [datetime.fromisoformat(tally["hour"]) for tally in found]
    assert [(hour - hours[0]) / timedelta(hours=1) for hour in hours] == [0, 9, 11, 13]
    spans = [(tally["from_index"], tally["to_index"], tally["count"]) for tally in found]
    assert spans == [(0, 3, 3), (3, 5, 1), (5, 7, 2), (7, 8, 1)]
    assert verdict(lines).holds
    for gone in (0, 2):
        (finding, *_) = [f for f in verdict(lines[:gone] + lines[gone + 1 :]).findings if f.code == "TALLY_WRONG"]
        assert finding.leaf_index == 3
    assert [finding async for finding in fsck(stage.db, key=parse_vkey(SIGNER.vkey))] == []


async def test_an_hour_is_tallied_a_minute_after_it_and_what_began_meanwhile_waits_for_its_own(stage, fresh_database):
    tallies, now = Tallies(stage.db, entries=stage.entries), datetime.now(UTC)
    before = now.replace(minute=59, second=30, microsecond=0) - now
    fresh_database.shift_time(before)
    await tallies.tally()
    await stage.grant()
    fresh_database.shift_time(before + timedelta(seconds=60))
    await stage.grant()
    await sealed(stage)
    assert await tallies.tally() == 0
    fresh_database.shift_time(before + timedelta(seconds=120))
    assert await tallies.tally() == 1
    fresh_database.shift_time(before + timedelta(hours=1, seconds=120))
    assert await tallies.tally() == 1
    await sealed(stage)
    found = [json.loads(entry.body)["tally"] for entry in await search.find_entries(stage.db, types=["TALLY"], limit=9)]
    assert [(tally["from_index"], tally["to_index"], tally["count"]) for tally in found] == [(0, 1, 1), (1, 2, 1)]
    assert verdict(await own_export(stage)).holds
