"""Check who calls and when (docs/platforms/chongqing.md section 3), before anything of the message is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.clock import SHANGHAI
from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.nonces import NonceBook
from sandbox.chongqing.signing import canonical_string, is_signed

_LONGEST_SKEW: Final = timedelta(seconds=300)
_JGDM: Final = re.compile(r"[A-Z0-9]{6,20}")
_TIME: Final = re.compile(r"[0-9]{14}")
_NONCE: Final = re.compile(r"[0-9a-f]{16,32}")
_SIGN: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request as it arrived; headers that are absent are empty."""

    method: str
    path: str
    content_type: str
    jgdm: str
    sjc: str
    nonce: str
    sign: str
    intent: str
    """``X-CQ-YT``: leaf hash of the gateway's intent, evidence for the book."""
    body: bytes
    certificate_name: str | None
    """CN of the client certificate; None without TLS, where no certificate is checked."""


class Gate:
    """The callers known, and the nonces they used."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._credentials = dict(credentials)
        self._nonces = NonceBook()

    def refused(self, call: Call, *, now: datetime) -> Fhm | None:
        """Return the first check that fails at the platform's time ``now``; the nonce is used up when none does."""
        sent_at = _sent_at(call.sjc)
        if sent_at is None or not _formed(call) or not self._is_signed(call):
            return Fhm.SIGNATURE
        if abs(sent_at - now) > _LONGEST_SKEW:
            return Fhm.CLOCK
        return None if self._nonces.take(jgdm=call.jgdm, nonce=call.nonce, at=now) else Fhm.NONCE

    def _is_signed(self, call: Call) -> bool:
        secret = self._credentials.get(call.jgdm)
        if secret is None or call.certificate_name not in (None, call.jgdm):
            return False
        canonical = canonical_string(path=call.path, jgdm=call.jgdm, sjc=call.sjc, nonce=call.nonce, body=call.body)
        return is_signed(secret=secret, canonical=canonical, signature=call.sign)


def _formed(call: Call) -> bool:
    return (
        _JGDM.fullmatch(call.jgdm) is not None
        and _NONCE.fullmatch(call.nonce) is not None
        and _SIGN.fullmatch(call.sign) is not None
        and (not call.intent or _SIGN.fullmatch(call.intent) is not None)
    )


def _sent_at(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI)
    except ValueError:
        return None
