"""The one hop to a platform: verified TLS, one deadline, capped bodies, a keep-alive pool. aiohttp stays in here."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import http_exceptions

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.sent import note_sent

MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
"""Both platforms' pages: an answer is at most 2 MiB."""
CONNECT_TIMEOUT_S: Final = 3.0
RETRY_AFTER_S: Final = 0.05
"""Wait before a broken connection is tried again: most are keep-alive connections that the peer closed meanwhile."""
_MAX_HEADER_BYTES: Final = 8190
_MAX_HEADERS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Where a platform is and how it is reached. Plain ``http`` is accepted for loopback addresses alone.

    ``ca_file`` None trusts the system's authorities; ``certificate_file`` and ``key_file`` are the client's own.
    """

    base_url: str
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    max_connections: int = 64
    max_answer_bytes: int = MAX_ANSWER_BYTES

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"https", "http"} or parts.hostname is None or parts.query or parts.fragment:
            raise ValueError("base_url must be https://host[:port][/path]")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("base_url without TLS is accepted for a loopback address alone")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """An HTTP answer as received; ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one base URL. Belongs to the event loop that first used it."""

    def __init__(self, settings: TransportSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._base = settings.base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> RawAnswer:
        """Send one request and read the whole answer before ``deadline`` (monotonic seconds).

        Raises PlatformFailureError: TIMED_OUT, UNREACHABLE, RESET, TLS, OVERSIZED or MALFORMED (no HTTP).
        """
        remaining = deadline - self._monotonic()
        if remaining <= 0:
            raise PlatformFailureError(Failure.TIMED_OUT)
        may_have_left = True
        try:
            async with asyncio.timeout(remaining):
                return await self._exchange(method, path, headers, body)
        except (TimeoutError, aiohttp.ClientError, http_exceptions.HttpProcessingError, OSError) as error:
            failure = _classified(error)
            may_have_left = failure.was_sent
            raise failure from error
        finally:
            if may_have_left:
                note_sent()

    async def close(self) -> None:
        """Close the pool."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        session = self._session or self._open()
        request = session.request(method, self._base + path, data=body, headers=headers, allow_redirects=False)
        async with request as response:
            cap = self._settings.max_answer_bytes
            if response.content_length is not None and response.content_length > cap:
                raise _oversized(response)
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if len(read) > cap:
                    raise _oversized(response)
            return RawAnswer(status=response.status, headers=response.headers, body=bytes(read))

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=settings.max_connections, ssl=_context(settings) if self._base.startswith("https") else False
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            # The total is asyncio.timeout's: aiohttp rounds its own up to whole seconds.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
            headers={"Accept-Encoding": "identity", "User-Agent": "bashu-gateway"},
        )
        return self._session


def _context(settings: TransportSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate_file is not None and settings.key_file is not None:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    return context


def _oversized(response: aiohttp.ClientResponse) -> PlatformFailureError:
    response.close()
    return PlatformFailureError(Failure.OVERSIZED)


def _classified(error: Exception) -> PlatformFailureError:
    """Name what went wrong on the wire; the error's own text may hold an address or more, so it stays its cause."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return PlatformFailureError(Failure.UNREACHABLE, "CONNECT_TIMEOUT", was_sent=False)
        case TimeoutError():
            return PlatformFailureError(Failure.TIMED_OUT)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            # With TLS 1.3 a client certificate is refused after the request went out: then the error is ssl's own.
            was_sent = not isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError)
            return PlatformFailureError(Failure.TLS, retry_after_s=RETRY_AFTER_S, was_sent=was_sent)
        case aiohttp.ClientConnectorError():
            return PlatformFailureError(Failure.UNREACHABLE, retry_after_s=RETRY_AFTER_S, was_sent=False)
        case aiohttp.ClientResponseError() | http_exceptions.HttpProcessingError() | aiohttp.InvalidURL():
            return PlatformFailureError(Failure.MALFORMED, "NO_HTTP")
        case _:
            return PlatformFailureError(Failure.RESET, retry_after_s=RETRY_AFTER_S)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
