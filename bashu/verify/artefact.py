"""Consent artefacts (``bashu-consent/1``): form and signature of what an authority signed, checked offline.

Whether the authority's key was registered, and whether the consent stands today, only the gateway can say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from bashu.verify.jws import verify_jws
from bashu.verify.keys import PublicKey
from bashu.verify.strict import VerificationError, json_object

ARTEFACT_TYPE: Final = "bashu-consent+jws"
SCHEMA: Final = "bashu-consent/1"
_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REGION: Final = re.compile(r"[0-9]{6}", re.ASCII)  # GB/T 2260
_LONGEST_AFTER_CLOSING: Final = 90  # days a consent may outlast its loan
_ACTS: Final = frozenset({"QUERY", "EVALUATE", "COUNT_ENQUIRIES", "REPORT_BACK"})
_MEMBERS: Final = frozenset({
    "schema", "consent_id", "iss", "aud", "iat", "nbf", "exp", "term", "supersedes", "subject", "requester",
    "providers", "purpose", "acts", "data", "usage", "retention", "notice", "capture",
})  # fmt: skip
_OPTIONAL: Final = frozenset({"term", "supersedes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedArtefact:
    """An artefact whose signature and form hold."""

    consent_id: UUID
    payload: Mapping[str, Any]


def verify_artefact(jws: object, key: PublicKey) -> VerifiedArtefact:
    """Check a consent artefact against its authority's key.

    Raises:
        VerificationError: signature, header, ``typ`` or a field of the payload is wrong.
    """
    verified = verify_jws(jws, key, typ=ARTEFACT_TYPE)
    if not isinstance(verified.header.get("kid"), str) or not verified.header["kid"]:
        raise VerificationError("jws header: an artefact names its kid")
    payload = json_object(verified.payload, "artefact")
    _check_members(payload)
    for check in (_check_identity, _check_subject, _check_scope, _check_usage, _check_capture):
        check(payload)
    return VerifiedArtefact(consent_id=UUID(payload["consent_id"]), payload=payload)


def _check_members(payload: Mapping[str, Any]) -> None:
    foreign = sorted(payload.keys() - _MEMBERS)
    if foreign:
        raise VerificationError(f"artefact: {foreign[0]} is no field of {SCHEMA}")
    absent = sorted(_MEMBERS - _OPTIONAL - payload.keys())
    if absent:
        raise VerificationError(f"artefact: {absent[0]} is missing")
    if payload["schema"] != SCHEMA:
        raise VerificationError(f"artefact: schema is not {SCHEMA}")


def _check_identity(payload: Mapping[str, Any]) -> None:
    identifier = _uuid(payload["consent_id"], "consent_id")
    if identifier.version != 7:  # noqa: PLR2004 - UUIDv7, RFC 9562 section 5.7
        raise VerificationError("artefact: consent_id is not a UUIDv7")
    _text(payload, "iss")
    _require(payload, "aud", _texts, "a list of gateway origins")
    issued, begins, ends = (_moment(payload, name) for name in ("iat", "nbf", "exp"))
    if not begins < ends or issued >= ends:
        raise VerificationError("artefact: nbf and iat must be before exp")
    _check_term(payload.get("term"))
    supersedes = payload.get("supersedes")
    if supersedes is not None:
        inner = _object(payload, "supersedes")
        _uuid(inner.get("consent_id"), "supersedes.consent_id")
        _require(inner, "artefact_hash", _hexadecimal, "hex SHA-256")


def _check_term(term: object) -> None:
    """A term is absent or FIXED (``exp`` alone), or ends with the loan."""
    if term is None or term == {"until": "FIXED"}:
        return
    if not isinstance(term, dict) or term.get("until") != "LOAN_CLOSED" or term.keys() - {"until", "plus_days"}:
        raise VerificationError("artefact: term is FIXED or until LOAN_CLOSED")
    days = term.get("plus_days", 0)
    if not _count(days) or days > _LONGEST_AFTER_CLOSING:
        raise VerificationError(f"artefact: term is until LOAN_CLOSED plus {_LONGEST_AFTER_CLOSING} days at most")


def _check_subject(payload: Mapping[str, Any]) -> None:
    subject = _object(payload, "subject")
    if subject.get("kind") not in {"enterprise", "person"}:
        raise VerificationError("artefact: subject.kind is enterprise or person")
    for name in ("id_type", "commitment_kid"):
        _text(subject, name)
    _require(subject, "commitment", _hexadecimal, "hex HMAC-SHA-256")
    _text(_object(payload, "requester"), "institution")
    _check_providers(payload["providers"])


def _check_providers(providers: object) -> None:
    if not isinstance(providers, list) or not providers or not all(isinstance(item, dict) for item in providers):
        raise VerificationError("artefact: providers are missing")
    for provider in providers:
        if not _REGION.fullmatch(_text(provider, "region")) or "*" in _text(provider, "platform_id"):
            raise VerificationError("artefact: a provider is named, never a wildcard")
        if not isinstance(provider.get("separate_consent"), bool):
            raise VerificationError("artefact: separate_consent is true or false")
    _refuse_twice([provider["platform_id"] for provider in providers], "platform")


def _check_scope(payload: Mapping[str, Any]) -> None:
    purpose = _object(payload, "purpose")
    _text(purpose, "code")
    _require(purpose, "text_sha256", _hexadecimal, "hex SHA-256")
    acts = payload["acts"]
    if not _texts(acts) or not set(acts) <= _ACTS or "QUERY" not in acts:
        raise VerificationError(f"artefact: acts are QUERY and others of {', '.join(sorted(_ACTS))}")
    data = _object(payload, "data")
    items = data.get("items")
    if not isinstance(items, list) or not items:
        raise VerificationError("artefact: data.items are missing")
    for item in items:
        if not isinstance(item, dict) or item.get("necessity") not in {"required", "optional"}:
            raise VerificationError("artefact: an item is required or optional")
        _text(item, "id")
    _refuse_twice([item["id"] for item in items], "item")


def _refuse_twice(names: list[str], what: str) -> None:
    if len(set(names)) != len(names):
        raise VerificationError(f"artefact: a {what} stands twice")


def _check_usage(payload: Mapping[str, Any]) -> None:
    usage = _object(payload, "usage")
    if usage.get("mode") not in {"ONE_TIME", "PERIODIC"}:
        raise VerificationError("artefact: usage.mode is ONE_TIME or PERIODIC")
    _require(usage, "max_uses", lambda value: _count(value) and value > 0, "a number from 1 up")
    if usage["mode"] == "ONE_TIME" and usage["max_uses"] != 1:
        raise VerificationError("artefact: a ONE_TIME consent has one use")
    if usage["mode"] == "PERIODIC" or usage.get("frequency") is not None:
        inner = _object(usage, "frequency")
        _require(inner, "n", lambda value: _count(value) and value > 0, "a number from 1 up")
        _require(inner, "per", {"DAY", "WEEK", "MONTH"}.__contains__, "DAY, WEEK or MONTH")
    retention = _object(payload, "retention")
    _require(retention, "days", _count, "a number of days")
    _require(retention, "on_expiry", {"DELETE", "RESTRICT"}.__contains__, "DELETE or RESTRICT")


def _check_capture(payload: Mapping[str, Any]) -> None:
    notice = _object(payload, "notice")
    for name in ("id", "version", "lang"):
        if notice.get(name) in (None, ""):
            raise VerificationError(f"artefact: notice.{name} is missing")
    _require(notice, "sha256", _hexadecimal, "hex SHA-256")
    capture = _object(payload, "capture")
    _require(capture, "form", {"PAPER_SEAL", "E_SIGNATURE", "PORTAL"}.__contains__, "a form of capture")
    levels = {"LENDER_ATTESTED", "AUTHORITY_VERIFIED", "CA_SIGNATURE"}
    _require(capture, "assurance", levels.__contains__, "a level of assurance")
    mandates = {"SELF", "OWNER", "LEGAL_REPRESENTATIVE", "AGENT"}
    _require(_object(capture, "signatory"), "mandate", mandates.__contains__, "a mandate")
    _require(capture, "evidence_sha256", _hexadecimal, "hex SHA-256")


def _require(holder: Mapping[str, Any], name: str, holds: Callable[[Any], bool], what: str) -> None:
    value = holder.get(name)
    if isinstance(value, dict) or (isinstance(value, list) and holds is not _texts) or not holds(value):
        raise VerificationError(f"artefact: {name} is not {what}")


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise VerificationError(f"artefact: {name} is not an object")
    return value


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise VerificationError(f"artefact: {name} is not text")
    return value


def _uuid(value: object, name: str) -> UUID:
    try:
        identifier = UUID(str(value))
    except ValueError as error:
        raise VerificationError(f"artefact: {name} is not a UUID") from error
    if str(identifier) != value:
        raise VerificationError(f"artefact: {name} is not a UUID in lower case with hyphens")
    return identifier


def _moment(holder: Mapping[str, Any], name: str) -> int:
    value = holder[name]
    if not _count(value):
        raise VerificationError(f"artefact: {name} is not a number of seconds")
    return int(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _hexadecimal(value: object) -> bool:
    return isinstance(value, str) and _HEX_SHA256.fullmatch(value) is not None
