"""A read that stalls is answered by its hedge over real sockets, and the platform's books hold one enquiry."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from adapters.registry import load_one
from bashu.v1.common_pb2 import PlatformStatus
from core.clock import SystemClock
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind
from standards.catalogue import load_standard
from tests.admission_stage import FIRM, OTHER_FIRM
from tests.platform_stage import a_permit
from tests.sandbox_stage import open_platforms

ITEMS = frozenset({"enterprise_registration", "tax_credit_grade"})
HOME = {"chongqing": FIRM, "sichuan": OTHER_FIRM}
READ = {"chongqing": "XY1003", "sichuan": "reports"}
DEADLINE_S = {True: 20.0, False: 1.5}


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
@pytest.mark.parametrize("is_hedged", [True, False], ids=["hedged", "by default"])
async def test_a_stalled_read_is_hedged_where_the_operator_wants_it_and_makes_no_second_mark(
    tmp_path, platform, is_hedged
):
    async with open_platforms(tmp_path) as platforms, AsyncExitStack() as held:
        config = platforms.configs[platform]
        options = {**config.options, **({"hedge_after_s": 0.05} if is_hedged else {})}
        adapter = load_one(replace(config, options=options), standard=load_standard(), clock=SystemClock())
        held.push_async_callback(adapter.close)
        stall = Fault(platform=PlatformId(platform), kind=FaultKind.STALL, call=READ[platform], count=1)
        platforms.faults.force(stall)
        permit = a_permit(platform, ITEMS, request_id=uuid.uuid4(), subject=replace(HOME[platform], name=""))
        deadline = asyncio.get_running_loop().time() + DEADLINE_S[is_hedged]
        answers = await adapter.ask(permit, ITEMS, deadline=deadline)
        expected = PlatformStatus.PLATFORM_STATUS_OK if is_hedged else PlatformStatus.PLATFORM_STATUS_TIMEOUT
        assert {answer.status for answer in answers} == {expected}
        assert platforms.faults.in_force == []
        again = await adapter.ask(permit, ITEMS, deadline=asyncio.get_running_loop().time() + 20)
        assert {answer.status for answer in again} == {PlatformStatus.PLATFORM_STATUS_OK}
        assert len(getattr(platforms.books, platform).enquiries) == 1
