"""Verified tokens are kept, never beyond what the registry says today and never without bound."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from core.errors import BashuError, Reason
from core.jws import public_jwk
from gateway.identity import tokens
from gateway.identity.admin import NewKey, checked_key
from gateway.identity.model import Institution, InstitutionKind, Participant, Role, Snapshot, Staff, StaffKind
from gateway.identity.tokens import Authenticator

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.moment = START

    def now(self):
        return self.moment

    def monotonic(self):
        return self.moment.timestamp()


class Registry:
    """A registry whose snapshot a test changes."""

    def __init__(self, clock, snapshot):
        self.clock, self.kept, self.refreshed = clock, snapshot, 0

    async def snapshot(self):
        return self.kept

    async def refresh(self, *, older_than_s=0.1):
        self.refreshed += 1
        return self.kept

    def now(self):
        return self.clock.now()

    def change(self, **parts):
        self.kept = replace(self.kept, version=self.kept.version + 1, **parts)


@pytest.fixture(params=["ES256", "EdDSA"])
def key(request):
    return ec.generate_private_key(ec.SECP256R1()) if request.param == "ES256" else ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def parts(key):
    alg = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA"
    registered = checked_key(
        NewKey(kid="k1", alg=alg, jwk=json.dumps(public_jwk(key))), "bank", now=START - timedelta(days=1)
    )
    clock = Clock()
    registry = Registry(
        clock,
        Snapshot(
            version=1,
            institutions={"inst": Institution(institution="inst", kind=InstitutionKind.BANK, name="Bank")},
            participants={
                "bank": Participant(participant_id="bank", institution="inst", role=Role.LENDER, name="Bank")
            },
            keys={"k1": registered},
            staff={
                ("inst", "7"): Staff(
                    institution="inst",
                    staff_number="7",
                    kind=StaffKind.QUERY,
                    valid_from=date(2026, 1, 1),
                    valid_to=date(2026, 11, 23),
                )
            },
        ),
    )
    return clock, registry, key, alg


def token(clock, key, alg, **changes):
    now = int(clock.now().timestamp())
    claims = {
        "iss": "bank",
        "sub": "bank",
        "aud": "bashu-gateway",
        "iat": now,
        "exp": now + 600,
        "jti": "1",
        "opr": "7",
    }
    return f"Bearer {jwt.encode({**claims, **changes}, key, alg, headers={'kid': 'k1'})}"


def authenticator(clock, registry, **settings):
    return Authenticator(registry, clock=clock, binds_certificates=False, **settings)


async def reason(door, bearer):
    with pytest.raises(BashuError) as caught:
        await door.authenticate(bearer, None)
    return caught.value.reason


async def test_a_kept_token_is_verified_once(parts, monkeypatch):
    clock, registry, key, alg = parts
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    first = await door.authenticate(bearer, None)
    monkeypatch.setattr(tokens, "parse_compact", lambda *_a, **_k: pytest.fail("verified again"))
    assert await door.authenticate(bearer, None) is first


async def test_a_kept_token_ends_with_its_exp_to_the_second(parts):
    clock, registry, key, alg = parts
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    clock.moment += timedelta(seconds=599)
    await door.authenticate(bearer, None)
    clock.moment += timedelta(seconds=1)
    assert await reason(door, bearer) is Reason.TOKEN_EXPIRED


async def test_a_kept_token_is_looked_at_again_when_the_registry_changed(parts):
    clock, registry, key, alg = parts
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    registry.change(keys={"k1": replace(registry.kept.keys["k1"], revoked_at=clock.now())})
    assert await reason(door, bearer) is Reason.TOKEN_INVALID


async def test_a_kept_token_does_not_outlive_the_staff_number_s_last_day(parts):
    clock, registry, key, alg = parts
    clock.moment = datetime(2026, 11, 23, 15, 55, tzinfo=UTC)  # 23:55 in Beijing
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    clock.moment += timedelta(minutes=5)
    assert await reason(door, bearer) is Reason.OPERATOR_UNKNOWN


async def test_a_kept_token_does_not_outlive_its_key(parts):
    clock, registry, key, alg = parts
    registry.change(keys={"k1": replace(registry.kept.keys["k1"], valid_to=clock.now() + timedelta(minutes=1))})
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    clock.moment += timedelta(minutes=1)
    assert await reason(door, bearer) is Reason.TOKEN_INVALID


async def test_another_key_under_the_same_kid_does_not_inherit_kept_tokens(parts):
    clock, registry, key, alg = parts
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    other = ec.generate_private_key(ec.SECP256R1())
    swapped = checked_key(NewKey(kid="k1", alg="ES256", jwk=json.dumps(public_jwk(other))), "bank", now=START)
    registry.change(keys={"k1": swapped})
    assert await reason(door, bearer) is Reason.TOKEN_INVALID


async def test_a_regulator_s_time_ends(parts):
    clock, registry, key, alg = parts
    end = clock.now() + timedelta(minutes=1)
    regulator = replace(registry.kept.participants["bank"], role=Role.REGULATOR, valid_to=end)
    registry.change(participants={"bank": regulator})
    door, bearer = authenticator(clock, registry), token(clock, key, alg)
    await door.authenticate(bearer, None)
    clock.moment = end
    assert await reason(door, bearer) is Reason.PARTICIPANT_SUSPENDED


async def test_no_more_tokens_are_kept_than_the_bound(parts):
    clock, registry, key, alg = parts
    door = authenticator(clock, registry, cache_size=3)
    bearers = [token(clock, key, alg, jti=str(number)) for number in range(6)]
    for bearer in bearers:
        await door.authenticate(bearer, None)
    assert len(door._known) == 3


async def test_a_refused_token_is_not_kept(parts):
    clock, registry, key, alg = parts
    door = authenticator(clock, registry)
    await reason(door, token(clock, key, alg, opr="8"))
    await reason(door, token(clock, key, alg, aud="other"))
    assert not door._known


async def test_an_alg_other_than_the_key_s_record_is_refused(parts):
    clock, registry, key, alg = parts
    door = authenticator(clock, registry)
    _, payload, signature = token(clock, key, alg).removeprefix("Bearer ").split(".")
    for other in ({"ES256", "EdDSA"} - {alg}) | {"none", "HS256"}:
        swapped = header_of(other)
        assert await reason(door, f"Bearer {swapped}.{payload}.{signature}") is Reason.TOKEN_INVALID


def header_of(alg):
    return jwt.utils.base64url_encode(json.dumps({"alg": alg, "kid": "k1", "typ": "JWT"}).encode()).decode()


async def test_a_token_of_the_registry_s_public_key_as_hmac_secret_is_refused(parts):
    clock, registry, key, alg = parts
    _, payload, _ = token(clock, key, alg).removeprefix("Bearer ").split(".")
    signed = f"{header_of('HS256')}.{payload}"
    signature = hmac.new(registry.kept.keys["k1"].jwk.encode(), signed.encode(), "sha256").digest()
    forged = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert await reason(authenticator(clock, registry), f"Bearer {forged}") is Reason.TOKEN_INVALID


async def test_a_token_over_the_size_limit_is_refused_unread(parts):
    clock, registry, key, alg = parts
    bearer = token(clock, key, alg, pad="x" * 5000)
    assert await reason(authenticator(clock, registry), bearer) is Reason.TOKEN_INVALID


async def test_refusals_name_no_claim_s_value(parts):
    clock, registry, key, alg = parts
    with pytest.raises(BashuError) as caught:
        await authenticator(clock, registry).authenticate(token(clock, key, alg, opr="secret-number"), None)
    assert "secret-number" not in caught.value.message
    assert "secret-number" not in str(caught.value.metadata)
