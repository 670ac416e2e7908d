"""The platform as second checker: letters (JWS) and intents are verified here, offline, by whom the platform trusts.

Without ``--authorities`` nothing is verified: a platform may, and need not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from core.clock import SHANGHAI
from core.commitments import same_commitment, subject_commitment
from core.jws import JwsMalformed, VerificationKey, load_public_jwk, parse_compact
from sandbox.persons import is_person

ARTEFACT_TYPE: Final = "bashu-consent+jws"
CLOCKS_OFF: Final = timedelta(minutes=5)
"""A platform's clock is off by minutes; a letter that begins now must not be too early there."""
INTENTS_KEPT: Final = 100_000


class Fault(StrEnum):
    """Why a letter does not carry what was asked under it."""

    UNTRUSTED = "untrusted"
    OVER = "over"
    OTHER = "other"
    SCOPE = "scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What somebody says a letter grants.

    ``kinds`` are the items of each kind asked for that is not public by law; of each the letter grants one.
    """

    platform_id: str
    subject: str
    institution: str
    purpose: str
    kinds: Collection[frozenset[str]]
    last_day: date


class _Key(msgspec.Struct, frozen=True):
    issuer: str
    kid: str
    alg: str
    jwk: dict[str, Any]


class _File(msgspec.Struct, frozen=True):
    keys: list[_Key]
    commitments: dict[str, str]


class SecondChecker:
    """Verifies letters by the keys of trusted issuers, and that an intent's leaf hash stands for one enquiry alone."""

    def __init__(self, keys: Mapping[tuple[str, str], VerificationKey], commitments: Mapping[str, bytes]) -> None:
        """Trust ``keys`` by issuer and kid, and name subjects by the authorities' ``commitments`` keys, by kid."""
        self._keys = keys
        self._commitments = commitments
        self._intents: OrderedDict[tuple[str, str], str] = OrderedDict()

    def fault(self, letter: str, claim: Claim, *, now: datetime) -> Fault | None:
        """Return the first thing that is wrong, in the order of :class:`Fault`; None: the letter carries the claim."""
        payload = self._verified(letter)
        if payload is None:
            return Fault.UNTRUSTED
        try:
            return self._judged(payload, claim, now)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return Fault.UNTRUSTED

    def is_intent_of(self, leaf_hash: str | None, platform_id: str, enquiry: str) -> bool:
        """Tell whether an intent was handed over that stands for no other enquiry at this platform."""
        if not leaf_hash:
            return False
        known = self._intents.setdefault((platform_id, leaf_hash), enquiry)
        if len(self._intents) > INTENTS_KEPT:
            self._intents.popitem(last=False)
        return known == enquiry

    def _verified(self, letter: str) -> Mapping[str, Any] | None:
        try:
            jws = parse_compact(letter, typ=ARTEFACT_TYPE)
        except JwsMalformed:
            return None
        key = self._keys.get((str(jws.payload.get("iss")), jws.header["kid"]))
        return jws.payload if key is not None and key.is_signature_of(jws) else None

    def _judged(self, payload: Mapping[str, Any], claim: Claim, now: datetime) -> Fault | None:
        begins, ends = (datetime.fromtimestamp(payload[name], UTC) for name in ("nbf", "exp"))
        last = datetime.combine(claim.last_day, time.min, SHANGHAI)
        if now + CLOCKS_OFF < begins or now >= ends or last >= ends:
            return Fault.OVER
        subject = payload["subject"]
        named = subject_commitment(
            self._commitments[subject["commitment_kid"]],
            "citizen_id" if is_person(claim.subject) else "uscc",
            claim.subject,
        )
        is_this = (
            same_commitment(named, subject["commitment"])
            and payload["requester"]["institution"] == claim.institution
            and payload["purpose"]["code"] == claim.purpose
            and any(provider["platform_id"] == claim.platform_id for provider in payload["providers"])
        )
        if not is_this:
            return Fault.OTHER
        granted = {item["id"] for item in payload["data"]["items"]}
        return Fault.SCOPE if any(kind.isdisjoint(granted) for kind in claim.kinds) else None


def read_authorities(file: Path) -> SecondChecker:
    """Read whom the platform trusts.

    ``{"keys": [{"issuer", "kid", "alg", "jwk"}], "commitments": {kid: hex}}``: public keys of the consent authorities
    and lenders that sign letters, and the commitment keys that they lent to the platform.

    Raises:
        ValueError: the file is no such document, or holds a key that may not be used.
    """
    said = msgspec.json.decode(file.read_bytes(), type=_File)
    return SecondChecker(
        {(key.issuer, key.kid): load_public_jwk(key.jwk, kid=key.kid, alg=key.alg) for key in said.keys},
        {kid: bytes.fromhex(key) for kid, key in said.commitments.items()},
    )
