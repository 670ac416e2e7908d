"""Every platform of one permit asked at once: whoever fails or keeps no deadline is named, not waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from adapters.kit.checked import FindingKind
from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import PlatformStatus
from core.permit import Permit
from gateway.outcomes import unanswered
from gateway.platform.standing import Closed
from standards.answer import ItemAnswer

RELEASE_RESERVE_S: Final = 0.5
"""Kept back from the caller's deadline for check, merge and release; a tenth of a short one."""
ADAPTER_FAILED: Final = "ADAPTER_FAILED"
ADAPTER_OVERDUE: Final = "ADAPTER_OVERDUE"
"""Details of items whose adapter raised, or did not keep its deadline."""

_LOG: Final = structlog.get_logger(__name__)


def release_reserve_s(left_s: float) -> float:
    """Return what of the seconds left is kept back for check, merge and release."""
    return min(RELEASE_RESERVE_S, left_s / 10)


async def ask_platforms(
    adapters: Mapping[str, Adapter], permit: Permit, *, closed: Mapping[str, Closed], deadline: float
) -> list[ItemAnswer]:
    """Ask every platform of the permit at once, inside the deadline; who does not answer is named, not waited for.

    ``closed``: platforms that their operators stopped; nothing is sent there, and the answers say so.
    """
    reserve_s = release_reserve_s(deadline - time.monotonic())
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_ask_one(adapters[platform_id], permit, items, deadline - reserve_s, reserve_s / 2))
            for platform_id, items in sorted(permit.targets.items())
            if platform_id not in closed
        ]
    return [
        *(answer for task in tasks for answer in task.result()),
        *(answer for name, why in sorted(closed.items()) for answer in _not_sent(adapters[name], permit, why)),
    ]


def _not_sent(adapter: Adapter, permit: Permit, why: Closed) -> list[ItemAnswer]:
    items = permit.targets[adapter.platform.platform_id]
    return [
        replace(answer, was_sent=False) for answer in unanswered(adapter, items, status=why.status, detail=why.detail)
    ]


async def _ask_one(
    adapter: Adapter, permit: Permit, items: frozenset[str], deadline: float, grace_s: float
) -> list[ItemAnswer]:
    """Ask one platform. Adapters promise to raise nothing and to keep the deadline; no promise is relied on here."""
    answers: list[ItemAnswer] = []
    status, detail = PlatformStatus.PLATFORM_STATUS_UNAVAILABLE, FindingKind.MISSING.value
    try:
        async with asyncio.timeout(deadline + grace_s - time.monotonic()):
            answers = await adapter.ask(permit, items, deadline=deadline)
    except TimeoutError:
        status, detail = PlatformStatus.PLATFORM_STATUS_TIMEOUT, ADAPTER_OVERDUE
    except Exception as error:  # noqa: BLE001 - one platform's program must not fail the query
        # The type alone: an error's text may quote what the platform sent.
        _LOG.error("adapter_failed", platform=adapter.platform.platform_id, error=type(error).__name__)
        detail = ADAPTER_FAILED
    answered = {answer.item for answer in answers}
    return [*answers, *unanswered(adapter, items - answered, status=status, detail=detail)]
