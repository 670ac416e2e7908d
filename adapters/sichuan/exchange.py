"""One exchange with sichuan: token, headers, status codes, envelope (sections 2, 3, 4 and 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from adapters.kit.caller import Call, Caller, Limits
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.pacing import Rate
from adapters.kit.strict_json import check_members
from adapters.kit.transport import RawAnswer, TransportSettings
from adapters.sichuan import messages as sc
from adapters.sichuan.envelope import Opened, load_private_key, open_envelope
from adapters.sichuan.refusals import TOKEN_TEXTS, RefusedError
from core.clock import SHANGHAI, Clock

T = TypeVar("T")

REQUESTS: Final = "requests"
PUBLISHED_RATES: Final[Mapping[str, Rate]] = {REQUESTS: Rate(per_second=50, burst=100)}
"""Limits of one token, section 8."""
PUBLISHED_DAILY: Final = 100_000
"""Requests of an appid on a Beijing day, section 8."""
RENEW_BEFORE_S: Final = 60.0
MAX_REQUEST_BYTES: Final = 64 * 1024
CLOCK_BEHIND: Final = timedelta(seconds=40)
MAINTENANCE_DAY: Final = 2
"""Wednesday, from 23:00 until 01:00, by the platform's clock."""
HTTP_OK, HTTP_CREATED = 200, 201


@dataclass(frozen=True, slots=True, kw_only=True)
class SichuanAccess:
    """How this gateway is known to the platform.

    ``credentials_file`` holds JSON ``{"appid", "username", "password"}``; ``private_keys`` the PEM file of each RSA
    key by its id (``x-key-id``), two while a key is rotated.
    """

    credentials_file: Path
    private_keys: Mapping[str, Path]


class Credentials(msgspec.Struct, frozen=True):
    """What a token is given for."""

    appid: str
    username: str
    password: str

    def __repr__(self) -> str:
        """Hide the password."""
        return "Credentials(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What every call of one query has in common; ``deadline`` is on the monotonic clock.

    ``subject`` is a firm's code, None of a person: what stands in addresses and records is never an identity number.
    """

    request_id: str
    institution: str
    subject: str | None = field(repr=False)
    reason: str
    evidence: bytes
    deadline: float

    def headers(self) -> dict[str, str]:
        """Return the headers of section 4 that do not depend on the call."""
        return {
            "x-request-id": self.request_id,
            "X-Institution": self.institution,
            "X-Evidence-Hash": self.evidence.hex(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An opened envelope with the answer that it came in."""

    opened: Opened
    raw: RawAnswer


class Exchange:
    """Sends calls with a token that is renewed before it ends, and opens envelopes."""

    def __init__(
        self, access: SichuanAccess, transport: TransportSettings, *, clock: Clock, limits: Limits | None
    ) -> None:
        """Read credentials and keys. Raises OSError or ValueError where they cannot be used."""
        self._credentials = msgspec.json.decode(access.credentials_file.read_bytes(), type=Credentials)
        self._keys: Mapping[str, RSAPrivateKey] = {
            key_id: load_private_key(path.read_bytes()) for key_id, path in access.private_keys.items()
        }
        self._clock = clock
        self._caller = Caller(transport, limits or Limits(rates=PUBLISHED_RATES), monotonic=clock.monotonic)
        self._token = ""
        self._token_ends = 0.0
        self._renewing = asyncio.Lock()

    async def sealed(
        self, method: str, path: str, *, query: Query, headers: Mapping[str, str], body: bytes | None = None
    ) -> Sealed:
        """Send a query and open the answer's envelope. Raises PlatformFailureError."""
        # Every enveloped answer is a read: its pair of headers is one enquiry however often it is sent (section 4).
        return await self._send(method, path, query, headers, body, self._read_sealed, is_read=True)

    async def plain(self, method: str, path: str, *, query: Query, body: bytes | None, shape: type[T]) -> T:
        """Send a call whose answer is plain JSON. Raises PlatformFailureError."""
        decoder = msgspec.json.Decoder(shape)
        return await self._send(method, path, query, {}, body, lambda raw: self._read_plain(raw, decoder))

    def may_ask_again(self) -> bool:
        """Tell whether the retry budget has room for one more report, and take it."""
        return self._caller.may_ask_again()

    async def close(self) -> None:
        """Close connections."""
        await self._caller.close()

    async def _send(  # noqa: PLR0917  # the six parts of one call
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        read: Callable[[RawAnswer], T],
        *,
        is_read: bool = False,
    ) -> T:
        if body is not None and len(body) > MAX_REQUEST_BYTES:
            raise PlatformFailureError(Failure.FAILED, "REQUEST_TOO_LARGE")
        common = query.headers() | dict(headers) | ({} if body is None else {"Content-Type": "application/json"})
        token = await self._valid_token(query.deadline)

        def make() -> Call:
            return Call(method=method, path=path, headers=common | {"Authorization": token}, body=body)

        try:
            return await self._call(make, read, query.deadline, is_read=is_read)
        except RefusedError as refusal:
            if refusal.text not in TOKEN_TEXTS:
                raise
        self._drop(token)
        token = await self._valid_token(query.deadline)
        return await self._call(make, read, query.deadline, is_read=is_read)

    async def _call(
        self, make: Callable[[], Call], read: Callable[[RawAnswer], T], deadline: float, *, is_read: bool = False
    ) -> T:
        try:
            return await self._caller.call(make, read, lane=REQUESTS, deadline=deadline, is_read=is_read)
        except PlatformFailureError as failure:
            if failure.failure is Failure.UNREACHABLE and in_maintenance(self._clock.now()):
                raise PlatformFailureError(Failure.MAINTENANCE, "connection refused in the published window") from None
            raise

    async def _valid_token(self, deadline: float) -> str:
        if self._clock.monotonic() < self._token_ends:
            return self._token
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()), self._renewing:
                if self._clock.monotonic() >= self._token_ends:
                    await self._renew(deadline)
                return self._token
        except TimeoutError:
            raise PlatformFailureError(Failure.TIMED_OUT) from None

    async def _renew(self, deadline: float) -> None:
        body = msgspec.json.encode(self._credentials)
        decoder = msgspec.json.Decoder(sc.Token)
        call = Call(method="POST", path="/auth/token", headers={"Content-Type": "application/json"}, body=body)
        began = self._clock.monotonic()
        token = await self._call(lambda: call, lambda raw: self._read_plain(raw, decoder), deadline)
        self._token, self._token_ends = token.token, began + token.expires_in - RENEW_BEFORE_S

    def _drop(self, token: str) -> None:
        # Another call may have renewed it meanwhile; only the refused one goes.
        if token == self._token:
            self._token_ends = 0.0

    def _read_plain(self, raw: RawAnswer, decoder: msgspec.json.Decoder[T]) -> T:
        self._refuse_other(raw)
        check_members(raw.body)
        try:
            return decoder.decode(raw.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PlatformFailureError(Failure.MALFORMED, "answer") from None

    def _read_sealed(self, raw: RawAnswer) -> Sealed:
        self._refuse_other(raw)
        check_members(raw.body)
        opened = open_envelope(
            raw.body,
            self._keys,
            key_id=raw.headers.get("x-key-id", ""),
            is_zipped=raw.headers.get("internal-zip-version") == "1",
        )
        return Sealed(opened=opened, raw=raw)

    def _refuse_other(self, raw: RawAnswer) -> None:
        if raw.status in {HTTP_OK, HTTP_CREATED}:
            return
        text = raw.body[:200].decode("utf-8", "replace")
        raise RefusedError(raw.status, text, now=self._clock.now(), retry_after=raw.headers.get("Retry-After", ""))


def in_maintenance(now: datetime) -> bool:
    """Tell whether the platform's published window is open: Wednesday 23:00 to Thursday 01:00 by its clock."""
    theirs = (now - CLOCK_BEHIND).astimezone(SHANGHAI)
    return (theirs - timedelta(hours=23)).weekday() == MAINTENANCE_DAY and (theirs - timedelta(hours=23)).hour < 2  # noqa: PLR2004
