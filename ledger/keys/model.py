"""The succession of the log's keys, a pure function of the steps that the log itself records."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from core.errors import BashuError, Reason, Turn
from ledger.model import Entry, EntryType, build_entry
from ledger.note import VerifierKey, parse_vkey

LOG_KEY: Final = "LOG_KEY"
"""``status.reason`` of a KEY_EVENT about a key of the log; no participant's key has one."""

ACTOR: Final = "GATEWAY_OPERATOR"
"""``status.actor``: whoever runs the gateway's machines; no caller can."""


class KeyStep(StrEnum):
    """What happens to a key of the log."""

    FIRST = "FIRST"
    """It signed from the log's beginning; recorded when its succession begins."""
    ADDED = "ADDED"
    """It is the successor; it does not sign yet."""
    OVERLAP = "OVERLAP"
    """It signs, beside the key before it."""
    RETIRED = "RETIRED"
    """It signs no more; what it signed stays good."""
    COMPROMISED = "COMPROMISED"
    """It signs no more, and nothing later by it is the log's."""


class KeyState(StrEnum):
    """What a key of the log is now."""

    ADDED = "ADDED"
    SIGNING = "SIGNING"
    RETIRED = "RETIRED"
    COMPROMISED = "COMPROMISED"


_STATE_AFTER: Final = {
    KeyStep.FIRST: KeyState.SIGNING,
    KeyStep.ADDED: KeyState.ADDED,
    KeyStep.OVERLAP: KeyState.SIGNING,
    KeyStep.RETIRED: KeyState.RETIRED,
    KeyStep.COMPROMISED: KeyState.COMPROMISED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """One step of one key; ``leaf_index`` and ``body`` are the entry's, None where it is not in the tree, or not there.

    A tree that holds the entry is signed by the keys that sign after the step: the sealer reads the steps when it
    signs, after it integrated.
    """

    vkey: str
    step: KeyStep
    at: datetime
    entry_id: uuid.UUID
    leaf_index: int | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step to take, and the state it is taken from (None: the key is new)."""

    vkey: str
    step: KeyStep
    state: KeyState | None

    def entry(self, *, origin: str, ts: datetime) -> Entry:
        """Return the KEY_EVENT that records it."""
        status = {"from": self.state, "to": self.step, "reason": LOG_KEY, "actor": ACTOR}
        named = {name: str(value) for name, value in status.items() if value is not None}
        return build_entry(EntryType.KEY_EVENT, origin=origin, ts=ts, fields={"object": self.vkey, "status": named})


def step_of(members: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return key and step that an entry records, or None where it is about no key of the log."""
    status = members.get("status") or {}
    if members.get("type") != EntryType.KEY_EVENT or status.get("reason") != LOG_KEY:
        return None
    return str(members.get("object")), str(status.get("to"))


def states(events: Sequence[KeyEvent]) -> dict[str, KeyState]:
    """Return what each key is after ``events``, in the order in which they came."""
    found: dict[str, KeyState] = {}
    for event in events:
        found[event.vkey] = _STATE_AFTER[event.step]
    return found


def signing(events: Sequence[KeyEvent]) -> tuple[str, ...]:
    """Return the keys that sign after ``events``, the oldest first; none means the settings' key."""
    return tuple(vkey for vkey, state in states(events).items() if state is KeyState.SIGNING)


class Succession:
    """Which keys must have signed a tree of a given size, as the log's entries say; for a walk over the log.

    ``settled`` is the settings' key, ``events`` are the steps as kept. A walk that begins at ``start`` takes the steps
    before it as kept; where entries were taken out of the database (``is_pruned``), theirs are not compared.
    """

    def __init__(
        self, settled: VerifierKey, events: Sequence[KeyEvent], *, start: int = 0, is_pruned: bool = False
    ) -> None:
        self._settled = settled
        self._kept = {event.entry_id: event for event in events}
        self._is_pruned = is_pruned
        self._met = [replace(event, leaf_index=-1) for event in events if start and _is_before(event, start)]

    def at(self, size: int) -> tuple[VerifierKey, ...]:
        """Return the keys that sign a tree of ``size`` leaves, all of which were met."""
        if not self._kept:
            return (self._settled,)
        met = [event for event in self._met if event.leaf_index is not None and event.leaf_index < size]
        names = signing(met) if met else (next(iter(self._kept.values())).vkey,)
        return tuple(parse_vkey(name) for name in names)

    def meet(self, leaf_index: int, entry_id: uuid.UUID, members: Mapping[str, Any]) -> bool:
        """Take the next entry of the walk; tell whether it is what is kept of it: nothing, or the step it records."""
        step, kept = step_of(members), self._kept.get(entry_id)
        if kept is None:
            return step is None
        self._met.append(replace(kept, leaf_index=leaf_index))
        return step == (kept.vkey, kept.step)

    def faults(self) -> Iterator[str]:
        """Say which steps have no entry, and whether the settings' key is none of the log's."""
        for event in self._kept.values():
            if event.body is None and not self._is_pruned:
                yield f"step {event.step} of key {key_id(event.vkey)} has no entry"
        if self._kept and self._settled.text() not in {event.vkey for event in self._kept.values()}:
            yield f"the key of the settings, {self._settled.key_id.hex()}, is none of the log's"


def _is_before(event: KeyEvent, start: int) -> bool:
    return event.body is None or (event.leaf_index is not None and event.leaf_index < start)


def key_id(vkey: str) -> str:
    """Return a key's id, eight hex digits."""
    return parse_vkey(vkey).key_id.hex()


def add(events: Sequence[KeyEvent], *, first: str, fresh: str) -> list[Change]:
    """Name ``fresh`` the successor of the key that signs, which is ``first`` where nothing is recorded yet."""
    known = states(events)
    waiting = [vkey for vkey, state in known.items() if state is KeyState.ADDED]
    if waiting or len(signing(events)) > 1:
        raise _refused("上次更替未完成，先停用旧密钥 a succession is under way: retire the older key first")
    begins = [] if events else [Change(vkey=first, step=KeyStep.FIRST, state=None)]
    return [*begins, Change(vkey=fresh, step=KeyStep.ADDED, state=None)]


def overlap(events: Sequence[KeyEvent], vkey: str) -> list[Change]:
    """Let the successor sign beside the key before it."""
    if states(events).get(vkey) is not KeyState.ADDED:
        raise _refused("只有已加入的密钥可开始签署 only an added key begins to sign")
    return [Change(vkey=vkey, step=KeyStep.OVERLAP, state=KeyState.ADDED)]


def retire(events: Sequence[KeyEvent], vkey: str, *, now: datetime, after: timedelta) -> list[Change]:
    """End the signing of the older key, ``after`` the overlap lasted that long."""
    signs = signing(events)
    if vkey not in signs:
        raise _refused("该密钥不在签署中 that key does not sign")
    if len(signs) == 1:
        raise _refused(
            "没有别的密钥在签署：先加入后继密钥并让两把同时签署 "
            "no other key signs: add a successor and let both sign first"
        )
    if vkey != signs[0]:
        raise _refused("停用的须是旧密钥 the older key is retired, not its successor")
    since = max(event.at for event in events if event.step is KeyStep.OVERLAP)
    if now - since < after:
        raise _refused(
            f"重叠未满 {after.days} 天 the overlap has lasted {(now - since).days} days of the {after.days} "
            "that clients are given"
        )
    return [Change(vkey=vkey, step=KeyStep.RETIRED, state=KeyState.SIGNING)]


def compromised(events: Sequence[KeyEvent], vkey: str) -> list[Change]:
    """End a key that others may have; an added successor signs alone from there on."""
    known = states(events)
    state = known.get(vkey)
    if state is None or state is KeyState.COMPROMISED:
        raise _refused("日志无此密钥，或已作废 no such key of the log, or known as compromised already")
    change = Change(vkey=vkey, step=KeyStep.COMPROMISED, state=state)
    if signing(events) != (vkey,):
        return [change]
    waiting = [name for name, at in known.items() if at is KeyState.ADDED]
    if not waiting:
        raise _refused("没有别的密钥可签署：先加入后继密钥 no other key could sign: add a successor first, then say so")
    return [Change(vkey=waiting[0], step=KeyStep.OVERLAP, state=KeyState.ADDED), change]


def _refused(message: str) -> BashuError:
    return BashuError(Reason.MALFORMED, message, turn=Turn.OPERATOR)
