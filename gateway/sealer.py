"""The sealer's process: integrates committed entries and signs a checkpoint at least each second."""

from __future__ import annotations

from core.lifetime import stop_event
from database import open_database
from gateway.settings import Settings, SettingsError, read_secret
from ledger.highwater import HighWater
from ledger.sealer import Sealer
from ledger.signer import load_signer


async def run_sealer(settings: Settings) -> None:
    """Seal until told to stop. Any number of machines may run one: whoever holds the head row's lock seals."""
    if settings.database.sealer_dsn_file is None:
        raise SettingsError("database.sealer_dsn_file is missing: the sealer logs in as its own role")
    stop = stop_event()
    dsn = read_secret(settings.database.sealer_dsn_file, setting="database.sealer_dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=2, application_name="bashu-sealer")
    try:
        signer = load_signer(settings.ledger.signing_key, name=settings.ledger.origin)
        await Sealer(db=db, signer=signer, high_water=HighWater(path=settings.ledger.highwater)).run(stop)
    finally:
        await db.close()
