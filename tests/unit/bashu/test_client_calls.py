"""The client against a gateway of few lines on a real socket."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from bashu.bearer import LIFETIME_S, RENEW_BEFORE_S, TokenSource, certificate_thumbprint
from bashu.client import Bashu, QueryAnswer, new_request_id
from bashu.errors import BashuCallError
from bashu.profiles import Profile, ProfileError
from bashu.v1 import consent_pb2, credit_pb2, report_pb2
from bashu.verify import VerificationError
from tests.unit.bashu.conftest import Log

LOG = Log()


def status_of(reason, *, code=grpc.StatusCode.FAILED_PRECONDITION, retry_s=None, field=None, **metadata):
    status = status_pb2.Status(code=code.value[0], message=f"sentence about {reason}")
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="bashu.credit", metadata=metadata)]
    if retry_s is not None:
        details.append(error_details_pb2.RetryInfo())
        details[-1].retry_delay.FromMilliseconds(int(retry_s * 1000))
    if field is not None:
        details.append(error_details_pb2.BadRequest())
        details[-1].field_violations.add(field=field, description="wrong shape")
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def answer_to(request):
    report = report_pb2.CreditReport(report_id="r-1", standard_version="bashu-standard/1").SerializeToString()
    return credit_pb2.QueryCreditResponse(
        request_id=request.request_id,
        report=report_pb2.CreditReport.FromString(report),
        receipt=LOG.release(report),
    )


class Gateway:
    """Answers every query unless told otherwise; remembers what it was asked with."""

    def __init__(self):
        self.unavailable, self.refusal, self.hang = 0, None, False
        self.asked, self.metadata, self.peers = [], [], []

    async def query(self, request, context):
        await self._admit(request, context)
        return answer_to(request)

    async def revoke(self, request, context):
        await self._admit(request, context)
        return consent_pb2.RevokeConsentResponse()

    async def _admit(self, request, context):
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.peers.append(context.peer())
        if self.hang:
            await asyncio.Event().wait()
        if self.unavailable:
            self.unavailable -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if self.refusal is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", self.refusal.SerializeToString()),))
            code = next(code for code in grpc.StatusCode if code.value[0] == self.refusal.code)
            await context.abort(code, self.refusal.message)

    async def stream(self, requests, context):
        held = []
        async for request in requests:
            self.asked.append(request)
            held.append(request)
        for request in reversed(held):
            response = credit_pb2.QueryCreditStreamResponse(request_id=request.request_id)
            if request.consent_id == "revoked":
                response.error.CopyFrom(status_of("CONSENT_REVOKED", turn="BORROWER"))
            else:
                response.response.CopyFrom(answer_to(request))
            yield response


@contextlib.asynccontextmanager
async def serving(gateway, credentials=None):
    server = grpc.aio.server()
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    query = credit_pb2.QueryCreditRequest.FromString
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "bashu.v1.CreditService",
                {
                    "QueryCredit": unary(gateway.query, query, credit_pb2.QueryCreditResponse.SerializeToString),
                    "QueryCreditStream": stream(
                        gateway.stream, query, credit_pb2.QueryCreditStreamResponse.SerializeToString
                    ),
                },
            ),
            grpc.method_handlers_generic_handler(
                "bashu.v1.ConsentService",
                {
                    "RevokeConsent": unary(
                        gateway.revoke,
                        consent_pb2.RevokeConsentRequest.FromString,
                        consent_pb2.RevokeConsentResponse.SerializeToString,
                    )
                },
            ),
        )
    )
    address = "127.0.0.1:0"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def _write_key(path, key):
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def signing_key():
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def profile(tmp_path, signing_key):
    key = _write_key(tmp_path / "key.pem", signing_key)
    return Profile(endpoint="127.0.0.1:1", participant="bank-cq", kid="k-1", private_key=key, operator="10086")


@pytest.fixture
async def gateway(profile):
    """A running gateway and a client of it."""
    fake = Gateway()
    async with serving(fake) as address, Bashu(_at(profile, address)) as client:
        yield fake, client


def _at(profile, address, **more):
    return Profile(
        endpoint=address,
        participant=profile.participant,
        kid=profile.kid,
        private_key=profile.private_key,
        operator=profile.operator,
        **more,
    )


def _request(**fields):
    return credit_pb2.QueryCreditRequest(**({"request_id": new_request_id(), "consent_id": "c-1"} | fields))


async def test_an_answer_carries_the_report_as_sent_so_that_its_receipt_verifies(gateway):
    _, client = gateway
    answer = await client.query_credit(_request())
    assert answer.report.report_id == "r-1"
    assert answer.verify(LOG.vkey).entry["type"] == "RELEASE"
    with pytest.raises(VerificationError):
        answer.verify(Log().vkey)


async def test_a_token_says_who_acts_and_is_kept_from_call_to_call(gateway, signing_key):
    fake, client = gateway
    await client.query_credit(_request())
    await client.query_credit(_request())
    first, second = (metadata["authorization"].removeprefix("Bearer ") for metadata in fake.metadata)
    assert first == second
    claims = jwt.decode(first, signing_key.public_key(), algorithms=["EdDSA"], audience="bashu-gateway")
    assert claims["iss"] == claims["sub"] == "bank-cq"
    assert claims["opr"] == "10086"
    assert claims["exp"] - claims["iat"] <= 600
    assert "cnf" not in claims
    assert jwt.get_unverified_header(first) == {"alg": "EdDSA", "kid": "k-1", "typ": "JWT"}


async def test_a_query_with_an_id_is_repeated_while_the_gateway_is_unavailable(gateway):
    fake, client = gateway
    fake.unavailable = 2
    request = _request()
    assert (await client.query_credit(request)).request_id == request.request_id
    assert [asked.request_id for asked in fake.asked] == [request.request_id] * 3


@pytest.mark.parametrize("fields", [{"request_id": ""}, {"resend_all": True}])
async def test_a_query_that_may_not_be_repeated_is_sent_once(gateway, fields):
    fake, client = gateway
    fake.unavailable = 1
    with pytest.raises(BashuCallError):
        await client.query_credit(_request(**fields))
    assert len(fake.asked) == 1


async def test_a_revocation_is_sent_once(gateway):
    fake, client = gateway
    fake.unavailable = 1
    with pytest.raises(BashuCallError):
        await client.revoke_consent("c-1")
    assert len(fake.asked) == 1


async def test_calls_go_round_over_several_connections(gateway):
    fake, client = gateway
    for _ in range(4):
        await client.query_credit(_request())
    assert len(set(fake.peers)) == 2


async def test_a_refusal_says_reason_turn_request_when_to_retry_and_which_field(gateway):
    fake, client = gateway
    fake.refusal = status_of(
        "RATE_LIMITED",
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        retry_s=1.5,
        field="subject",
        turn="LENDER",
        request_id="q-7",
        rule="R22",
    )
    with pytest.raises(BashuCallError) as refusal:
        await client.query_credit(_request())
    error = refusal.value
    assert (error.reason, error.turn, error.request_id) == ("RATE_LIMITED", "LENDER", "q-7")
    assert (error.retry_after_s, error.metadata, error.fields) == (1.5, {"rule": "R22"}, {"subject": "wrong shape"})
    assert not error.is_unreachable
    assert error.as_json()["code"] == "RESOURCE_EXHAUSTED"


async def test_a_reason_of_a_foreign_domain_is_not_taken_for_the_gateways(gateway):
    fake, client = gateway
    fake.refusal = status_of("CONSENT_REVOKED")
    info = error_details_pb2.ErrorInfo(reason="CONSENT_REVOKED", domain="proxy.example")
    fake.refusal.details[0].Pack(info)
    with pytest.raises(BashuCallError) as refusal:
        await client.query_credit(_request())
    assert refusal.value.reason == "FAILED_PRECONDITION"


async def test_a_gateway_that_is_not_there_is_unreachable_and_the_request_id_is_kept(profile):
    request = _request()
    async with Bashu(_at(profile, "127.0.0.1:1"), deadline_s=5) as client:
        with pytest.raises(BashuCallError) as refusal:
            await client.query_credit(request)
    assert refusal.value.is_unreachable
    assert refusal.value.request_id == request.request_id


async def test_a_call_never_waits_longer_than_its_deadline(gateway):
    fake, client = gateway
    fake.hang = True
    with pytest.raises(BashuCallError) as refusal:
        await client.query_credit(_request(), deadline_s=0.2)
    assert refusal.value.reason == "NO_ANSWER_IN_TIME"


async def test_on_a_stream_answers_come_in_completion_order_and_a_refusal_ends_nothing(gateway):
    _, client = gateway

    async def questions():
        for number, consent in enumerate(("c-1", "revoked", "c-2")):
            yield _request(request_id=f"q-{number}", consent_id=consent)

    answers = [answer async for answer in client.query_stream(questions())]
    assert [answer.request_id for answer in answers] == ["q-2", "q-1", "q-0"]
    refused = answers[1]
    assert isinstance(refused, BashuCallError)
    assert (refused.reason, refused.turn) == ("CONSENT_REVOKED", "BORROWER")
    assert all(answer.verify(LOG.vkey) for answer in answers if isinstance(answer, QueryAnswer))


async def test_an_error_of_the_askers_own_iterator_comes_back_as_it_was(gateway):
    _, client = gateway

    async def questions():
        yield _request()
        raise LookupError("the lender's own file ended badly")

    with pytest.raises(LookupError):
        _ = [answer async for answer in client.query_stream(questions())]


async def test_a_stream_to_nobody_is_unreachable(profile):
    async def questions():
        yield _request()

    async with Bashu(_at(profile, "127.0.0.1:1")) as client:
        with pytest.raises(BashuCallError) as refusal:
            _ = [answer async for answer in client.query_stream(questions(), deadline_s=5)]
    assert refusal.value.is_unreachable


def _certificates(folder):
    """A CA, a server certificate for 127.0.0.1 and a client certificate; returns their paths."""
    now = datetime.now(UTC)

    def issue(name, issuer_name, issuer_key, key, *, ca=False):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("gateway.test")]), critical=False)
        )
        (folder / f"{name}.crt").write_bytes(builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM))
        _write_key(folder / f"{name}.key", key)

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "server", "client")}
    for name, key in keys.items():
        issue(name, "ca", keys["ca"], key, ca=name == "ca")


async def test_over_mutual_tls_the_token_is_bound_to_the_client_certificate(profile, signing_key, tmp_path):
    _certificates(tmp_path)
    fake = Gateway()
    credentials = grpc.ssl_server_credentials(
        [((tmp_path / "server.key").read_bytes(), (tmp_path / "server.crt").read_bytes())],
        root_certificates=(tmp_path / "ca.crt").read_bytes(),
        require_client_auth=True,
    )
    async with serving(fake, credentials) as address:
        encrypted = _at(
            profile,
            address,
            ca=tmp_path / "ca.crt",
            certificate=tmp_path / "client.crt",
            certificate_key=tmp_path / "client.key",
            server_name="gateway.test",
        )
        async with Bashu(encrypted) as client:
            await client.query_credit(_request())
    token = fake.metadata[0]["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, signing_key.public_key(), algorithms=["EdDSA"], audience="bashu-gateway")
    assert claims["cnf"] == {"x5t#S256": certificate_thumbprint(tmp_path / "client.crt")}


def test_a_token_is_renewed_before_its_end_and_after_a_clock_was_set_back(profile):
    clock = [1_772_000_000.0]
    source = TokenSource(profile, now=lambda: clock[0])
    first = source.bearer()
    clock[0] += LIFETIME_S - RENEW_BEFORE_S - 1
    assert source.bearer() == first
    clock[0] += 1
    second = source.bearer()
    assert second != first
    clock[0] -= LIFETIME_S
    assert source.bearer() not in {first, second}


def test_an_ec_key_signs_es256_and_another_curve_is_refused(profile, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(profile.private_key, key)
    token = TokenSource(profile).bearer().removeprefix("Bearer ")
    assert jwt.decode(token, key.public_key(), algorithms=["ES256"], audience="bashu-gateway")["sub"] == "bank-cq"
    _write_key(profile.private_key, ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(ProfileError):
        TokenSource(profile)


def test_a_profile_is_read_with_paths_from_its_folder_and_nothing_unknown(tmp_path):
    text = 'endpoint = "gw:443"\nparticipant = "bank-cq"\nkid = "k"\nprivate_key = "keys/k.pem"\n'
    file = tmp_path / "bashu.toml"
    file.write_text(text + 'audience = "other"\n[claims]\nsbj = "ab"\n')
    profile = Profile.read(file)
    assert profile.private_key == tmp_path / "keys/k.pem"
    assert (profile.audience, profile.claims) == ("other", {"sbj": "ab"})
    for wrong in (
        text + 'pasword = "x"\n',
        text + 'ca = "ca.crt"\n',
        text.replace("kid", "kids"),
        text + "operator = 7\n",
        "[",
    ):
        file.write_text(wrong)
        with pytest.raises(ProfileError):
            Profile.read(file)


def test_a_participant_of_the_dev_stack_is_found_in_its_file(tmp_path):
    participant = {
        "role": "LENDER",
        "private_key": "/keys/k.pem",
        "kid": "k",
        "certificate": "/keys/c.crt",
        "certificate_key": "/keys/c.key",
        "staff": ["10001", "10002"],
    }
    stack = {
        "grpc": "127.0.0.1:9",
        "ca": "/keys/ca.crt",
        "ledger_vkey": LOG.vkey,
        "participants": {"bank-cq": participant},
    }
    (tmp_path / "dev.json").write_text(json.dumps(stack))
    profile = Profile.of_dev_stack(tmp_path, "bank-cq")
    assert (profile.endpoint, profile.operator, profile.vkey) == ("127.0.0.1:9", "10001", LOG.vkey)
    assert Profile.of_dev_stack(tmp_path / "dev.json", "bank-cq", operator="10002").operator == "10002"
    (tmp_path / "dev.json").write_text(json.dumps(stack | {"ca": None}))
    assert Profile.of_dev_stack(tmp_path, "bank-cq").certificate is None
    with pytest.raises(ProfileError, match="bank-cq"):
        Profile.of_dev_stack(tmp_path, "bank-xx")


def test_request_ids_are_version_7_and_rise_with_time():
    early, late = new_request_id(now=lambda: 1.0), new_request_id(now=lambda: 2.0)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
