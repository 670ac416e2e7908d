from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sandbox.chongqing.messages import without_repeat
from sandbox.chongqing.nonces import NonceBook
from sandbox.chongqing.signing import caller_signature, canonical_string, is_signed, result_signature
from sandbox.credentials import SigningKey

VECTORS = Path(__file__).resolve().parents[2] / "conformance" / "vectors" / "platforms"
NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def test_the_canonical_string_and_its_signature_are_the_vector_s() -> None:
    vector = json.loads((VECTORS / "chongqing_sign.json").read_text("utf-8"))
    body = (VECTORS / vector["body_file"]).read_bytes()
    canonical = canonical_string(
        path=vector["path"], jgdm=vector["jgdm"], sjc=vector["sjc"], nonce=vector["nonce"], body=body
    )
    assert canonical.decode() == vector["canonical"]
    assert caller_signature(vector["key_not_real"], canonical) == vector["sign"]
    assert is_signed(secret=vector["key_not_real"], canonical=canonical, signature=vector["sign"])
    assert not is_signed(secret="another", canonical=canonical, signature=vector["sign"])


def test_a_result_s_signature_is_88_characters_and_verifies_over_exactly_its_bytes() -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    body = "<BODY><QYMC>重庆</QYMC></BODY>".encode("gb18030")
    written = result_signature(SigningKey(kid="k", private_key=private_key), body)
    assert len(written) == 88
    raw = base64.b64decode(written, validate=True)
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    private_key.public_key().verify(signature, body, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        private_key.public_key().verify(signature, body + b" ", ec.ECDSA(hashes.SHA256()))


def test_the_repeat_after_expiry_is_taken_off_a_derived_serial_alone() -> None:
    vector = json.loads((VECTORS / "chongqing_lsh.json").read_text("utf-8"))
    assert without_repeat(vector["xy1001_r1"]) == vector["xy1001"]
    assert without_repeat(vector["xy1001"]) == vector["xy1001"]
    assert without_repeat("SERIALR1") == "SERIALR1"


def test_a_nonce_is_refused_for_600_seconds_and_to_its_own_caller_alone() -> None:
    nonces = NonceBook()
    assert nonces.take(jgdm="SBXGW0001", nonce="a" * 16, at=NOON)
    assert nonces.take(jgdm="SBXGW0002", nonce="a" * 16, at=NOON)
    assert not nonces.take(jgdm="SBXGW0001", nonce="a" * 16, at=NOON + timedelta(seconds=600))
    assert nonces.take(jgdm="SBXGW0001", nonce="a" * 16, at=NOON + timedelta(seconds=601))
