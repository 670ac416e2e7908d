"""Which public keys may be registered: ES256 on P-256 and EdDSA on Ed25519, nothing weaker and nothing foreign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bashu.verify.strict import VerificationError, base64url_bytes

_COORDINATE: Final = 32  # bytes of a P-256 coordinate, an Ed25519 key, half a signature
_ALGORITHMS: Final = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_P25519: Final = 2**255 - 19
# The y coordinate of a point of order 8 (RFC 7748 section 7 warns of them: every signature holds under such a key).
_Y_ORDER_8: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER: Final = frozenset({0, 1, _P25519 - 1, _Y_ORDER_8, _P25519 - _Y_ORDER_8})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key fit for registration. ``algorithm`` is the only one it may be used with, whatever a header says."""

    kid: str | None
    algorithm: str
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

    def check(self, signed: bytes, signature: bytes) -> None:
        """Check a JWS signature (64 bytes: R and S for ES256, RFC 7518 section 3.4; RFC 8037 for EdDSA)."""
        if len(signature) != 2 * _COORDINATE:
            raise VerificationError("signature: 64 bytes expected")
        try:
            match self.key:
                case ed25519.Ed25519PublicKey():
                    self.key.verify(signature, signed)
                case _:
                    r, s = (int.from_bytes(half) for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
                    self.key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise VerificationError("the signature does not hold") from error


def registrable_key(jwk: object) -> PublicKey:
    """Read one JWK as registration would, or refuse it.

    Private or symmetric members, another curve, an ``alg`` of another curve, ``use`` other than ``sig``,
    ``key_ops`` without verify, an embedded certificate, a point off the curve or of small order are refused.
    """
    if not isinstance(jwk, Mapping):
        raise VerificationError("key: a JWK object expected")
    if _PRIVATE & jwk.keys():
        raise VerificationError("key: holds private or symmetric material")
    algorithm = _ALGORITHMS.get((str(jwk.get("kty")), str(jwk.get("crv"))))
    if algorithm is None:
        raise VerificationError("key: only P-256 and Ed25519 are taken")
    if jwk.get("alg", algorithm) != algorithm:
        raise VerificationError("key: its alg does not fit its curve")
    _require_signing_use(jwk)
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise VerificationError("key: kid is not text")
    return PublicKey(kid=kid, algorithm=algorithm, key=_point(jwk, algorithm))


def registrable_keys(jwks: object) -> Sequence[PublicKey]:
    """Read a JWK set as registration would: every key fit, every key named, no name twice."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not keys:
        raise VerificationError("key set: keys expected")
    read = [registrable_key(jwk) for jwk in keys]
    kids = [key.kid for key in read]
    if None in kids or len(set(kids)) != len(kids):
        raise VerificationError("key set: every key needs its own kid")
    return read


def require_strong_ed25519(raw: bytes) -> None:
    """Refuse an Ed25519 key that is not canonical or has small order."""
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P25519 or y in _SMALL_ORDER:
        raise VerificationError("key: weak Ed25519 point")


def _require_signing_use(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise VerificationError("key: its use is not signing")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise VerificationError("key: its key_ops do not allow to verify")
    if any(operation not in ("verify", "sign") for operation in operations):
        raise VerificationError("key: its key_ops mix signing with other uses")
    if {"x5u", "x5c", "x5t", "x5t#S256"} & jwk.keys():
        raise VerificationError("key: names a certificate of its own")


def _point(jwk: Mapping[str, Any], algorithm: str) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    x = base64url_bytes(jwk.get("x"), "key x")
    if len(x) != _COORDINATE:
        raise VerificationError("key: x has the wrong length")
    if algorithm == "EdDSA":
        require_strong_ed25519(x)
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    y = base64url_bytes(jwk.get("y"), "key y")
    if len(y) != _COORDINATE:
        raise VerificationError("key: y has the wrong length")
    try:
        return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1()).public_key()
    except ValueError as error:
        raise VerificationError("key: the point is not on the curve") from error
