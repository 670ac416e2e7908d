"""The sealer: moves committed entries into the tree, then signs the committed tree.

Any number may run. Whoever holds the head row's lock seals this round and signs; nothing is remembered between
rounds that matters, so neither a lost connection nor a frozen process can leave two trees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from database import Database, DatabaseUnavailable, LockLost, Transaction
from ledger import store
from ledger.access import store as access_store
from ledger.access.model import listed_leaf
from ledger.highwater import HighWater
from ledger.keys import store as key_store
from ledger.keys.model import signing
from ledger.merkle import TileHashes, TreeError, edge_tiles, grow
from ledger.model import leaf_hash
from ledger.note import Checkpoint, LogSigning, sign_note
from ledger.projection import search_row
from ledger.rewind import refuse_older

POLL_S: Final = 0.05
"""Pause between looks at the queue; with the round itself it bounds the time from commit to proof."""

ROUND_S: Final = 0.2
"""Least time between two rounds: at most five checkpoints a second, however many entries come."""

BEAT_S: Final = 1.0
"""A round is held at least this often, so that the heartbeat tells a live sealer from a dead one."""

BATCH: Final = 4096
"""Entries a round: about 40 ms; a longer queue is caught up round by round without a pause."""

_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a sealer works, in seconds, and how much at once."""

    poll_s: float = POLL_S
    round_s: float = ROUND_S
    beat_s: float = BEAT_S
    batch: int = BATCH


class Sealer:
    """Integrate and sign in rounds; ``db`` logs in as the sealer role."""

    def __init__(
        self,
        *,
        db: Database,
        signer: LogSigning,
        high_water: HighWater,
        pace: Pace | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._db = db
        self._signer = signer
        self._high_water = high_water
        self._pace = pace or Pace()
        self._monotonic = monotonic
        self._signed: store.Head | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Hold rounds until ``stop`` is set, then one last one; a database that is away is waited for.

        Raises:
            BashuError: LEDGER_INCONSISTENT: the ledger contradicts itself or the high-water mark. Nothing is signed.
        """
        monotonic = self._monotonic or asyncio.get_running_loop().time
        due = monotonic()
        while not stop.is_set():
            sealed = 0
            try:
                if monotonic() >= due or await store.is_pending(self._db):
                    due = monotonic() + self._pace.beat_s
                    sealed = await self.run_round()
            except (DatabaseUnavailable, LockLost) as error:
                _LOG.warning("sealer_round_failed", reason=error.reason)
            if sealed < self._pace.batch:
                await _pause(stop, self._pace.round_s if sealed else self._pace.poll_s)
        try:
            await self.run_round()
        except (DatabaseUnavailable, LockLost) as error:
            _LOG.warning("sealer_last_round_failed", reason=error.reason)

    async def run_round(self) -> int:
        """Integrate what is committed, sign the committed tree if it is not signed, and return the entries sealed.

        Raises:
            BashuError: LEDGER_INCONSISTENT, see :meth:`run`; DatabaseUnavailable or LockLost: try again.
        """
        async with self._db.transaction() as tx:
            old = await store.lock_head(tx)
            if old is None:
                return 0
            if old != self._signed:
                # Before anything is added: what stands on an older tree is a fork already.
                await self._refuse_older(tx, old)
            new = await self._integrate(tx, old)
        if new != self._signed:
            await self._sign()
        return new.size - old.size

    async def _integrate(self, tx: Transaction, old: store.Head) -> store.Head:
        entries = await store.take_pending(tx, limit=self._pace.batch)
        if not entries:
            await store.beat(tx)
            return old
        leaves = _checked_hashes(entries)
        edge = await store.tiles(tx, edge_tiles(old.size))
        try:
            if TileHashes(edge).root(old.size) != old.root:
                raise store.inconsistent("stored tiles do not have the root of the tree head")
            changed = grow(old.size, edge, leaves)
            size = old.size + len(entries)
            new = store.Head(size=size, root=TileHashes(edge | changed).root(size))
        except TreeError as error:
            raise store.inconsistent("stored tiles are not those of the tree head") from error
        await store.add_leaves(
            tx,
            old=old,
            new=new,
            numbers=[entry.seq for entry in entries],
            changed=changed,
            search=[search_row(entry.body) for entry in entries],
        )
        listed = (listed_leaf(index, entry.body) for index, entry in enumerate(entries, start=old.size))
        await access_store.project(tx, [leaf for leaf in listed if leaf is not None])
        return new

    async def _sign(self) -> None:
        """Sign the committed head under its lock, so that two sealers never sign out of order."""
        async with self._db.transaction() as tx:
            head = await store.lock_head(tx)
            if head is None:
                return
            latest, mark = await self._refuse_older(tx, head)
            checkpoint = Checkpoint(origin=self._signer.name, size=head.size, root=head.root)
            # The mark is durable before the signature exists: a crash between the two leaves nothing to take back.
            if mark != checkpoint:
                await asyncio.to_thread(self._high_water.write, checkpoint)
            if latest is None or latest.size < head.size:
                # Read after the integration: a tree with the entry of a key's step is signed as the step says.
                self._signer.follow(signing(await key_store.steps(tx)))
                note = sign_note(checkpoint.text(), *self._signer.signers)
                await store.add_checkpoint(tx, size=head.size, root=head.root, note=note)
        self._signed = head

    async def _refuse_older(
        self, tx: Transaction, head: store.Head
    ) -> tuple[store.SignedHead | None, Checkpoint | None]:
        """Hold ``head`` against the newest checkpoint and the high-water mark, and return both."""
        latest = await store.latest_checkpoint(tx)
        mark = await asyncio.to_thread(self._high_water.read)
        if latest is not None:
            await refuse_older(tx, head, Checkpoint(origin=self._signer.name, size=latest.size, root=latest.root))
        if mark is not None:
            await refuse_older(tx, head, mark)
        return latest, mark


def _checked_hashes(entries: Sequence[store.StoredEntry]) -> list[bytes]:
    for entry in entries:
        if leaf_hash(entry.body) != entry.leaf_hash:
            raise store.inconsistent("an entry does not have its hash", entry_id=str(entry.entry_id))
    return [entry.leaf_hash for entry in entries]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
