"""The log's keys in a running gateway: workers follow their succession; the operator's steps, each with its entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from core.errors import BashuError, Reason, Turn
from database import Database, UniqueConflict
from ledger.keys import store
from ledger.keys.model import Change, KeyEvent, signing
from ledger.note import LogSigning, NoteError

LOOK_EVERY_S: Final = 1.0
"""How late a worker's promises follow a step at most; checkpoints follow at once."""

Decide = Callable[[Sequence[KeyEvent], datetime], Sequence[Change]]

_log = structlog.get_logger(__name__)


class FollowedKeys:
    """Lets promises be signed by the keys that sign checkpoints. One per worker."""

    def __init__(self, db: Database, *, signer: LogSigning) -> None:
        self._db = db
        self._signer = signer

    async def follow(self) -> None:
        """Sign with the keys that sign now.

        Raises:
            NoteError: the file of one is not on this machine; a worker does not start without it.
        """
        self._signer.follow(signing(await store.steps(self._db)))

    async def run(self) -> None:
        """Look every second until cancelled; a worker whose file is missing goes on with the keys it had."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.follow()
            except BashuError as error:
                _log.warning("log_keys_not_read", reason=error.reason.value)
            except NoteError as error:
                _log.error("log_key_missing", error=str(error))


async def change_keys(db: Database, decide: Decide, *, origin: str) -> Sequence[Change]:
    """Take the steps that ``decide`` makes of the steps so far and the time, each with its KEY_EVENT, or none.

    Raises:
        BashuError: what ``decide`` refuses; REVISION_CHANGED where somebody changed the keys at the same moment.
    """
    try:
        async with db.transaction() as tx:
            events = await store.steps(tx)
            now = await store.now(tx)
            changes = decide(events, now)
            await store.record(tx, changes, after=len(events), origin=origin, ts=now)
    except UniqueConflict as error:
        raise BashuError(
            Reason.REVISION_CHANGED,
            "密钥刚被他人变更，请重新查看 the log's keys were changed at the same moment: look again",
            turn=Turn.OPERATOR,
        ) from error
    return changes
