"""Reading the entries beneath a checkpoint: each must be there, and be the one in the tree that was signed."""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from pathlib import Path
from typing import Final

from bashu.alarms import Alarm, LogAlarm
from bashu.client import Bashu
from bashu.verify import Checkpoint, Frontier, VerificationError, leaf_hash, verify_consistency

PAGE: Final = 500


class Which(StrEnum):
    """Which entries are read at a look."""

    NEW = "new"
    """Those that came since the last look."""
    ALL = "all"
    """All from the first on: what was changed long ago is found too."""


class EntryReading:
    """Folds the hashes of the entries as shown into a root, which must be the checkpoint's.

    The fold is kept in ``file`` between looks. It differs only where an entry differs; then consistency proofs of the
    signed tree, each halving where to search, name the first that does. Only COMPLIANCE, AUDITOR and REGULATOR read
    the whole log, and each page they read is an entry itself.
    """

    def __init__(self, file: Path, which: Which) -> None:
        self._file = file
        self._which = which

    async def read(self, client: Bashu, seen: Checkpoint) -> int:
        """Read up to the end of ``seen``; return how many entries.

        Raises:
            LogAlarm: ENTRY_MISSING, ENTRY_CHANGED with the leaf, STATE_BROKEN.
            BashuCallError: the gateway gave no answer to judge, or ROLE_NOT_ALLOWED.
        """
        start = Frontier() if self._which is Which.ALL else self._kept()
        if start.size > seen.size:
            raise self._broken()
        begin, fold, hashes = start.size, Frontier(start.peaks), list[bytes]()
        while begin + len(hashes) < seen.size:
            index = begin + len(hashes)
            page = await client.list_entries(from_index=index, page_size=PAGE, whole=True)
            for entry in page.entries[: seen.size - index]:
                if entry.leaf_index != begin + len(hashes):
                    break
                hashes.append(leaf_hash(entry.leaf))
                fold.add(hashes[-1])
            if begin + len(hashes) == index or (len(page.entries) < PAGE and begin + len(hashes) < seen.size):
                await self._require(client, seen, start, hashes)
                raise LogAlarm(Alarm.ENTRY_MISSING, f"leaf {begin + len(hashes)} is in the tree and cannot be read")
        if fold.root() != seen.root:
            if start.size and not await _is_prefix(client, seen, start, [], 0):
                raise self._broken()
            raise _changed(await _first_wrong(client, seen, start, hashes))
        self._keep(fold)
        return len(hashes)

    async def _require(self, client: Bashu, seen: Checkpoint, start: Frontier, hashes: list[bytes]) -> None:
        """Raise ENTRY_CHANGED where an entry before a missing one is not the tree's."""
        if hashes and not await _is_prefix(client, seen, start, hashes, len(hashes)):
            raise _changed(await _first_wrong(client, seen, start, hashes))

    def _kept(self) -> Frontier:
        try:
            peaks = json.loads(self._file.read_text(encoding="utf-8"))["peaks"]
            return Frontier((_power_of_two(size), base64.b64decode(value, validate=True)) for size, value in peaks)
        except FileNotFoundError:
            return Frontier()
        except (ValueError, KeyError, TypeError) as error:
            raise self._broken() from error

    def _broken(self) -> LogAlarm:
        return LogAlarm(Alarm.STATE_BROKEN, f"{self._file} is not what a look at this log wrote: remove it, read all")

    def _keep(self, fold: Frontier) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(f"{self._file.name}.new")
        peaks = [[size, base64.b64encode(value).decode()] for size, value in fold.peaks]
        fresh.write_text(json.dumps({"peaks": peaks}) + "\n", encoding="utf-8")
        fresh.replace(self._file)


def _power_of_two(size: object) -> int:
    if not isinstance(size, int) or size < 1 or size & (size - 1):
        raise ValueError("a peak has a power of two of leaves")
    return size


def _changed(leaf: int) -> LogAlarm:
    return LogAlarm(Alarm.ENTRY_CHANGED, f"leaf {leaf} is not the one in the tree")


async def _first_wrong(client: Bashu, seen: Checkpoint, start: Frontier, hashes: list[bytes]) -> int:
    """Return the first leaf that is not the tree's, of hashes that do not fold into its root."""
    good, wrong = 0, len(hashes)
    while wrong - good > 1:
        middle = (good + wrong) // 2
        if await _is_prefix(client, seen, start, hashes, middle):
            good = middle
        else:
            wrong = middle
    return start.size + good


async def _is_prefix(client: Bashu, seen: Checkpoint, start: Frontier, hashes: list[bytes], count: int) -> bool:
    """Tell whether the first ``count`` hashes, after ``start``, are leaves of the signed tree."""
    fold = Frontier(start.peaks)
    for value in hashes[:count]:
        fold.add(value)
    if fold.size == seen.size:
        return fold.root() == seen.root
    proof = list((await client.get_consistency_proof(fold.size, seen.size)).proof)
    try:
        verify_consistency(size1=fold.size, size2=seen.size, root1=fold.root(), root2=seen.root, proof=proof)
    except VerificationError:
        return False
    return True
