"""Tokens of callers (docs/platforms/sichuan.md section 2)."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import msgspec

from sandbox.clock import ProtocolClock
from sandbox.credentials import SichuanCredentials
from sandbox.sichuan.refusals import Refusal

TOKEN_TIME: Final = timedelta(minutes=30)
TOKENS_KEPT: Final = 1_000
_PREFIX: Final = "sbx."


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Body of ``POST /auth/token``."""

    appid: str
    username: str
    password: str


class Tokens:
    """Tokens given out; several of one caller live side by side."""

    def __init__(self, credentials: SichuanCredentials, clock: ProtocolClock) -> None:
        self._credentials = credentials
        self._clock = clock
        self._expiries: OrderedDict[str, datetime] = OrderedDict()

    def give(self, login: Login) -> dict[str, str | int]:
        """Return the answer to a login; anything wrong in it is a 401 that does not say what."""
        known = self._credentials
        pairs = (
            (login.appid, known.appid),
            (login.username, known.username),
            (login.password, known.password),
        )
        # Every pair is compared, in constant time: an answer's duration must not tell which one was wrong.
        if not all([hmac.compare_digest(given.encode(), right.encode()) for given, right in pairs]):  # noqa: C419
            raise Refusal(HTTPStatus.UNAUTHORIZED, "invalid credentials")
        token = _PREFIX + secrets.token_hex(24)
        expires_at = self._clock.now() + TOKEN_TIME
        self._expiries[token] = expires_at
        if len(self._expiries) > TOKENS_KEPT:
            self._expiries.popitem(last=False)
        return {
            "rbac_token": token,
            "expiresIn": int(TOKEN_TIME.total_seconds()),
            "expiresAt": int(expires_at.timestamp() * 1000),
        }

    def check(self, token: str | None) -> None:
        """Refuse a token that is absent, unknown or over.

        An unknown token is looked up by its text: it is 192 random bits, so a lookup's duration gives nothing away.
        """
        expires_at = self._expiries.get(token or "")
        if expires_at is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "token invalid")
        if self._clock.now() >= expires_at:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "token expired")
