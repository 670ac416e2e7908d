"""Measure the ledger alone: entries a second made durable, and the time from commit to a proof that verifies.

``--rate N`` paces the entries instead of making as many as can be: the goal, 99 in 100 proven within 2 s at 2,000 a
second, is about that rate. Runs against a PostgreSQL of its own with the durable settings, first on a log of 10,000
entries; ``--big N`` measures once more after N entries were filled in bulk (leaves and projections by SQL, tiles by the
tree's own code). Says what one machine did in one run, and how busy it was (``load_average_1m`` before and after); the
ratio between both sizes is what is worth comparing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from bashu.verify import VerifierKey, verify_checkpoint, verify_inclusion
from database import Database, migrate, open_database
from database.embedded import EmbeddedPostgres
from ledger import proofs, store
from ledger.highwater import HighWater
from ledger.merkle import Frontier, TileHashes, edge_tiles, grow
from ledger.model import Entry, EntryType, build_entry
from ledger.sealer import Sealer
from ledger.signer import FileSigner

RESULTS: Final = Path(__file__).parent / "results"
MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"
ORIGIN: Final = "log.example/load"
SMALL: Final = 10_000
BATCH: Final = 32
"""Entries a statement: what a batcher of admissions has under way."""
WRITERS: Final = 4
PROBES: Final = 16
"""Entries whose proof is waited for at any time."""
CHUNK: Final = 65_536
FILL: Final = """
WITH b AS (
    SELECT n, gen_random_uuid() AS id FROM generate_series($1::bigint, $2::bigint - 1) AS n),
e AS (
    INSERT INTO ledger_entry (entry_id, body, leaf_hash)
    SELECT id, body, sha256('\\x00'::bytea || body) FROM (
        SELECT n, id, convert_to(replace($3, '00000000-0000-0000-0000-000000000000', id::text), 'UTF8') AS body FROM b
    ) AS t ORDER BY n
    RETURNING seq, leaf_hash),
o AS (SELECT seq, leaf_hash, $1::bigint - 1 + row_number() OVER (ORDER BY seq) AS leaf_index FROM e),
l AS (INSERT INTO ledger_leaf (leaf_index, seq) SELECT leaf_index, seq FROM o),
s AS (
    INSERT INTO ledger_search (leaf_index, type, institution, request_id, attempt, ts)
    SELECT leaf_index, 'QUERY_DENIED', 'bank-' || leaf_index % 300, gen_random_uuid(), 1, clock_timestamp() FROM o)
SELECT leaf_hash FROM o ORDER BY leaf_index"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, keep; return 0."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.ledger", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default %(default)s)")
    parser.add_argument("--big", type=int, default=0, help="measure again on a log of this size, filled in bulk")
    parser.add_argument("--rate", type=float, default=0.0, help="entries a second; 0: as many as can be")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where PostgreSQL may write")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="bashu-ledger-", dir=chosen.folder))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "postgres")
    busy = os.getloadavg()[0]
    try:
        server.start()
        results = asyncio.run(_measure(server, folder, seconds=chosen.seconds, big=chosen.big, rate=chosen.rate))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    kind = f"{platform.system()} {platform.machine()}"
    machine: dict[str, Any] = {"cpus": os.cpu_count(), "system": kind, "python": platform.python_version()}
    machine["load_average_1m"] = [round(busy, 1), round(os.getloadavg()[0], 1)]
    command = f"python -m loadtest.ledger {' '.join(sys.argv[1:] if arguments is None else arguments)}".strip()
    kept = {"command": command, "at": datetime.now(UTC).isoformat(), "machine": machine, **results}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / ("ledger-paced.json" if chosen.rate else "ledger.json")
    file.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    Console(width=160).print(json.dumps(kept, ensure_ascii=False, indent=1), markup=False)
    return 0


async def _measure(server: EmbeddedPostgres, folder: Path, *, seconds: float, big: int, rate: float) -> dict[str, Any]:
    await migrate(server.dsn("bashu_owner"), MIGRATIONS)
    signer = FileSigner(ORIGIN, Ed25519PrivateKey.generate())
    gateway = await open_database(server.dsn("bashu_gateway"), max_size=WRITERS + 4)
    sealing = await open_database(server.dsn("bashu_sealer"), max_size=2)
    owner = await open_database(server.dsn("bashu_owner"), max_size=1)
    sealer = Sealer(db=sealing, signer=signer, high_water=HighWater(path=folder / "highwater"))
    try:
        await _fill(owner, to_size=SMALL)
        results: dict[str, Any] = {"small": await _run(gateway, owner, sealer, signer, seconds=seconds, rate=rate)}
        if big:
            await _fill(owner, to_size=big)
            results["big"] = await _run(gateway, owner, sealer, signer, seconds=seconds, rate=rate)
            for name in ("entries_per_s", "proof_p50_s", "proof_p99_s"):
                results[f"ratio_{name}"] = round(results["big"][name] / results["small"][name], 3)
        return results
    finally:
        for db in (gateway, sealing, owner):
            await db.close()


async def _fill(owner: Database, *, to_size: int) -> None:
    """Grow the log to ``to_size`` in bulk, as the owner; what the sealer would have written, without its rounds."""
    template = _entry(uuid.UUID(int=0)).body.decode()
    head = await store.head(owner)
    while head.size < to_size:
        end = min(head.size + CHUNK, to_size)
        async with owner.transaction() as tx:
            rows = await tx.fetch(FILL, head.size, end, template)
            edge = await store.tiles(tx, edge_tiles(head.size))
            changed = grow(head.size, edge, [row["leaf_hash"] for row in rows])
            root = TileHashes(edge | changed).root(end) if end else Frontier().root()
            new = store.Head(size=end, root=root)
            await store.add_leaves(tx, old=head, new=new, numbers=[], changed=changed, search=[])
        head = new
    for table in ("ledger_entry", "ledger_leaf", "ledger_search", "ledger_tile"):
        await owner.execute(f"ANALYZE {table}")


async def _run(
    gateway: Database, owner: Database, sealer: Sealer, signer: FileSigner, *, seconds: float, rate: float
) -> dict[str, Any]:
    before = (await store.head(gateway)).size
    bytes_before = await _bytes(owner)
    stop, ended = asyncio.Event(), time.monotonic() + seconds
    waits: list[float] = []
    sealing = asyncio.create_task(sealer.run(stop))
    written = await asyncio.gather(
        *(_probe(gateway, signer, ended=ended, waits=waits) for _ in range(PROBES)),
        *(_write(gateway, ended=ended, rate=rate / WRITERS) for _ in range(WRITERS)),
    )
    stop.set()
    await sealing
    waits.sort()
    grown = (await store.head(gateway)).size - before
    return {
        "entries_before": before,
        "entries_per_s": round(sum(written) / seconds, 1),
        "sealed": grown,
        "proofs": len(waits),
        "proof_p50_s": round(waits[len(waits) // 2], 4),
        "proof_p99_s": round(waits[min(int(len(waits) * 0.99), len(waits) - 1)], 4),
        "bytes_per_entry": round((await _bytes(owner) - bytes_before) / max(grown, 1)),
    }


async def _write(gateway: Database, *, ended: float, rate: float) -> int:
    """Append until ``ended``: by the clock, ``rate`` entries a second, or without a pause where it is 0."""
    count, due = 0, time.monotonic()
    while time.monotonic() < ended:
        await store.append(gateway, [_entry(uuid.uuid4()) for _ in range(BATCH)])
        count += BATCH
        if rate:
            # Open loop: a slow append is caught up with, not forgiven.
            due += BATCH / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return count


async def _probe(gateway: Database, signer: FileSigner, *, ended: float, waits: list[float]) -> int:
    """Append one entry after the other and wait until each is proven in a signed tree, by the lender's own code."""
    key = VerifierKey.parse(signer.vkey)
    while time.monotonic() < ended:
        entry = _entry(uuid.uuid4())
        await store.append(gateway, [entry])
        committed = time.monotonic()
        while not await _is_proven(gateway, entry, key):  # noqa: ASYNC110 - a lender asks, nobody tells it
            await asyncio.sleep(0.02)
        waits.append(time.monotonic() - committed)
    return 0


async def _is_proven(gateway: Database, entry: Entry, key: VerifierKey) -> bool:
    stored = await store.entry_by_id(gateway, entry.entry_id)
    if stored is None or stored.leaf_index is None:
        return False
    proof = await proofs.inclusion_proof(gateway, stored.leaf_index)
    if proof is None:
        return False
    checkpoint = verify_checkpoint(proof.checkpoint.note, key)
    verify_inclusion(
        entry.leaf_hash,
        leaf_index=stored.leaf_index,
        tree_size=checkpoint.size,
        proof=proof.hashes,
        root=checkpoint.root,
    )
    return True


async def _bytes(owner: Database) -> int:
    sql = """SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
        WHERE c.relkind = 'r' AND c.relname IN ('ledger_entry', 'ledger_leaf', 'ledger_search', 'ledger_tile',
            'ledger_access', 'ledger_checkpoint')"""
    return int(await owner.fetchval(sql))


def _entry(entry_id: uuid.UUID) -> Entry:
    fields = {
        "requester": {"institution": "bank-cq", "operator_commitment": "a" * 64},
        "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED", "rule": "10-scope"},
        "intent": {"request": str(entry_id)},
        "subject_commitment": "b" * 64,
        "request_digest": "c" * 64,
    }
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=datetime.now(UTC), fields=fields, entry_id=entry_id)


if __name__ == "__main__":
    sys.exit(main())
