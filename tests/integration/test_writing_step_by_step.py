"""What `make load-p5` compares the gathered statements with does the same work, or the ratio would mean nothing."""

from __future__ import annotations

import pytest

from core.errors import BashuError, Reason
from loadtest.stepwise import StepByStep
from tests.admission_stage import open_stage


def told(entry):
    return {name: entry[name] for name in entry if name not in {"entry_id", "ts"}}


async def story(fresh, folder, **options):
    """One consent of three uses, four questions one after the other, one of them after a pause was ended."""
    async with open_stage(fresh, folder, **options) as stage:
        consent = await stage.grant()
        for _ in range(2):
            await stage.release(await stage.ask(consent))
        admitted = await stage.ask(consent)
        with pytest.raises(BashuError) as caught:
            await stage.ask(consent)
        assert caught.value.reason is Reason.CONSENT_EXHAUSTED
        await stage.consents.hold(consent.consent_id, reason="X")
        with pytest.raises(BashuError) as caught:
            await stage.release(admitted)
        assert caught.value.reason is Reason.CONSENT_HELD
        assert await stage.check_log() == []
        facts = await stage.facts(consent)
        spent = (facts.used, facts.last_use, facts.window_used, facts.version, facts.held_count)
        return [(entry["type"], sorted(told(entry))) for entry in await stage.entries_written()], spent


async def test_step_by_step_leaves_the_same_rows_and_entries(postgres_cluster, tmp_path):
    written = []
    for number, options in enumerate(({}, {"hot": lambda db: StepByStep(db).as_database()})):
        fresh, folder = postgres_cluster.create(), tmp_path / str(number)
        folder.mkdir()
        try:
            written.append(await story(fresh, folder, **options))
        finally:
            postgres_cluster.drop(fresh)
    assert written[0] == written[1]
