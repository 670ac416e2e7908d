"""A stage for the subject's rights and the officers' desk: real PostgreSQL, a key database, the servicers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from adapters.kit.protocol import DisputeStanding
from bashu.v1 import common_pb2, compliance_pb2, subject_pb2
from core.clock import SystemClock
from core.commitments import subject_commitment
from core.errors import BashuError
from database import open_database
from gateway.accesses import AccessLists
from gateway.desk.anomalies import Anomalies, load_rules
from gateway.desk.desk import Desk
from gateway.desk.preservation import Preservations
from gateway.desk.preservation import preserved as preserved_in_database
from gateway.desk.reports import Reports
from gateway.desk.sampling import Sampling
from gateway.desk.unmask import Unmasking
from gateway.disputes.service import Disputes
from gateway.identity import store as identity_store
from gateway.identity.admin import Actor, Administration
from gateway.identity.model import (
    CALLER,
    Caller,
    Institution,
    InstitutionKind,
    Mandate,
    Participant,
    Role,
    Staff,
    StaffKind,
)
from gateway.identity.roles import require_role
from gateway.identity.sealing import NameSeal
from gateway.officers import Holds
from gateway.reviews import Reviews
from gateway.rights.erasures import Erasures
from gateway.rights.mine import Mine
from gateway.services.compliance import ComplianceServicer
from gateway.services.disputes import DisputeCalls
from gateway.services.subject import SubjectServicer
from gateway.vault.service import Vault
from tests.admission_stage import COMMITMENT_KEYS, FIRM, OPERATOR_KEY, ORIGIN, OTHER_FIRM, SIGNER, STANDARD, open_stage

RETENTION = timedelta(days=5 * 366)
BACKUPS = timedelta(days=35)
STAFF_NAME = "钱样本丙"


def caller(participant, role, institution=None, *, kind=InstitutionKind.NONE, **facts):
    return Caller(
        participant_id=participant,
        role=role,
        institution=institution or participant,
        institution_kind=kind,
        kid="k",
        **facts,
    )


def agent_of(subject, *, act="ab" * 32, kid="commitment-1", mandate=Mandate.LEGAL_REPRESENTATIVE):
    commitment = subject_commitment(COMMITMENT_KEYS[kid], subject.id_type, subject.identifier)
    return caller(
        "subject-portal",
        Role.SUBJECT_AGENT,
        subject_commitment=commitment,
        actor_commitment=act,
        mandate=mandate,
        acr="high",
    )


ONE = caller("officer-1", Role.COMPLIANCE, "gw", operator="0001")
TWO = caller("officer-2", Role.COMPLIANCE, "gw", operator="0002")
AUDITOR = caller("auditor-1", Role.AUDITOR, "gw")
REGULATOR = caller("regulator-1", Role.REGULATOR, "gw")
BANK = caller("bank-cq", Role.LENDER, operator="op-1")
ADMIN = caller("admin-1", Role.GATEWAY_ADMIN, "gw", operator="0001")
SUBJECT = agent_of(FIRM)
STRANGER = agent_of(OTHER_FIRM)


def named(subject):
    if subject.id_type == "citizen_id":
        person = common_pb2.PersonSubject(id_type="citizen_id", id_number=subject.identifier, name=subject.name)
        return common_pb2.Subject(person=person)
    enterprise = common_pb2.EnterpriseSubject(unified_social_credit_code=subject.identifier, name=subject.name)
    return common_pb2.Subject(enterprise=enterprise)


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value.reason


class SilentPlatform:
    """A platform without an interface for disputes."""

    def __init__(self, name):
        self.platform = SimpleNamespace(
            platform_id=name, name_zh="示例平台", items=frozenset({"administrative_penalty", "tax_credit_grade"})
        )


class FakePlatform(SilentPlatform):
    """One that takes disputes, and says what the test wants."""

    def __init__(self, name):
        super().__init__(name)
        self.told, self.standing, self.failure = [], DisputeStanding(reference="YY1"), None

    async def dispute(self, case, reference, *, deadline):
        self.told.append((case, reference))
        if self.failure is not None:
            raise self.failure
        return self.standing


@dataclass
class RightsStage:
    stage: object
    vault: Vault
    erasures: Erasures
    servicers: dict
    preserved: set = field(default_factory=set)
    disputes: Disputes | None = None
    adapters: dict = field(default_factory=dict)

    async def call(self, service, rpc, who, **fields):
        """Call as the edge would: role first, then the servicer."""
        module = {"Compliance": compliance_pb2, "Subject": subject_pb2}[service]
        require_role(f"/bashu.v1.{service}Service/{rpc}", who.role)
        CALLER.set(who)
        return await getattr(self.servicers[service], rpc)(getattr(module, f"{rpc}Request")(**fields), None)

    async def subject(self, rpc, who=SUBJECT, **fields):
        return await self.call("Subject", rpc, who, **fields)

    async def desk(self, rpc, who=ONE, **fields):
        return await self.call("Compliance", rpc, who, **fields)

    async def rows(self, rpc, who, **fields):
        """Collect what a stream of SubjectService yields."""
        require_role(f"/bashu.v1.SubjectService/{rpc}", who.role)
        CALLER.set(who)
        request = getattr(subject_pb2, f"{rpc}Request")(**fields)
        return [message.line async for message in getattr(self.servicers["Subject"], rpc)(request, None)]

    async def sealed(self):
        """Integrate everything appended so far."""
        while await self.stage.sealer.run_round():
            pass

    async def of_type(self, kind):
        return [entry for entry in await self.stage.entries_written() if entry["type"] == kind]


async def register_staff(stage, institution="bank-cq", number="op-1"):
    """Register one member of staff with its sealed name."""
    administration = Administration(origin=ORIGIN, seal=NameSeal(bytes(32)), operator_key=OPERATOR_KEY)
    kind = InstitutionKind.BANK
    async with stage.db.transaction() as tx:
        await identity_store.add_institution(tx, Institution(institution=institution, kind=kind, name=institution))
        admin = Participant(
            participant_id=f"{institution}-admin", institution=institution, role=Role.LENDER_ADMIN, name=institution
        )
        await identity_store.add_participant(tx, admin)
        await administration.register_staff(
            tx,
            Staff(institution=institution, staff_number=number, kind=StaffKind.QUERY, valid_from=date(2020, 1, 1)),
            name=STAFF_NAME,
            actor=Actor(
                participant_id=admin.participant_id, institution=institution, role=Role.LENDER_ADMIN, operator=number
            ),
        )


@asynccontextmanager
async def open_rights(fresh_database, fresh_keys, folder, *, rules=None):
    async with open_stage(fresh_database, folder) as stage:
        keys = await open_database(fresh_keys.dsn("bashu_keeper"), max_size=4)
        try:
            yield _rights(
                stage,
                Vault(keys, wrapping_key=bytes(range(32)), owner_key=b"owner-key-not-real"),
                rules or load_rules(),
            )
        finally:
            await keys.close()


def _rights(stage, vault, rules):
    clock = SystemClock()
    preserved = set()

    async def is_preserved(db, pseudonym):
        return pseudonym in preserved or await preserved_in_database(db, pseudonym)

    parts = {"pseudonyms": stage.pseudonyms, "entries": stage.entries}
    erasures = Erasures(stage.db, vault=vault, preserved=is_preserved, retention=RETENTION, backups=BACKUPS, **parts)
    holds = Holds(stage.db, subjects=stage.holds, vault=vault, **parts)
    reviews = Reviews(stage.db, entries=stage.entries)
    unmasking = Unmasking(stage.db, vault=vault, names=NameSeal(bytes(32)), **parts)
    lists = AccessLists(stage.db, registry=stage.registry, pseudonyms=stage.pseudonyms)
    adapters = {"chongqing": FakePlatform("chongqing"), "sichuan": SilentPlatform("sichuan")}
    disputes = Disputes(stage.db, vault=vault, adapters=adapters, items=STANDARD.items, **parts)
    calls = DisputeCalls(
        disputes,
        reviews=reviews,
        pseudonyms=stage.pseudonyms,
        platforms={name: adapter.platform for name, adapter in adapters.items()},
        operator="示例网关",
    )
    compliance = ComplianceServicer(
        disputes=calls,
        db=stage.db,
        holds=holds,
        reviews=reviews,
        erasures=erasures,
        unmasking=unmasking,
        vkey=SIGNER.vkey,
        commitment=stage.pseudonyms.in_entry,
        desk=Desk(
            reports=Reports(stage.db, lists=lists, reviews=reviews, vault=vault, **parts),
            sampling=Sampling(stage.db, lists=lists, vault=vault, entries=stage.entries),
            anomalies=Anomalies(stage.db, lists=lists, rules=rules),
            preservations=Preservations(stage.db, vault=vault, entries=stage.entries),
        ),
        standard=STANDARD,
        clock=clock,
    )
    subject = SubjectServicer(
        disputes=calls,
        own_reports=None,
        db=stage.db,
        lists=lists,
        mine=Mine(stage.db, lists=lists, vault=vault, **parts),
        holds=holds,
        erasures=erasures,
        pseudonyms=stage.pseudonyms,
        standard=STANDARD,
        clock=clock,
    )
    return RightsStage(
        stage=stage,
        vault=vault,
        erasures=erasures,
        servicers={"Compliance": compliance, "Subject": subject},
        preserved=preserved,
        disputes=disputes,
        adapters=adapters,
    )
