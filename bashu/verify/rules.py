"""The log's own rules, computed from its entries in their order: who may release, how often, and nothing left out.

Written from the ledger's page alone, so that the gateway's own check and this one can catch each other's mistakes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from bashu.verify.note import instant
from bashu.verify.strict import VerificationError

CLOSING_GRACE: Final = timedelta(seconds=5)
STOPPED: Final = ("REVOKED", "HELD", "PAUSED", "SUPERSEDED", "EXPIRED")
"""Consent states in which nothing is admitted or released."""
NEEDS_BEGINNING: Final = frozenset(
    {
        "TALLY_WRONG",
        "CONSENT_UNREGISTERED",
        "CLOSING_WITHOUT_INTENT",
        "REFUND_WITHOUT_INTENT",
        "LIFT_WITHOUT_HOLD",
        "ATTEMPT_GAP",
    }
)
"""Findings that mean nothing where the entries before the first one are not at hand."""
NEEDS_EVERYTHING: Final = frozenset(
    {"LIFT_WITHOUT_HOLD", "QUERY_INTENT_UNDER_OLD_HOLD", "RELEASE_UNDER_OLD_HOLD", "SUPERSEDES_UNKNOWN"}
)
"""Findings that mean nothing in a filtered export: a hold older than the consent, its end, or the consent that this one
supersedes may not be in it."""
_TYPES: Final = (
    "CONSENT_REGISTERED CONSENT_STATUS QUERY_INTENT QUERY_DENIED RELEASE RELEASE_WITHHELD FAILED ABANDONED "
    "USE_REFUNDED LOAN_EVENT NOTICE_REGISTERED HOLD_PLACED HOLD_LIFTED FILE_FROZEN FILE_THAWED "
    "DISPUTE_OPENED DISPUTE_UPDATED REVIEW_VIEW EXPORT UNMASK PRESERVATION ERASURE RECONCILIATION "
    "POLICY_CHANGE KEY_EVENT PARTICIPANT_EVENT PLATFORM_EVENT CLOCK_ANOMALY TALLY"
)
TYPES: Final = frozenset(_TYPES.split())
_ENTRY_VERSION: Final = 1
_BEIJING: Final = "Asia/Shanghai"

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not hold. ``line`` counts from 1; None where nothing in the file can be pointed at."""

    code: str
    message: str
    is_error: bool = True
    leaf_index: int | None = None
    line: int | None = None

    def text(self) -> str:
        """Return the finding as one line."""
        places = [("line", self.line), ("leaf", self.leaf_index)]
        where = " ".join(f"{name} {value}" for name, value in places if value is not None)
        return f"{'ERROR' if self.is_error else 'WARNING'} {where or '-'} {self.code}: {self.message}"


@dataclass(slots=True)
class _Consent:
    is_registered: bool = False
    artefact: str | None = None
    revision: int = 0
    event: str | None = None
    state: str = "ACTIVE"
    holds: set[str] = field(default_factory=set)
    exp: datetime | None = None
    usage: Entry = field(default_factory=dict)
    use: int | None = None
    spent: int = 0
    windows: Counter[object] = field(default_factory=Counter)
    is_replaced: bool = False
    last_use_at: datetime | None = None


@dataclass(slots=True)
class _Intent:
    leaf_index: int
    consent_id: str | None
    uses: int
    window: object
    expires_at: datetime
    closed_at: int | None = None
    was_refunded: bool = False


class LogRules:
    """Takes entries in ledger order; keeps one record a consent, an intent and an entry id."""

    def __init__(self, *, origin: str) -> None:
        self._origin = origin
        self._consents: dict[str, _Consent] = {}
        self._intents: dict[tuple[str, str, int], _Intent] = {}
        self._holds: dict[str, set[str]] = {}
        self._placed: set[str] = set()
        self._since_tally: dict[str, list[int]] = {}
        self._tally_ends: dict[str, int] = {}
        self._ids: set[str] = set()
        self._latest: datetime | None = None
        self._found: list[Finding] = []
        self._leaf = 0
        self._hash = b""
        self._rules: dict[str, Callable[[Entry], None]] = {
            "CONSENT_REGISTERED": self._registered,
            "CONSENT_STATUS": self._status,
            "QUERY_INTENT": self._intent,
            "USE_REFUNDED": self._refund,
            "TALLY": self._tally,
            **dict.fromkeys(("RELEASE", "RELEASE_WITHHELD", "FAILED", "ABANDONED"), self._closing),
            **dict.fromkeys(("HOLD_PLACED", "FILE_FROZEN"), self._hold),
            **dict.fromkeys(("HOLD_LIFTED", "FILE_THAWED"), self._lift),
        }

    def take(self, leaf_index: int, leaf_hash: bytes, entry: Entry) -> list[Finding]:
        """Check the next entry; return what it broke."""
        self._found, self._leaf, self._hash = [], leaf_index, leaf_hash
        try:
            self._form(entry)
            whose = _at(entry, ("requester", "institution"))
            if isinstance(whose, str) and entry["type"] != "TALLY":
                self._since_tally.setdefault(whose, []).append(leaf_index)
            self._rules.get(entry["type"], _nothing)(entry)
        except VerificationError as error:
            self._say("MALFORMED_ENTRY", str(error))
        return self._found

    def end(self, now: datetime | None = None) -> list[Finding]:
        """Return the intents that should have been closed by ``now`` (None: the latest time in the log)."""
        moment = now or self._latest
        self._found = []
        for key, intent in self._intents.items():
            if intent.closed_at is None and moment is not None and moment > intent.expires_at + CLOSING_GRACE:
                self._leaf = intent.leaf_index
                self._say("INTENT_NOT_CLOSED", f"{_name(key)} has no closing")
        return self._found

    @property
    def open_intents(self) -> int:
        """How many intents have no closing yet."""
        return sum(intent.closed_at is None for intent in self._intents.values())

    def _form(self, entry: Entry) -> None:
        if entry.get("v") != _ENTRY_VERSION or entry.get("type") not in TYPES:
            raise VerificationError("its version or type is not known")
        if entry.get("origin") != self._origin:
            self._say("FOREIGN_ENTRY", f"its origin is not {self._origin}")
        entry_id, moment = _text(entry, "entry_id"), instant(entry.get("ts"), "ts")
        if entry_id in self._ids:
            self._say("ENTRY_TWICE", f"entry {entry_id} was there before")
        self._ids.add(entry_id)
        self._latest = moment if self._latest is None else max(self._latest, moment)

    def _tally(self, entry: Entry) -> None:
        """An institution's tallies follow each other without a gap and count its own entries, tallies left out."""
        whose = _text(entry, "tally", "institution")
        begin, end, count = (_number(entry, "tally", name) for name in ("from_index", "to_index", "count"))
        places = self._since_tally.get(whose, [])
        found = len([place for place in places if begin <= place < end])
        if begin != self._tally_ends.get(whose, 0) or found != count or end > self._leaf:
            self._say("TALLY_WRONG", f"{count} entries of {whose} from {begin} to {end}: {found} are here")
        self._tally_ends[whose] = end
        self._since_tally[whose] = [place for place in places if place >= end]

    # A consent's events

    def _registered(self, entry: Entry) -> None:
        consent_id = _text(entry, "consent", "id")
        consent = self._consents.setdefault(consent_id, _Consent())
        if consent.is_registered:
            self._say("REGISTERED_TWICE", f"consent {consent_id}")
        consent.is_registered = True
        consent.usage = _object(entry, "usage")
        consent.exp = instant(_text(entry, "window", "exp"), "window.exp")
        if "supersedes" in entry:
            self._inherit(consent, entry)
        for hold in _texts(entry.get("standing", []), "standing"):
            consent.holds.add(hold)
            self._holds.setdefault(hold, set()).add(consent_id)
        self._chained(consent, entry)

    def _inherit(self, consent: _Consent, entry: Entry) -> None:
        """Uses carry over: all that the superseded consent has spent, in each window too where windows are alike."""
        uses, parent_id = _number(entry, "supersedes", "uses"), _text(entry, "supersedes", "consent_id")
        consent.spent += uses
        parent = self._consents.get(parent_id)
        if parent is None or not parent.is_registered:
            self._say("SUPERSEDES_UNKNOWN", f"consent {parent_id} was not registered before")
            return
        if parent.state != "SUPERSEDED" or parent.is_replaced:
            self._say("SUPERSEDES_WRONG", f"consent {parent_id} was not ended for this one alone")
        parent.is_replaced = True
        if parent.artefact != _text(entry, "supersedes", "artefact_hash"):
            self._say("SUPERSEDES_WRONG", f"consent {parent_id} has another artefact hash")
        if parent.spent != uses:
            self._say("CARRIED_WRONG", f"consent {parent_id} spent {parent.spent} uses, {uses} carry over")
        if _windows(parent.usage) == _windows(consent.usage):
            consent.windows.update(parent.windows)
        consent.last_use_at = parent.last_use_at

    def _status(self, entry: Entry) -> None:
        consent = self._known(_text(entry, "consent", "id"))
        self._chained(consent, entry)
        consent.state = _text(entry, "status", "to")

    def _chained(self, consent: _Consent, entry: Entry) -> None:
        self._same_artefact(consent, entry)
        consent_id, revision = _text(entry, "consent", "id"), _number(entry, "consent", "revision")
        if consent.revision or consent.is_registered:
            if revision != consent.revision + 1:
                self._say("REVISION_GAP", f"consent {consent_id}: {revision} where {consent.revision + 1} is due")
            if _object(entry, "consent").get("previous") != consent.event:
                self._say("CHAIN_BROKEN", f"consent {consent_id}: revision {revision} names another event before it")
        consent.revision, consent.event = revision, self._hash.hex()

    def _same_artefact(self, consent: _Consent, entry: Entry) -> None:
        given = _object(entry, "consent").get("artefact_hash")
        if given is not None and consent.artefact not in {None, given}:
            self._say("ARTEFACT_CHANGED", f"consent {_text(entry, 'consent', 'id')} has another artefact hash")
        consent.artefact = consent.artefact or given

    def _known(self, consent_id: str) -> _Consent:
        if consent_id not in self._consents:
            self._say("CONSENT_UNREGISTERED", f"consent {consent_id} was not registered before")
        return self._consents.setdefault(consent_id, _Consent())

    def _must_stand(self, entry: Entry) -> _Consent | None:
        """Return the consent that an intent or a release rests on; None where it needs none."""
        if "consent" not in entry:
            return None
        kind, consent_id = entry["type"], _text(entry, "consent", "id")
        consent = self._known(consent_id)
        self._same_artefact(consent, entry)
        if consent.state in STOPPED:
            self._say(f"{kind}_AFTER_{consent.state}", f"consent {consent_id}")
        elif consent.holds:
            placed = consent.holds & self._placed
            code = "UNDER_HOLD" if placed else "UNDER_OLD_HOLD"
            self._say(f"{kind}_{code}", f"consent {consent_id}, held by {min(placed or consent.holds)}")
        if consent.exp is not None and instant(entry["ts"], "ts") >= consent.exp:
            self._say(f"{kind}_AFTER_EXP", f"consent {consent_id}")
        return consent

    # Intents, closings, refunds

    def _intent(self, entry: Entry) -> None:
        key, consent = _key(entry), self._must_stand(entry)
        if key in self._intents:
            self._say("INTENT_TWICE", _name(key))
            return
        if key[2] > 1 and (*key[:2], key[2] - 1) not in self._intents:
            self._say("ATTEMPT_GAP", f"{_name(key)} without the attempt before it")
        intent = _Intent(
            leaf_index=self._leaf,
            consent_id=None if consent is None else _text(entry, "consent", "id"),
            uses=_number(entry, "intent", "uses"),
            window=None if consent is None else _window(consent.usage, instant(entry["ts"], "ts")),
            expires_at=instant(_text(entry, "intent", "expires_at"), "intent.expires_at"),
        )
        self._intents[key] = intent
        if consent is not None:
            self._count(consent, intent, _object(entry, "consent").get("use"))
        if consent is not None and intent.uses:
            self._spaced(consent, intent, instant(entry["ts"], "ts"))

    def _count(self, consent: _Consent, intent: _Intent, use: object) -> None:
        name = f"consent {intent.consent_id}"
        if use is not None:
            due = (consent.use or 0) + 1
            if use != due and (consent.use is not None or consent.is_registered):
                self._say("USE_GAP", f"{name}: use {use} where {due} is due")
            consent.use = use if isinstance(use, int) else due
        elif intent.uses:
            self._say("USE_UNNUMBERED", f"{name}: a use without its ordinal")
        consent.spent += intent.uses
        consent.windows[intent.window] += intent.uses
        most, frequency = consent.usage.get("max_uses"), consent.usage.get("frequency")
        if isinstance(most, int) and consent.spent > most:
            self._say("OVERSPENT", f"{name}: {consent.spent} of {most} uses")
        if frequency and consent.windows[intent.window] > _number(consent.usage, "frequency", "n"):
            self._say("WINDOW_OVERSPENT", f"{name}: {consent.windows[intent.window]} uses in one window")

    def _spaced(self, consent: _Consent, intent: _Intent, moment: datetime) -> None:
        """Uses are as far apart as the artefact wants, one that was given back too."""
        apart, before = consent.usage.get("min_interval_s"), consent.last_use_at
        if isinstance(apart, int) and before is not None and moment < before + timedelta(seconds=apart):
            self._say("USES_TOO_CLOSE", f"consent {intent.consent_id}: uses less than {apart} s apart")
        consent.last_use_at = moment

    def _closing(self, entry: Entry) -> None:
        key, kind = _key(entry), entry["type"]
        if kind == "RELEASE":
            self._must_stand(entry)
            _text(entry, "report_digest")
        intent = self._intents.get(key)
        if intent is None:
            self._say("CLOSING_WITHOUT_INTENT", f"{kind} of {_name(key)}")
            return
        if intent.closed_at is not None:
            self._say("CLOSED_TWICE", f"{_name(key)}: {kind}, closed before by leaf {intent.closed_at}")
            return
        intent.closed_at = self._leaf
        if (_text(entry, "consent", "id") if "consent" in entry else None) != intent.consent_id:
            self._say("CONSENT_DIFFERS", f"{kind} of {_name(key)} rests on another consent than the intent")
        if instant(entry["ts"], "ts") > intent.expires_at + CLOSING_GRACE:
            # What an outage delayed is late and harmless; data that left late had no permit any more.
            self._say("CLOSED_LATE", f"{kind} of {_name(key)}", is_error=kind == "RELEASE")

    def _refund(self, entry: Entry) -> None:
        key = _key(entry)
        intent = self._intents.get(key)
        if intent is None:
            self._say("REFUND_WITHOUT_INTENT", _name(key))
        elif intent.was_refunded or not intent.uses or intent.consent_id != _text(entry, "consent", "id"):
            self._say("REFUND_WRONG", f"{_name(key)} had no use to give back")
        else:
            intent.was_refunded = True
            consent = self._consents[intent.consent_id]
            consent.spent -= intent.uses
            consent.windows[intent.window] -= intent.uses

    # Holds and freezes on subjects

    def _hold(self, entry: Entry) -> None:
        hold = entry["entry_id"]
        self._placed.add(hold)
        touched = self._holds.setdefault(hold, set())
        for consent_id in _texts(_object(entry, "affects").get("consents", []), "affects.consents"):
            touched.add(consent_id)
            self._consents.setdefault(consent_id, _Consent()).holds.add(hold)

    def _lift(self, entry: Entry) -> None:
        hold = _text(entry, "lifts")
        if hold not in self._holds:
            self._say("LIFT_WITHOUT_HOLD", f"no hold or freeze {hold} stands")
        for consent_id in self._holds.pop(hold, ()):
            self._consents[consent_id].holds.discard(hold)

    def _say(self, code: str, message: str, *, is_error: bool = True) -> None:
        self._found.append(Finding(code=code, message=message, is_error=is_error, leaf_index=self._leaf))


def _nothing(_: Entry) -> None:
    """No rule speaks about entries of this type."""


def _key(entry: Entry) -> tuple[str, str, int]:
    return _text(entry, "requester", "institution"), _text(entry, "intent", "request"), _number(entry, *_ATTEMPT)


_ATTEMPT: Final = ("intent", "attempt")


def _name(key: tuple[str, str, int]) -> str:
    return f"intent {key[1]}/{key[2]} of {key[0]}"


def _window(usage: Entry, moment: datetime) -> object:
    """Name the calendar window of ``moment`` in the consent's own zone; weeks begin on Monday; None without a limit."""
    if not usage.get("frequency"):
        return None
    try:
        day = moment.astimezone(ZoneInfo(str(usage.get("tz") or _BEIJING))).date()
    except (KeyError, ValueError, OSError) as error:
        raise VerificationError("usage.tz: no such time zone") from error
    match _text(usage, "frequency", "per"):
        case "DAY":
            return day
        case "WEEK":
            return day - timedelta(days=day.weekday())
        case "MONTH":
            return day.replace(day=1)
        case other:
            raise VerificationError(f"usage.frequency.per: {other} is no window")


def _windows(usage: Entry) -> tuple[object, object]:
    """Tell which windows a usage counts in: two of one kind count the same."""
    return _at(usage, ("frequency", "per")), usage.get("tz") or _BEIJING


def _at(entry: Entry, path: tuple[str, ...]) -> object:
    value: object = entry
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(entry: Entry, *path: str) -> str:
    value = _at(entry, path)
    if not isinstance(value, str):
        raise VerificationError(f"{'.'.join(path)}: text expected")
    return value


def _number(entry: Entry, *path: str) -> int:
    value = _at(entry, path)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise VerificationError(f"{'.'.join(path)}: a number from 0 up expected")
    return value


def _object(entry: Entry, *path: str) -> Entry:
    value = _at(entry, path)
    if not isinstance(value, Mapping):
        raise VerificationError(f"{'.'.join(path)}: an object expected")
    return value


def _texts(value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise VerificationError(f"{what}: a list of texts expected")
    return value
