"""A worker serves no database that is older than the log already signed: a restored backup knows too little.

Consents revoked, holds placed and erasures done since the backup are not in it. So a worker holds the tree's head
against the sealer's high-water mark, where this machine has that file, and against a mark of its own, in a file too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from core.errors import BashuError, Reason
from database import Statements
from ledger import store
from ledger.highwater import HighWater
from ledger.note import Checkpoint, NoteError
from ledger.rewind import OlderTree, refuse_older

LOOK_S: Final = 1.0
"""Between two looks while serving and while waiting."""

KEEP_S: Final = 10.0
"""The worker's own mark is written this often at most: a write waits for the disk."""

SAY_S: Final = 60.0
"""While it waits, a worker says so again this often."""

_LOG: Final = structlog.get_logger(__name__)


class TreeGuard:
    """Compares head and marks; ``own`` is written here alone, ``sealers`` only read."""

    def __init__(
        self,
        db: Statements,
        *,
        origin: str,
        sealers: HighWater,
        own: HighWater,
        monotonic: Callable[[], float] | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self._db = db
        self._origin = origin
        self._sealers = sealers
        self._own = own
        self._monotonic = monotonic
        self._look_s = look_s
        self._seen: Checkpoint | None = None
        self._kept: Checkpoint | None = None
        self._kept_at = 0.0

    async def check(self) -> None:
        """Compare once.

        Raises:
            BashuError: LEDGER_INCONSISTENT: the tree is smaller than or another than one already signed or seen, or a
                mark cannot be read; DatabaseUnavailable: nothing can be told.
        """
        # Marks first: the tree may have grown since, never the other way round.
        marks = [self._seen, *await asyncio.to_thread(self._read)]
        head = await store.head(self._db)
        for mark in marks:
            if mark is not None:
                await refuse_older(self._db, head, mark)
        self._seen = Checkpoint(origin=self._origin, size=head.size, root=head.root)
        await self._keep()

    async def wait_until_whole(self, stop: asyncio.Event) -> bool:
        """Look until the tree is not older any more, saying why it waits; False where told to stop before."""
        said_at = -SAY_S
        while not stop.is_set():
            try:
                refused = await self._refusal()
            except BashuError as error:
                # While it is brought back it lets nobody in: whether it is whole is not known yet.
                refused = error
            if refused is None:
                return True
            if self._now() - said_at >= SAY_S:
                said_at = self._now()
                _LOG.error("database_is_older_than_the_log", message=refused.message, **refused.metadata)
            await _pause(stop, self._look_s)
        return False

    async def watch(self, stop: asyncio.Event) -> bool:
        """Look while serving; True once the tree is smaller than it was, False where told to stop before.

        A tree that is another one, but not smaller, is said and not hidden: the sealer signs no more, so admissions
        end (EVIDENCE_STALE), while whoever watches the log from outside has to see it.
        """
        said_at = -SAY_S
        while not stop.is_set():
            try:
                await self.check()
            except OlderTree as older:
                _LOG.error("database_became_older_than_the_log", message=older.message, **older.metadata)
                return True
            except BashuError as error:
                # Away, or nobody is let in: calls say so by themselves, and once it is back it is looked at.
                if error.reason is Reason.LEDGER_INCONSISTENT and self._now() - said_at >= SAY_S:
                    said_at = self._now()
                    _LOG.error("log_is_not_the_signed_one", message=error.message, **error.metadata)
            await _pause(stop, self._look_s)
        return False

    async def _refusal(self) -> BashuError | None:
        try:
            await self.check()
        except BashuError as error:
            if error.reason is not Reason.LEDGER_INCONSISTENT:
                raise
            return error
        return None

    def _read(self) -> list[Checkpoint | None]:
        try:
            return [self._sealers.read(), self._own.read()]
        except (NoteError, OSError) as error:
            raise store.inconsistent(
                "高水位文件无法读取，不要删除，请恢复它。A high-water mark cannot be read: do not delete it, restore it"
            ) from error

    async def _keep(self) -> None:
        if self._seen == self._kept or (self._kept is not None and self._now() - self._kept_at < KEEP_S):
            return
        if self._seen is not None:
            await asyncio.to_thread(self._own.write, self._seen)
        self._kept, self._kept_at = self._seen, self._now()

    def _now(self) -> float:
        return (self._monotonic or asyncio.get_running_loop().time)()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
