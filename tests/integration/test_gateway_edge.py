"""The edge with everything real: PostgreSQL, mutual TLS, tokens, the registry's changes."""

import asyncio
import contextlib
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta

import grpc
import jwt
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bashu.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    common_pb2,
    compliance_pb2,
    compliance_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    standard_pb2,
    standard_pb2_grpc,
)
from core.clock import SystemClock
from core.errors import BashuError, Reason
from core.jws import public_jwk
from database import RightMissing, open_database
from gateway.certificates import DevAuthority, signing_key
from gateway.identity.admin import Actor, Administration, NewKey, Registration
from gateway.identity.model import (
    Institution,
    InstitutionKind,
    Participant,
    Role,
    Staff,
    StaffKind,
    current_caller,
    current_deadline,
    current_request_id,
)
from gateway.identity.registry import Registry
from gateway.identity.sealing import NameSeal
from gateway.identity.tokens import Authenticator
from gateway.interceptors import Deadlines, Edge
from gateway.load import LoadLimit
from gateway.metrics import CallMetrics
from gateway.server import SERVICE_NAMES, Servicers, build_server
from gateway.services.admin import AdminServicer
from gateway.settings import ServerSettings, SettingsError

PEOPLE = {
    "admin-1": (Role.GATEWAY_ADMIN, "gateway", InstitutionKind.NONE),
    "bank-cq": (Role.LENDER, "bank-of-cq", InstitutionKind.BANK),
    "bank-cq-admin": (Role.LENDER_ADMIN, "bank-of-cq", InstitutionKind.BANK),
    "bank-sc": (Role.LENDER, "bank-of-sc", InstitutionKind.BANK),
    "officer-1": (Role.COMPLIANCE, "gateway", InstitutionKind.NONE),
    "officer-2": (Role.COMPLIANCE, "supervision", InstitutionKind.NONE),
    "auditor-1": (Role.AUDITOR, "auditors", InstitutionKind.NONE),
    "subject-portal": (Role.SUBJECT_AGENT, "portal", InstitutionKind.NONE),
}
STAFF = {"gateway": ["A1", "A2"], "bank-of-cq": ["0001"], "bank-of-sc": ["0001"], "supervision": ["S1"]}
HEX = "ab" * 32


class Standard(standard_pb2_grpc.StandardServiceServicer):
    """Answers, fails and waits as a test needs it."""

    def __init__(self):
        self.release = asyncio.Event()
        self.entered = asyncio.Event()
        self.seen = []

    async def ListPurposes(self, request, context):
        self.seen.append((current_caller(), current_request_id(), current_deadline()))
        return standard_pb2.ListPurposesResponse()

    async def ListPlatforms(self, request, context):
        self.entered.set()
        await self.release.wait()
        return standard_pb2.ListPlatformsResponse()

    async def GetCodeList(self, request, context):
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refuse(request))

    async def TranslateRating(self, request, context):
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the servicer's own words")

    async def _refuse(self, request):
        if request.code_list == "unclassified":
            raise RuntimeError("password=hunter2")
        raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such list")


class Credit(credit_pb2_grpc.CreditServiceServicer):
    """Echoes the request id of each query."""

    async def QueryCredit(self, request, context):
        return credit_pb2.QueryCreditResponse(request_id=request.request_id)

    async def QueryCreditStream(self, request_iterator, context):
        async for request in request_iterator:
            yield credit_pb2.QueryCreditStreamResponse(request_id=request.request_id)


@dataclass
class World:
    db: object
    registry: Registry
    administration: Administration
    authority: DevAuthority
    folder: object
    server: object
    load: LoadLimit
    edge: Edge
    metrics: CallMetrics
    standard: Standard
    authenticator: Authenticator
    denied: list
    channels: list = field(default_factory=list)

    def key(self, participant):
        return signing_key(self.folder / f"{participant}-token.pem")

    def token(self, participant, *, opr=None, key=None, kid=None, headers=None, **claims):
        now = int(time.time())
        payload = {
            "iss": participant,
            "sub": participant,
            "aud": "bashu-gateway",
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            "cnf": {"x5t#S256": self.authority.client(participant).thumbprint},
        }
        number = STAFF.get(PEOPLE[participant][1], [None])[0] if opr is None else opr
        if participant == "officer-1":
            number = opr or "A2"
        if number:
            payload["opr"] = number
        if participant == "subject-portal":
            payload |= {"sbj": HEX, "act": HEX, "mandate": "SELF", "acr": "high"}
        payload = {name: value for name, value in {**payload, **claims}.items() if value is not None}
        return jwt.encode(
            payload,
            key or self.key(participant),
            "ES256",
            headers={"kid": kid or f"{participant}-k1", **(headers or {})},
        )

    def channel(self, participant):
        pair = self.authority.client(participant)
        credentials = grpc.ssl_channel_credentials(
            self.authority.certificate.read_bytes(), pair.key.read_bytes(), pair.certificate.read_bytes()
        )
        channel = grpc.aio.secure_channel(
            f"localhost:{self.server.port}", credentials, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.channels.append(channel)
        return channel

    async def purposes(self, participant="bank-cq", *, token=None, certificate=None, timeout=20):
        stub = standard_pb2_grpc.StandardServiceStub(self.channel(certificate or participant))
        bearer = token or self.token(participant)
        return await stub.ListPurposes(
            standard_pb2.ListPurposesRequest(), metadata=(("authorization", f"Bearer {bearer}"),), timeout=timeout
        )

    def metadata(self, participant, **claims):
        return (("authorization", f"Bearer {self.token(participant, **claims)}"),)

    def admin(self, participant):
        return admin_pb2_grpc.AdminServiceStub(self.channel(participant))

    async def entries(self, kind):
        rows = await self.db.fetch("SELECT body FROM ledger_entry ORDER BY seq")
        return [body for body in (json.loads(row["body"]) for row in rows) if body["type"] == kind]


async def populate(world):
    first = Actor(participant_id="admin-1", institution="gateway", role=Role.GATEWAY_ADMIN)
    async with world.db.transaction() as tx:
        for name, (role, institution, kind) in PEOPLE.items():
            await world.administration.register(
                tx,
                Registration(
                    participant=Participant(participant_id=name, institution=institution, role=role, name=name),
                    institution=Institution(institution=institution, kind=kind, name=institution),
                    keys=(new_key(f"{name}-k1", world.key(name)),),
                    certificates=(world.authority.client(name).thumbprint,),
                ),
                actor=first,
            )
        for institution, numbers in STAFF.items():
            for number in numbers:
                lender = institution.startswith("bank")
                actor = Actor(
                    participant_id="bank-cq-admin" if lender else "admin-1",
                    institution=institution if lender else "gateway",
                    role=Role.LENDER_ADMIN if lender else Role.GATEWAY_ADMIN,
                )
                staff = Staff(
                    institution=institution, staff_number=number, kind=StaffKind.QUERY, valid_from=date(2020, 1, 1)
                )
                await world.administration.register_staff(tx, staff, name="张样本", actor=actor)


def new_key(kid, key):
    return NewKey(kid=kid, alg="ES256", jwk=json.dumps(public_jwk(key)))


@pytest.fixture
async def world(fresh_database, tmp_path):
    db = await open_database(fresh_database.gateway_dsn, max_size=4)
    clock, load, metrics, standard = (
        SystemClock(),
        LoadLimit(max_concurrent=2, max_streams=1),
        CallMetrics(),
        Standard(),
    )
    registry = Registry(db, clock=clock)
    authenticator = Authenticator(registry, clock=clock, binds_certificates=True)
    authority = DevAuthority(tmp_path / "tls")
    pair = authority.server()
    administration = Administration(origin="log.test", seal=NameSeal(b"s" * 32), operator_key=b"o" * 32)
    settings = ServerSettings(
        port=0, admin_port=0, certificate=pair.certificate, certificate_key=pair.key, client_ca=authority.certificate
    )
    deadlines = Deadlines(default_s=10, max_s=20, max_stream_s=60)
    denied = []

    async def record(caller, refused):
        denied.append((caller.participant_id, refused.reason))

    edge = Edge(
        authenticator=authenticator, load=load, metrics=metrics, deadlines=deadlines, clock=clock, denied=record
    )
    servicers = Servicers(
        standard=standard,
        credit=Credit(),
        admin=AdminServicer(
            db=db,
            administration=administration,
            registry=registry,
            operations=None,
            policies=None,
            limits=None,
            standard=None,
        ),
    )
    server = build_server(settings, edge=edge, load=load, servicers=servicers)
    world = World(
        db=db, registry=registry, administration=administration, authority=authority, folder=tmp_path / "keys",
        server=server, load=load, edge=edge, metrics=metrics, standard=standard, authenticator=authenticator,
        denied=denied,
    )  # fmt: skip
    await populate(world)
    await server.start()
    polling = asyncio.create_task(registry.run())
    yield world
    polling.cancel()
    for channel in world.channels:
        await channel.close()
    standard.release.set()
    await server.drain(1)
    with contextlib.suppress(asyncio.CancelledError):
        await polling
    await db.close()


async def reason_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_in(caught.value)


def reason_in(error):
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            status = Status.FromString(value)
            assert status.code == error.code().value[0]
            info = ErrorInfo()
            assert status.details[0].Unpack(info)
            assert info.metadata["request_id"]
            return Reason(info.reason)
    return error.code()


# Tokens.


async def test_a_good_token_calls(world):
    await world.purposes("bank-cq")
    caller, request_id, _ = world.standard.seen[0]
    assert (caller.participant_id, caller.role, caller.institution) == ("bank-cq", Role.LENDER, "bank-of-cq")
    assert (caller.institution_kind, caller.operator, caller.kid) == (InstitutionKind.BANK, "0001", "bank-cq-k1")
    assert uuid.UUID(request_id).version == 7


@pytest.mark.parametrize("participant", sorted(PEOPLE))
async def test_every_role_reaches_what_any_authenticated_may(world, participant):
    await world.purposes(participant)
    assert world.standard.seen[0][0].participant_id == participant


async def test_a_subject_agent_speaks_for_the_subject_of_its_token(world):
    await world.purposes("subject-portal")
    caller = world.standard.seen[0][0]
    assert (caller.subject_commitment, caller.actor_commitment, caller.mandate) == (HEX, HEX, "SELF")


NOW = int(time.time())
BAD = {
    "no iss": ({"iss": None}, Reason.TOKEN_INVALID),
    "another iss": ({"iss": "bank-sc"}, Reason.TOKEN_INVALID),
    "another sub": ({"sub": "bank-sc"}, Reason.TOKEN_INVALID),
    "another aud": ({"aud": "other"}, Reason.TOKEN_INVALID),
    "aud as a list": ({"aud": ["bashu-gateway"]}, Reason.TOKEN_INVALID),
    "no aud": ({"aud": None}, Reason.TOKEN_INVALID),
    "no jti": ({"jti": None}, Reason.TOKEN_INVALID),
    "no iat": ({"iat": None}, Reason.TOKEN_INVALID),
    "no exp": ({"exp": None}, Reason.TOKEN_INVALID),
    "iat as text": ({"iat": str(NOW)}, Reason.TOKEN_INVALID),
    "exp as true": ({"exp": True}, Reason.TOKEN_INVALID),
    "exp as a float": ({"exp": NOW + 300.5}, Reason.TOKEN_INVALID),
    "ended": ({"iat": NOW - 400, "exp": NOW - 1}, Reason.TOKEN_EXPIRED),
    "for too long": ({"exp": NOW + 1900}, Reason.TOKEN_EXPIRED),
    "from the future": ({"iat": NOW + 86_400, "exp": NOW + 86_500}, Reason.CLOCK_SKEW),
    "not yet": ({"nbf": NOW + 86_400}, Reason.CLOCK_SKEW),
    "no cnf": ({"cnf": None}, Reason.TOKEN_BINDING_MISMATCH),
    "another cnf": ({"cnf": {"x5t#S256": "A" * 43}}, Reason.TOKEN_BINDING_MISMATCH),
    "cnf with a key": ({"cnf": {"jwk": {}}}, Reason.TOKEN_INVALID),
    "no operator": ({"opr": ""}, Reason.OPERATOR_UNKNOWN),
    "unknown operator": ({"opr": "9999"}, Reason.OPERATOR_UNKNOWN),
    "operator of another institution": ({"opr": "A1"}, Reason.OPERATOR_UNKNOWN),
    "another key source": ({"headers": {"jku": "https://evil.example"}}, Reason.TOKEN_INVALID),
    "another typ": ({"headers": {"typ": "at+jwt"}}, Reason.TOKEN_INVALID),
    "unknown kid": ({"kid": "nobody"}, Reason.TOKEN_INVALID),
    "kid of another participant": ({"kid": "bank-sc-k1"}, Reason.TOKEN_INVALID),
}


@pytest.mark.parametrize("case", sorted(BAD))
async def test_a_wrong_token_is_refused_with_its_reason(world, case):
    changes, reason = BAD[case]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.purposes("bank-cq", token=world.token("bank-cq", **changes))
    assert reason_in(caught.value) is reason
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not world.standard.seen


async def test_an_iat_a_few_seconds_ahead_is_accepted(world):
    await world.purposes(token=world.token("bank-cq", iat=int(time.time()) + 8))


@pytest.mark.parametrize("claims", [{"sbj": None}, {"act": "x"}, {"mandate": "FRIEND"}, {"acr": None}])
async def test_a_subject_agent_without_subject_person_or_mandate_is_refused(world, claims):
    token = world.token("subject-portal", **claims)
    assert await reason_of(world.purposes("subject-portal", token=token)) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("header", [(), (("authorization", "Basic x"),), (("authorization", "Bearer x.y.z"),)])
async def test_without_a_bearer_token_nobody_calls(world, header):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    assert (
        await reason_of(stub.ListPurposes(standard_pb2.ListPurposesRequest(), metadata=header)) is Reason.TOKEN_INVALID
    )


async def test_two_authorization_headers_are_none(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    call = stub.ListPurposes(standard_pb2.ListPurposesRequest(), metadata=world.metadata("bank-cq") * 2)
    assert await reason_of(call) is Reason.TOKEN_INVALID


async def test_a_token_signed_by_another_key_is_refused_also_after_the_right_one_was_kept(world):
    good = world.token("bank-cq")
    await world.purposes(token=good)
    forged = ".".join([*good.split(".")[:2], world.token("bank-sc").split(".")[2]])
    assert await reason_of(world.purposes(token=forged)) is Reason.TOKEN_INVALID


async def test_a_stolen_token_is_no_use_over_another_participants_certificate(world):
    token = world.token("bank-cq")
    await world.purposes("bank-cq", token=token)
    stolen = world.purposes("bank-cq", token=token, certificate="bank-sc")
    assert await reason_of(stolen) is Reason.TOKEN_BINDING_MISMATCH


async def test_a_token_bound_to_another_participants_certificate_is_refused(world):
    token = world.token("bank-cq", cnf={"x5t#S256": world.authority.client("bank-sc").thumbprint})
    assert await reason_of(world.purposes(token=token, certificate="bank-sc")) is Reason.TOKEN_BINDING_MISMATCH


async def test_a_certificate_of_our_ca_that_nobody_registered_is_refused(world):
    stranger = world.authority.client("stranger")
    token = world.token("bank-cq", cnf={"x5t#S256": stranger.thumbprint})
    assert await reason_of(world.purposes(token=token, certificate="stranger")) is Reason.TOKEN_BINDING_MISMATCH


async def test_a_certificate_of_another_ca_does_not_get_through_the_handshake(world, tmp_path):
    other = DevAuthority(tmp_path / "other")
    pair = other.client("bank-cq")
    credentials = grpc.ssl_channel_credentials(
        world.authority.certificate.read_bytes(), pair.key.read_bytes(), pair.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{world.server.port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert await reason_of(stub.Check(health_pb2.HealthCheckRequest())) is grpc.StatusCode.UNAVAILABLE


async def test_a_client_without_certificate_does_not_get_through_the_handshake(world):
    credentials = grpc.ssl_channel_credentials(world.authority.certificate.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{world.server.port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert await reason_of(stub.Check(health_pb2.HealthCheckRequest())) is grpc.StatusCode.UNAVAILABLE


# What changes while a token lives.


async def refusal_of(world, token):
    """Call until refused and return the reason. (That it takes a second at most is proved below, without waiting.)"""
    async with asyncio.timeout(10):
        while True:
            (answer,) = await asyncio.gather(world.purposes(token=token), return_exceptions=True)
            if isinstance(answer, grpc.aio.AioRpcError):
                return reason_in(answer)


@pytest.mark.parametrize("compromised", [False, True])
async def test_a_revoked_key_stops_within_a_second(world, compromised):
    token = world.token("bank-cq")
    await world.purposes(token=token)
    actor = Actor(participant_id="admin-1", institution="gateway", role=Role.GATEWAY_ADMIN, operator="A1")
    async with world.db.transaction() as tx:
        await world.administration.revoke_key(tx, "bank-cq", "bank-cq-k1", compromised=compromised, actor=actor)
    assert await refusal_of(world, token) is Reason.TOKEN_INVALID
    entry = (await world.entries("KEY_EVENT"))[-1]
    assert entry["status"]["to"] == ("COMPROMISED" if compromised else "REVOKED")
    assert entry["object"] == "bank-cq-k1"


async def test_a_snapshot_is_never_used_a_second_after_it_was_confirmed(world):
    """The bound itself, without waiting: whatever the poll does, an old snapshot is confirmed before use."""

    class Skipping(SystemClock):
        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

    clock = Skipping()
    registry = Registry(world.db, clock=clock)
    before = await registry.snapshot()
    actor = Actor(participant_id="admin-1", institution="gateway", role=Role.GATEWAY_ADMIN, operator="A1")
    async with world.db.transaction() as tx:
        await world.administration.revoke_key(tx, "bank-cq", "bank-cq-k1", compromised=False, actor=actor)
    assert await registry.snapshot() is before
    clock.ahead = 0.95
    assert (await registry.snapshot()).keys["bank-cq-k1"].revoked_at is not None


async def test_a_registry_that_cannot_be_confirmed_lets_nobody_in(world, fresh_database):
    db = await open_database(fresh_database.gateway_dsn, max_size=1)
    clock = SystemClock()
    authenticator = Authenticator(Registry(db, clock=clock), clock=clock, binds_certificates=False)
    await db.close()
    with pytest.raises(BashuError) as caught:
        await authenticator.authenticate(f"Bearer {world.token('bank-cq')}", None)
    assert caught.value.reason is Reason.EVIDENCE_UNAVAILABLE


async def test_a_suspended_participant_stops_and_a_restored_one_goes_on(world):
    token = world.token("bank-cq")
    await world.purposes(token=token)
    ask = admin_pb2.SuspendParticipantRequest(participant_id="bank-cq", suspended=True, reason="audit finding 7")
    answer = await world.admin("admin-1").SuspendParticipant(ask, metadata=world.metadata("admin-1"))
    assert answer.participant.suspended
    assert await reason_of(world.purposes(token=token)) is Reason.PARTICIPANT_SUSPENDED
    ask.suspended = False
    await world.admin("admin-1").SuspendParticipant(ask, metadata=world.metadata("admin-1"))
    await world.purposes(token=token)
    events = [e["status"]["to"] for e in await world.entries("PARTICIPANT_EVENT") if e["object"] == "bank-cq"]
    assert events == ["REGISTERED", "SUSPENDED", "RESTORED"]


async def test_one_officer_of_compliance_proposes_and_a_second_suspends(world):
    ask = admin_pb2.SuspendParticipantRequest(participant_id="bank-cq", suspended=True, reason="complaint")
    for _ in range(2):
        first = world.admin("officer-1").SuspendParticipant(ask, metadata=world.metadata("officer-1"))
        assert await reason_of(first) is Reason.SECOND_OFFICER_NEEDED
    await world.purposes("bank-cq")
    answer = await world.admin("officer-2").SuspendParticipant(ask, metadata=world.metadata("officer-2"))
    assert answer.participant.suspended


async def test_a_proposal_of_yesterday_does_not_count(world, fresh_database):
    ask = admin_pb2.SuspendParticipantRequest(participant_id="bank-cq", suspended=True, reason="complaint")
    first = world.admin("officer-1").SuspendParticipant(ask, metadata=world.metadata("officer-1"))
    assert await reason_of(first) is Reason.SECOND_OFFICER_NEEDED
    fresh_database.shift_time(timedelta(hours=25))
    second = world.admin("officer-2").SuspendParticipant(ask, metadata=world.metadata("officer-2"))
    assert await reason_of(second) is Reason.SECOND_OFFICER_NEEDED


async def test_a_rotated_key_overlaps_and_then_the_old_one_ends(world, fresh_database):
    successor = signing_key(world.folder / "second.pem")
    ask = admin_pb2.RotateKeyRequest(
        participant_id="bank-cq",
        key=admin_pb2.PublicKey(kid="bank-cq-k2", jwk=json.dumps(public_jwk(successor)), alg="ES256"),
        overlap_days=1,
    )
    answer = await world.admin("admin-1").RotateKey(ask, metadata=world.metadata("admin-1"))
    assert [key.kid for key in answer.participant.keys] == ["bank-cq-k1", "bank-cq-k2"]
    new = world.token("bank-cq", key=successor, kid="bank-cq-k2")
    await world.purposes(token=new)
    await world.purposes("bank-cq")
    fresh_database.shift_time(timedelta(days=1, seconds=1))
    await world.registry.refresh(older_than_s=0)
    assert await reason_of(world.purposes("bank-cq")) is Reason.TOKEN_INVALID
    await world.purposes(token=new)


async def test_a_key_registered_a_moment_ago_is_known_before_the_next_poll(world):
    await world.purposes()
    successor = signing_key(world.folder / "second.pem")
    actor = Actor(participant_id="admin-1", institution="gateway", role=Role.GATEWAY_ADMIN, operator="A1")
    async with world.db.transaction() as tx:
        await world.administration.rotate_key(
            tx, "bank-cq", new_key("bank-cq-k2", successor), overlap=timedelta(days=1), actor=actor
        )
    clock = SystemClock()
    registry = Registry(world.db, clock=clock)
    await registry.snapshot()
    token = world.token("bank-cq", key=successor, kid="bank-cq-k2")
    authenticator = Authenticator(registry, clock=clock, binds_certificates=False)
    assert (await authenticator.authenticate(f"Bearer {token}", None)).kid == "bank-cq-k2"


async def test_a_staff_number_ends_with_its_last_day_in_beijing(world, fresh_database):
    ask = admin_pb2.RegisterStaffRequest(
        institution="bank-of-cq", staff_number="0002", name="李样本", kind="query", valid_from="2020-01-01",
        valid_to=(world.registry.now() + timedelta(hours=8)).date().isoformat(),
    )  # fmt: skip
    await world.admin("bank-cq-admin").RegisterStaff(ask, metadata=world.metadata("bank-cq-admin"))
    token = world.token("bank-cq", opr="0002")
    await world.registry.refresh(older_than_s=0)
    await world.purposes(token=token)
    fresh_database.shift_time(timedelta(days=1))
    await world.registry.refresh(older_than_s=0)
    assert await reason_of(world.purposes(token=token)) is Reason.OPERATOR_UNKNOWN


async def test_a_caller_of_a_long_stream_is_refused_once_suspended(world):
    caller = await world.authenticator.authenticate(
        f"Bearer {world.token('bank-cq')}", world.authority.client("bank-cq").certificate.read_bytes()
    )
    await world.authenticator.confirm(caller)
    actor = Actor(participant_id="admin-1", institution="gateway", role=Role.GATEWAY_ADMIN, operator="A1")
    async with world.db.transaction() as tx:
        await world.administration.suspend(tx, "bank-cq", suspended=True, reason="x", actor=actor)
    await world.registry.refresh(older_than_s=0)
    with pytest.raises(BashuError) as caught:
        await world.authenticator.confirm(caller)
    assert caught.value.reason is Reason.PARTICIPANT_SUSPENDED


# Administration.


async def test_a_participant_is_registered_listed_and_can_call(world):
    key = signing_key(world.folder / "bank-01-token.pem")
    pair = world.authority.client("bank-01")
    ask = admin_pb2.RegisterParticipantRequest(
        participant=admin_pb2.Participant(
            participant_id="bank-01",
            institution="bank-of-cq",
            institution_kind="bank",
            name="Bank 01",
            role=common_pb2.ROLE_LENDER,
            keys=[admin_pb2.PublicKey(kid="bank-01-k1", jwk=json.dumps(public_jwk(key)), alg="ES256")],
            licences=[
                common_pb2.Licence(kind="FINANCIAL_LICENCE", number="F1", authority="NFRA", valid_from="2020-01-01")
            ],
            certificate_thumbprints=[pair.thumbprint],
        )
    )
    await world.admin("admin-1").RegisterParticipant(ask, metadata=world.metadata("admin-1"))
    bearer = world.token("bank-cq", key=key, kid="bank-01-k1", iss="bank-01", sub="bank-01",
                               cnf={"x5t#S256": pair.thumbprint})  # fmt: skip
    await world.purposes(token=bearer, certificate="bank-01")
    assert world.standard.seen[0][0].licences[0].kind == "FINANCIAL_LICENCE"
    names, token = [], ""
    while True:
        page = await world.admin("admin-1").ListParticipants(
            admin_pb2.ListParticipantsRequest(page=common_pb2.PageRequest(page_size=4, page_token=token)),
            metadata=world.metadata("admin-1"),
        )
        names += [participant.participant_id for participant in page.participants]
        token = page.page.next_page_token
        if not token:
            break
    assert names == sorted([*PEOPLE, "bank-01"])


@pytest.mark.parametrize("taken", ["participant", "kid", "key", "certificate", "kind"])
async def test_what_is_taken_cannot_be_registered_again(world, taken):
    fresh = signing_key(world.folder / "fresh.pem")
    material = world.key("bank-sc") if taken == "key" else fresh
    participant = admin_pb2.Participant(
        participant_id="bank-sc" if taken == "participant" else "bank-02",
        institution="bank-of-sc",
        institution_kind="leasing" if taken == "kind" else "bank",
        name="Bank",
        role=common_pb2.ROLE_LENDER,
        keys=[
            admin_pb2.PublicKey(
                kid="bank-sc-k1" if taken == "kid" else "fresh", jwk=json.dumps(public_jwk(material)), alg="ES256"
            )
        ],
        certificate_thumbprints=[world.authority.client("bank-sc" if taken == "certificate" else "x").thumbprint],
    )
    before = len(await world.entries("PARTICIPANT_EVENT"))
    call = world.admin("admin-1").RegisterParticipant(
        admin_pb2.RegisterParticipantRequest(participant=participant), metadata=world.metadata("admin-1")
    )
    assert await reason_of(call) is Reason.MALFORMED
    assert len(await world.entries("PARTICIPANT_EVENT")) == before


async def test_a_private_key_cannot_be_registered(world):
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(world.key("fresh")))
    assert "d" in private
    ask = admin_pb2.RotateKeyRequest(
        participant_id="bank-cq", key=admin_pb2.PublicKey(kid="k", jwk=json.dumps(private), alg="ES256")
    )
    call = world.admin("admin-1").RotateKey(ask, metadata=world.metadata("admin-1"))
    assert await reason_of(call) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("participant", "institution", "reason"),
    [
        ("bank-cq-admin", "bank-of-sc", Reason.NOT_FOUND_OR_NOT_YOURS),
        ("admin-1", "bank-of-cq", Reason.NOT_FOUND_OR_NOT_YOURS),
        ("admin-1", "nobody", Reason.NOT_FOUND_OR_NOT_YOURS),
        ("bank-cq", "bank-of-cq", Reason.ROLE_NOT_ALLOWED),
    ],
)
async def test_staff_of_another_institution_is_not_yours_to_register(world, participant, institution, reason):
    ask = admin_pb2.RegisterStaffRequest(institution=institution, staff_number="7", name="王样本", kind="query")
    call = world.admin(participant).RegisterStaff(ask, metadata=world.metadata(participant))
    assert await reason_of(call) is reason


async def test_names_and_staff_numbers_stand_nowhere_in_the_clear(world):
    rows = await world.db.fetch("SELECT sealed_name FROM staff")
    bodies = await world.db.fetch("SELECT body FROM ledger_entry")
    assert rows
    assert not any("张样本".encode() in row["sealed_name"] for row in rows)
    assert not any(b"0001" in row["body"].split(b'"ts"')[0].split(b'"entry_id"')[0] for row in bodies[-1:])
    assert not any("张样本".encode() in row["body"] for row in bodies)


async def test_the_gateways_role_cannot_change_a_key_or_delete_a_participant(world):
    for statement in (
        "DELETE FROM participant",
        "UPDATE participant_key SET jwk = '{}'",
        "UPDATE participant SET role = 'COMPLIANCE'",
        "UPDATE registry_version SET version = 0",
    ):
        with pytest.raises(RightMissing):
            await world.db.execute(statement)


async def test_a_revoked_key_never_returns(world, fresh_database):
    await world.db.execute("UPDATE participant_key SET revoked_at = bashu_now() WHERE kid = 'bank-cq-k1'")
    owner = await open_database(fresh_database.owner_dsn, max_size=1)
    with pytest.raises(RightMissing):
        await owner.execute("UPDATE participant_key SET revoked_at = NULL")
    await owner.close()


# The edge.


async def test_a_role_outside_the_table_is_refused(world):
    stub = credit_pb2_grpc.CreditServiceStub(world.channel("auditor-1"))
    call = stub.QueryCredit(credit_pb2.QueryCreditRequest(), metadata=world.metadata("auditor-1"))
    assert await reason_of(call) is Reason.ROLE_NOT_ALLOWED


async def test_what_is_not_implemented_says_so(world):
    stub = compliance_pb2_grpc.ComplianceServiceStub(world.channel("officer-1"))
    call = stub.SearchAccess(compliance_pb2.SearchAccessRequest(), metadata=world.metadata("officer-1"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "ComplianceService.SearchAccess" in caught.value.details()


async def test_a_stream_that_is_not_implemented_says_so(world):
    stub = ledger_pb2_grpc.LedgerServiceStub(world.channel("officer-1"))
    call = stub.ExportEntries(ledger_pb2.ExportEntriesRequest(), metadata=world.metadata("officer-1"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_without_identity_not_even_unimplemented_is_told(world):
    stub = compliance_pb2_grpc.ComplianceServiceStub(world.channel("officer-1"))
    assert await reason_of(stub.SearchAccess(compliance_pb2.SearchAccessRequest())) is Reason.TOKEN_INVALID


async def test_a_stream_is_identified_once_and_answers(world):
    stub = credit_pb2_grpc.CreditServiceStub(world.channel("bank-cq"))
    call = stub.QueryCreditStream(metadata=world.metadata("bank-cq"))
    for number in ("1", "2"):
        await call.write(credit_pb2.QueryCreditRequest(request_id=number))
        assert (await call.read()).request_id == number
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_streams_beyond_the_limit_are_refused(world):
    stub = credit_pb2_grpc.CreditServiceStub(world.channel("bank-cq"))
    first = stub.QueryCreditStream(metadata=world.metadata("bank-cq"))
    await first.write(credit_pb2.QueryCreditRequest(request_id="1"))
    await first.read()
    second = stub.QueryCreditStream(metadata=world.metadata("bank-cq"))
    assert await reason_of(second.read()) is Reason.OVERLOADED
    first.cancel()


async def test_an_error_inside_a_task_group_keeps_its_reason(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    call = stub.GetCodeList(standard_pb2.GetCodeListRequest(code_list="x"), metadata=world.metadata("bank-cq"))
    assert await reason_of(call) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_a_call_that_the_servicer_aborts_is_answered_with_its_own_words(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.TranslateRating(standard_pb2.TranslateRatingRequest(), metadata=world.metadata("bank-cq"))
    assert caught.value.details() == "the servicer's own words"
    assert world.metrics.finished["/bashu.v1.StandardService/TranslateRating", "FAILED_PRECONDITION"] == 1
    assert not world.metrics.reasons


async def test_an_unclassified_error_is_internal_and_says_nothing_of_itself(world, capsys):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    ask = standard_pb2.GetCodeListRequest(code_list="unclassified")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetCodeList(ask, metadata=world.metadata("bank-cq"))
    assert reason_in(caught.value) is Reason.INTERNAL
    assert "hunter2" not in caught.value.details()
    logged = capsys.readouterr()
    assert "builtins.RuntimeError" in logged.out + logged.err
    assert "hunter2" not in logged.out + logged.err


async def test_bytes_that_are_no_message_are_malformed(world):
    call = world.channel("bank-cq").unary_unary("/bashu.v1.StandardService/ListPurposes")
    assert await reason_of(call(b"\xff\xff\xff", metadata=world.metadata("bank-cq"))) is Reason.MALFORMED


async def test_a_query_that_is_no_message_is_recorded_as_refused(world):
    call = world.channel("bank-cq").unary_unary("/bashu.v1.CreditService/QueryCredit")
    assert await reason_of(call(b"\xff\xff\xff", metadata=world.metadata("bank-cq"))) is Reason.MALFORMED
    assert world.denied == [("bank-cq", Reason.MALFORMED)]


async def test_load_beyond_the_limit_is_refused_with_a_time_to_retry(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    metadata = world.metadata("bank-cq")
    held = [stub.ListPlatforms(standard_pb2.ListPlatformsRequest(), metadata=metadata) for _ in range(2)]
    async with asyncio.timeout(10):
        while world.load.work.taken < 2:
            await asyncio.sleep(0)
    assert await reason_of(world.purposes()) is Reason.OVERLOADED
    world.standard.release.set()
    await asyncio.gather(*held)
    await world.purposes()
    assert world.load.work.taken == 0


async def test_a_deadline_that_passes_here_is_out_of_time(world):
    world.edge._deadlines = Deadlines(default_s=0.2, max_s=0.2, max_stream_s=1)
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    for timeout in (None, 60):
        call = stub.ListPlatforms(
            standard_pb2.ListPlatformsRequest(), metadata=world.metadata("bank-cq"), timeout=timeout
        )
        assert await reason_of(call) is Reason.OUT_OF_TIME


async def test_a_client_that_gives_up_leaves_no_place_taken(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    call = stub.ListPlatforms(standard_pb2.ListPlatformsRequest(), metadata=world.metadata("bank-cq"))
    async with asyncio.timeout(10):
        await world.standard.entered.wait()
        call.cancel()
        while world.load.work.taken or world.metrics.under_way:
            await asyncio.sleep(0)
    assert world.metrics.finished["/bashu.v1.StandardService/ListPlatforms", "CANCELLED"] == 1


async def test_the_access_line_names_method_code_and_participant_and_no_token(world, capsys):
    token = world.token("bank-cq")
    await world.purposes(token=token)
    logged = capsys.readouterr()
    text = logged.out + logged.err
    assert "/bashu.v1.StandardService/ListPurposes" in text
    assert "bank-cq" in text
    assert token not in text
    assert "0001" not in text.replace(world.standard.seen[0][1], "")


# Health, reflection, channelz.


async def test_health_answers_without_token_over_mutual_tls(world):
    stub = health_pb2_grpc.HealthStub(world.channel("bank-cq"))
    for service in ("", *SERVICE_NAMES):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_every_service_and_finds_their_files(world):
    stub = reflection_pb2_grpc.ServerReflectionStub(world.channel("bank-cq"))
    asks = [reflection_pb2.ServerReflectionRequest(list_services="")]
    asks += [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in SERVICE_NAMES]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asks))]
    listed = {service.name for service in answers[0].list_services_response.service}
    assert listed >= {*SERVICE_NAMES, "grpc.health.v1.Health"}
    assert len(SERVICE_NAMES) == 9
    assert all(answer.file_descriptor_response.file_descriptor_proto for answer in answers[1:])


async def test_channelz_answers_on_the_admin_port_and_not_on_the_public_one(world):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.server.admin_port}") as channel:
        answer = await channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest())
    assert answer.server
    public = channelz_pb2_grpc.ChannelzStub(world.channel("bank-cq"))
    assert await reason_of(public.GetServers(channelz_pb2.GetServersRequest())) is grpc.StatusCode.UNIMPLEMENTED


async def test_a_draining_worker_is_not_serving_and_refuses_new_work(world):
    stub = standard_pb2_grpc.StandardServiceStub(world.channel("bank-cq"))
    watching = health_pb2_grpc.HealthStub(world.channel("bank-cq")).Watch(health_pb2.HealthCheckRequest())
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    held = stub.ListPlatforms(standard_pb2.ListPlatformsRequest(), metadata=world.metadata("bank-cq"))
    await world.standard.entered.wait()
    world.load.draining.set()
    assert await reason_of(world.purposes()) is Reason.DRAINING
    draining = asyncio.create_task(world.server.drain(10))
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watching.cancel()
    world.standard.release.set()
    await held
    await draining


async def test_plaintext_beyond_loopback_is_refused(world):
    settings = ServerSettings.model_construct(host="0.0.0.0", port=0, certificate=None, certificate_key=None,
                                              client_ca=None, admin_port=None, max_request_bytes=4096,
                                              max_response_bytes=4096)  # fmt: skip
    with pytest.raises(SettingsError, match="loopback"):
        build_server(settings, edge=world.edge, load=world.load, servicers=Servicers())
