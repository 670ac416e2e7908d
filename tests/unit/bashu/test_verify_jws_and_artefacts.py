import base64
import copy
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bashu.verify import VerificationError, registrable_key, registrable_keys, verify_artefact, verify_jws

ARTEFACT = {
    "schema": "bashu-consent/1",
    "consent_id": "0195512e-0000-7000-8000-0000000000aa",
    "iss": "authority-cq",
    "aud": ["bashu.example"],
    "iat": 1772000000,
    "nbf": 1772000000,
    "exp": 1779000000,
    "term": None,
    "supersedes": None,
    "subject": {
        "kind": "enterprise",
        "id_type": "uscc",
        "commitment": "10" * 32,
        "commitment_kid": "c-1",
        "display": "91500105XXTT00018M",
    },
    "requester": {"institution": "bank-cq"},
    "providers": [{"region": "500000", "platform_id": "chongqing", "separate_consent": False, "notice": "n-1"}],
    "purpose": {"code": "PRE_LOAN_REVIEW", "text_sha256": "ab" * 32, "legal_basis": "consent"},
    "acts": ["QUERY", "EVALUATE"],
    "data": {
        "items": [{"id": "enterprise_registration", "necessity": "required"}],
        "lookback_days": 730,
        "restricted_items_ack": False,
    },
    "usage": {
        "mode": "PERIODIC",
        "max_uses": 3,
        "frequency": {"n": 1, "per": "DAY"},
        "min_interval_s": 0,
        "tz": "Asia/Shanghai",
    },
    "retention": {"days": 1825, "on_expiry": "DELETE", "onward": "NONE"},
    "notice": {"id": "n-1", "version": "1", "lang": "zh-CN", "sha256": "cd" * 32, "shown_at": 1772000000},
    "capture": {
        "form": "PORTAL",
        "assurance": "AUTHORITY_VERIFIED",
        "signatory": {"mandate": "LEGAL_REPRESENTATIVE", "act": "cd" * 32, "mandate_evidence_sha256": "ab" * 32},
        "evidence_sha256": "ef" * 32,
    },
}


def _url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _ec_jwk(key, **more):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _url(numbers.x.to_bytes(32)), "y": _url(numbers.y.to_bytes(32))} | more


def _ed_jwk(key, **more):
    return {"kty": "OKP", "crv": "Ed25519", "x": _url(key.public_key().public_bytes_raw())} | more


EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
EC_KEY = _ec_jwk(EC, kid="k1", alg="ES256")
ED_KEY = _ed_jwk(ED, kid="k2", alg="EdDSA")


def _signed(header, payload=b"{}"):
    signing = f"{_url(header if isinstance(header, bytes) else json.dumps(header).encode())}.{_url(payload)}"
    return f"{signing}.{_url(ED.sign(signing.encode()))}"


def _artefact(payload, **header):
    return _signed({"alg": "EdDSA", "kid": "k2", "typ": "bashu-consent+jws"} | header, json.dumps(payload).encode())


@pytest.mark.parametrize(("private", "jwk", "algorithm"), [(EC, EC_KEY, "ES256"), (ED, ED_KEY, "EdDSA")])
def test_what_another_library_signed_is_accepted_with_its_own_key_alone(private, jwk, algorithm):
    token = jwt.encode({"a": 1}, private, algorithm=algorithm, headers={"kid": jwk["kid"]})
    assert json.loads(verify_jws(token, registrable_key(jwk)).payload) == {"a": 1}
    with pytest.raises(VerificationError):
        verify_jws(token, registrable_key(ED_KEY if jwk is EC_KEY else EC_KEY))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k2"},
        {"alg": "HS256", "kid": "k2"},
        {"alg": "ES256", "kid": "k2"},
        {"kid": "k2"},
        {"alg": "EdDSA", "kid": "k1"},
        {"alg": "EdDSA", "crit": ["b64"], "b64": False},
        {"alg": "EdDSA", "jwk": ED_KEY},
        {"alg": "EdDSA", "jku": "https://keys.example"},
        {"alg": "EdDSA", "x5c": []},
        {"alg": "EdDSA", "kid": 2},
        b'{"alg":"EdDSA","alg":"EdDSA"}',
        b'{"alg":"EdDSA","kid":NaN}',
        b'["EdDSA"]',
        b"\xff",
        b'\xef\xbb\xbf{"alg":"EdDSA"}',
    ],
)
def test_a_header_that_says_more_or_otherwise_is_refused_though_its_signature_holds(header):
    with pytest.raises(VerificationError):
        verify_jws(_signed(header), registrable_key(ED_KEY))


def test_a_second_spelling_of_the_same_bytes_is_refused():
    good = _signed({"alg": "EdDSA", "kid": "k2"}, b"{}")
    verify_jws(good, registrable_key(ED_KEY))
    header, payload, signature = good.split(".")
    loose = signature[:-1] + chr(ord(signature[-1]) + 1)
    spellings = (
        f"{good}=",
        f"{good}\n",
        f" {good}",
        f"{good}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{loose}",
        None,
        good.encode(),
    )
    for spelling in spellings:
        with pytest.raises(VerificationError):
            verify_jws(spelling, registrable_key(ED_KEY))


@pytest.mark.parametrize(
    "change",
    [
        {"d": "AA"},
        {"alg": "ES256"},
        {"alg": "Ed25519"},
        {"crv": "X25519"},
        {"kty": "EC"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": ["verify", "encrypt"]},
        {"x": "AA"},
        {"x": _url(bytes(32))},
        {"x": _url(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"))},
        {"kid": ""},
        {"x5u": "https://keys.example"},
    ],
)
def test_a_key_that_is_private_weak_foreign_or_for_another_use_is_not_registered(change):
    with pytest.raises(VerificationError):
        registrable_key(ED_KEY | change)


def test_rsa_symmetric_and_off_curve_keys_are_not_registered():
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    for jwk in (
        {"kty": "RSA", "n": _url(numbers.n.to_bytes(256)), "e": "AQAB"},
        {"kty": "oct", "k": _url(bytes(32))},
        EC_KEY | {"y": EC_KEY["x"]},
        _ec_jwk(EC, crv="P-384"),
        "key",
    ):
        with pytest.raises(VerificationError):
            registrable_key(jwk)


def test_a_key_set_names_every_key_once():
    assert [key.kid for key in registrable_keys({"keys": [EC_KEY, ED_KEY]})] == ["k1", "k2"]
    for keys in ([EC_KEY, ED_KEY | {"kid": "k1"}], [_ed_jwk(ED)], []):
        with pytest.raises(VerificationError):
            registrable_keys({"keys": keys})


def test_an_artefact_is_read_once_signature_type_and_form_hold():
    verified = verify_artefact(_artefact(ARTEFACT), registrable_key(ED_KEY))
    assert str(verified.consent_id) == ARTEFACT["consent_id"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("term", {"until": "FIXED"}),
        ("term", {"until": "LOAN_CLOSED", "plus_days": 90}),
        ("usage", ARTEFACT["usage"] | {"mode": "ONE_TIME", "max_uses": 1, "frequency": None}),
        ("supersedes", {"consent_id": ARTEFACT["consent_id"], "artefact_hash": "ab" * 32}),
    ],
)
def test_every_form_of_the_page_is_accepted(name, value):
    verify_artefact(_artefact(ARTEFACT | {name: value}), registrable_key(ED_KEY))


def test_an_artefact_of_another_type_is_refused():
    for typ in ("JWT", "BASHU-CONSENT+JWS"):
        with pytest.raises(VerificationError):
            verify_artefact(_artefact(ARTEFACT, typ=typ), registrable_key(ED_KEY))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "bashu-consent/2"),
        ("consent_id", "0195512e-0000-4000-8000-0000000000aa"),
        ("consent_id", "0195512E-0000-7000-8000-0000000000AA"),
        ("aud", []),
        ("aud", "bashu.example"),
        ("exp", 1772000000),
        ("exp", 1779000000.5),
        ("exp", True),
        ("term", {"until": "LOAN_CLOSED", "plus_days": 91}),
        ("supersedes", {"consent_id": "x", "artefact_hash": "ab" * 32}),
        ("subject.kind", "firm"),
        ("subject.commitment", "AB" * 32),
        ("requester.institution", None),
        ("providers", []),
        ("providers", [{"region": "500000", "platform_id": "*"}]),
        ("acts", ["QUERY", "SELL"]),
        ("data.items", [{"id": "enterprise_registration", "necessity": "maybe"}]),
        ("usage.mode", "ALWAYS"),
        ("usage.max_uses", 0),
        ("usage.mode", "ONE_TIME"),
        ("usage.frequency", None),
        ("term", {"until": "EVER"}),
        ("acts", ["EVALUATE"]),
        ("providers", [{"region": "50", "platform_id": "chongqing", "separate_consent": True}]),
        ("providers", [{"region": "500000", "platform_id": "chongqing", "separate_consent": True}] * 2),
        ("capture.signatory.mandate", "FRIEND"),
        ("usage.frequency", {"n": 1, "per": "YEAR"}),
        ("retention.on_expiry", "KEEP"),
        ("notice.sha256", "cd"),
        ("capture.form", ["PORTAL"]),
        ("b64", False),
    ],
)
def test_a_field_out_of_form_is_refused(path, value):
    payload = copy.deepcopy(ARTEFACT)
    *outer, name = path.split(".")
    holder = payload
    for step in outer:
        holder = holder[step]
    holder[name] = value
    with pytest.raises(VerificationError):
        verify_artefact(_artefact(payload), registrable_key(ED_KEY))


@pytest.mark.parametrize("name", [name for name in ARTEFACT if name not in {"term", "supersedes"}])
def test_a_missing_field_is_refused(name):
    with pytest.raises(VerificationError):
        verify_artefact(
            _artefact({key: value for key, value in ARTEFACT.items() if key != name}), registrable_key(ED_KEY)
        )
