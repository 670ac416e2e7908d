"""One worker process: the composition root of a query. Everything it needs is made here and handed down."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import uvloop

from adapters.kit.protocol import Adapter
from adapters.registry import load
from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.common_pb2 import Licence as LicenceMessage
from consent.artefact import Vocabulary
from consent.evidence import WorkingDays
from consent.scope import Rulebook
from core.clock import SystemClock
from core.lifetime import follow_parent, stop_event
from database import Database, check_durability, open_database
from gateway.accesses import AccessLists
from gateway.admission import Admissions, OperatorLicence, PlatformRegistration
from gateway.artefacts import Artefacts
from gateway.asking.bundles import Bundles
from gateway.asking.evidence import Evidence
from gateway.asking.texts import Texts
from gateway.consents import Consents
from gateway.database_time import DatabaseTime
from gateway.denials import Denials
from gateway.desk.anomalies import Anomalies, load_rules
from gateway.desk.desk import Desk
from gateway.desk.preservation import Preservations, preserved
from gateway.desk.reports import Reports
from gateway.desk.sampling import Sampling
from gateway.desk.unmask import Unmasking
from gateway.disputes.annotations import Annotations
from gateway.disputes.forwarding import Forwarding
from gateway.disputes.service import Disputes
from gateway.endings import Endings
from gateway.enquiries import Enquiries
from gateway.entries import Entries
from gateway.holds import SubjectHolds
from gateway.http import TileServer
from gateway.identity.admin import Administration
from gateway.identity.model import Licence
from gateway.identity.registry import Registry
from gateway.identity.sealing import NameSeal
from gateway.identity.tokens import Authenticator
from gateway.interceptors import Deadlines, Edge
from gateway.load import LoadLimit
from gateway.loans import Loans
from gateway.logs import configure_logs
from gateway.metrics import CallMetrics
from gateway.officers import Holds
from gateway.operations import Operations
from gateway.pipeline import Engine
from gateway.platform.configs import platform_configs
from gateway.platform.disclosures import Disclosures
from gateway.platform.service import PlatformControls
from gateway.platform.standing import Controls
from gateway.pseudonyms import Pseudonyms
from gateway.release import Releases
from gateway.reviews import Reviews
from gateway.rights.erasures import DAYS_OF_A_YEAR, Erasures
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
from gateway.settings import LicenceSettings, Settings, SettingsError, load_settings, read_secret
from gateway.store import HOT_SETTINGS
from gateway.sweeper import Sweeper
from gateway.tallies import Tallies
from gateway.vault.service import Vault
from ledger.note import Signer
from ledger.signer import load_signer
from standards.catalogue import Standard, load_standard

HOT_CONNECTIONS: Final = 4
"""Admissions, releases, refusals and the sweeper each run one statement at a time."""

KEY_CONNECTIONS: Final = 2
"""Keys are read one at a time, off the path of a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Connections of one worker. ``hot`` ones run the guarded statements alone; both are of the gateway's role.

    ``keys`` are the keeper's, in the database of data keys.
    """

    hot: Database
    plain: Database
    keys: Database


async def run_worker(settings: Settings, *, ready: Path) -> None:
    """Serve until told to stop, then drain."""
    stop = stop_event()
    pools = await _open_pools(settings)
    try:
        worker = _compose(settings, pools, load_standard(settings.standard.tables))
        await _serve(worker, stop, settings, ready)
        await asyncio.gather(*(adapter.close() for adapter in worker.engine.adapters.values()))
    finally:
        await pools.hot.close()
        await pools.plain.close()
        await pools.keys.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The parts that have a life of their own."""

    engine: Engine
    registry: Registry
    sweeper: Sweeper
    endings: Endings
    tallies: Tallies
    erasures: Erasures
    evidence: Evidence
    annotations: Annotations
    forwarding: Forwarding
    server: GatewayServer
    tiles: TileServer


async def _serve(worker: Worker, stop: asyncio.Event, settings: Settings, ready: Path) -> None:
    await worker.registry.refresh()
    await worker.erasures.replay()
    async with asyncio.TaskGroup() as group:
        lives = [
            group.create_task(worker.registry.run()),
            group.create_task(worker.engine.admissions.run()),
            group.create_task(worker.engine.releases.run()),
            group.create_task(worker.sweeper.run()),
            group.create_task(worker.endings.run()),
            group.create_task(worker.tallies.run()),
            group.create_task(worker.engine.disclosures.run()),
            group.create_task(worker.erasures.run()),
            group.create_task(worker.evidence.run()),
            group.create_task(worker.annotations.run()),
            group.create_task(worker.forwarding.run()),
        ]
        await worker.server.start()
        await worker.tiles.start()
        # What lives now lives long: the collector need not look at it again and again.
        gc.freeze()
        facts = {"pid": os.getpid(), "port": worker.server.port, "channelz_port": worker.server.admin_port}
        facts["http_port"] = worker.tiles.port
        await asyncio.to_thread(ready.write_text, json.dumps(facts))
        await stop.wait()
        await worker.tiles.stop()
        await worker.server.drain(settings.server.drain_s)
        for life in lives:
            life.cancel()


async def _open_pools(settings: Settings) -> Pools:
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    plain = await open_database(
        dsn,
        min_size=settings.database.min_connections,
        max_size=settings.database.max_connections,
        application_name="bashu-gateway",
    )
    await check_durability(plain)
    hot = await open_database(
        dsn,
        min_size=HOT_CONNECTIONS,
        max_size=HOT_CONNECTIONS,
        application_name="bashu-gateway-hot",
        settings=HOT_SETTINGS,
    )
    keys = await open_database(
        read_secret(settings.vault.dsn_file, setting="vault.dsn_file").decode(),
        min_size=1,
        max_size=KEY_CONNECTIONS,
        application_name="bashu-gateway-keys",
    )
    await check_durability(keys)
    return Pools(hot=hot, plain=plain, keys=keys)


def _compose(settings: Settings, pools: Pools, standard: Standard) -> Worker:
    clock = SystemClock()
    signer = load_signer(settings.ledger.signing_key, name=settings.ledger.origin)
    pseudonyms = _pseudonyms(settings)
    entries = Entries(origin=settings.ledger.origin, pseudonyms=pseudonyms)
    registry = Registry(pools.plain, clock=clock)
    adapters = load(platform_configs(settings), standard=standard, clock=clock)
    time = DatabaseTime(clock)
    vocabulary = Vocabulary(items=standard.items, purposes=standard.purposes)
    platforms = {
        name: PlatformRegistration(
            region=adapter.platform.region, items=adapter.platform.items, kind=adapter.platform.platform_kind
        )
        for name, adapter in adapters.items()
    }
    admissions = Admissions(
        pools.hot,
        rules=Rulebook(items=standard.items, purposes=standard.purposes, licences=standard.licences),
        artefacts=Artefacts(vocabulary),
        registry=registry,
        platforms=platforms,
        operator=OperatorLicence(licences=_operator_licences(settings)),
        pseudonyms=pseudonyms,
        entries=entries,
        denials=Denials(pools.hot, entries=entries, time=time, clock=clock),
        time=time,
        clock=clock,
    )
    disclosures = Disclosures(pools.plain, entries=entries, time=time)
    engine = Engine(
        admissions=admissions,
        releases=Releases(pools.hot, entries=entries, signer=signer, time=time),
        adapters=adapters,
        controls=Controls(registry, standard=standard),
        disclosures=disclosures,
        standard=standard,
        operator=_operator(settings),
        clock=clock,
        enquiries=Enquiries(
            pools.hot,
            pseudonyms=pseudonyms,
            purposes=[purpose.purpose_id for purpose in standard.purposes.all() if purpose.counts_as_enquiry],
            clock=clock,
        ),
    )
    consents = Consents(
        pools.plain,
        vocabulary=vocabulary,
        registry=registry,
        pseudonyms=pseudonyms,
        entries=entries,
        audience=settings.server.audience,
    )
    vault = open_vault(settings, pools.keys)
    erasures = Erasures(
        pools.plain,
        vault=vault,
        pseudonyms=pseudonyms,
        entries=entries,
        preserved=preserved,
        retention=timedelta(days=DAYS_OF_A_YEAR * settings.retention.years),
        backups=timedelta(days=settings.vault.backup_days),
    )
    evidence = Evidence(pools.plain, vault=vault, entries=entries, days=_working_days(settings))
    disputes = Disputes(
        pools.plain, vault=vault, adapters=adapters, items=standard.items, pseudonyms=pseudonyms, entries=entries
    )
    annotations = Annotations(pools.hot, disputes=disputes, pseudonyms=pseudonyms)
    engine = replace(engine, annotations=annotations)
    server = _server(
        settings,
        pools,
        engine,
        registry=registry,
        consents=consents,
        entries=entries,
        pseudonyms=pseudonyms,
        signer=signer,
        adapters=adapters,
        vault=vault,
        erasures=erasures,
        evidence=evidence,
        disputes=disputes,
    )
    return Worker(
        engine=engine,
        registry=registry,
        sweeper=Sweeper(pools.hot, entries=entries),
        endings=Endings(pools.plain, entries=entries),
        tallies=Tallies(pools.plain, entries=entries),
        erasures=erasures,
        evidence=evidence,
        annotations=annotations,
        forwarding=Forwarding(pools.plain, disputes=disputes, adapters=adapters),
        server=server,
        tiles=TileServer(
            pools.plain,
            authenticator=Authenticator(
                registry, clock=clock, binds_certificates=settings.server.speaks_tls, audience=settings.server.audience
            ),
            reviews=Reviews(pools.plain, entries=entries),
            settings=settings.server,
        ),
    )


def open_vault(settings: Settings, keys: Database) -> Vault:
    """Return the vault over ``keys`` with the wrapping keys that the settings name."""
    return Vault(
        keys,
        wrapping_key=_key_file(settings.vault.wrapping_key, "vault.wrapping_key"),
        owner_key=_key(settings.keys.subject_commitment, "subject_commitment"),
        previous=[_key_file(path, "vault.previous_wrapping_keys") for path in settings.vault.previous_wrapping_keys],
    )


def _server(
    settings: Settings,
    pools: Pools,
    engine: Engine,
    *,
    registry: Registry,
    consents: Consents,
    entries: Entries,
    pseudonyms: Pseudonyms,
    signer: Signer,
    adapters: Mapping[str, Adapter],
    vault: Vault,
    erasures: Erasures,
    evidence: Evidence,
    disputes: Disputes,
) -> GatewayServer:
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
    names = NameSeal(_key(settings.keys.name_seal, "name_seal"))
    administration = Administration(
        origin=settings.ledger.origin,
        seal=names,
        operator_key=_key(settings.keys.operator_commitment, "operator_commitment"),
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
        standard=StandardServicer(standard=standard, adapters=adapters),
        platform=PlatformServicer(  # type: ignore[abstract]
            controls=PlatformControls(pools.plain, administration=administration),
            disclosures=engine.disclosures,
            registry=registry,
            standard=standard,
        ),
        admin=AdminServicer(  # type: ignore[abstract]
            db=pools.plain, administration=administration, registry=registry, operations=Operations(settings)
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


def _working_days(settings: Settings) -> WorkingDays:
    told = settings.consent
    return WorkingDays(holidays=frozenset(told.holidays), worked=frozenset(told.worked_weekends))


def _pseudonyms(settings: Settings) -> Pseudonyms:
    keys = settings.keys
    commitments = {kid: read_secret(path, setting=f"keys.commitments.{kid}") for kid, path in keys.commitments.items()}
    return Pseudonyms(
        _key(keys.subject_commitment, "subject_commitment"),
        commitments,
        operator_key=_key(keys.operator_commitment, "operator_commitment"),
    )


def _key(path: Path, name: str) -> bytes:
    """Read a symmetric key of ``[keys]``: 32 bytes as 64 hex digits."""
    return _key_file(path, f"keys.{name}")


def _key_file(path: Path, setting: str) -> bytes:
    try:
        return bytes.fromhex(read_secret(path, setting=setting).decode())
    except ValueError:
        # Without its cause, which would quote the key.
        raise SettingsError(f"{setting}: the file {path} does not hold a key in hex digits") from None


def _operator(settings: Settings) -> GatewayOperator:
    if settings.operator is None:
        return GatewayOperator(sandbox_licence=True)
    message = GatewayOperator(
        name=settings.operator.name, uscc=settings.operator.uscc, sandbox_licence=settings.profile == "dev"
    )
    licence = settings.operator.licence
    if licence is not None:
        message.licence.CopyFrom(
            LicenceMessage(
                kind=licence.kind,
                number=licence.number,
                authority=licence.authority,
                valid_from=licence.valid_from.isoformat(),
                valid_to=licence.valid_to.isoformat() if licence.valid_to else "",
            )
        )
    return message


def _operator_licences(settings: Settings) -> tuple[Licence, ...]:
    if settings.operator is None or settings.operator.licence is None:
        return ()
    return (licence_value(settings.operator.licence),)


def licence_value(licence: LicenceSettings) -> Licence:
    """Return a licence of the settings as the registry's value."""
    return Licence(
        kind=licence.kind,
        number=licence.number,
        authority=licence.authority,
        valid_from=licence.valid_from,
        valid_to=licence.valid_to,
    )


def main() -> None:
    """Run one worker; started by the supervisor or the dev stack alone."""
    parser = argparse.ArgumentParser(description="one worker of bashu-gateway serve; not for calling by hand")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http-port", type=int)
    parser.add_argument("--ready", type=Path, required=True)
    parser.add_argument("--number", type=int, default=0)
    arguments = parser.parse_args()
    follow_parent()
    configure_logs(process=f"worker-{arguments.number}")
    settings = load_settings(arguments.settings)
    server = settings.server.model_copy(update={"port": arguments.port, "http_port": arguments.http_port})
    uvloop.run(run_worker(settings.model_copy(update={"server": server}), ready=arguments.ready))


if __name__ == "__main__":
    main()
