"""Watching the log from outside: each newer checkpoint must continue the last one seen, or there is an alarm."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bashu.alarms import Alarm, LogAlarm
from bashu.client import Bashu
from bashu.entry_reading import EntryReading
from bashu.errors import BashuCallError
from bashu.log_keys import KeptKeys, read_succession
from bashu.verify import (
    Checkpoint,
    Cosigned,
    KnownKeys,
    LogKeys,
    VerificationError,
    WitnessPolicy,
    verify_checkpoint,
    verify_consistency,
)

_NONE_SIGNED: Final = "EVIDENCE_STALE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A checkpoint that continues the last one; ``before`` is that one's size, None at the first look.

    ``entries``: how many were read and are those of the tree; None where none were to be read. ``cosigned``: which of
    the witnesses asked for cosigned the newest checkpoint that the log shows with a quorum.
    """

    size: int
    before: int | None
    entries: int | None = None
    cosigned: tuple[Cosigned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Whom a watcher trusts to have seen the log, and how long ago a quorum of them may have done so at most."""

    policy: WitnessPolicy
    oldest: timedelta
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class LogWatch:
    """Keeps the last checkpoint seen in a file, which only a consistent one replaces.

    An alarm leaves the file as it is, so every later look raises it again, and writes the offending checkpoint beside
    it (``.alarm``): both signatures together are the proof. A successor that the log itself names, under a signature
    of a key known before, is known from then on, and one that it ended no more (``.keys``).
    """

    def __init__(
        self,
        file: Path,
        key: KnownKeys,
        *,
        reading: EntryReading | None = None,
        witnessing: Witnessing | None = None,
    ) -> None:
        self._file = file
        self._keys = KeptKeys(file.with_name(f"{file.name}.keys"), key)
        self._reading = reading
        self._witnessing = witnessing

    async def look(self, client: Bashu) -> Look:
        """Fetch the newest checkpoint and check it against the kept one.

        Raises:
            LogAlarm: it does not continue it.
            BashuCallError: the gateway gave no answer to judge.
        """
        kept = self._kept()
        note = await self._fetch(client, kept)
        try:
            seen = verify_checkpoint(note, self._known())
            if kept is not None:
                await self._continues(client, kept, seen)
            if kept is None or seen.size > kept.size:
                await self._follow_keys(client, seen)
            entries = None if self._reading is None else await self._reading.read(client, seen)
            cosigned = () if self._witnessing is None else await self._witnessed(client, self._witnessing, seen)
        except VerificationError as error:
            self._keep_evidence(note)
            raise LogAlarm(Alarm.UNSIGNED, str(error)) from error
        except LogAlarm:
            self._keep_evidence(note)
            raise
        if kept is None or seen.size > kept.size:
            self._replace(note)
        before = None if kept is None else kept.size
        return Look(size=seen.size, before=before, entries=entries, cosigned=cosigned)

    async def _follow_keys(self, client: Bashu, seen: Checkpoint) -> None:
        try:
            succession, _ = await read_succession(client, seen)
        except BashuCallError:
            # What the keys are is asked again when the log has grown.
            return
        except VerificationError as error:
            raise LogAlarm(Alarm.UNPROVEN, f"its keys: {error}") from error
        self._keys.keep(succession)
        if succession.is_signed_by_ended(seen):
            raise LogAlarm(Alarm.UNSIGNED, "the checkpoint is signed by no key but one that the log ended")

    def _known(self) -> LogKeys:
        try:
            return self._keys.current()
        except VerificationError as error:
            raise LogAlarm(Alarm.STATE_BROKEN, str(error)) from error

    async def _fetch(self, client: Bashu, kept: Checkpoint | None) -> str:
        try:
            return (await client.get_checkpoint()).checkpoint
        except BashuCallError as error:
            if kept is not None and error.reason == _NONE_SIGNED:
                raise LogAlarm(Alarm.REWOUND, f"it has no checkpoint, {kept.size} leaves were seen") from error
            raise

    async def _witnessed(self, client: Bashu, witnessing: Witnessing, seen: Checkpoint) -> tuple[Cosigned, ...]:
        """Check who cosigned the log lately, and that what they saw is the log seen here."""
        try:
            note = (await client.get_checkpoint(witnessed=True)).checkpoint
        except BashuCallError as error:
            if error.is_unreachable:
                raise
            raise LogAlarm(Alarm.UNWITNESSED, f"it shows no cosigned checkpoint: {error.reason}") from error
        theirs = verify_checkpoint(note, self._known())
        smaller, larger = sorted((theirs, seen), key=lambda one: one.size)
        await self._continues(client, smaller, larger)
        try:
            cosigned = witnessing.policy.check(note)
        except VerificationError as error:
            raise LogAlarm(Alarm.UNWITNESSED, str(error)) from error
        age = witnessing.now() - witnessing.policy.seen_at(cosigned)
        if age > witnessing.oldest:
            raise LogAlarm(Alarm.UNWITNESSED, f"a quorum cosigned last {age.total_seconds():.0f} s ago")
        return cosigned

    async def _continues(self, client: Bashu, kept: Checkpoint, seen: Checkpoint) -> None:
        if seen.size < kept.size:
            raise LogAlarm(Alarm.REWOUND, f"it has {seen.size} leaves, {kept.size} were seen")
        proof: list[bytes] = []
        if 0 < kept.size < seen.size:
            try:
                proof = list((await client.get_consistency_proof(kept.size, seen.size)).proof)
            except BashuCallError as error:
                if error.is_unreachable:
                    raise
                raise LogAlarm(Alarm.UNPROVEN, f"no proof from {kept.size} to {seen.size}: {error.reason}") from error
        try:
            verify_consistency(size1=kept.size, size2=seen.size, root1=kept.root, root2=seen.root, proof=proof)
        except VerificationError as error:
            raise LogAlarm(Alarm.FORKED, f"from {kept.size} to {seen.size} leaves: {error}") from error

    def _kept(self) -> Checkpoint | None:
        try:
            return verify_checkpoint(self._file.read_bytes().decode("utf-8", "surrogateescape"), self._keys.ever())
        except FileNotFoundError:
            return None
        except VerificationError as error:
            raise LogAlarm(Alarm.STATE_BROKEN, f"{self._file}: {error}") from error

    def _replace(self, note: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(f"{self._file.name}.new")
        with fresh.open("wb") as out:
            out.write(note.encode())
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)

    def _keep_evidence(self, note: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.with_name(f"{self._file.name}.alarm").write_bytes(note.encode("utf-8", "surrogateescape"))
