"""Certificates and signing keys of the dev stack: its own CA, made anew for each state folder, nothing shared.

A real deployment brings its own; the gateway only needs their paths.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.jws import KeyRefused, SigningKey

LIFETIME: Final = timedelta(days=397)
"""A dev stack's folder may be kept for a while; no client accepts server certificates that live longer."""
_BACKDATE: Final = timedelta(minutes=5)
_LOOPBACK: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its key as files, and the certificate's x5t#S256 (RFC 8705)."""

    certificate: Path
    key: Path
    thumbprint: str


class DevAuthority:
    """The dev stack's own certificate authority; opened where the folder has one, else made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.certificate: Final = folder / "ca.pem"
        """What clients and server trust (PEM)."""
        key_path = folder / "ca-key.pem"
        if key_path.exists() and self.certificate.exists():
            self._key = _read_ec_key(key_path)
            self._issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = _self_signed(self._key)
        write_secret(key_path, _key_pem(self._key))
        write_secret(self.certificate, self._issuer.public_bytes(Encoding.PEM))

    def server(self, name: str = "gateway") -> KeyPair:
        """Return the server's certificate for ``localhost`` and both loopback addresses, made where missing."""
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _LOOPBACK]
        return self._issued(name, ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(names))

    def client(self, participant_id: str) -> KeyPair:
        """Return a participant's client certificate, made where missing."""
        names = x509.SubjectAlternativeName([x509.DNSName(participant_id)])
        return self._issued(participant_id, ExtendedKeyUsageOID.CLIENT_AUTH, names)

    def _issued(self, name: str, usage: x509.ObjectIdentifier, names: x509.SubjectAlternativeName) -> KeyPair:
        certificate_path, key_path = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        if not (certificate_path.exists() and key_path.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = (
                _builder(_name(name), self._issuer.subject, key.public_key())
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .add_extension(names, critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
                )
                .sign(self._key, SHA256())
            )
            write_secret(key_path, _key_pem(key))
            write_secret(certificate_path, certificate.public_bytes(Encoding.PEM))
        return KeyPair(
            certificate=certificate_path, key=key_path, thumbprint=certificate_thumbprint(certificate_path.read_bytes())
        )


def certificate_thumbprint(pem: bytes) -> str:
    """Return x5t#S256 of a PEM certificate: unpadded base64url of the SHA-256 of its DER (RFC 8705)."""
    fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(SHA256())
    return base64.urlsafe_b64encode(fingerprint).rstrip(b"=").decode()


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key that signs a participant's tokens or an authority's artefacts, made where missing."""
    if path.exists():
        return _read_ec_key(path)
    key = ec.generate_private_key(ec.SECP256R1())
    write_secret(path, _key_pem(key))
    return key


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read (0600), whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read_ec_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key: object = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyRefused(f"{path} holds no P-256 key")
    return key


def _key_pem(key: SigningKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Bashu development CA")
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A clock a little behind must not find the certificate not yet valid.
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
