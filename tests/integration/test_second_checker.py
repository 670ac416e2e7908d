"""The platforms verify letter and intent themselves, over real sockets; what they refuse is DENIED, with their code."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.v1.common_pb2 import PlatformStatus
from core.jws import load_public_jwk, public_jwk
from sandbox.chongqing.codes import PURPOSES, Kind
from sandbox.letter_words import CHONGQING_PURPOSES, KIND_ITEMS, MODULE_ITEMS, SICHUAN_PURPOSES
from sandbox.letters import SecondChecker
from sandbox.sichuan.modules import MODULES
from sandbox.sichuan.purposes import OFFERED
from standards.catalogue import load_standard
from tests.admission_stage import AUTHORITY_KEY, COMMITMENT_KEYS, FIRM, OTHER_FIRM, a_payload, signed
from tests.platform_stage import a_permit
from tests.sandbox_stage import open_platforms

ITEM = "tax_credit_grade"
HOME = {"chongqing": FIRM, "sichuan": OTHER_FIRM}
STRANGER = Ed25519PrivateKey.generate()
OK, DENIED = PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_DENIED
NO_DATA = PlatformStatus.PLATFORM_STATUS_NO_DATA


def a_checker() -> SecondChecker:
    key = load_public_jwk(public_jwk(AUTHORITY_KEY), kid="authority-1", alg="EdDSA")
    return SecondChecker({("authority-cq", "authority-1"): key}, COMMITMENT_KEYS)


@pytest.fixture
async def platforms(tmp_path):
    async with open_platforms(tmp_path, checker=a_checker()) as opened:
        yield opened


async def asked(platforms, platform, letter, **changes):
    facts = {
        "request_id": uuid.uuid4(),
        "subject": replace(HOME[platform], name=""),
        "artefact": letter,
        "intent_leaf_hash": hashlib.sha256(uuid.uuid4().bytes).digest(),
        "consent_expires_at": datetime.now(UTC) + timedelta(days=29),
    }
    (answer,) = await answers(platforms, platform, frozenset({ITEM}), **(facts | changes))
    return answer.status, answer.detail


async def answers(platforms, platform, items, **facts):
    deadline = asyncio.get_running_loop().time() + 10
    return await platforms.adapters[platform].ask(a_permit(platform, items, **facts), items, deadline=deadline)


def altered(letter: bytes) -> bytes:
    head, payload, signature = letter.split(b".")
    return b".".join((head, payload, signature[:-2] + (b"AA" if signature[-2:] != b"AA" else b"BB")))


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_a_trusted_letter_carries_its_questions_and_their_repeats(platforms, platform):
    letter, request = signed(a_payload(subject=HOME[platform])), uuid.uuid4()
    for _ in range(2):
        assert await asked(platforms, platform, letter, request_id=request) == (OK, "")
    assert await asked(platforms, platform, letter) == (OK, "")
    assert len(getattr(platforms.books, platform).enquiries) == 2


@pytest.mark.parametrize(
    ("changes", "chongqing", "sichuan"),
    [
        ({"subject": {"commitment": "00" * 32}}, "2003", "403 authorization subject mismatch"),
        ({"requester": {"institution": "bank-sc"}}, "2003", "403 authorization subject mismatch"),
        ({"purpose": {"code": "GUARANTOR_REVIEW"}}, "2003", "403 authorization subject mismatch"),
        ({"providers": [{"platform_id": "elsewhere"}]}, "2003", "403 authorization subject mismatch"),
        (
            {"data": {"items": [{"id": "tax_arrears", "necessity": "required"}]}},
            "2004",
            "403 authorization scope exceeded",
        ),
        ({"exp": int(datetime.now(UTC).timestamp()) + 86_400 * 3}, "2002", "403 authorization expired"),
        ({"nbf": int(datetime.now(UTC).timestamp()) + 86_400}, "2002", "403 authorization expired"),
        ({"iss": "authority-sc"}, "2001", "403 authorization rejected"),
        ({"subject": {"commitment_kid": "another"}}, "2001", "403 authorization rejected"),
        ({"providers": None}, "2001", "403 authorization rejected"),
    ],
    ids=["subject", "institution", "purpose", "platform", "scope", "over", "not yet", "issuer", "kid", "form"],
)
@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_a_letter_that_says_something_else_is_refused_with_the_platform_s_code(
    platforms, platform, changes, chongqing, sichuan
):
    payload = a_payload(subject=HOME[platform])
    for name, value in changes.items():
        payload[name] = payload[name] | value if isinstance(value, dict) else value
    letter = signed(payload)
    status, detail = await asked(platforms, platform, letter)
    expected = {"chongqing": chongqing, "sichuan": sichuan}[platform]
    assert (status, detail) == (DENIED, expected)
    assert getattr(platforms.books, platform).enquiries == []


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_a_letter_that_nobody_trusted_signed_is_refused(platforms, platform):
    payload = a_payload(subject=HOME[platform])
    for letter in (signed(payload, key=STRANGER), altered(signed(payload)), b"no letter"):
        status, detail = await asked(platforms, platform, letter)
        assert (status, detail.split()[0]) == (DENIED, {"chongqing": "2001", "sichuan": "403"}[platform])


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_an_intent_that_stands_for_another_enquiry_is_refused(platforms, platform):
    letter, intent = signed(a_payload(subject=HOME[platform])), hashlib.sha256(b"one intent").digest()
    assert await asked(platforms, platform, letter, intent_leaf_hash=intent) == (OK, "")
    status, _ = await asked(platforms, platform, letter, intent_leaf_hash=intent)
    assert status == DENIED
    assert len(getattr(platforms.books, platform).enquiries) == 1


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_what_is_public_by_law_is_asked_beside_a_letter_that_does_not_name_it(platforms, platform):
    letter = signed(a_payload(subject=HOME[platform]))
    found = await answers(
        platforms,
        platform,
        frozenset({ITEM, "bankruptcy"}),
        subject=replace(HOME[platform], name=""),
        artefact=letter,
        intent_leaf_hash=hashlib.sha256(b"an evaluation").digest(),
        consent_expires_at=datetime.now(UTC) + timedelta(days=29),
    )
    assert {answer.item: answer.status for answer in found} == {ITEM: OK, "bankruptcy": NO_DATA}


def test_every_kind_module_and_purpose_has_its_word_of_the_standard():
    standard = load_standard()
    assert KIND_ITEMS.keys() == {kind.value for kind in Kind}
    assert MODULE_ITEMS.keys() == MODULES.keys()
    assert CHONGQING_PURPOSES.keys() == PURPOSES
    assert SICHUAN_PURPOSES.keys() == OFFERED
    named = {*KIND_ITEMS.values(), *(item for items in MODULE_ITEMS.values() for item in items.split())}
    assert all(standard.items.exists(item) for item in named)
    known = {purpose.purpose_id for purpose in standard.purposes.all()}
    assert {*CHONGQING_PURPOSES.values(), *SICHUAN_PURPOSES.values()} <= known
