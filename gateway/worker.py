"""One worker process: the composition root of a query. Everything it needs is made here and handed down."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import uvloop

from adapters.registry import load
from consent.artefact import Vocabulary
from consent.scope import Rulebook
from core.clock import SystemClock
from core.errors import BashuError, Reason
from core.lifetime import follow_parent, stop_event
from gateway import from_settings
from gateway.admission import Admissions, OperatorLicence, PlatformRegistration
from gateway.artefacts import Artefacts
from gateway.asking.evidence import Evidence
from gateway.clock.watch import ClockWatch
from gateway.consents import Consents
from gateway.database_time import DatabaseTime
from gateway.denials import Denials
from gateway.desk.preservation import preserved
from gateway.disputes.annotations import Annotations
from gateway.disputes.forwarding import Forwarding
from gateway.disputes.service import Disputes
from gateway.endings import Endings
from gateway.enquiries import Enquiries
from gateway.entries import Entries
from gateway.http import TileServer
from gateway.identity.registry import Registry
from gateway.identity.tokens import Authenticator
from gateway.limits.service import QueryLimits
from gateway.log_keys import FollowedKeys
from gateway.logs import configure_logs
from gateway.pipeline import Engine
from gateway.platform.configs import platform_configs
from gateway.platform.disclosures import Disclosures
from gateway.platform.quotas import SharedQuotas
from gateway.platform.standing import Controls
from gateway.pools import Pools, open_pools
from gateway.related import Related
from gateway.release import Releases
from gateway.reviews import Reviews
from gateway.rights.erasures import DAYS_OF_A_YEAR, Erasures
from gateway.server import GatewayServer
from gateway.services.compose import compose_server
from gateway.settings import Settings, load_settings
from gateway.sweeper import Sweeper
from gateway.tallies import Tallies
from gateway.tree_guard import TreeGuard
from gateway.witness.grading import WitnessGrading
from gateway.witness.marks import recall
from ledger.highwater import HighWater
from ledger.signer import LogKeyFiles
from standards.catalogue import Standard, load_standard

REWOUND: Final = 1
"""Exit code of a worker whose database became older than the log: its successor waits until it has caught up."""


async def run_worker(settings: Settings, *, ready: Path, own_mark: Path) -> int:
    """Serve until told to stop, then drain; return the exit code. ``own_mark``: where to keep how far the log was."""
    stop = stop_event()
    pools = await open_pools(settings)
    try:
        worker = _compose(settings, pools, load_standard(settings.standard.tables))
        own = HighWater(path=own_mark)
        await recall(settings, pools.plain, own)
        guard = TreeGuard(
            pools.plain, origin=settings.ledger.origin, sealers=HighWater(path=settings.ledger.highwater), own=own
        )
        is_rewound = False
        if await _wait_until_whole(worker, guard, stop):
            is_rewound = await _serve(worker, guard, stop, settings, ready)
        await asyncio.gather(*(adapter.close() for adapter in worker.engine.adapters.values()))
    finally:
        await pools.hot.close()
        await pools.plain.close()
        await pools.keys.close()
    return REWOUND if is_rewound else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The parts that have a life of their own."""

    engine: Engine
    registry: Registry
    sweeper: Sweeper
    endings: Endings
    tallies: Tallies
    grading: WitnessGrading
    log_keys: FollowedKeys
    clock_watch: ClockWatch
    erasures: Erasures
    evidence: Evidence
    annotations: Annotations
    forwarding: Forwarding
    server: GatewayServer
    tiles: TileServer


async def _wait_until_whole(worker: Worker, guard: TreeGuard, stop: asyncio.Event) -> bool:
    """Refuse every call and write nothing while the database is older than the log; False where told to stop."""
    try:
        await guard.check()
    except BashuError as error:
        if error.reason is not Reason.LEDGER_INCONSISTENT:
            raise
    else:
        return True
    worker.server.load.rewound.set()
    await worker.server.start_refusing()
    is_whole = await guard.wait_until_whole(stop)
    if is_whole:
        worker.server.load.rewound.clear()
    else:
        await worker.server.drain(0)
    return is_whole


async def _serve(worker: Worker, guard: TreeGuard, stop: asyncio.Event, settings: Settings, ready: Path) -> bool:
    """Serve until told to stop (False) or the database becomes older than the log (True)."""
    await worker.registry.refresh()
    await worker.log_keys.follow()
    await worker.clock_watch.look()
    await worker.erasures.replay()
    async with asyncio.TaskGroup() as group:
        lives = [
            group.create_task(worker.registry.run()),
            group.create_task(worker.engine.admissions.run()),
            group.create_task(worker.engine.releases.run()),
            group.create_task(worker.sweeper.run()),
            group.create_task(worker.clock_watch.while_sound(worker.endings.run)),
            group.create_task(worker.clock_watch.while_sound(worker.tallies.run)),
            group.create_task(worker.grading.run()),
            group.create_task(worker.log_keys.run()),
            group.create_task(worker.clock_watch.run()),
            group.create_task(worker.engine.disclosures.run()),
            group.create_task(worker.clock_watch.while_sound(worker.erasures.run)),
            group.create_task(worker.clock_watch.while_sound(worker.evidence.run)),
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
        is_rewound = await guard.watch(stop)
        if is_rewound:
            # Nothing is written into an older log: neither by calls nor by what runs beside them.
            worker.server.load.rewound.set()
            await worker.server.say_not_serving()
            for life in lives:
                life.cancel()
        await worker.tiles.stop()
        await worker.server.drain(0 if is_rewound else settings.server.drain_s)
        if not is_rewound:
            await _give_back(worker.engine)
        for life in lives:
            life.cancel()
    return is_rewound


async def _give_back(engine: Engine) -> None:
    """Return what is left of quotas; what a database that is away does not take lapses with the day."""
    if engine.quotas is not None:
        with contextlib.suppress(BashuError):
            await engine.quotas.give_back()


def _compose(settings: Settings, pools: Pools, standard: Standard) -> Worker:
    clock = SystemClock()
    signer = LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
    pseudonyms = from_settings.pseudonyms(settings)
    entries = Entries(origin=settings.ledger.origin, pseudonyms=pseudonyms)
    registry = Registry(pools.plain, clock=clock)
    quotas = SharedQuotas(pools.plain, monotonic=clock.monotonic)
    configs = {name: replace(config, quotas=quotas.of_platform) for name, config in platform_configs(settings).items()}
    adapters = load(configs, standard=standard, clock=clock)
    time = DatabaseTime(clock)
    vocabulary = Vocabulary(items=standard.items, purposes=standard.purposes)
    platforms = {
        name: PlatformRegistration(
            region=adapter.platform.region, items=adapter.platform.items, kind=adapter.platform.platform_kind
        )
        for name, adapter in adapters.items()
    }
    clock_watch = ClockWatch(pools.plain, origin=settings.ledger.origin)
    admissions = Admissions(
        pools.hot,
        rules=Rulebook(items=standard.items, purposes=standard.purposes, licences=standard.licences),
        artefacts=Artefacts(vocabulary),
        registry=registry,
        platforms=platforms,
        operator=OperatorLicence(licences=from_settings.operator_licences(settings)),
        pseudonyms=pseudonyms,
        entries=entries,
        denials=Denials(pools.hot, entries=entries, time=time, clock=clock),
        time=time,
        clock=clock,
        clock_watch=clock_watch,
        stale_s=settings.ledger.stale_s,
        witness_budgets=from_settings.witness_budgets(settings),
    )
    disclosures = Disclosures(pools.plain, entries=entries, time=time)
    releases = Releases(pools.hot, entries=entries, signer=signer, time=time)
    related = Related(
        pools.hot, admissions=admissions, releases=releases, pseudonyms=pseudonyms, standard=standard, clock=clock
    )
    engine = Engine(
        admissions=admissions,
        releases=releases,
        related=related,
        adapters=adapters,
        controls=Controls(registry, standard=standard),
        disclosures=disclosures,
        standard=standard,
        operator=from_settings.operator(settings),
        clock=clock,
        quotas=quotas,
        limits=QueryLimits(pools.plain, registry=registry, quotas=quotas, monotonic=clock.monotonic),
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
        commitment_holders=from_settings.commitment_holders(settings),
    )
    vault = from_settings.open_vault(settings, pools.keys)
    erasures = Erasures(
        pools.plain,
        vault=vault,
        pseudonyms=pseudonyms,
        entries=entries,
        preserved=preserved,
        retention=timedelta(days=DAYS_OF_A_YEAR * settings.retention.years),
        backups=timedelta(days=settings.vault.backup_days),
    )
    evidence = Evidence(pools.plain, vault=vault, entries=entries, days=from_settings.working_days(settings))
    disputes = Disputes(
        pools.plain, vault=vault, adapters=adapters, items=standard.items, pseudonyms=pseudonyms, entries=entries
    )
    annotations = Annotations(pools.hot, disputes=disputes, pseudonyms=pseudonyms)
    engine = replace(engine, annotations=annotations)
    server = compose_server(
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
        grading=WitnessGrading(
            pools.plain,
            witnesses=[told.name for told in settings.ledger.witnesses],
            budgets=from_settings.witness_budgets(settings),
            entries=entries,
        ),
        log_keys=FollowedKeys(pools.plain, signer=signer),
        clock_watch=clock_watch,
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
    own_mark = arguments.ready.with_suffix(".highwater")
    work = run_worker(settings.model_copy(update={"server": server}), ready=arguments.ready, own_mark=own_mark)
    raise SystemExit(uvloop.run(work))


if __name__ == "__main__":
    main()
