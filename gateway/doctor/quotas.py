"""What is left of today's quota at each platform, over all workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Final

from adapters.kit.config import PlatformConfig
from adapters.kit.quota import Quota
from adapters.registry import AdapterNotLoadedError, load_one
from core.clock import Clock
from core.errors import BashuError
from database import open_database
from gateway.doctor.model import Finding, ok, unchecked, warn
from gateway.platform.quotas import GATEWAY
from gateway.platform.store import quota_taken
from gateway.settings import Settings, SettingsError, read_secret
from standards.catalogue import Standard

NEARLY_GONE: Final = 0.8
"""Share of the day's quota from which the doctor warns."""
WAIT_S: Final = 10.0


class _Free:
    async def take(self) -> bool:
        return False


async def quota_findings(
    settings: Settings, configs: Collection[PlatformConfig], *, standard: Standard, clock: Clock
) -> AsyncIterator[Finding]:
    """Tell of each platform how much of today's quota was taken."""
    try:
        async with asyncio.timeout(WAIT_S):
            taken = await _taken(settings)
    except (BashuError, SettingsError, TimeoutError):
        yield unchecked("quotas", "数据库不可用", "the database did not answer; see database.gateway")
        return
    for config in configs:
        limit = await daily_limit(config, standard=standard, clock=clock)
        if limit is not None:
            yield _finding(config.platform_id, limit, taken.get((config.platform_id, GATEWAY), 0))


async def daily_limit(config: PlatformConfig, *, standard: Standard, clock: Clock) -> int | None:
    """Return the calls a day that an adapter counts with, 0 where it counts none, None where it cannot load."""
    limits: list[int] = []

    def note(_: str, limit: int) -> Quota:
        limits.append(limit)
        return _Free()

    try:
        adapter = load_one(replace(config, quotas=note), standard=standard, clock=clock)
    except AdapterNotLoadedError:
        return None
    await adapter.close()
    return limits[0] if limits else 0


async def _taken(settings: Settings) -> dict[tuple[str, str], int]:
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-doctor")
    try:
        return await quota_taken(db)
    finally:
        await db.close()


def _finding(platform_id: str, limit: int, taken: int) -> Finding:
    check = f"platforms.{platform_id}.quota"
    if not limit:
        return unchecked(check, "未设每日配额", "no quota of the day is set")
    zh, en = f"今日配额已取 {taken} / {limit}", f"{taken} of {limit} calls of today taken by all workers"
    return (warn if taken >= limit * NEARLY_GONE else ok)(check, zh, en)
