"""Asking every witness to cosign the newest checkpoint, and keeping what they signed (C2SP tlog-witness).

Runs beside the sealer, where nothing waits for it: a witness that is slow, away or wrong costs its own cosignature.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

import structlog

from core.clock import Clock
from core.errors import BashuError
from database import Database
from gateway.witness.client import SIZE_TYPE, Answer, AnswerTooLong, WitnessClient, WitnessSilent
from gateway.witness.model import ALARMS, Witness, WitnessState
from ledger import store as ledger_store
from ledger.note import NoteError
from ledger.proofs import consistency_proof
from ledger.witness import store
from ledger.witness.cosignature import Cosignature, add_checkpoint_body, find_cosignature

GROWN_EVERY_S: Final = 5.0
"""Between two rounds while the log grows."""
QUIET_EVERY_S: Final = 20.0
"""Between two rounds over the same checkpoint, once a quorum cosigned it: a new cosignature shows that the log still
stands (60 s warns). Before, they are asked again as while it grows."""
LOOK_EVERY_S: Final = 1.0
SKEW_S: Final = 60.0
"""A cosignature's time may be this far from ours: an old one shows nothing about now."""
MOST_TRIES: Final = 3
"""Requests to one witness in a round: one that guesses its size, one with the size it answers, one if it moved."""
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_LARGEST_SIZE: Final = 2**63 - 1
_OK, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 400, 403, 404, 409, 422
_STATES: Final = {
    _BAD_REQUEST: WitnessState.REFUSED,
    _FORBIDDEN: WitnessState.REFUSED,
    _NOT_FOUND: WitnessState.REFUSED,
    _UNPROCESSABLE: WitnessState.FORKED,
}

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Round:
    """Who cosigned what in one round: names by tree size."""

    signed: ledger_store.SignedHead
    cosigned: dict[int, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What came of asking one witness; ``size``: what it has cosigned, None where it did not say."""

    state: WitnessState
    size: int | None = None
    cosignature: Cosignature | None = None


class Asking:
    """Asks ``witnesses`` in rounds; ``db`` is the sealer's. Any number may run: one of them asks at a time."""

    def __init__(
        self,
        db: Database,
        *,
        witnesses: Sequence[Witness],
        quorum: int,
        client: WitnessClient,
        clock: Clock,
    ) -> None:
        self._db = db
        self._witnesses = tuple(witnesses)
        self._quorum = quorum
        self._client = client
        self._clock = clock
        self._me: UUID = uuid4()
        self._states: dict[str, WitnessState] = {}
        self._asked: tuple[int, float] | None = None
        self._has_quorum = False

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until ``stop`` is set."""
        while not stop.is_set():
            try:
                await self.look()
            except BashuError as error:
                _log.warning("witness_round_failed", reason=error.reason.value)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """Hold a round where one is due and it is this one's turn; tell whether."""
        if not await store.take_turn(self._db, self._me):
            return False
        signed = await ledger_store.latest_checkpoint(self._db)
        if signed is None or not self._is_due(signed.size):
            return False
        self._asked = (signed.size, self._clock.monotonic())
        await self.ask_all(signed)
        return True

    async def ask_all(self, signed: ledger_store.SignedHead) -> None:
        """Ask every witness at once to cosign ``signed``, or what is newer where one has seen that already."""
        sizes = await store.known_sizes(self._db, [witness.name for witness in self._witnesses])
        round_ = _Round(signed=signed)
        async with asyncio.TaskGroup() as group:
            for witness in self._witnesses:
                group.create_task(self._ask(witness, round_, sizes.get(witness.name, 0)))
        self._has_quorum = any(len(names) >= self._quorum for names in round_.cosigned.values())

    def _is_due(self, size: int) -> bool:
        if self._asked is None:
            return True
        asked_size, at = self._asked
        every = QUIET_EVERY_S if size == asked_size and self._has_quorum else GROWN_EVERY_S
        return self._clock.monotonic() - at >= every

    async def _ask(self, witness: Witness, round_: _Round, known: int) -> None:
        try:
            await self._ask_and_keep(witness, round_, known)
        except BashuError as error:
            # The other witnesses are heard all the same.
            _log.warning("witness_not_asked", witness=witness.name, reason=error.reason.value)

    async def _ask_and_keep(self, witness: Witness, round_: _Round, known: int) -> None:
        signed, verdict = await self._exchange(witness, round_.signed, known)
        cosignature = verdict.cosignature
        if cosignature is not None:
            await store.put_cosignature(self._db, size=signed.size, cosignature=cosignature)
        await store.put_state(
            self._db,
            witness.name,
            verdict.state.value,
            size=verdict.size,
            cosigned_at=None if cosignature is None else cosignature.time,
        )
        if cosignature is not None:
            names = round_.cosigned.setdefault(signed.size, set())
            names.add(witness.name)
            if len(names) == self._quorum:
                await store.reach_quorum(self._db, signed.size)
        self._tell(witness, verdict.state)

    async def _exchange(
        self, witness: Witness, signed: ledger_store.SignedHead, known: int
    ) -> tuple[ledger_store.SignedHead, _Verdict]:
        """Ask one witness, from the size that it says it has; return the checkpoint asked about and what came of it."""
        old, verdict = min(known, signed.size), _Verdict(state=WitnessState.MALFORMED)
        for _ in range(MOST_TRIES):
            verdict = await self._once(witness, signed, old)
            if verdict.state is not WitnessState.AHEAD or verdict.size is None:
                return signed, verdict
            if verdict.size > signed.size:
                # Another sealer may have had a newer one cosigned meanwhile.
                newest = await ledger_store.latest_checkpoint(self._db)
                if newest is None or newest.size < verdict.size:
                    return signed, verdict
                signed = newest
            old = verdict.size
        return signed, _Verdict(state=WitnessState.MALFORMED)

    async def _once(self, witness: Witness, signed: ledger_store.SignedHead, old: int) -> _Verdict:
        """Send one request. AHEAD with a size is a 409, to be judged by whoever knows what was signed here."""
        proof = await consistency_proof(self._db, old, tree_size=signed.size)
        if proof is None:
            raise ledger_store.inconsistent("a signed checkpoint cannot be proven", tree_size=str(signed.size))
        try:
            body = add_checkpoint_body(old, proof.hashes, signed.note)
            answer = await self._client.add_checkpoint(witness, body)
        except WitnessSilent:
            return _Verdict(state=WitnessState.UNREACHABLE)
        except AnswerTooLong:
            return _Verdict(state=WitnessState.MALFORMED)
        if answer.status == _OK:
            return self._cosigned(witness, signed, answer)
        if answer.status == _CONFLICT:
            return _conflict(answer, old)
        return _Verdict(state=_STATES.get(answer.status, WitnessState.UNREACHABLE))

    def _cosigned(self, witness: Witness, signed: ledger_store.SignedHead, answer: Answer) -> _Verdict:
        text = signed.note.rpartition("\n\n")[0] + "\n"
        try:
            found = find_cosignature(answer.body.decode(), witness.key, text=text)
        except (NoteError, UnicodeDecodeError):
            found = None
        if found is None:
            return _Verdict(state=WitnessState.UNSIGNED)
        if abs(found.time - self._clock.now().timestamp()) > SKEW_S:
            return _Verdict(state=WitnessState.WRONG_TIME)
        return _Verdict(state=WitnessState.COSIGNED, size=signed.size, cosignature=found)

    def _tell(self, witness: Witness, state: WitnessState) -> None:
        if self._states.get(witness.name) is state:
            return
        self._states[witness.name] = state
        say = _log.error if state in ALARMS else _log.info if state is WitnessState.COSIGNED else _log.warning
        say("witness_state", witness=witness.name, state=state.value)


def _conflict(answer: Answer, old: int) -> _Verdict:
    """Read a 409. A witness that names the very size it was given contradicts itself, or says the tree is another."""
    matched = _SIZE.fullmatch(answer.body) if answer.content_type == SIZE_TYPE else None
    size = -1 if matched is None else int(matched[1])
    if not 0 <= size <= _LARGEST_SIZE:
        return _Verdict(state=WitnessState.MALFORMED)
    return _Verdict(state=WitnessState.FORKED if size == old else WitnessState.AHEAD, size=size)
