"""An export, checked line by line with nothing but the log's key: form, proofs, what is left out, and the rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from bashu.verify.merkle import leaf_hash, verify_inclusion
from bashu.verify.note import Checkpoint, KnownKeys, instant, verify_checkpoint
from bashu.verify.rules import NEEDS_BEGINNING, NEEDS_EVERYTHING, Entry, Finding, LogRules
from bashu.verify.strict import VerificationError, base64_bytes, base64_hash, json_object
from bashu.verify.succession import Succession
from bashu.verify.witness import Cosigned, WitnessPolicy

MOST_LEAF_BYTES: Final = 64 * 1024
PROGRESS_EVERY: Final = 1000
"""Leaves between two calls of ``progress``."""
_SEPARATORS: Final = ((",", ":"), (", ", ": "))
_BEIJING: Final = ZoneInfo("Asia/Shanghai")

ReadLines = Callable[[], Iterable[bytes]]
"""Begins to read the file anew; lines keep their line feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an export was asked for; with nothing given it is the whole log.

    ``month`` is YYYY-MM, ``day`` YYYY-MM-DD by Beijing time. ``is_of_subject``: of one subject, which leaves name by
    commitments alone: that each belongs cannot be checked, all else is.
    """

    consent_id: str = ""
    institution: str = ""
    month: str = ""
    day: str = ""
    is_of_subject: bool = False
    from_index: int = 0

    @property
    def is_filtered(self) -> bool:
        """True where leaves may be left out between others."""
        return bool(self.consent_id or self.institution or self.month or self.day or self.is_of_subject)

    @property
    def has_beginning(self) -> bool:
        """True where every entry before an entry that belongs to it is there too."""
        return not self.month and not self.day and not self.from_index

    def fault(self, entry: Entry) -> str | None:
        """Say why ``entry`` does not belong into such an export, or None."""
        if self.consent_id and self.consent_id not in _consents(entry):
            return f"it is not about consent {self.consent_id}"
        if self.institution and _institution(entry) != self.institution:
            return f"it is not of institution {self.institution}"
        local = instant(entry.get("ts"), "ts").astimezone(_BEIJING).date().isoformat()
        if not local.startswith(self.day or self.month):
            return f"it is not of {self.day or self.month}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportVerdict:
    """What a check found; ``selection`` is the one asked for, or recognised where none was."""

    checkpoint: Checkpoint | None
    leaves: int
    open_intents: int
    selection: Selection
    findings: tuple[Finding, ...]
    cosigned: tuple[Cosigned, ...] = ()

    @property
    def holds(self) -> bool:
        """True where nothing is worse than a warning."""
        return not any(finding.is_error for finding in self.findings)

    @property
    def is_whole(self) -> bool:
        """True where every leaf of the checkpoint's tree is there."""
        return self.holds and self.checkpoint is not None and self.leaves == self.checkpoint.size


def verify_export(
    read: ReadLines,
    vkey: KnownKeys,
    *,
    selection: Selection | None = None,
    now: datetime | None = None,
    progress: Callable[[int], None] | None = None,
    witnesses: WitnessPolicy | None = None,
) -> ExportVerdict:
    """Check an export; every finding names line and leaf. It is read twice: the checkpoint stands at the end.

    Without ``selection`` the export has to be the whole log, or everything about one consent, which is recognised.
    ``now`` decides which open intents are overdue (None: the latest time in the log). With ``witnesses`` a quorum of
    them has to have cosigned the checkpoint.
    """
    number, last = 0, b""
    for number, last in enumerate(read(), start=1):  # noqa: B007 - the last of both is wanted
        pass
    try:
        checkpoint, note = _last_line(last, vkey)
        cosigned = () if witnesses is None else witnesses.check(note)
    except VerificationError as error:
        finding = Finding(code="CHECKPOINT_MISSING", message=str(error), line=number or None)
        return ExportVerdict(
            checkpoint=None, leaves=0, open_intents=0, selection=selection or Selection(), findings=(finding,)
        )
    check = _Check(checkpoint, selection)
    for place, line in enumerate(read(), start=1):
        if place < number:
            check.line(place, line)
        if progress is not None and place % PROGRESS_EVERY == 0:
            progress(place)
    return replace(check.verdict(now), cosigned=cosigned)


class _Check:
    """One run over the leaves of an export."""

    def __init__(self, checkpoint: Checkpoint, selection: Selection | None) -> None:
        self._checkpoint = checkpoint
        self._asked = selection
        self._rules = LogRules(origin=checkpoint.origin)
        self._keys = Succession(checkpoint.origin)
        self._due = selection.from_index if selection else 0
        self._leaves = 0
        self._named: set[str] = set()
        self._common: set[str] | None = None
        self._gaps: list[Finding] = []
        self._found: list[Finding] = []

    def line(self, place: int, raw: bytes) -> None:
        due = self._due
        self._due += 1
        try:
            index, leaf, proof = _leaf_line(raw)
        except VerificationError as error:
            self._found.append(Finding(code="LINE_UNREADABLE", message=str(error), leaf_index=due, line=place))
            return
        digest = leaf_hash(leaf)
        try:
            verify_inclusion(
                digest, leaf_index=index, tree_size=self._checkpoint.size, proof=proof, root=self._checkpoint.root
            )
        except VerificationError as error:
            self._found.append(Finding(code="PROOF_WRONG", message=str(error), leaf_index=index, line=place))
            return
        self._leaves += 1
        if index < due:
            self._due = due
            self._found.append(
                Finding(code="LEAF_OUT_OF_ORDER", message=f"leaf {due} is due here", leaf_index=index, line=place)
            )
            return
        self._place(index, due, place)
        self._found += [replace(finding, line=place) for finding in self._entry(index, digest, leaf)]

    def _place(self, index: int, due: int, place: int) -> None:
        if index > due:
            message = f"leaves {due} to {index - 1} are not here" if index > due + 1 else f"leaf {due} is not here"
            self._gaps.append(Finding(code="LEAF_SKIPPED", message=message, leaf_index=due, line=place))
        self._due = index + 1

    def _entry(self, index: int, digest: bytes, leaf: bytes) -> Sequence[Finding]:
        try:
            entry = _canonical(leaf)
            fault = self._asked.fault(entry) if self._asked is not None else None
            self._keys.take(entry)
        except VerificationError as error:
            return [Finding(code="MALFORMED_ENTRY", message=str(error), leaf_index=index)]
        foreign = [] if fault is None else [Finding(code="LEAF_UNASKED", message=fault, leaf_index=index)]
        self._look_for_one_consent(entry)
        return [*foreign, *self._rules.take(index, digest, entry)]

    def _look_for_one_consent(self, entry: Entry) -> None:
        touched = _consents(entry)
        self._common = touched if self._common is None else self._common & touched
        if isinstance(named := _member(entry, "consent", "id"), str) and len(self._named) <= 1:
            self._named.add(named)

    def verdict(self, now: datetime | None) -> ExportVerdict:
        selection = self._asked or self._recognised()
        found = [*self._found, *self._rules.end(now)]
        if self._keys.is_signed_by_ended(self._checkpoint):
            message = "the checkpoint is signed by no key but one that the log's own entries say ended"
            found.append(Finding(code="KEY_ENDED", message=message))
        if not selection.is_filtered:
            found += self._gaps
            if self._due < self._checkpoint.size:
                message = f"it ends before leaf {self._due} of {self._checkpoint.size}"
                found.append(Finding(code="EXPORT_SHORT", message=message, leaf_index=self._due))
        ignored = frozenset[str]()
        ignored |= frozenset() if selection.has_beginning else NEEDS_BEGINNING
        ignored |= NEEDS_EVERYTHING if selection.is_filtered else frozenset()
        kept = [finding for finding in found if finding.code not in ignored]
        return ExportVerdict(
            checkpoint=self._checkpoint,
            leaves=self._leaves,
            open_intents=self._rules.open_intents,
            selection=selection,
            findings=tuple(sorted(kept, key=_where)),
        )

    def _recognised(self) -> Selection:
        """Tell what nobody said: everything about one consent, or the whole log."""
        left_out = bool(self._gaps) or self._due < self._checkpoint.size
        if left_out and len(self._named) == 1 and self._named <= (self._common or set()):
            return Selection(consent_id=next(iter(self._named)))
        return Selection()


def _last_line(raw: bytes, vkey: KnownKeys) -> tuple[Checkpoint, object]:
    members = _line(raw)
    if members.keys() != {"checkpoint"}:
        raise VerificationError("the last line is no checkpoint: the export was broken off; continue it")
    return verify_checkpoint(members["checkpoint"], vkey), members["checkpoint"]


def _leaf_line(raw: bytes) -> tuple[int, bytes, list[bytes]]:
    members = _line(raw)
    if members.keys() != {"leaf_index", "leaf", "proof"}:
        raise VerificationError("leaf_index, leaf and proof expected")
    index, proof = members["leaf_index"], members["proof"]
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise VerificationError("leaf_index: an integer from 0 up expected")
    if not isinstance(proof, list):
        raise VerificationError("proof: a list expected")
    leaf = base64_bytes(members["leaf"], "leaf")
    if len(leaf) > MOST_LEAF_BYTES:
        raise VerificationError(f"leaf: over {MOST_LEAF_BYTES} bytes")
    return index, leaf, [base64_hash(item, f"proof[{place}]") for place, item in enumerate(proof)]


def _line(raw: bytes) -> Entry:
    """Read one line in the only two spellings it may have, so that no changed byte goes unseen."""
    text = raw.removesuffix(b"\n")
    members = json_object(text, "line")
    spellings = (
        json.dumps(members, ensure_ascii=is_ascii, separators=separators).encode()
        for separators in _SEPARATORS
        for is_ascii in (False, True)
    )
    if text not in spellings:
        raise VerificationError("line: stray bytes between its values")
    return members


def _canonical(leaf: bytes) -> Entry:
    entry = json_object(leaf, "leaf")
    if json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() != leaf:
        raise VerificationError("leaf: not canonical JSON")
    return entry


def _member(entry: Entry, outer: str, inner: str) -> object:
    members = entry.get(outer)
    value = members.get(inner) if isinstance(members, dict) else None
    return value if isinstance(value, str) else None


def _consents(entry: Entry) -> set[str]:
    """Return the consents that an entry is about or touches."""
    named, affects = _member(entry, "consent", "id"), entry.get("affects")
    touched = affects.get("consents") if isinstance(affects, dict) else None
    found = {item for item in touched if isinstance(item, str)} if isinstance(touched, list) else set()
    return found | ({named} if isinstance(named, str) else set())


def _institution(entry: Entry) -> object:
    """Return whose entry it is: who asked; of a TALLY the institution it counts for."""
    return _member(entry, "tally" if entry.get("type") == "TALLY" else "requester", "institution")


def _where(finding: Finding) -> tuple[bool, float, float]:
    """Order findings: what names a line first, since what is missed at the end may follow from it."""
    far = float("inf")
    return (
        finding.line is None,
        far if finding.leaf_index is None else finding.leaf_index,
        far if finding.line is None else finding.line,
    )
