"""Who signed an artefact, with a key that was good at the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.artefact import parse_artefact
from consent.registration import verify
from core.errors import BashuError, Reason
from gateway.authorities import RegisteredKeys
from tests.admission_stage import AUDIENCE, COMMITMENT_HOLDERS, VOCABULARY, a_key, a_payload, a_snapshot, signed


def check(raw, *, snapshot=None, now=None, holders=COMMITMENT_HOLDERS):
    verify(
        parse_artefact(raw, VOCABULARY),
        keys=RegisteredKeys(snapshot=snapshot or a_snapshot()),
        origin=AUDIENCE,
        now=now or datetime.now(UTC),
        commitment_holders=holders,
    )


def reason(raw, **options):
    with pytest.raises(BashuError) as caught:
        check(raw, **options)
    return caught.value.reason, caught.value.field


def with_key(**changes):
    snapshot = a_snapshot()
    return a_snapshot(keys={"authority-1": replace(snapshot.keys["authority-1"], **changes)})


def test_a_registered_authoritys_artefact_is_accepted():
    check(signed(a_payload()))


def test_es256_is_accepted_under_a_key_registered_for_it():
    private = generate_private_key(SECP256R1())
    snapshot = a_snapshot(keys={"p256": a_key(private, kid="p256")})
    check(signed(a_payload(), key=private, kid="p256"), snapshot=snapshot)


def test_an_unknown_kid_is_refused():
    assert reason(signed(a_payload(), kid="nobody")) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")


def test_a_key_of_another_role_is_no_authoritys():
    snapshot = a_snapshot()
    keys = {"authority-1": replace(snapshot.keys["authority-1"], participant_id="auditor-1")}
    assert reason(signed(a_payload()), snapshot=a_snapshot(keys=keys)) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")


def test_another_keys_signature_is_refused():
    raw = signed(a_payload(), key=Ed25519PrivateKey.generate())
    assert reason(raw) == (Reason.ARTEFACT_SIGNATURE, "artefact")


def test_the_algorithm_is_the_keys_own():
    raw = signed(a_payload(), key=generate_private_key(SECP256R1()))
    assert reason(raw) == (Reason.ARTEFACT_SIGNATURE, "artefact")


def test_a_key_counts_while_it_was_valid_when_it_signed_and_has_not_ended():
    now = datetime.now(UTC)
    check(signed(a_payload()), snapshot=with_key(valid_to=now + timedelta(hours=1)))
    early = with_key(revoked_at=now - timedelta(days=1))
    assert reason(signed(a_payload()), snapshot=early) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")
    later = with_key(valid_from=now)
    assert reason(signed(a_payload()), snapshot=later) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")


def test_a_compromised_key_vouches_for_nothing_new():
    later = datetime.now(UTC) + timedelta(hours=1)
    snapshot = with_key(revoked_at=later, compromised_at=later)
    assert reason(signed(a_payload()), snapshot=snapshot) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")


def test_iss_is_the_keys_holder():
    assert reason(signed(a_payload(iss="authority-sc"))) == (Reason.ARTEFACT_SIGNATURE, "iss")


def test_a_lender_attests_its_own_letters_only():
    private = Ed25519PrivateKey.generate()
    snapshot = a_snapshot(keys={"bank": a_key(private, kid="bank", participant="bank-cq")})
    letter = {"iss": "bank-cq", "capture": {"assurance": "LENDER_ATTESTED"}}
    check(signed(a_payload(**letter), key=private, kid="bank"), snapshot=snapshot)
    others = signed(a_payload(**letter, requester={"institution": "bank-sc"}), key=private, kid="bank")
    assert reason(others, snapshot=snapshot) == (Reason.ARTEFACT_SIGNATURE, "requester.institution")
    verified = signed(a_payload(iss="bank-cq"), key=private, kid="bank")
    assert reason(verified, snapshot=snapshot) == (Reason.ARTEFACT_SIGNATURE, "capture.assurance")
    assert reason(signed(a_payload(capture={"assurance": "LENDER_ATTESTED"}))) == (
        Reason.ARTEFACT_SIGNATURE,
        "capture.assurance",
    )


def test_another_gateways_artefact_is_refused():
    assert reason(signed(a_payload(aud=["elsewhere"]))) == (Reason.ARTEFACT_MALFORMED, "aud")


def test_an_artefact_of_the_future_or_the_past_is_refused():
    now = datetime.now(UTC)
    assert reason(signed(a_payload()), now=now - timedelta(seconds=75)) == (Reason.ARTEFACT_MALFORMED, "iat")
    check(signed(a_payload()), now=now - timedelta(seconds=65))
    assert reason(signed(a_payload()), now=now + timedelta(days=30)) == (Reason.ARTEFACT_MALFORMED, "exp")


def test_a_commitment_nobody_can_recompute_is_refused():
    assert reason(signed(a_payload()), holders={}) == (Reason.ARTEFACT_UNKNOWN_KEY, "subject.commitment_kid")


def test_an_authority_names_nobody_under_the_commitment_key_of_another():
    unlent = (Reason.ARTEFACT_UNKNOWN_KEY, "subject.commitment_kid")
    holders = {"commitment-1": {"authority-cq"}, "commitment-2": {"authority-sc"}}
    copied = a_payload()
    copied["subject"]["commitment_kid"] = "commitment-2"
    assert reason(signed(copied), holders=holders) == unlent
    private = Ed25519PrivateKey.generate()
    snapshot = a_snapshot(keys={"bank": a_key(private, kid="bank", participant="bank-cq")})
    letter = signed(a_payload(iss="bank-cq", capture={"assurance": "LENDER_ATTESTED"}), key=private, kid="bank")
    assert reason(letter, snapshot=snapshot, holders=holders) == unlent
    check(letter, snapshot=snapshot, holders={"commitment-1": {"authority-cq", "bank-cq"}})


def test_an_ended_key_cannot_write_an_earlier_iat():
    now = datetime.now(UTC)
    ended = with_key(valid_to=now - timedelta(seconds=1))
    raw = signed(a_payload(now=now - timedelta(hours=1)))
    assert reason(raw, snapshot=ended, now=now) == (Reason.ARTEFACT_UNKNOWN_KEY, "kid")
