"""What must be true of the log, computed from its entries alone, in ledger order (so also from an export).

The rules are those of the ledger's invariants: no RELEASE once permission was taken away, exactly one closing an
intent, uses within budget and window, gapless revisions and use ordinals, and an unbroken chain of consent events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from ledger.model import CLOSINGS, COMMON, ENTRY_VERSION, EntryType, member_fault

CLOSING_GRACE: Final = timedelta(seconds=5)
"""How long after ``expires_at`` an intent's closing may come."""

BLOCKING: Final = frozenset({"REVOKED", "HELD", "PAUSED", "SUPERSEDED", "EXPIRED"})
"""Consent states under which nothing may be admitted or released."""

_OPENS: Final = frozenset({EntryType.HOLD_PLACED, EntryType.FILE_FROZEN})
_LIFTS: Final = frozenset({EntryType.HOLD_LIFTED, EntryType.FILE_THAWED})
_DEFAULT_ZONE: Final = "Asia/Shanghai"

Members: TypeAlias = Mapping[str, Any]
IntentKey: TypeAlias = tuple[str, str, int]


class Severity(StrEnum):
    """How bad a finding is; :func:`exit_code` turns the worst into 0, 1 or 2."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be; ``leaf_index`` is None where no leaf can be named."""

    severity: Severity
    code: str
    message: str
    leaf_index: int | None = None

    def line(self) -> str:
        """Return the finding as one line."""
        where = "-" if self.leaf_index is None else str(self.leaf_index)
        return f"{self.severity} leaf {where} {self.code}: {self.message}"


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 when nothing is worse than INFO, 1 for WARNING, 2 for ERROR."""
    ranks = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}
    return max((ranks[finding.severity] for finding in findings), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One leaf as read from the log: its place, its hash and its decoded members."""

    leaf_index: int
    leaf_hash: bytes
    members: Members


@dataclass(slots=True)
class _Consent:
    artefact_hash: str | None = None
    is_registered: bool = False
    revision: int | None = None
    last_event: str | None = None
    use: int | None = None
    state: str = "ACTIVE"
    standing: set[str] = field(default_factory=set)
    exp: datetime | None = None
    usage: Members = field(default_factory=dict)
    spent: int = 0
    counted: Counter[tuple[int, ...]] = field(default_factory=Counter)
    is_replaced: bool = False


@dataclass(slots=True)
class _Intent:
    leaf_index: int
    consent_id: str | None
    uses: int
    window: tuple[int, ...]
    expires_at: datetime
    closed_by: int | None = None
    is_refunded: bool = False


def check_invariants(
    entries: Iterable[LogEntry], *, whole: bool = True, now: datetime | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with ``entries``; see :class:`InvariantChecker` for ``whole`` and ``now``."""
    checker = InvariantChecker(whole=whole)
    for entry in entries:
        yield from checker.feed(entry)
    yield from checker.finish(now=now)


class InvariantChecker:
    """Check entries one after the other in ledger order; ``whole`` means that they start with the log's first leaf.

    Keeps one small record an intent and a consent, so its memory grows with the log.
    """

    def __init__(self, *, whole: bool = True, origin: str | None = None) -> None:
        self._whole = whole
        self._origin = origin
        self._consents: dict[str, _Consent] = {}
        self._intents: dict[IntentKey, _Intent] = {}
        self._holds: dict[str, set[str]] = {}
        self._own: dict[str, list[int]] = {}
        self._tallied: dict[str, int] = {}
        self._latest: datetime | None = None
        self._found: list[Finding] = []
        self._at = 0

    def feed(self, entry: LogEntry) -> list[Finding]:
        """Take the next entry and return what it broke."""
        self._found, self._at = [], entry.leaf_index
        try:
            kind = self._check_form(entry.members)
            if kind is not None:
                self._check_meaning(kind, entry)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._error("MALFORMED_ENTRY", "a member is missing or of the wrong kind")
        return self._found

    def finish(self, *, now: datetime | None = None) -> list[Finding]:
        """Report intents still open at ``now`` (None: the time of the last entry)."""
        now = now or self._latest
        self._found = []
        for (institution, request, attempt), intent in self._intents.items():
            if intent.closed_by is None:
                self._at = intent.leaf_index
                what = f"intent {request}/{attempt} of {institution} has no closing"
                if now is not None and now > intent.expires_at + CLOSING_GRACE:
                    self._error("INTENT_NOT_CLOSED", what)
                else:
                    self._add(Severity.INFO, "INTENT_OPEN", what)
        return self._found

    def _check_form(self, members: Members) -> EntryType | None:
        if members["v"] != ENTRY_VERSION or members["type"] not in EntryType.__members__:
            self._error("UNKNOWN_ENTRY", "version or type is not known")
            return None
        kind = EntryType(members["type"])
        if self._origin is not None and members["origin"] != self._origin:
            self._error("FOREIGN_ENTRY", f"origin is not {self._origin}")
        if fault := member_fault(kind, {name: members[name] for name in members if name not in COMMON}):
            self._error("MALFORMED_ENTRY", fault)
            return None
        ts = _time(members["ts"])
        self._latest = ts if self._latest is None else max(ts, self._latest)
        return kind

    def _check_meaning(self, kind: EntryType, entry: LogEntry) -> None:
        members = entry.members
        if kind is EntryType.TALLY:
            self._tally(members["tally"])
            return
        self._own.setdefault(members.get("requester", {}).get("institution", ""), []).append(entry.leaf_index)
        if kind in {EntryType.CONSENT_REGISTERED, EntryType.CONSENT_STATUS}:
            self._consent_event(kind, entry)
        elif kind is EntryType.QUERY_INTENT:
            self._intent(members)
        elif kind in CLOSINGS:
            self._closing(kind, members)
        elif kind is EntryType.USE_REFUNDED:
            self._refund(members)
        elif kind in _OPENS:
            self._hold(members)
        elif kind in _LIFTS:
            self._lift(members)

    # Consents

    def _consent_event(self, kind: EntryType, entry: LogEntry) -> None:
        members = entry.members
        consent_id, revision = members["consent"]["id"], members["consent"]["revision"]
        is_new = consent_id not in self._consents
        consent = self._consents.setdefault(consent_id, _Consent())
        if kind is EntryType.CONSENT_REGISTERED:
            self._register(consent, members)
        elif is_new:
            self._unseen(consent_id)
        self._same_artefact(consent, members)
        self._chain(consent, members["consent"], kind)
        consent.revision, consent.last_event = revision, entry.leaf_hash.hex()
        if kind is EntryType.CONSENT_STATUS:
            consent.state = members["status"]["to"]

    def _register(self, consent: _Consent, members: Members) -> None:
        if consent.is_registered:
            self._error("REGISTERED_TWICE", f"consent {members['consent']['id']}")
        consent.is_registered = True
        consent.usage = members["usage"]
        consent.exp = _time(members["window"]["exp"])
        if "supersedes" in members:
            self._carry_over(consent, members["supersedes"])
        consent.standing = set(members.get("standing", ()))
        for hold in consent.standing:
            self._holds.setdefault(hold, set()).add(members["consent"]["id"])

    def _carry_over(self, consent: _Consent, named: Members) -> None:
        """What the superseded consent spent counts on, its windows' too where both count the same."""
        consent.spent = named["uses"]
        old = self._consents.get(named["consent_id"])
        if old is None or not old.is_registered:
            if self._whole:
                self._error("SUPERSEDES_UNKNOWN", f"consent {named['consent_id']} was not registered before")
            return
        is_first, old.is_replaced = not old.is_replaced, True
        if old.state != "SUPERSEDED" or old.artefact_hash != named["artefact_hash"] or not is_first:
            self._error("SUPERSEDES_WRONG", f"consent {named['consent_id']} did not end for this one alone")
        if old.spent != named["uses"]:
            self._error("CARRIED_WRONG", f"consent {named['consent_id']}: {old.spent} spent, {named['uses']} carried")
        if _kind_of_window(old.usage) == _kind_of_window(consent.usage):
            consent.counted.update(old.counted)

    def _chain(self, consent: _Consent, event: Members, kind: EntryType) -> None:
        expected = 1 if kind is EntryType.CONSENT_REGISTERED else (consent.revision or 0) + 1
        if consent.revision is None and kind is EntryType.CONSENT_STATUS:
            return
        if event["revision"] != expected:
            self._error("REVISION_GAP", f"consent {event['id']}: revision {event['revision']} where {expected} is due")
        if event.get("previous") != consent.last_event:
            self._error(
                "CHAIN_BROKEN", f"consent {event['id']}: revision {event['revision']} names another predecessor"
            )

    def _same_artefact(self, consent: _Consent, members: Members) -> None:
        given = members["consent"].get("artefact_hash")
        consent.artefact_hash = consent.artefact_hash or given
        if given is not None and given != consent.artefact_hash:
            self._error("ARTEFACT_CHANGED", f"consent {members['consent']['id']} has another artefact hash than before")

    def _unseen(self, consent_id: str) -> None:
        severity = Severity.ERROR if self._whole else Severity.INFO
        self._add(severity, "CONSENT_UNREGISTERED", f"consent {consent_id} is used before it is registered")

    def _standing_consent(self, kind: EntryType, members: Members) -> _Consent | None:
        """Return the consent an intent or release rests on, after checking that it stands."""
        if "consent" not in members:
            return None
        consent_id = members["consent"]["id"]
        if consent_id not in self._consents:
            self._unseen(consent_id)
        consent = self._consents.setdefault(consent_id, _Consent())
        self._same_artefact(consent, members)
        if consent.state in BLOCKING:
            self._error(f"{kind}_AFTER_{consent.state}", f"consent {consent_id}")
        elif consent.standing:
            self._error(f"{kind}_UNDER_HOLD", f"consent {consent_id}, hold or freeze {min(consent.standing)}")
        if consent.exp is not None and _time(members["ts"]) >= consent.exp:
            self._error(f"{kind}_AFTER_EXP", f"consent {consent_id}")
        return consent

    # Intents and their closings

    def _intent(self, members: Members) -> None:
        consent = self._standing_consent(EntryType.QUERY_INTENT, members)
        intent, key = members["intent"], _intent_key(members)
        if key in self._intents:
            self._error("INTENT_TWICE", f"intent {key[1]}/{key[2]} of {key[0]}")
            return
        if key[2] > 1 and (key[0], key[1], key[2] - 1) not in self._intents and self._whole:
            self._error("ATTEMPT_GAP", f"intent {key[1]}/{key[2]} of {key[0]} without the attempt before")
        record = _Intent(
            leaf_index=self._at,
            consent_id=members["consent"]["id"] if consent else None,
            uses=intent["uses"],
            window=_window(consent.usage, _time(members["ts"])) if consent else (),
            expires_at=_time(intent["expires_at"]),
        )
        self._intents[key] = record
        if consent is not None:
            self._spend(consent, record, members["consent"])

    def _spend(self, consent: _Consent, intent: _Intent, named: Members) -> None:
        use = named.get("use")
        if intent.uses and use is None:
            self._error("USE_UNNUMBERED", f"consent {intent.consent_id}: an intent spends a use without its ordinal")
        if use is not None:
            expected = (consent.use or 0) + 1
            if use != expected and (consent.use is not None or consent.is_registered):
                self._error("USE_GAP", f"consent {intent.consent_id}: use {use} where {expected} is due")
            consent.use = use
        consent.spent += intent.uses
        consent.counted[intent.window] += intent.uses
        limit, frequency = consent.usage.get("max_uses"), consent.usage.get("frequency")
        if limit is not None and consent.spent > limit:
            self._error("OVERSPENT", f"consent {intent.consent_id}: {consent.spent} of {limit} uses")
        if frequency and consent.counted[intent.window] > frequency["n"]:
            spent = f"{consent.counted[intent.window]} of {frequency['n']} a {frequency['per']}"
            self._error("WINDOW_OVERSPENT", f"consent {intent.consent_id}: {spent}")

    def _closing(self, kind: EntryType, members: Members) -> None:
        key = _intent_key(members)
        name = f"intent {key[1]}/{key[2]} of {key[0]}"
        if kind is EntryType.RELEASE:
            self._standing_consent(kind, members)
        intent = self._intents.get(key)
        if intent is None:
            self._add(Severity.ERROR if self._whole else Severity.INFO, "CLOSING_WITHOUT_INTENT", f"{kind} of {name}")
            return
        if intent.closed_by is not None:
            self._error("CLOSED_TWICE", f"{name}: {kind}, closed before by leaf {intent.closed_by}")
            return
        intent.closed_by = self._at
        if members.get("consent", {}).get("id") != intent.consent_id:
            self._error("CONSENT_DIFFERS", f"{name}: {kind} rests on another consent than the intent")
        if _time(members["ts"]) > intent.expires_at + CLOSING_GRACE:
            # An outage makes other closings late; data released late had no permit any more.
            late = Severity.ERROR if kind is EntryType.RELEASE else Severity.WARNING
            self._add(late, "CLOSED_LATE", f"{name}: {kind} after {intent.expires_at.isoformat()} and grace")

    def _refund(self, members: Members) -> None:
        key = _intent_key(members)
        name = f"intent {key[1]}/{key[2]} of {key[0]}"
        intent = self._intents.get(key)
        if intent is None:
            self._add(Severity.ERROR if self._whole else Severity.INFO, "REFUND_WITHOUT_INTENT", name)
            return
        if intent.is_refunded or not intent.uses or members["consent"]["id"] != intent.consent_id:
            self._error("REFUND_WRONG", f"{name} had no use left to give back")
            return
        intent.is_refunded = True
        consent = self._consents[members["consent"]["id"]]
        consent.spent -= intent.uses
        consent.counted[intent.window] -= intent.uses

    # Tallies

    def _tally(self, tally: Members) -> None:
        """Compare a tally with the entries since the institution's last one; later ones stay for the next."""
        name, begin, end = tally["institution"], tally["from_index"], tally["to_index"]
        own = self._own.get(name, [])
        counted = sum(begin <= index < end for index in own)
        self._own[name] = [index for index in own if index >= end]
        due = self._tallied.get(name, 0 if self._whole else None)
        self._tallied[name] = end
        if due is None:
            return
        if begin != due:
            self._error("TALLY_GAP", f"tally of {name} from {begin} where {due} is due")
        if counted != tally["count"]:
            self._error(
                "TALLY_DIFFERS", f"{counted} entries of {name} from {begin} to {end}, its tally says {tally['count']}"
            )

    # Holds and freezes

    def _hold(self, members: Members) -> None:
        touched = set(members["affects"].get("consents", ()))
        self._holds.setdefault(members["entry_id"], set()).update(touched)
        for consent_id in touched:
            self._consents.setdefault(consent_id, _Consent()).standing.add(members["entry_id"])

    def _lift(self, members: Members) -> None:
        if members["lifts"] not in self._holds and self._whole:
            self._error("LIFT_WITHOUT_HOLD", f"no hold or freeze {members['lifts']} stands")
        for consent_id in self._holds.pop(members["lifts"], ()):
            self._consents[consent_id].standing.discard(members["lifts"])

    def _error(self, code: str, message: str) -> None:
        self._add(Severity.ERROR, code, message)

    def _add(self, severity: Severity, code: str, message: str) -> None:
        self._found.append(Finding(severity=severity, code=code, message=message, leaf_index=self._at))


def _intent_key(members: Members) -> IntentKey:
    return members["requester"]["institution"], members["intent"]["request"], members["intent"]["attempt"]


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment


def _kind_of_window(usage: Members) -> tuple[str, str]:
    return (usage.get("frequency") or {}).get("per", ""), usage.get("tz") or _DEFAULT_ZONE


def _window(usage: Members, moment: datetime) -> tuple[int, ...]:
    """Name the calendar window ``moment`` counts in: local day, ISO week (from Monday) or month; () without a limit."""
    frequency = usage.get("frequency")
    if not frequency:
        return ()
    local = moment.astimezone(ZoneInfo(usage.get("tz") or _DEFAULT_ZONE)).date()
    match frequency["per"]:
        case "DAY":
            return local.year, local.month, local.day
        case "WEEK":
            return local.isocalendar()[:2]
        case "MONTH":
            return local.year, local.month
        case _:
            raise ValueError("unknown window")
