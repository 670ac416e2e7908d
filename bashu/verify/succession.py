"""How one key of the log succeeds another, by the log's own KEY_EVENT entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bashu.verify.note import Checkpoint, KnownKeys, LogKeys, VerifierKey
from bashu.verify.strict import VerificationError

_LOG_KEY: Final = "LOG_KEY"  # status.reason; KEY_EVENT entries of participants' keys have none
_BEGINS: Final = frozenset({"FIRST", "ADDED", "OVERLAP"})
_ENDS: Final = frozenset({"RETIRED", "COMPROMISED"})


class Succession:
    """Takes entries in ledger order, each proven to stand in the log, and keeps what they say of its keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.keys: dict[bytes, VerifierKey] = {}
        """Keys that the log named as its own, by id."""
        self.ended: dict[bytes, str] = {}
        """RETIRED or COMPROMISED, by key id."""

    def take(self, entry: Mapping[str, Any]) -> None:
        """Note the next entry; one that is about no key of the log changes nothing.

        Raises:
            VerificationError: it is about one and malformed.
        """
        status = entry.get("status")
        if entry.get("type") != "KEY_EVENT" or not isinstance(status, dict) or status.get("reason") != _LOG_KEY:
            return
        key, step = VerifierKey.parse(entry.get("object")), status.get("to")
        if key.name != self._name or step not in _BEGINS | _ENDS:
            raise VerificationError("KEY_EVENT: a step of a key of this log expected")
        self.keys[key.key_id] = key
        if step in _ENDS:
            self.ended[key.key_id] = step

    def is_signed_by_ended(self, checkpoint: Checkpoint) -> bool:
        """Tell whether none but ended keys signed a checkpoint over entries that say so."""
        return bool(checkpoint.signed_by) and all(key in self.ended for key in checkpoint.signed_by)

    def known(self, pinned: KnownKeys) -> LogKeys:
        """Return the keys to check the log's next checkpoint with: pinned and named, without the ended ones.

        Where all of them ended the pinned ones stay: what they do not open is refused anyway.
        """
        everything = {key.key_id: key for key in pinned.keys} | self.keys
        kept = tuple(key for key_id, key in everything.items() if key_id not in self.ended)
        return LogKeys(name=pinned.name, keys=kept or pinned.keys)
