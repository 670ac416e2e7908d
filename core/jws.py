"""Strict compact JWS (RFC 7515) in front of the library: what consents, tokens and notices are parsed with.

Exactly three segments, canonical base64url without padding, JSON without duplicate members, floats, NaN or Infinity,
a header whitelist, an exact ``typ``. The algorithm is the one of the key's record, never the header's choice.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

SignatureKey = EllipticCurvePublicKey | Ed25519PublicKey
SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey

MAX_JWS_BYTES: Final = 32_768
_BASE64URL: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_HEADER: Final = frozenset({"alg", "kid", "typ"})
_JWK_FIELDS: Final = {"ES256": frozenset({"kty", "crv", "x", "y"}), "EdDSA": frozenset({"kty", "crv", "x"})}
_SEGMENTS: Final = 3
_MOST_DIGITS: Final = 32
"""More than any claim has, and far less than Python refuses to read."""


class JwsMalformed(ValueError):  # noqa: N818 - named after the fact, like every refusal here
    """The text is not a JWS of the strict profile; the message names the rule, never the content."""


class KeyRefused(ValueError):  # noqa: N818
    """The JWK may not be registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictJws:
    """A JWS whose form was checked and whose signature was not yet. ``payload_bytes`` is exactly what was signed."""

    header: Mapping[str, str]
    payload: Mapping[str, Any]
    payload_bytes: bytes
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A registered public key and the one algorithm it is good for (``ES256`` or ``EdDSA``)."""

    kid: str
    alg: str
    public_key: SignatureKey

    def is_signature_of(self, jws: StrictJws) -> bool:
        """Tell whether the signature verifies under this key and its own algorithm."""
        if jws.header["alg"] != self.alg:
            return False
        algorithm = jwt.get_algorithm_by_name(self.alg)
        return bool(algorithm.verify(jws.signing_input, self.public_key, jws.signature))


def parse_compact(text: bytes | str, *, typ: str) -> StrictJws:
    """Check the form of a compact JWS and decode it.

    Raises:
        JwsMalformed: any deviation from the strict profile.
    """
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    if len(raw) > MAX_JWS_BYTES:
        _refuse(f"longer than {MAX_JWS_BYTES} bytes")
    segments = raw.split(b".")
    if len(segments) != _SEGMENTS:
        _refuse("not three segments")
    header_bytes, payload_bytes, signature = (_decode_segment(segment) for segment in segments)
    header = strict_json_object(header_bytes)
    if set(header) != _HEADER or not all(isinstance(value, str) for value in header.values()):
        _refuse("header must be exactly alg, kid and typ, all text")
    if header["typ"] != typ:
        _refuse("typ is not the expected one")
    return StrictJws(
        header=header,
        payload=strict_json_object(payload_bytes),
        payload_bytes=payload_bytes,
        signing_input=segments[0] + b"." + segments[1],
        signature=signature,
    )


def strict_json_object(raw: bytes) -> dict[str, Any]:
    """Decode UTF-8 JSON that is one object of objects, arrays, integers, strings, true, false and null.

    Raises:
        JwsMalformed: another top level, duplicate members, floats, NaN, Infinity, or bytes that are no UTF-8.
    """
    try:
        value = json.loads(
            raw.decode("utf-8", "strict"),
            object_pairs_hook=_unique_members,
            parse_float=_no_float,
            parse_int=_integer,
            parse_constant=_no_float,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise JwsMalformed("not strict JSON") from error
    if not isinstance(value, dict):
        _refuse("not a JSON object")
    return value


def load_public_jwk(jwk: Mapping[str, Any], *, kid: str, alg: str) -> VerificationKey:
    """Turn a JWK into a key that may be registered (RFC 7517), for ES256 (P-256) or EdDSA (Ed25519) alone.

    Raises:
        KeyRefused: private or foreign material, wrong curve, ``use`` or ``key_ops`` that do not allow verifying.
    """
    fields = _JWK_FIELDS.get(alg)
    if fields is None:
        raise KeyRefused("alg must be ES256 or EdDSA")
    if set(jwk) - fields - {"kid", "alg", "use", "key_ops"} or not fields <= set(jwk):
        raise KeyRefused("the JWK must hold exactly the public members of its kind")
    if jwk.get("alg", alg) != alg or jwk.get("kid", kid) != kid or jwk.get("use", "sig") != "sig":
        raise KeyRefused("alg, kid or use of the JWK contradict its registration")
    if "verify" not in jwk.get("key_ops", ["verify"]):
        raise KeyRefused("key_ops does not allow verify")
    loader: type[ECAlgorithm | OKPAlgorithm] = ECAlgorithm if alg == "ES256" else OKPAlgorithm
    try:
        key = loader.from_jwk(json.dumps({name: jwk[name] for name in fields}))
    except (jwt.InvalidKeyError, ValueError, TypeError) as error:
        raise KeyRefused("the JWK is not a point of its curve") from error
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) and alg == "ES256":
        return VerificationKey(kid=kid, alg=alg, public_key=key)
    if isinstance(key, Ed25519PublicKey) and alg == "EdDSA":
        return VerificationKey(kid=kid, alg=alg, public_key=key)
    raise KeyRefused("the key is on another curve than its alg says")


def public_jwk(key: SigningKey) -> dict[str, str]:
    """Return the public JWK of a signing key, with the members its kind has and no others."""
    if isinstance(key, Ed25519PrivateKey):
        members = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {name: str(members[name]) for name in ("kty", "crv", "x")}
    members = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: str(members[name]) for name in ("kty", "crv", "x", "y")}


def sign_compact(payload: bytes, *, key: SigningKey, kid: str, typ: str) -> str:
    """Sign ``payload`` with ES256 or EdDSA, as the key's kind says, and return the compact JWS."""
    alg = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    header = json.dumps({"alg": alg, "kid": kid, "typ": typ}, separators=(",", ":")).encode()
    signing_input = _encode_segment(header) + b"." + _encode_segment(payload)
    signature = jwt.get_algorithm_by_name(alg).sign(signing_input, key)
    return (signing_input + b"." + _encode_segment(signature)).decode()


def _encode_segment(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decode_segment(segment: bytes) -> bytes:
    if not segment or not _BASE64URL.issuperset(segment):
        _refuse("a segment is not base64url without padding")
    try:
        raw = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error:
        _refuse("a segment is not base64url without padding")
    if _encode_segment(raw) != segment:
        _refuse("a segment has non-canonical trailing bits")
    return raw


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("duplicate member")
    return members


def _integer(text: str) -> int:
    # Python itself refuses to read more than some thousand digits, with an error that says nothing of JSON.
    if len(text) > _MOST_DIGITS:
        _refuse("a number is too long")
    return int(text)


def _no_float(_text: str) -> NoReturn:
    _refuse("numbers must be integers")


def _refuse(rule: str) -> NoReturn:
    raise JwsMalformed(rule)
