"""Following the log's keys: a successor counts once the log itself, signed by a key known before, names it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bashu.client import Bashu
from bashu.v1 import ledger_pb2
from bashu.verify import Checkpoint, KnownKeys, LogKeys, VerificationError, leaf_hash, verify_inclusion
from bashu.verify.strict import json_object
from bashu.verify.succession import Succession


async def read_succession(client: Bashu, checkpoint: Checkpoint) -> tuple[Succession, Sequence[ledger_pb2.LogKey]]:
    """Return what the log says of its keys, each entry proven under ``checkpoint``, and what the gateway says.

    Raises:
        VerificationError: an entry is not in the log.
        BashuCallError: the gateway gave no answer.
    """
    told = (await client.list_log_keys()).keys
    succession = Succession(checkpoint.origin)
    events = sorted((event for key in told for event in key.events), key=lambda event: event.leaf_index)
    for event in events:
        if event.leaf_index < checkpoint.size:
            succession.take(await _proven(client, event, checkpoint))
    return succession, told


async def _proven(client: Bashu, event: ledger_pb2.LedgerEntry, checkpoint: Checkpoint) -> Mapping[str, Any]:
    proof = (await client.get_inclusion_proof(event.leaf_index, tree_size=checkpoint.size)).proof
    verify_inclusion(
        leaf_hash(event.leaf),
        leaf_index=event.leaf_index,
        tree_size=checkpoint.size,
        proof=list(proof),
        root=checkpoint.root,
    )
    return json_object(event.leaf, "entry")


class KeptKeys:
    """The keys a watch goes by, in a file beside its checkpoint: those pinned, and those the log named since."""

    def __init__(self, file: Path, pinned: KnownKeys) -> None:
        self._file = file
        self._pinned = pinned

    def current(self) -> LogKeys:
        """Return the keys that may sign the next checkpoint.

        Raises:
            VerificationError: the file is not one of this log.
        """
        return self._read().known(self._pinned)

    def ever(self) -> LogKeys:
        """Return every key known, the ended ones too: one of them signed the checkpoint that is kept."""
        keys = {key.key_id: key for key in self._pinned.keys} | self._read().keys
        return LogKeys(name=self._pinned.name, keys=tuple(keys.values()))

    def keep(self, succession: Succession) -> None:
        """Keep what the log said of its keys, once something is to be kept."""
        if not succession.keys:
            return
        kept = self._read()
        vkeys = {key_id.hex(): key.text() for key_id, key in (kept.keys | succession.keys).items()}
        ended = {key_id.hex(): step for key_id, step in (kept.ended | succession.ended).items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(f"{self._file.name}.new")
        fresh.write_text(json.dumps({"ended": ended, "vkeys": vkeys}, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self._file)

    def _read(self) -> Succession:
        succession = Succession(self._pinned.name)
        try:
            members = json_object(self._file.read_bytes(), str(self._file))
        except FileNotFoundError:
            return succession
        vkeys, ended = members.get("vkeys"), members.get("ended")
        if not isinstance(vkeys, dict) or not isinstance(ended, dict) or not all(key in vkeys for key in ended):
            raise VerificationError(f"{self._file}: keys of the log expected")
        keys = LogKeys.parse(list(vkeys.values())).keys if vkeys else ()
        succession.keys = {key.key_id: key for key in keys}
        succession.ended = {bytes.fromhex(key): str(step) for key, step in ended.items()}
        return succession
