"""What witnesses show of this log, before anything is signed: a machine restored whole has no other memory of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from database import Statements
from gateway import from_settings
from gateway.settings import Settings
from gateway.witness.client import AnswerTooLong, WitnessClient, WitnessSilent
from gateway.witness.model import Witness
from ledger import store
from ledger.highwater import HighWater
from ledger.keys import store as key_store
from ledger.keys.model import KeyState, states
from ledger.note import Checkpoint, NoteError, VerifierKey, open_checkpoint, parse_vkey
from ledger.signer import LogKeyFiles

_OK: Final = 200
_log = structlog.get_logger(__name__)


async def recall(settings: Settings, db: Statements, high_water: HighWater) -> None:
    """Let the witnesses of the settings, if any, remind ``high_water`` of what this log signed, for 5 s at most.

    Raises:
        BashuError: LEDGER_INCONSISTENT: the mark cannot be read or written; DatabaseUnavailable.
    """
    witnesses = from_settings.witnesses(settings)
    if not witnesses:
        return
    files = LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
    # A restored database may not know the newest key, nor this machine the oldest.
    known = states(await key_store.steps(db))
    # Whoever stole a key signs trees that never were; a mark from one would keep this log shut for ever.
    vkeys = {vkey for vkey in (*files.vkeys(), *known) if known.get(vkey) is not KeyState.COMPROMISED}
    if not vkeys:
        return
    client = WitnessClient()
    try:
        await learn_mark(witnesses, client=client, high_water=high_water, keys=[parse_vkey(vkey) for vkey in vkeys])
    except (NoteError, OSError) as error:
        raise store.inconsistent("a high-water mark cannot be read or written: do not delete it") from error
    finally:
        await client.close()


async def learn_mark(
    witnesses: Sequence[Witness], *, client: WitnessClient, high_water: HighWater, keys: Sequence[VerifierKey]
) -> Checkpoint | None:
    """Raise the high-water mark to the largest tree that a witness shows under a signature of this log's ``keys``.

    No witness has to be believed: what counts is the log's own signature. Who is away or shows nothing is passed over.
    Returns the new mark, None where it stays.

    Raises:
        NoteError, OSError: the mark cannot be read or written.
    """
    shown = await asyncio.gather(*(_shown(witness, client, keys) for witness in witnesses))
    largest = max((one for one in shown if one is not None), key=lambda one: one.size, default=None)
    mark = await asyncio.to_thread(high_water.read)
    if largest is None or (mark is not None and mark.size >= largest.size):
        return None
    _log.warning("witness_shows_more_than_the_mark", size=largest.size, mark=0 if mark is None else mark.size)
    await asyncio.to_thread(high_water.write, largest)
    return largest


async def _shown(witness: Witness, client: WitnessClient, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    try:
        answer = await client.checkpoint(witness, keys[0].name)
        note = answer.body.decode() if answer.status == _OK else ""
    except (WitnessSilent, AnswerTooLong, UnicodeDecodeError):
        _log.warning("witness_shows_nothing", witness=witness.name)
        return None
    for key in keys:
        try:
            return open_checkpoint(note, key)
        except NoteError:
            continue
    return None
