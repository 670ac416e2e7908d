"""The HTTP of C2SP tlog-witness: single requests, with little time and little room for the answer."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.witness.model import Witness

TIMEOUT_S: Final = 5.0
"""For one whole exchange. A witness that takes longer is asked again in the next round."""
MOST_ANSWER_BYTES: Final = 64 * 1024
"""A cosignature line has about 150 bytes, one of ML-DSA-44 3,400; whoever sends more than this is not heard."""
_CONNECT_TIMEOUT_S: Final = 3.0
_MOST_HEADER_BYTES: Final = 8190
SIZE_TYPE: Final = "text/x.tlog.size"


class WitnessSilent(Exception):  # noqa: N818 - named after the fact
    """The witness gave no whole answer in time; the message says why, in one word."""


class AnswerTooLong(Exception):  # noqa: N818
    """The answer is longer than :data:`MOST_ANSWER_BYTES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A witness's answer; ``content_type`` without parameters."""

    status: int
    content_type: str
    body: bytes


class WitnessClient:
    """Sends checkpoints to witnesses; belongs to the event loop that first used it."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def add_checkpoint(self, witness: Witness, body: bytes) -> Answer:
        """Send one add-checkpoint request and read the whole answer; redirects are answers, not followed.

        Raises:
            WitnessSilent, AnswerTooLong
        """
        return await self._exchange(witness, "POST", f"{witness.url.rstrip('/')}/add-checkpoint", body)

    async def checkpoint(self, witness: Witness, origin: str) -> Answer:
        """Ask for the last checkpoint of the log ``origin`` that it cosigned; raises as :meth:`add_checkpoint` does."""
        prefix = (witness.monitoring_url or witness.url).rstrip("/")
        log = hashlib.sha256(origin.encode()).hexdigest()
        return await self._exchange(witness, "GET", f"{prefix}/{log}/checkpoint", None)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, witness: Witness, method: str, url: str, body: bytes | None) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(witness, method, url, body)
        except TimeoutError as error:
            raise WitnessSilent("TIMEOUT") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise WitnessSilent(type(error).__name__) from error

    async def _send(self, witness: Witness, method: str, url: str, body: bytes | None) -> Answer:
        session = self._session or self._open()
        request = session.request(method, url, data=body, allow_redirects=False, ssl=self._context(witness))
        async with request as response:
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if len(read) > MOST_ANSWER_BYTES:
                    # Not the rest of it: the connection is given up.
                    response.close()
                    raise AnswerTooLong
            return Answer(status=response.status, content_type=response.content_type, body=bytes(read))

    def _context(self, witness: Witness) -> ssl.SSLContext | bool:
        if not witness.url.startswith("https:"):
            return True
        if witness.name not in self._contexts:
            context = ssl.create_default_context(cafile=None if witness.ca is None else str(witness.ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._contexts[witness.name] = context
        return self._contexts[witness.name]

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            # The total is asyncio.timeout's: aiohttp rounds its own up to whole seconds.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            headers={"Accept-Encoding": "identity", "User-Agent": "bashu-gateway"},
        )
        return self._session
