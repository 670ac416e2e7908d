"""Secrets of the sandbox: made at the first start, kept in ``STATE/credentials`` with mode 0600, real nowhere."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

GATEWAY_JGDM: Final = "SBXGW0001"
"""接入机构代码 of the gateway, and the CN of its client certificate (chongqing.md section 3)."""
GATEWAY_APPID: Final = "sbx-gateway"
ENVELOPE_KEY_ID: Final = "sc-env-1"
"""``x-key-id`` of the caller's key (sichuan.md section 3)."""
SIGNING_KEY_ID: Final = "cq-qm-1"
"""``QMBH`` of chongqing's key (chongqing.md section 8)."""
_RSA_BITS: Final = 2048
_OWNER_ONLY: Final = 0o600


class ChongqingCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/chongqing.json``: code and shared secret of the calling system."""

    jgdm: str
    secret: str


class SichuanCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/sichuan.json``: login of the calling system and the secret that signs callbacks to it."""

    appid: str
    username: str
    password: str
    callback_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """chongqing's key that signs results (``QM``)."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeKey:
    """The calling system's public key that sichuan wraps SM4 keys to."""

    kid: str
    public_key: rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Everything in the folder. The paths are what an adapter's settings name."""

    chongqing: ChongqingCredentials
    signing_key: SigningKey
    sichuan: SichuanCredentials
    envelope_key: EnvelopeKey
    chongqing_file: Path
    chongqing_keys_file: Path
    sichuan_file: Path
    sichuan_private_key_file: Path
    sichuan_public_key_file: Path


def open_credentials(state: Path) -> Credentials:
    """Return the credentials kept under ``state``, made where missing; the public key files are written anew."""
    folder = state / "credentials"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chongqing_file, sichuan_file = folder / "chongqing.json", folder / "sichuan.json"
    envelope_file = folder / "sichuan_private_key.pem"
    signing = _ec_key(folder / "chongqing_signing_key.pem")
    envelope = _rsa_key(envelope_file)
    keys_file = state / "chongqing_keys.json"
    write_private(keys_file, msgspec.json.encode(_jwk_set(signing)))
    public_file = folder / "sichuan_public_key.pem"
    write_private(public_file, _public_pem(envelope.public_key()))
    return Credentials(
        chongqing=_document(chongqing_file, ChongqingCredentials(jgdm=GATEWAY_JGDM, secret=secrets.token_urlsafe(32))),
        signing_key=SigningKey(kid=SIGNING_KEY_ID, private_key=signing),
        sichuan=_document(
            sichuan_file,
            SichuanCredentials(
                appid=GATEWAY_APPID,
                username="bashu",
                password=secrets.token_urlsafe(24),
                callback_secret=secrets.token_urlsafe(32),
            ),
        ),
        envelope_key=EnvelopeKey(kid=ENVELOPE_KEY_ID, public_key=envelope.public_key()),
        chongqing_file=chongqing_file,
        chongqing_keys_file=keys_file,
        sichuan_file=sichuan_file,
        sichuan_private_key_file=envelope_file,
        sichuan_public_key_file=public_file,
    )


_Document = TypeVar("_Document", ChongqingCredentials, SichuanCredentials)


def _document(file: Path, fresh: _Document) -> _Document:
    if not file.exists():
        write_private(file, msgspec.json.encode(fresh))
    return msgspec.json.decode(file.read_bytes(), type=type(fresh))


def _ec_key(file: Path) -> ec.EllipticCurvePrivateKey:
    if not file.exists():
        write_private(file, _private_pem(ec.generate_private_key(ec.SECP256R1())))
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _rsa_key(file: Path) -> rsa.RSAPrivateKey:
    if not file.exists():
        write_private(file, _private_pem(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)))
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _jwk_set(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [{**jwk, "alg": "ES256", "use": "sig", "kid": SIGNING_KEY_ID}]}


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    draft.replace(file)
