"""The gRPC server over the parts: every servicer with what it needs, behind one edge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from adapters.kit.protocol import Adapter
from database import Database
from gateway import from_settings
from gateway.accesses import AccessLists
from gateway.asking.bundles import Bundles
from gateway.asking.evidence import Evidence
from gateway.asking.texts import Texts
from gateway.consents import Consents
from gateway.desk.anomalies import Anomalies, load_rules
from gateway.desk.desk import Desk
from gateway.desk.preservation import Preservations
from gateway.desk.reports import Reports
from gateway.desk.sampling import Sampling
from gateway.desk.unmask import Unmasking
from gateway.disputes.service import Disputes
from gateway.entries import Entries
from gateway.holds import SubjectHolds
from gateway.identity.admin import Administration
from gateway.identity.registry import Registry
from gateway.identity.sealing import NameSeal
from gateway.identity.tokens import Authenticator
from gateway.interceptors import Deadlines, Edge
from gateway.load import LoadLimit
from gateway.loans import Loans
from gateway.metrics import CallMetrics
from gateway.officers import Holds
from gateway.operations import Operations
from gateway.pipeline import Engine
from gateway.platform.reconciliation import Reconciliation
from gateway.platform.service import PlatformControls
from gateway.policy.service import Policies
from gateway.pools import Pools
from gateway.pseudonyms import Pseudonyms
from gateway.reviews import Reviews
from gateway.rights.erasures import Erasures
from gateway.rights.mine import Mine
from gateway.rights.own_report import OwnReports
from gateway.server import GatewayServer, Servicers, build_server
from gateway.services.admin import AdminServicer
from gateway.services.asking import Asking
from gateway.services.compliance import ComplianceServicer
from gateway.services.consent import ConsentServicer
from gateway.services.credit import CreditServicer
from gateway.services.disputes import DisputeCalls
from gateway.services.ledger import LedgerServicer
from gateway.services.loan import LoanServicer
from gateway.services.platform import PlatformServicer
from gateway.services.standard import StandardServicer
from gateway.services.subject import SubjectServicer
from gateway.settings import Settings
from gateway.vault.service import Vault
from ledger.note import LogSigning


def compose_server(
    settings: Settings,
    pools: Pools,
    engine: Engine,
    *,
    registry: Registry,
    consents: Consents,
    entries: Entries,
    pseudonyms: Pseudonyms,
    signer: LogSigning,
    adapters: Mapping[str, Adapter],
    vault: Vault,
    erasures: Erasures,
    evidence: Evidence,
    disputes: Disputes,
) -> GatewayServer:
    """Return the server, not started, with every servicer of the contract."""
    edge_settings = settings.server
    authenticator = Authenticator(
        registry, clock=engine.clock, binds_certificates=edge_settings.speaks_tls, audience=edge_settings.audience
    )
    load = LoadLimit(max_concurrent=edge_settings.max_concurrent, max_streams=edge_settings.max_streams)
    edge = Edge(
        authenticator=authenticator,
        load=load,
        metrics=CallMetrics(),
        deadlines=Deadlines(
            default_s=edge_settings.default_deadline_s,
            max_s=edge_settings.max_deadline_s,
            max_stream_s=edge_settings.max_stream_s,
        ),
        clock=engine.clock,
        denied=lambda caller, refused: engine.admissions.deny(caller, None, refused),
    )
    names = NameSeal(from_settings.key(settings.keys.name_seal, "name_seal"))
    administration = Administration(
        origin=settings.ledger.origin,
        seal=names,
        operator_key=from_settings.key(settings.keys.operator_commitment, "operator_commitment"),
    )
    standard, clock = engine.standard, engine.clock
    loans = Loans(pools.plain, pseudonyms=pseudonyms, entries=entries)
    subjects = SubjectHolds(pools.plain, pseudonyms=pseudonyms, entries=entries)
    holds = Holds(pools.plain, subjects=subjects, vault=vault, pseudonyms=pseudonyms, entries=entries)
    reviews = Reviews(pools.plain, entries=entries)
    lists = AccessLists(pools.plain, registry=registry, pseudonyms=pseudonyms)
    unmasking = Unmasking(pools.plain, vault=vault, names=names, pseudonyms=pseudonyms, entries=entries)
    calls = DisputeCalls(
        disputes,
        reviews=reviews,
        pseudonyms=pseudonyms,
        platforms={name: adapter.platform for name, adapter in adapters.items()},
        operator=engine.operator.name,
    )
    # The stubs call every RPC abstract; those not written yet are the generated base's, which answer UNIMPLEMENTED.
    servicers = Servicers(
        credit=CreditServicer(
            engine=engine, load=load, authenticator=authenticator, query_deadline_s=edge_settings.default_deadline_s
        ),
        consent=ConsentServicer(
            consents=consents,
            asking=_asking(
                settings,
                engine,
                pools.plain,
                evidence,
                consents=consents,
                registry=registry,
                entries=entries,
                pseudonyms=pseudonyms,
            ),
            reviews=reviews,
        ),
        loan=LoanServicer(loans=loans, standard=standard, clock=clock),
        subject=SubjectServicer(
            db=pools.plain,
            lists=lists,
            mine=Mine(pools.plain, lists=lists, vault=vault, pseudonyms=pseudonyms, entries=entries),
            own_reports=OwnReports(pools.plain, engine=engine, pseudonyms=pseudonyms),
            holds=holds,
            erasures=erasures,
            disputes=calls,
            pseudonyms=pseudonyms,
            standard=standard,
            clock=clock,
        ),
        compliance=ComplianceServicer(
            db=pools.plain,
            holds=holds,
            reviews=reviews,
            erasures=erasures,
            unmasking=unmasking,
            desk=Desk(
                reports=Reports(
                    pools.plain, lists=lists, reviews=reviews, vault=vault, pseudonyms=pseudonyms, entries=entries
                ),
                sampling=Sampling(pools.plain, lists=lists, vault=vault, entries=entries),
                anomalies=Anomalies(pools.plain, lists=lists, rules=load_rules()),
                preservations=Preservations(pools.plain, vault=vault, entries=entries),
            ),
            disputes=calls,
            commitment=pseudonyms.in_entry,
            vkey=signer.vkey,
            standard=standard,
            clock=clock,
        ),
        ledger=LedgerServicer(
            db=pools.plain,
            vkey=signer.vkey,
            reviews=reviews,
            pseudonyms=pseudonyms,
            standard=standard,
            clock=clock,
        ),
        standard=StandardServicer(
            standard=standard, adapters=adapters, registry=registry, health=engine.health, quotas=engine.quotas
        ),
        platform=PlatformServicer(
            controls=PlatformControls(pools.plain, administration=administration),
            disclosures=engine.disclosures,
            reconciliation=Reconciliation(
                pools.plain, adapters=adapters, entries=entries, pseudonyms=pseudonyms, signer=signer, clock=clock
            ),
            quotas=engine.quotas,
            registry=registry,
            standard=standard,
        ),
        admin=AdminServicer(
            db=pools.plain,
            administration=administration,
            registry=registry,
            operations=Operations(settings),
            policies=Policies(pools.plain, entries=entries),
            limits=engine.limits,
            standard=standard,
        ),
    )
    return build_server(edge_settings, edge=edge, load=load, servicers=servicers)


def _asking(
    settings: Settings,
    engine: Engine,
    db: Database,
    evidence: Evidence,
    *,
    consents: Consents,
    registry: Registry,
    entries: Entries,
    pseudonyms: Pseudonyms,
) -> Asking:
    texts = Texts(db, entries=entries)
    lasts = timedelta(hours=settings.consent.decision_hours)
    return Asking(
        bundles=Bundles(db, consents=consents, texts=texts, pseudonyms=pseudonyms, lasts=lasts),
        texts=texts,
        evidence=evidence,
        registry=registry,
        standard=engine.standard,
        clock=engine.clock,
        decision_url=settings.consent.decision_url,
    )
