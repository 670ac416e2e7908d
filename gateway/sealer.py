"""The sealer's process: integrates committed entries, signs a checkpoint at least each second, asks the witnesses."""

from __future__ import annotations

import asyncio

from core.clock import SystemClock
from core.lifetime import stop_event
from database import open_database
from gateway import from_settings
from gateway.settings import Settings, SettingsError, read_secret
from gateway.witness.asking import Asking
from gateway.witness.client import WitnessClient
from gateway.witness.marks import recall
from ledger.highwater import HighWater
from ledger.sealer import Sealer
from ledger.signer import LogKeyFiles


async def run_sealer(settings: Settings) -> None:
    """Seal until told to stop. Any number of machines may run one: whoever holds the head row's lock seals."""
    if settings.database.sealer_dsn_file is None:
        raise SettingsError("database.sealer_dsn_file is missing: the sealer logs in as its own role")
    stop = stop_event()
    dsn = read_secret(settings.database.sealer_dsn_file, setting="database.sealer_dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=3, application_name="bashu-sealer")
    witnesses, client = from_settings.witnesses(settings), WitnessClient()
    try:
        signer = LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
        high_water = HighWater(path=settings.ledger.highwater)
        await recall(settings, db, high_water)
        sealer = Sealer(db=db, signer=signer, high_water=high_water)
        async with asyncio.TaskGroup() as group:
            group.create_task(sealer.run(stop))
            if witnesses and settings.ledger.quorum is not None:
                asking = Asking(
                    db, witnesses=witnesses, quorum=settings.ledger.quorum, client=client, clock=SystemClock()
                )
                group.create_task(asking.run(stop))
    except ExceptionGroup as failed:
        # What the command line tells an operator by.
        raise failed.exceptions[0] from failed
    finally:
        await client.close()
        await db.close()
