"""Callbacks: the platform tells the caller that an authorisation changed (docs/platforms/sichuan.md section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec
import structlog
from cryptography.hazmat.primitives import hashes, hmac

from core.clock import SHANGHAI
from sandbox.clock import ProtocolClock
from sandbox.sichuan.authorisations import Authorisation

RETRY_AFTER_S: Final = (1, 10, 60)
QUEUE_LENGTH: Final = 1_000
_TIMEOUT_S: Final = 10

_log = structlog.get_logger(__name__)


class _Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    event_id: str
    authorization_id: str
    state: str
    changed_at: int


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return ``X-SC-Signature``: hex HMAC-SM3 of timestamp, LF, body."""
    signer = hmac.HMAC(secret.encode(), hashes.SM3())
    signer.update(timestamp.encode() + b"\n" + body)
    return signer.finalize().hex()


class Callbacks:
    """Sends each change to ``url``, again after 1, 10 and 60 s where the answer is not 204; without a URL nothing."""

    def __init__(
        self, *, url: str | None, secret: str, clock: ProtocolClock, repeats: Callable[[], bool] = lambda: False
    ) -> None:
        self._repeats = repeats
        self._url = url
        self._secret = secret
        self._clock = clock
        self._events: asyncio.Queue[_Event] = asyncio.Queue(QUEUE_LENGTH)
        self._number = 0

    def tell(self, authorisation: Authorisation) -> None:
        """Queue the change; a full queue drops it, as a caller that is long away must ask for the state anyway."""
        if self._url is None:
            return
        self._number += 1
        event = _Event(
            event_id=f"E{authorisation.changed_at.astimezone(SHANGHAI):%Y%m%d%H%M%S}{self._number:06d}",
            authorization_id=authorisation.authorisation_id,
            state=authorisation.state.value,
            changed_at=int(authorisation.changed_at.timestamp() * 1000),
        )
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("callback_dropped", waiting=QUEUE_LENGTH)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while the context is open; what is undelivered at its end is given up."""
        if self._url is None:
            yield
            return
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(self._work(session, self._url))
            yield
            worker.cancel()

    async def _work(self, session: aiohttp.ClientSession, url: str) -> None:
        async with asyncio.TaskGroup() as deliveries:
            while True:
                event = await self._events.get()
                deliveries.create_task(self._deliver(session, url, event))

    async def _deliver(self, session: aiohttp.ClientSession, url: str, event: _Event) -> None:
        for wait_s in (*RETRY_AFTER_S, None):
            if await self._is_taken(session, url, event):
                if self._repeats():
                    await self._is_taken(session, url, event)
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        _log.warning("callback_given_up", event_id=event.event_id)

    async def _is_taken(self, session: aiohttp.ClientSession, url: str, event: _Event) -> bool:
        body = msgspec.json.encode(event)
        timestamp = str(int(self._clock.now().timestamp() * 1000))
        headers = {
            "Content-Type": "application/json",
            "X-SC-Timestamp": timestamp,
            "X-SC-Signature": sign(self._secret, timestamp, body),
        }
        try:
            async with session.post(url, data=body, headers=headers) as answer:
                return answer.status == HTTPStatus.NO_CONTENT
        except (aiohttp.ClientError, TimeoutError):
            return False
