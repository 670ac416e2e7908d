"""One signed exchange with chongqing (sections 3, 4 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from adapters.chongqing import codes, signing
from adapters.chongqing.codec import Reply, decode, encode, malformed
from adapters.chongqing.codes import RefusedError
from adapters.kit.caller import Call, Caller, Limits
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.pacing import Rate
from adapters.kit.transport import RawAnswer, TransportSettings
from core.clock import Clock
from standards.days import moment_of_compact
from standards.malformed import MalformedValueError

SUBMITS: Final = "submits"
POLLS: Final = "polls"
PUBLISHED_RATES: Final[Mapping[str, Rate]] = {
    SUBMITS: Rate(per_second=20, burst=20),
    POLLS: Rate(per_second=60, burst=60),
}
"""Limits of one JGDM, section 9."""
PUBLISHED_DAILY: Final = 20_000
"""New submits of a Beijing day; the platform counts those it accepts, the gateway those it sends."""
HTTP_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One kind of message: its code ``JYDM``, path, lane of pacing, and the answer codes that carry a result.

    ``is_counted``: it counts in the daily quota. ``is_read``: it changes nothing, so it may be hedged.
    """

    code: str
    path: str
    lane: str
    accepted: frozenset[str] = frozenset({codes.OK})
    is_signed: bool = False
    is_counted: bool = False
    is_read: bool = False


FILE: Final = Transaction(code="XY1000", path="/yjzx/v3/sq/ba", lane=SUBMITS)
SUBMIT: Final = Transaction(code="XY1001", path="/yjzx/v3/bg/tj", lane=SUBMITS, is_counted=True)
POLL: Final = Transaction(
    code="XY1002", path="/yjzx/v3/bg/cx", lane=POLLS, accepted=frozenset({codes.OK, codes.UNDER_WAY}), is_read=True
)
FETCH: Final = Transaction(
    code="XY1003",
    path="/yjzx/v3/bg/qj",
    lane=POLLS,
    accepted=frozenset({codes.OK, codes.NO_RECORD, codes.PARTIAL}),
    is_signed=True,
    is_read=True,
)
BOOK: Final = Transaction(code="XY9001", path="/yjzx/v3/dz/cx", lane=POLLS, is_signed=True)
DISPUTE: Final = Transaction(code="XY2001", path="/yjzx/v3/yy/tj", lane=POLLS)
ACKNOWLEDGE: Final = Transaction(code="XY1004", path="/yjzx/v3/bg/qr", lane=POLLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChongqingAccess:
    """How this gateway is known to the platform: its code, a file with the shared secret, the JWK Set of ``QM``."""

    caller_code: str
    secret_file: Path
    jwks_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply with its bytes and the platform's time of sending."""

    reply: Reply
    raw: bytes
    sent_at: str

    @property
    def tags(self) -> Mapping[str, str]:
        """Return BODY's own tags; none where there is no BODY."""
        return {} if self.reply.body is None else {child.tag: child.text or "" for child in self.reply.body}

    def moment(self) -> datetime | None:
        """Return when the platform sent it, by its own clock; None where it does not say."""
        try:
            return moment_of_compact(self.sent_at, path="X-CQ-SJC")
        except MalformedValueError:
            return None

    def seconds_until(self, tag: str) -> float:
        """Return how long it is from sending to the moment in a tag of BODY; 0 where either is missing."""
        try:
            then = moment_of_compact(self.tags.get(tag, ""), path=f"BODY/{tag}")
        except MalformedValueError as error:
            raise malformed(error.path) from error
        now = self.moment()
        return 0.0 if then is None or now is None else max(0.0, (then - now).total_seconds())


class Exchange:
    """Signs requests, checks answers; follows the platform's clock only when told that ours is off (1003)."""

    def __init__(
        self, access: ChongqingAccess, transport: TransportSettings, *, clock: Clock, limits: Limits | None
    ) -> None:
        """Read the secret and the platform's keys; raises OSError or ValueError where they cannot be used."""
        self._signer = signing.Caller(code=access.caller_code, secret=access.secret_file.read_bytes().strip())
        self._keys: Mapping[str, EllipticCurvePublicKey] = signing.load_platform_keys(access.jwks_file)
        self._clock = clock
        self._clock_offset = timedelta()
        self._caller = Caller(transport, limits or Limits(rates=PUBLISHED_RATES), monotonic=clock.monotonic)

    async def send(
        self,
        transaction: Transaction,
        serial: str,
        fields: tuple[tuple[str, str], ...],
        *,
        evidence: bytes,
        deadline: float,
    ) -> Answer:
        """Send one message; ``evidence`` is the leaf hash of the intent. Raises PlatformFailureError.

        A code that is not among the transaction's accepted ones is a RefusedError.
        """
        body = encode(transaction.code, serial, self._signer.code, fields)

        def make() -> Call:
            headers = signing.signed_headers(
                self._signer,
                path=transaction.path,
                sent_at=signing.beijing_time(self._clock.now() + self._clock_offset),
                nonce=signing.fresh_nonce(),
                body=body,
            )
            headers["X-CQ-YT"] = evidence.hex()
            return Call(method="POST", path=transaction.path, headers=headers, body=body)

        return await self._caller.call(
            make,
            lambda raw: self._read(raw, transaction, serial),
            lane=transaction.lane,
            deadline=deadline,
            is_counted=transaction.is_counted,
            is_read=transaction.is_read,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._caller.close()

    def _read(self, raw: RawAnswer, transaction: Transaction, serial: str) -> Answer:
        if raw.status != HTTP_OK:
            raise PlatformFailureError(Failure.HTTP, f"HTTP {raw.status}")
        reply = decode(raw.body)
        answer = Answer(reply=reply, raw=raw.body, sent_at=raw.headers.get("X-CQ-SJC", ""))
        if reply.code not in transaction.accepted:
            if reply.code == codes.CLOCK and (theirs := answer.moment()) is not None:
                self._clock_offset = theirs - self._clock.now()
            raise RefusedError(reply.code, now=self._clock.now(), limit=answer.tags.get("XZLX", ""))
        if reply.head.get("LSH") != serial:
            raise malformed("HEAD/LSH")
        if transaction.is_signed and not self._is_genuine(reply):
            raise malformed("QM")
        return answer

    def _is_genuine(self, reply: Reply) -> bool:
        key_id, algorithm, signature = (reply.head.get(tag, "") for tag in ("QMBH", "QMSF", "QM"))
        return bool(reply.signed) and signing.is_signed(
            self._keys, key_id=key_id, algorithm=algorithm, signature=signature, signed=reply.signed
        )
