"""`bashu-gateway reconcile`: a day of any length, page by page, by the gateway's operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

import msgspec

from adapters.registry import load
from core.clock import SystemClock
from gateway import from_settings
from gateway.entries import By, Entries
from gateway.log_keys import FollowedKeys
from gateway.platform.configs import platform_configs
from gateway.platform.reconciliation import Reconciled, Reconciliation
from gateway.settings import Settings, SettingsError, read_secret
from ledger.signer import LogKeyFiles
from standards.catalogue import load_standard

LONGEST_S: Final = 3_600.0


def day_of(text: str) -> date:
    """Return a day. Raises SettingsError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"day {text}: YYYY-MM-DD expected") from error


async def reconcile_day(
    settings: Settings, platform_id: str, day: date, *, on_page: Callable[[int, int], None]
) -> Reconciled:
    """Compare a day as ``PlatformService.ReconcileDay`` does, without the limit of one call."""
    from database import open_database

    configs = platform_configs(settings)
    if platform_id not in configs:
        raise SettingsError(f"no platform {platform_id}; there are {', '.join(sorted(configs))}")
    clock = SystemClock()
    adapters = load({platform_id: configs[platform_id]}, standard=load_standard(settings.standard.tables), clock=clock)
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=2, application_name="bashu-reconcile")
    pseudonyms = from_settings.pseudonyms(settings)
    name = from_settings.operator(settings).name or "gateway"
    signer = LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
    try:
        await FollowedKeys(db, signer=signer).follow()
        return await Reconciliation(
            db,
            adapters=adapters,
            entries=Entries(origin=settings.ledger.origin, pseudonyms=pseudonyms),
            pseudonyms=pseudonyms,
            signer=signer,
            clock=clock,
        ).of_day(
            platform_id,
            day,
            by=By(participant=name, institution=name),
            actor="GATEWAY_OPERATOR",
            deadline=clock.monotonic() + LONGEST_S,
            on_page=on_page,
        )
    finally:
        await adapters[platform_id].close()
        await db.close()


def as_text(done: Reconciled, platform_id: str, day: date) -> str:
    """Lay the result out for people: counts, then every line that does not agree."""
    found = done.compared
    counts = {
        "一致 agree": found.both,
        "仅本方 only here": len(found.only_here),
        "仅平台 only there": len(found.only_there),
        "不一致 differ": len(found.different),
    }
    lines = [
        f"对账 reconciliation {platform_id} {day}: {' · '.join(f'{name} {count}' for name, count in counts.items())}",
        *(f"仅本方 only here   {line}" for line in found.only_here),
        *(f"仅平台 only there  {line}" for line in found.only_there),
        *(f"不一致 differs     {line}" for line in found.different),
        f"日志条目 entry {done.entry_id}",
    ]
    return "\n".join(lines)


def as_json(done: Reconciled) -> str:
    """Return one JSON object."""
    found = done.compared
    members = {
        "both": found.both,
        "only_here": found.only_here,
        "only_there": found.only_there,
        "different": found.different,
        "book_digest": done.book_digest.hex(),
        "signature": done.signature.decode(),
        "entry_id": done.entry_id,
    }
    return msgspec.json.encode(members).decode()
