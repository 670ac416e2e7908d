"""How a call shows who makes it: a key, a signature, an OAuth 2.0 token, or the client certificate alone."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote_plus, urlencode

import msgspec
from cryptography.hazmat.primitives import hashes, hmac

from adapters.kit.caller import Call, Caller
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.strict_json import check_members
from adapters.kit.transport import RawAnswer
from adapters.rest_json.description import ApiKey, Hmac, OAuth2, Source
from adapters.rest_json.templates import TemplateError, compile_template
from core.clock import Clock

LANE: Final = "calls"
RENEW_BEFORE_S: Final = 60.0
MAX_SECRET_BYTES: Final = 4096
_HASHES: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {"sha256": hashes.SHA256, "sm3": hashes.SM3}
_SIGNED: Final = frozenset({"method", "target", "timestamp", "nonce", "body_digest"})
_HTTP_OK: Final = 200


class Signer(Protocol):
    """Makes the headers that authenticate a call."""

    async def prepare(self, deadline: float) -> None:
        """Fetch what signing needs. Raises PlatformFailureError."""

    def headers(self, method: str, target: str, body: bytes | None) -> Mapping[str, str]:
        """Return the headers of one call; called anew for every try."""

    def refused(self) -> None:
        """Hear that the platform answered 401, so that a token is fetched anew."""


class FixedKey:
    """An API key, or nothing where the client certificate is all."""

    def __init__(self, header: str = "", value: str = "") -> None:
        self._headers = {header: value} if header else {}

    async def prepare(self, deadline: float) -> None:
        """Do nothing: a fixed key needs nothing."""

    def headers(self, method: str, target: str, body: bytes | None) -> Mapping[str, str]:  # noqa: ARG002
        """Return the key's header."""
        return self._headers

    def refused(self) -> None:
        """Do nothing: another try brings no other key."""


class HmacSigner:
    """Signs each call with a shared secret (RFC 2104), fresh time and nonce each."""

    def __init__(self, spec: Hmac, key: bytes, *, source: Source, clock: Clock) -> None:
        try:
            self._message = compile_template(spec.message, _SIGNED)
        except TemplateError as error:
            raise source.wrong(("auth", "message"), str(error)) from None
        self._spec = spec
        self._key = key
        self._hash = _HASHES[spec.hash]
        self._clock = clock

    async def prepare(self, deadline: float) -> None:
        """Do nothing: the key is here."""

    def headers(self, method: str, target: str, body: bytes | None) -> Mapping[str, str]:
        """Return signature, time and nonce."""
        digest = hashes.Hash(self._hash())
        digest.update(body or b"")
        timestamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        values = {"method": method, "target": target, "timestamp": timestamp, "nonce": nonce}
        mac = hmac.HMAC(self._key, self._hash())
        mac.update(self._message.fill(values | {"body_digest": digest.finalize().hex()}).encode())
        spec = self._spec
        return {spec.header: mac.finalize().hex(), spec.timestamp_header: timestamp, spec.nonce_header: nonce}

    def refused(self) -> None:
        """Do nothing: a fresh signature is made for every try."""


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the gateway is at a platform's authorisation server."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Hide the secret."""
        return "Client(...)"


class Token(msgspec.Struct, frozen=True):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int = 300

    def __repr__(self) -> str:
        """Hide the token."""
        return "Token(...)"


class OAuth2Signer:
    """Holds one bearer token; whoever comes first renews it for all."""

    def __init__(self, spec: OAuth2, client: Client, *, caller: Caller, clock: Clock) -> None:
        self._spec = spec
        self._client = client
        self._caller = caller
        self._clock = clock
        self._token = ""
        self._ends = 0.0
        self._renewing = asyncio.Lock()

    async def prepare(self, deadline: float) -> None:
        """Fetch a token where none is good for a while. Raises PlatformFailureError."""
        if self._clock.monotonic() < self._ends:
            return
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()), self._renewing:
                if self._clock.monotonic() >= self._ends:
                    await self._renew(deadline)
        except TimeoutError:
            raise PlatformFailureError(Failure.TIMED_OUT) from None

    def headers(self, method: str, target: str, body: bytes | None) -> Mapping[str, str]:  # noqa: ARG002
        """Return the bearer token (RFC 6750)."""
        return {"Authorization": f"Bearer {self._token}"}

    def refused(self) -> None:
        """Fetch another token before the next call."""
        self._ends = 0.0

    async def _renew(self, deadline: float) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._spec.scope} if self._spec.scope else {})
        name, secret = quote_plus(self._client.client_id), quote_plus(self._client.client_secret)
        headers = {
            "Authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        call = Call(method="POST", path=self._spec.token_path, headers=headers, body=urlencode(form).encode())
        began = self._clock.monotonic()
        token = await self._caller.call(lambda: call, _read_token, lane=LANE, deadline=deadline)
        self._token, self._ends = token.access_token, began + max(0.0, token.expires_in - RENEW_BEFORE_S)


def signer_of(source: Source, files: Mapping[str, Path], *, caller: Caller, clock: Clock) -> Signer:
    """Return the signer a description asks for. Raises KeyError (a file is not named), OSError, ValueError."""
    match source.description.auth:
        case ApiKey() as spec:
            return FixedKey(spec.header, spec.prefix + _secret(files["api_key"]).decode("ascii"))
        case Hmac() as spec:
            return HmacSigner(spec, _secret(files["hmac_key"]), source=source, clock=clock)
        case OAuth2() as spec:
            client = msgspec.json.decode(_secret(files["client"]), type=Client)
            return OAuth2Signer(spec, client, caller=caller, clock=clock)
        case _:
            if "certificate" not in files:
                raise KeyError("certificate")
            return FixedKey()


def _secret(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_SECRET_BYTES + 1).rstrip(b"\r\n")
    if not content or len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"a secret of 1 to {MAX_SECRET_BYTES} bytes")
    return content


def _read_token(raw: RawAnswer) -> Token:
    if raw.status != _HTTP_OK:
        raise PlatformFailureError(Failure.FAILED, f"TOKEN {raw.status}")
    check_members(raw.body)
    try:
        token = msgspec.json.decode(raw.body, type=Token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PlatformFailureError(Failure.MALFORMED, "token") from None
    if token.token_type.lower() != "bearer" or not token.access_token.isascii() or not token.access_token.isprintable():
        raise PlatformFailureError(Failure.MALFORMED, "token")
    return token
