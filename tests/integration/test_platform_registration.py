"""One 融资信用服务平台 a region (R45): the second is refused by the database, with the contract's reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from core.errors import BashuError, Reason
from database import open_database
from gateway.identity.admin import Actor, Administration
from gateway.identity.model import Licence, Platform, PlatformKind, Role
from gateway.identity.sealing import NameSeal

ADMIN = Actor(participant_id="admin-1", institution="gateway-operator", role=Role.GATEWAY_ADMIN)
FIRST = Platform(
    platform_id="first",
    region="500000",
    kind=PlatformKind.PUBLIC_FINANCING_PLATFORM,
    name_zh="模拟平台一",
    name_en="simulated platform one",
    agreement_id="AGREEMENT-1",
    pia_id="PIA-1",
    licences=(Licence(kind="PUBLIC_FINANCING_PLATFORM", number="1", authority="sandbox", valid_from=date(2026, 1, 1)),),
)


async def test_a_second_public_financing_platform_of_a_region_gets_platform_kind_taken(fresh_database) -> None:
    administration = Administration(origin="bashu.example/test", seal=NameSeal(bytes(32)), operator_key=bytes(32))
    db = await open_database(fresh_database.gateway_dsn, max_size=1)
    try:
        async with db.transaction() as tx:
            await administration.register_platform(tx, FIRST, actor=ADMIN)
        for allowed in (replace(FIRST, platform_id="elsewhere", region="510000"), FIRST):
            async with db.transaction() as tx:
                await administration.register_platform(tx, allowed, actor=ADMIN)
        with pytest.raises(BashuError) as refused:
            async with db.transaction() as tx:
                await administration.register_platform(tx, replace(FIRST, platform_id="second"), actor=ADMIN)
    finally:
        await db.close()
    assert refused.value.reason is Reason.PLATFORM_KIND_TAKEN
