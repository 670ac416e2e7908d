"""The consent artefact (授权凭证), ``bashu-consent/1``: from a strict JWS to a frozen value.

Everything that can be told from one artefact alone is checked here; signature, audience and authority are
``registration.py``'s. Every refusal is ARTEFACT_MALFORMED and names its field.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from consent.fields import Fields, refuse
from consent.policy import WORKING_TERMS, Terms
from core.errors import BashuError, Reason
from core.jws import JwsMalformed, StrictJws, parse_compact
from core.permit import SubjectKind
from standards.items import ItemDictionary
from standards.purposes import Purposes, Reference

ARTEFACT_TYPE: Final = "bashu-consent+jws"
SCHEMA: Final = "bashu-consent/1"
MAX_AFTER_CLOSING_DAYS: Final = 90
"""Longest time a consent may outlast its loan."""
MAX_LOOKBACK_DAYS: Final = 36_500
MAX_PROVIDERS: Final = 32
IRREVOCABLE: Final = "不可撤销"
"""Wording that no person's consent may hold: the right to withdraw cannot be waived (PIPL Art. 15; rule R15)."""
_PLATFORM_ID: Final = re.compile(r"(?!.*[0-9]{6})[a-z][a-z0-9_-]{0,63}")
"""Platforms are named in the consent's leaf, which no identifier may enter."""
_PERSON_ID: Final = "citizen_id"
_ENTERPRISE_ID: Final = "uscc"


class Act(StrEnum):
    """What the lender may do with what it gets; real letters carry the reporting term apart."""

    QUERY = "QUERY"
    EVALUATE = "EVALUATE"
    COUNT_ENQUIRIES = "COUNT_ENQUIRIES"
    REPORT_BACK = "REPORT_BACK"


class Necessity(StrEnum):
    """Whether the borrower could leave an item out (PIPL Art. 16)."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class UsageMode(StrEnum):
    """One use, or several in calendar windows."""

    ONE_TIME = "ONE_TIME"
    PERIODIC = "PERIODIC"


class Period(StrEnum):
    """A calendar window: local day, ISO week from Monday, or month."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class OnExpiry(StrEnum):
    """What the lender does with what it got when the consent ends."""

    DELETE = "DELETE"
    RESTRICT = "RESTRICT"


class Form(StrEnum):
    """How the borrower's decision was captured."""

    PAPER_SEAL = "PAPER_SEAL"
    E_SIGNATURE = "E_SIGNATURE"
    PORTAL = "PORTAL"


class Assurance(StrEnum):
    """Who vouches for the capture."""

    LENDER_ATTESTED = "LENDER_ATTESTED"
    AUTHORITY_VERIFIED = "AUTHORITY_VERIFIED"
    CA_SIGNATURE = "CA_SIGNATURE"


class Mandate(StrEnum):
    """In what right the signatory acts for the subject."""

    SELF = "SELF"
    OWNER = "OWNER"
    LEGAL_REPRESENTATIVE = "LEGAL_REPRESENTATIVE"
    AGENT = "AGENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One platform that may answer; ``notice`` names the text shown for it."""

    region: str
    platform_id: str
    has_separate_consent: bool
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedSubject:
    """Whose information it is: a keyed commitment, never the identifier."""

    kind: SubjectKind
    id_type: str
    commitment: str
    commitment_kid: str
    display: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How often: ``max_uses`` in all, ``per_window`` in each calendar window of ``period`` in the zone ``tz``."""

    mode: UsageMode
    max_uses: int
    per_window: int | None
    period: Period | None
    min_interval_s: int
    tz: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersedes:
    """The consent this one replaces."""

    consent_id: UUID
    artefact_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A parsed artefact. ``nbf <= t < exp``; exactly one of ``lookback_days`` and ``lookback_range`` is set.

    ``ends_with_loan``: the consent ends ``plus_days`` after the closing of its loan, at ``exp`` at the latest.
    """

    consent_id: UUID
    issuer: str
    audience: tuple[str, ...]
    iat: datetime
    nbf: datetime
    exp: datetime
    ends_with_loan: bool
    plus_days: int
    supersedes: Supersedes | None
    subject: GrantedSubject
    institution: str
    providers: tuple[Provider, ...]
    purpose: str
    purpose_text_sha256: bytes
    legal_basis: str
    acts: frozenset[Act]
    items: Mapping[str, Necessity]
    lookback_days: int | None
    lookback_range: tuple[date, date] | None
    has_restricted_ack: bool
    usage: Usage
    retention_days: int
    on_expiry: OnExpiry
    onward: tuple[str, ...]
    notice_sha256: bytes
    form: Form
    assurance: Assurance
    mandate: Mandate
    evidence_sha256: bytes

    def provider(self, platform_id: str) -> Provider | None:
        """Return the grant for one platform, or None."""
        return next((provider for provider in self.providers if provider.platform_id == platform_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedArtefact:
    """The bytes as received, their SHA-256, the JWS in strict form and its meaning."""

    raw: bytes
    sha256: bytes
    jws: StrictJws
    artefact: Artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What an artefact may name: the standard's items and purposes, and the terms allowed for each purpose."""

    items: ItemDictionary
    purposes: Purposes
    terms: Terms = WORKING_TERMS


def parse_artefact(raw: bytes, vocabulary: Vocabulary) -> ParsedArtefact:
    """Read a compact JWS into an artefact; its signature is not checked here.

    Raises:
        BashuError: ARTEFACT_MALFORMED.
    """
    try:
        jws = parse_compact(raw, typ=ARTEFACT_TYPE)
    except JwsMalformed as error:
        raise BashuError(Reason.ARTEFACT_MALFORMED, f"artefact: {error}", field="artefact") from error
    artefact = read_payload(jws, vocabulary)
    return ParsedArtefact(raw=raw, sha256=hashlib.sha256(raw).digest(), jws=jws, artefact=artefact)


def read_payload(jws: StrictJws, vocabulary: Vocabulary) -> Artefact:
    """Read the payload of a strict JWS and check every rule that concerns this artefact alone."""
    top = Fields(jws.payload)
    top.exactly("schema", SCHEMA)
    ends_with_loan, plus_days = _term(top)
    lookback_days, lookback_range, items, ack = _data(top.inner("data"), vocabulary)
    purpose = _finish(top.inner("purpose"), lambda f: (f.token("code"), f.digest("text_sha256"), f.text("legal_basis")))
    notice_sha256 = _notice(top.inner("notice"))
    form, assurance, mandate, evidence = _capture(top.inner("capture"))
    retention_days, on_expiry, onward = _retention(top.inner("retention"))
    artefact = Artefact(
        consent_id=top.uuid7("consent_id"),
        issuer=top.token("iss"),
        audience=top.texts("aud", most=16),
        iat=top.moment("iat"),
        nbf=top.moment("nbf"),
        exp=top.moment("exp"),
        ends_with_loan=ends_with_loan,
        plus_days=plus_days,
        supersedes=_supersedes(top),
        subject=_subject(top.inner("subject")),
        institution=_finish(top.inner("requester"), lambda f: f.token("institution")),
        providers=_providers(top),
        purpose=purpose[0],
        purpose_text_sha256=purpose[1],
        legal_basis=purpose[2],
        acts=_acts(top),
        items=items,
        lookback_days=lookback_days,
        lookback_range=lookback_range,
        has_restricted_ack=ack,
        usage=_usage(top.inner("usage")),
        retention_days=retention_days,
        on_expiry=on_expiry,
        onward=onward,
        notice_sha256=notice_sha256,
        form=form,
        assurance=assurance,
        mandate=mandate,
        evidence_sha256=evidence,
    )
    top.done()
    _check_window(artefact)
    _check_purpose(artefact, vocabulary)
    _check_items(artefact, vocabulary)
    _check_person(artefact, vocabulary, jws.payload)
    return artefact


def _finish(fields: Fields, read: Any) -> Any:
    value = read(fields)
    fields.done()
    return value


def _term(top: Fields) -> tuple[bool, int]:
    """Return (ends with the loan, days it outlasts it); without a term ``exp`` alone ends the consent."""
    if not top.has("term"):
        return False, 0
    term = top.inner("term")
    term.exactly("until", "LOAN_CLOSED")
    days = term.integer("plus_days", most=MAX_AFTER_CLOSING_DAYS) if term.has("plus_days") else 0
    term.done()
    return True, days


def _supersedes(top: Fields) -> Supersedes | None:
    if not top.has("supersedes"):
        return None
    fields = top.inner("supersedes")
    value = Supersedes(consent_id=fields.uuid7("consent_id"), artefact_hash=fields.digest("artefact_hash"))
    fields.done()
    return value


def _subject(fields: Fields) -> GrantedSubject:
    subject = GrantedSubject(
        kind=fields.choice("kind", SubjectKind),
        id_type=fields.token("id_type"),
        commitment=fields.digest("commitment").hex(),
        commitment_kid=fields.token("commitment_kid"),
        display=fields.text("display", longest=200),
    )
    wanted = _PERSON_ID if subject.kind is SubjectKind.PERSON else _ENTERPRISE_ID
    if subject.id_type != wanted:
        refuse("subject.id_type", f"must be {wanted} for this kind of subject")
    fields.done()
    return subject


def _providers(top: Fields) -> tuple[Provider, ...]:
    providers = []
    for fields in top.each("providers", most=MAX_PROVIDERS):
        region = fields.text("region", longest=6)
        if len(region) != 6 or not (region.isascii() and region.isdigit()):  # noqa: PLR2004 - GB/T 2260
            refuse(fields.name("region"), "must be a GB/T 2260 code of six digits, never a wildcard")
        platform_id = fields.token("platform_id")
        if _PLATFORM_ID.fullmatch(platform_id) is None:
            refuse(fields.name("platform_id"), "must be the id of a platform, as the registry writes them")
        providers.append(
            Provider(
                region=region,
                platform_id=platform_id,
                has_separate_consent=fields.flag("separate_consent"),
                notice=fields.text("notice"),
            )
        )
    top.distinct("providers", [provider.platform_id for provider in providers])
    return tuple(providers)


def _acts(top: Fields) -> frozenset[Act]:
    named = top.texts("acts", most=len(Act))
    if not set(named) <= set(Act):
        refuse("acts", f"must be of {', '.join(Act)}")
    if Act.QUERY not in named:
        refuse("acts", "must hold QUERY")
    return frozenset(Act(name) for name in named)


def _data(
    fields: Fields, vocabulary: Vocabulary
) -> tuple[int | None, tuple[date, date] | None, dict[str, Necessity], bool]:
    items = {}
    for item in fields.each("items"):
        item_id = item.token("id")
        if not vocabulary.items.exists(item_id):
            refuse(item.name("id"), "must be a data item of the standard")
        if item_id in items:
            refuse(item.name("id"), "holds a value twice")
        items[item_id] = item.choice("necessity", Necessity)
    days: int | None = None
    span: tuple[date, date] | None = None
    if fields.has("lookback_days"):
        days = fields.integer("lookback_days", least=1, most=MAX_LOOKBACK_DAYS)
    if fields.has("from") or fields.has("to"):
        span = (fields.day("from"), fields.day("to"))
    if (days is None) is (span is None):
        refuse("data.lookback_days", "must stand alone, or from and to in its place")
    if span is not None and span[0] > span[1]:
        refuse("data.from", "must not be after data.to")
    ack = fields.flag("restricted_items_ack")
    fields.done()
    return days, span, items, ack


def _usage(fields: Fields) -> Usage:
    mode = fields.choice("mode", UsageMode)
    max_uses = fields.integer("max_uses", least=1, most=1_000_000)
    per_window: int | None = None
    period: Period | None = None
    if fields.has("frequency"):
        frequency = fields.inner("frequency")
        per_window, period = frequency.integer("n", least=1, most=1_000_000), frequency.choice("per", Period)
        frequency.done()
    elif mode is UsageMode.PERIODIC:
        refuse("usage.frequency", "is missing")
    if mode is UsageMode.ONE_TIME and max_uses != 1:
        refuse("usage.max_uses", "must be 1 for ONE_TIME")
    usage = Usage(
        mode=mode,
        max_uses=max_uses,
        per_window=per_window,
        period=period,
        min_interval_s=fields.integer("min_interval_s", most=366 * 86_400),
        tz=fields.text("tz", longest=64),
    )
    try:
        zone(usage.tz)
    except (ValueError, OSError):
        refuse("usage.tz", "must be a time zone of the IANA database")
    fields.done()
    return usage


def _retention(fields: Fields) -> tuple[int, OnExpiry, tuple[str, ...]]:
    days = fields.integer("days", most=MAX_LOOKBACK_DAYS)
    on_expiry = fields.choice("on_expiry", OnExpiry)
    onward = () if fields.value("onward") == "NONE" else fields.texts("onward", most=16)
    fields.done()
    return days, on_expiry, onward


def _notice(fields: Fields) -> bytes:
    for name in ("id", "version", "lang"):
        fields.text(name, longest=64)
    fields.moment("shown_at")
    digest = fields.digest("sha256")
    fields.done()
    return digest


def _capture(fields: Fields) -> tuple[Form, Assurance, Mandate, bytes]:
    signatory = fields.inner("signatory")
    mandate = signatory.choice("mandate", Mandate)
    signatory.text("act", longest=128)
    signatory.digest("mandate_evidence_sha256")
    signatory.done()
    form, assurance = fields.choice("form", Form), fields.choice("assurance", Assurance)
    evidence = fields.digest("evidence_sha256")
    fields.done()
    return form, assurance, mandate, evidence


def _check_window(artefact: Artefact) -> None:
    if artefact.nbf >= artefact.exp:
        refuse("exp", "must be after nbf")
    if artefact.iat >= artefact.exp:
        refuse("exp", "must be after iat")


def _check_purpose(artefact: Artefact, vocabulary: Vocabulary) -> None:
    purpose = vocabulary.purposes.get(artefact.purpose, on=artefact.iat.date())
    if purpose is None:
        refuse("purpose.code", "must be a purpose of the standard")
    if artefact.subject.kind not in purpose.subject_kinds:
        refuse("purpose.code", "is not offered for this kind of subject")
    if artefact.ends_with_loan and purpose.needs is not Reference.LOAN:
        refuse("term.until", "may be LOAN_CLOSED only for purposes that need a loan reference")
    limit = vocabulary.terms.of(purpose.needs)
    if artefact.exp - artefact.nbf > limit.longest:
        refuse("exp", f"must be within {limit.longest.days} days of nbf for this purpose")
    if artefact.usage.max_uses > limit.most_uses:
        refuse("usage.max_uses", f"must be at most {limit.most_uses} for this purpose")


def _check_items(artefact: Artefact, vocabulary: Vocabulary) -> None:
    for item_id in artefact.items:
        if not vocabulary.items.is_about(item_id, artefact.subject.kind):
            refuse("data.items", f"{item_id} does not exist for this kind of subject")


def _check_person(artefact: Artefact, vocabulary: Vocabulary, payload: object) -> None:
    if artefact.subject.kind is not SubjectKind.PERSON:
        return
    if any(IRREVOCABLE in text for text in _texts_of(payload)):
        refuse("artefact", f"must not say {IRREVOCABLE} about a person")
    if artefact.assurance is Assurance.LENDER_ATTESTED:
        for item_id in artefact.items:
            if vocabulary.items.is_restricted(item_id):
                refuse("capture.assurance", "must not be LENDER_ATTESTED for a person's restricted items")


def _texts_of(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for member in value.values():
                yield from _texts_of(member)
        case list():
            for member in value:
                yield from _texts_of(member)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return the time zone ``name``; raises ValueError or OSError for an unknown one."""
    try:
        return ZoneInfo(name)
    except KeyError as error:  # ZoneInfoNotFoundError
        raise ValueError("unknown time zone") from error
