"""A stage for tests of consents and admission: real PostgreSQL, the real parts, a registry held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.artefact import Vocabulary, parse_artefact
from consent.model import Ask
from consent.scope import Rulebook
from core.clock import SystemClock
from core.commitments import subject_commitment
from core.ids import uuid7
from core.jws import load_public_jwk, public_jwk, sign_compact
from core.permit import Subject, SubjectKind
from database import open_database
from gateway.admission import Admissions, OperatorLicence, PlatformRegistration
from gateway.artefacts import Artefacts
from gateway.clock.watch import ClockWatch
from gateway.consents import Consents
from gateway.database_time import DatabaseTime
from gateway.denials import Denials
from gateway.entries import Entries, PlatformLine
from gateway.holds import SubjectHolds
from gateway.identity.model import (
    ExportPolicy,
    Institution,
    InstitutionKind,
    Key,
    Licence,
    Participant,
    Platform,
    PlatformAccess,
    PlatformKind,
    Role,
    Snapshot,
)
from gateway.loans import Loans
from gateway.pseudonyms import Pseudonyms
from gateway.release import Releases
from gateway.store import HOT_SETTINGS
from gateway.sweeper import Sweeper
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.note import parse_vkey
from ledger.sealer import Sealer
from ledger.signer import FileSigner
from standards.catalogue import load_standard

ORIGIN = "log.example/bashu"
AUDIENCE = "bashu-gateway"
AUTHORITY_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
OPERATOR_KEY = b"operator-key-not-real"
COMMITMENT_KEYS = {"commitment-1": b"sandbox-commitment-not-real", "commitment-2": b"another-commitment-not-real"}
COMMITMENT_HOLDERS = {"commitment-1": {"authority-cq", "bank-cq"}, "commitment-2": {"authority-sc"}}
STANDARD = load_standard()
RULES = Rulebook(items=STANDARD.items, purposes=STANDARD.purposes, licences=STANDARD.licences)
VOCABULARY = Vocabulary(items=STANDARD.items, purposes=STANDARD.purposes)
USCC = "91500105XXTT00018M"
PERSON_ID = "11010519491231002X"
FIRM = Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=USCC, name="示例一号", home_region="500000")
OTHER_FIRM = replace(FIRM, identifier="91510107XXTT00026H", home_region="510000")
PERSON = Subject(kind=SubjectKind.PERSON, id_type="citizen_id", identifier=PERSON_ID, name="张三", home_region="500000")
PLATFORMS = {"chongqing": "500000", "sichuan": "510000"}
ITEMS = frozenset(STANDARD.items.held_by("chongqing")) | frozenset(STANDARD.items.held_by("sichuan"))
GRANTED = ("enterprise_registration", "tax_credit_grade", "tax_payment")
BOTH = (("chongqing", "500000"), ("sichuan", "510000"))


def licence(kind):
    return Licence(kind=kind, number="1", authority="PBOC", valid_from=date(2020, 1, 1))


def a_key(private, *, kid, participant="authority-cq", valid_from=datetime(2020, 1, 1, tzinfo=UTC), **changes):
    jwk = public_jwk(private)
    alg = "EdDSA" if jwk["kty"] == "OKP" else "ES256"
    return Key(
        participant_id=participant,
        verification=load_public_jwk(jwk, kid=kid, alg=alg),
        jwk=json.dumps(jwk),
        thumbprint=kid,
        valid_from=valid_from,
        **changes,
    )


def a_snapshot(**changes):
    institutions = {
        name: Institution(institution=name, kind=InstitutionKind.BANK, name=name) for name in ("bank-cq", "bank-sc")
    }
    participants = {
        "authority-cq": Participant(
            participant_id="authority-cq", institution="authority", role=Role.CONSENT_AUTHORITY, name="authority"
        ),
        "bank-cq": Participant(participant_id="bank-cq", institution="bank-cq", role=Role.LENDER, name="bank"),
        "auditor-1": Participant(participant_id="auditor-1", institution="gw", role=Role.AUDITOR, name="auditor"),
    }
    platforms = {
        name: Platform(
            platform_id=name,
            region=region,
            kind=PlatformKind.PUBLIC_FINANCING_PLATFORM,
            name_zh=name,
            name_en=name,
            agreement_id="a",
            pia_id="p",
            licences=(licence("PUBLIC_FINANCING_PLATFORM"),),
        )
        for name, region in PLATFORMS.items()
    }
    access = {
        (name, bank): PlatformAccess(
            platform_id=name,
            institution=bank,
            data_items=ITEMS,
            purposes=frozenset(STANDARD.purposes.rows),
            export_policy=ExportPolicy.VALUES,
            daily_quota=1000,
            valid_to=None,
            confirmed=True,
        )
        for name in PLATFORMS
        for bank in ("bank-cq", "bank-sc")
    }
    values = {
        "version": 1,
        "institutions": institutions,
        "participants": participants,
        "keys": {"authority-1": a_key(AUTHORITY_KEY, kid="authority-1")},
        "platforms": platforms,
        "access": access,
    }
    return Snapshot(**(values | changes))


@dataclass(slots=True)
class HeldRegistry:
    """A registry whose snapshot a test sets."""

    current: Snapshot = field(default_factory=a_snapshot)

    async def snapshot(self):
        return self.current


def a_payload(*, subject=FIRM, now=None, **changes):
    """A well-formed payload; a change is a top-level member, a dict of which is merged."""
    now = now or datetime.now(UTC)
    start = int(now.timestamp()) - 60
    digest = hashlib.sha256(b"text").hexdigest()
    payload = {
        "schema": "bashu-consent/1",
        "consent_id": str(uuid7()),
        "iss": "authority-cq",
        "aud": [AUDIENCE],
        "iat": start,
        "nbf": start,
        "exp": start + 30 * 86_400,
        "term": None,
        "supersedes": None,
        "subject": {
            "kind": subject.kind.value,
            "id_type": subject.id_type,
            "commitment": subject_commitment(COMMITMENT_KEYS["commitment-1"], subject.id_type, subject.identifier),
            "commitment_kid": "commitment-1",
            "display": "示例",
        },
        "requester": {"institution": "bank-cq"},
        "providers": [
            {"region": region, "platform_id": name, "separate_consent": True, "notice": digest} for name, region in BOTH
        ],
        "purpose": {"code": "PRE_LOAN_REVIEW", "text_sha256": digest, "legal_basis": "征信业管理条例 Art. 18"},
        "acts": ["QUERY", "EVALUATE"],
        "data": {
            "items": [{"id": item, "necessity": "required"} for item in GRANTED],
            "lookback_days": 730,
            "restricted_items_ack": True,
        },
        "usage": {
            "mode": "PERIODIC",
            "max_uses": 3,
            "frequency": {"n": 3, "per": "DAY"},
            "min_interval_s": 0,
            "tz": "Asia/Shanghai",
        },
        "retention": {"days": 1826, "on_expiry": "DELETE", "onward": "NONE"},
        "notice": {"id": "n", "version": "1", "lang": "zh-CN", "sha256": digest, "shown_at": start},
        "capture": {
            "form": "PORTAL",
            "assurance": "AUTHORITY_VERIFIED",
            "signatory": {"mandate": "LEGAL_REPRESENTATIVE", "act": digest, "mandate_evidence_sha256": digest},
            "evidence_sha256": digest,
        },
    }
    for name, value in changes.items():
        payload[name] = payload[name] | value if isinstance(value, dict) and payload.get(name) else value
    return payload


POST_LOAN = {"purpose": {"code": "POST_LOAN_MANAGEMENT"}}


def signed(payload, *, key=AUTHORITY_KEY, kid="authority-1"):
    raw = json.dumps(payload, ensure_ascii=False).encode()
    return sign_compact(raw, key=key, kid=kid, typ="bashu-consent+jws").encode()


def parsed(**changes):
    return parse_artefact(signed(a_payload(**changes)), VOCABULARY)


def an_ask(**changes):
    values = {
        "request_id": uuid.uuid4(),
        "institution": "bank-cq",
        "institution_kind": "bank",
        "operator": "op-1",
        "participant": "bank-cq",
        "subject": FIRM,
        "purpose": "PRE_LOAN_REVIEW",
        "application_reference": "app-1",
        "request_digest": bytes(32),
        "deadline_s": 30.0,
    }
    return Ask(**(values | changes))


def lines(permit, status="OK", **changes):
    return [
        PlatformLine(platform_id=name, item=item, status=status, records=1, **changes)
        for name, items in permit.targets.items()
        for item in items
    ]


@dataclass(slots=True)
class Stage:
    db: object
    sealer_db: object
    owner: object
    registry: HeldRegistry
    pseudonyms: Pseudonyms
    entries: Entries
    consents: Consents
    admissions: Admissions
    releases: Releases
    sweeper: Sweeper
    holds: SubjectHolds
    loans: Loans
    sealer: Sealer
    fresh: object
    time: DatabaseTime
    clock_watch: ClockWatch

    async def grant(self, **changes):
        """Register a consent and return its facts."""
        return (await self.consents.register(signed(a_payload(**changes)))).facts

    async def ask(self, consent, **changes):
        return await self.admissions.admit(an_ask(consent_id=consent.consent_id, **changes))

    async def release(self, admitted, status="OK"):
        return await self.releases.release(
            admitted.permit,
            report_digest=hashlib.sha256(b"report").digest(),
            request_digest=bytes(32),
            platforms=lines(admitted.permit, status),
        )

    async def entries_written(self):
        rows = await self.owner.fetch("SELECT body FROM ledger_entry ORDER BY seq")
        return [json.loads(row["body"]) for row in rows]

    async def types(self):
        return [entry["type"] for entry in await self.entries_written()]

    async def count(self):
        return Counter(await self.types())

    async def intents(self):
        return await self.owner.fetch("SELECT * FROM intent ORDER BY admitted_at, attempt")

    async def facts(self, consent):
        return (await self.consents.show(consent.consent_id, institution=None)).facts

    async def check_log(self):
        """Seal everything and return what fsck finds beyond remarks."""
        while await self.sealer.run_round():
            pass
        found = [finding async for finding in fsck(self.owner, key=parse_vkey(SIGNER.vkey))]
        return [finding.line() for finding in found if finding.severity != "INFO"]

    async def waiting_for_a_lock(self, count=1):
        """Return once ``count`` statements of the gateway wait for a lock."""
        query = """SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND
            pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"""
        async with asyncio.timeout(20):
            while await self.owner.fetchval(query) < count:
                await asyncio.sleep(0.002)

    async def jump(self, **delta):
        """Let the database's machine clock stand this much apart from the true time."""
        seconds = timedelta(**delta).total_seconds()
        body = f"clock_timestamp() + make_interval(secs => {seconds})"
        await self.owner.execute(f"""CREATE OR REPLACE FUNCTION bashu_now() RETURNS timestamptz
            LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
            BEGIN RETURN {body} + (SELECT s.shift FROM bashu.bashu_time_shift AS s WHERE s.one); END $$""")

    def shift(self, **delta):
        self.fresh.shift_time(timedelta(**delta))


@asynccontextmanager
async def open_stage(
    fresh,
    folder,
    *,
    max_size=6,
    operator=None,
    platforms=None,
    run=True,
    hot=lambda db: db,
    witness_budgets=None,
    clock=None,
):
    clock = clock or SystemClock()
    time = DatabaseTime(clock)
    pseudonyms = Pseudonyms(b"pseudonym-key-not-real", COMMITMENT_KEYS, operator_key=OPERATOR_KEY)
    entries = Entries(origin=ORIGIN, pseudonyms=pseudonyms)
    registry = HeldRegistry()
    async with AsyncExitStack() as stack:
        db = await open_database(fresh.gateway_dsn, settings=HOT_SETTINGS, max_size=max_size)
        stack.push_async_callback(db.close)
        sealer_db = await open_database(fresh.sealer_dsn, max_size=2)
        stack.push_async_callback(sealer_db.close)
        owner = await open_database(fresh.owner_dsn, max_size=2)
        stack.push_async_callback(owner.close)
        served = platforms or {
            name: PlatformRegistration(region=region, items=frozenset(STANDARD.items.held_by(name)))
            for name, region in PLATFORMS.items()
        }
        clock_watch = ClockWatch(db, origin=ORIGIN)
        stage = Stage(
            db=db,
            clock_watch=clock_watch,
            sealer_db=sealer_db,
            owner=owner,
            registry=registry,
            pseudonyms=pseudonyms,
            entries=entries,
            consents=Consents(
                db,
                vocabulary=VOCABULARY,
                registry=registry,
                pseudonyms=pseudonyms,
                entries=entries,
                audience=AUDIENCE,
                commitment_holders=COMMITMENT_HOLDERS,
            ),
            admissions=Admissions(
                hot(db),
                rules=RULES,
                artefacts=Artefacts(VOCABULARY),
                registry=registry,
                platforms=served,
                operator=operator or OperatorLicence(),
                pseudonyms=pseudonyms,
                entries=entries,
                denials=Denials(db, entries=entries, time=time, clock=clock),
                time=time,
                clock=clock,
                witness_budgets=witness_budgets,
                clock_watch=clock_watch,
            ),
            releases=Releases(hot(db), entries=entries, signer=SIGNER, time=time),
            sweeper=Sweeper(db, entries=entries),
            holds=SubjectHolds(db, pseudonyms=pseudonyms, entries=entries),
            loans=Loans(db, pseudonyms=pseudonyms, entries=entries),
            sealer=Sealer(db=sealer_db, signer=SIGNER, high_water=HighWater(path=folder / "highwater")),
            fresh=fresh,
            time=time,
        )
        await stage.sealer.run_round()
        tasks = [asyncio.create_task(part.run()) for part in (stage.admissions, stage.releases)] if run else []
        try:
            yield stage
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            fresh.shift_time(timedelta())
