"""One record out of several claims about one fact: which value is shown, and what the others said.

The order of claims is total: home region for registration facts, then latest as-of that is not in the future, then
quality, platform, moment of fetching, content.

Values of the first claim are shown; a field it left unset is filled from the next claim that has it, and says so,
unless the two do not describe the same thing (another currency, scale or status).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from google.protobuf.message import Message

from bashu.v1.report_pb2 import Conflict, ConflictingValue, CreditRecord
from standards.answer import Mark, body_of
from standards.items import DataItem
from standards.matching import Claim, Fact, amount_key, field_key

HOME_MAY_LAG: Final = timedelta(days=30)
"""Standard, "Merging": the home region wins unless its as-of is more than 30 days older."""
NEVER_FILLED: Final = frozenset({"removed_on", "closed_on", "cleared_on", "released_on"})
"""Unset says something here (still listed, still open), so silence and a day contradict each other."""
NOT_COMPARED: Final = frozenset({"remark", "source_unit", "source_unit_uscc"})
"""Each platform's own words about itself."""
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
_FAR_AHEAD: Final = datetime(9999, 12, 31, tzinfo=UTC)


class ChoiceRule(StrEnum):
    """Why the shown value was chosen; text of ``Conflict.rule``."""

    HOME_REGION = "HOME_REGION"
    LATEST_AS_OF = "LATEST_AS_OF"
    PLATFORM_ORDER = "PLATFORM_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The record of one fact and its conflicts; ``marks`` are those of every claim, REPAIRED too."""

    record: CreditRecord
    conflicts: tuple[Conflict, ...]
    marks: frozenset[str]


def choose(item: DataItem, fact: Fact, *, home_region: str | None) -> Chosen:
    """Merge the claims about one fact. ``home_region`` None: no home region, the latest as-of wins."""
    claims, is_home_choice = ranked(item, fact.claims, home_region)
    record = CreditRecord()
    record.CopyFrom(claims[0].record)
    differ = any(claim.body != claims[0].body for claim in claims)
    filled, conflicts = _combine(item, body_of(record), claims) if differ else ({}, [])
    for owner, conflict in conflicts:
        conflict.record_id = fact.record_id
        conflict.data_item = item.item_id
        conflict.rule = _rule(owner, claims, is_home_choice=is_home_choice)
    _label(record, item, fact, claims, filled)
    return Chosen(
        record=record,
        conflicts=tuple(sorted((conflict for _, conflict in conflicts), key=lambda conflict: conflict.field)),
        marks=frozenset(mark for claim in claims for mark in claim.record.marks),
    )


def ranked(item: DataItem, claims: Sequence[Claim], home_region: str | None) -> tuple[list[Claim], bool]:
    """Order claims, the chosen one first, and tell whether the home region's rule chose it."""
    order = sorted(claims, key=_rank)
    home = next((claim for claim in order if claim.region == home_region), None)
    if home is None or not item.is_registration_fact:
        return order, False
    newest = order[0].fresh_as_of
    if newest is not None and home.fresh_as_of is not None and newest - home.fresh_as_of > HOME_MAY_LAG:
        return order, False
    return [home, *(claim for claim in order if claim is not home)], True


def _rank(claim: Claim) -> tuple[timedelta, int, str, timedelta, str, bytes]:
    age = _FAR_AHEAD - (claim.fresh_as_of or _LONG_AGO)
    fetched = _FAR_AHEAD - (claim.fetched_at or _LONG_AGO)
    return age, claim.quality, claim.platform_id, fetched, claim.source_id, claim.content


def _combine(
    item: DataItem, shown: Message, claims: Sequence[Claim]
) -> tuple[dict[str, Claim], list[tuple[Claim, Conflict]]]:
    """Fill ``shown`` from later claims; return which claim filled which field, and each conflict with its winner."""
    filled: dict[str, Claim] = {}
    conflicts: list[tuple[Claim, Conflict]] = []
    anchors = set(item.anchors.values())
    # Anchors first: whether an amount fits is known only once its currency is.
    set_somewhere = {field.name for claim in claims for field, _ in claim.body.ListFields()}
    for name in sorted(set_somewhere, key=lambda name: (name not in anchors, name)):
        owner = _fill(item, shown, name, claims)
        if owner is not claims[0]:
            filled[name] = owner
        conflict = _conflict(item, name, owner, claims)
        if conflict is not None:
            conflicts.append((owner, conflict))
    return filled, conflicts


def _fill(item: DataItem, shown: Message, name: str, claims: Sequence[Claim]) -> Claim:
    """Fill an unset field of ``shown`` where that is safe; return the claim whose value is shown."""
    if shown.HasField(name) or name in NEVER_FILLED:
        return claims[0]
    for claim in claims[1:]:
        if claim.body.HasField(name) and _fits(item, shown, claim.body, name):
            setattr(shown, name, getattr(claim.body, name))
            return claim
    return claims[0]


def _fits(item: DataItem, shown: Message, other: Message, name: str) -> bool:
    known = shown.DESCRIPTOR.fields_by_name
    dependents = (field for field, anchor in item.anchors.items() if anchor == name and field in known)
    if any(shown.HasField(field) for field in dependents):
        return False
    anchor = item.anchors.get(name)
    return anchor is None or field_key(shown, anchor) == field_key(other, anchor)


def _conflict(item: DataItem, name: str, owner: Claim, claims: Sequence[Claim]) -> Conflict | None:
    if name in NOT_COMPARED:
        return None
    if all(claim.body.HasField(name) and getattr(claim.body, name) == getattr(owner.body, name) for claim in claims):
        return None
    shown = _comparable(item, owner.body, name)
    others = [claim for claim in claims if claim is not owner and _differs(item, shown, claim.body, name)]
    return Conflict(field=name, values=[_side(claim, name) for claim in (owner, *others)]) if others else None


def _differs(item: DataItem, shown: str | Decimal | None, body: Message, name: str) -> bool:
    other = _comparable(item, body, name)
    if other is None:
        return shown is not None and name in NEVER_FILLED
    return other != shown


def _comparable(item: DataItem, body: Message, name: str) -> str | Decimal | None:
    text = field_key(body, name)
    return text if text is None or name not in item.decimal_fields else amount_key(text)


def _side(claim: Claim, name: str) -> ConflictingValue:
    value = getattr(claim.body, name) if claim.body.HasField(name) else ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    side = ConflictingValue(value=text, source_id=claim.source_id, platform_id=claim.platform_id)
    if claim.as_of is not None:
        side.as_of.FromDatetime(claim.as_of)
    return side


def _rule(owner: Claim, claims: Sequence[Claim], *, is_home_choice: bool) -> ChoiceRule:
    if is_home_choice and owner is claims[0]:
        return ChoiceRule.HOME_REGION
    rest = [claim.fresh_as_of or _LONG_AGO for claim in claims if claim is not owner]
    return ChoiceRule.LATEST_AS_OF if (owner.fresh_as_of or _LONG_AGO) > max(rest) else ChoiceRule.PLATFORM_ORDER


def _label(
    record: CreditRecord, item: DataItem, fact: Fact, claims: Sequence[Claim], filled: Mapping[str, Claim]
) -> None:
    record.record_id = fact.record_id
    record.data_item = item.item_id
    record.source_ids[:] = list(dict.fromkeys(claim.source_id for claim in claims))
    marks = set(claims[0].record.marks) - {Mark.REPAIRED.value}
    if any(claim.as_of is not claim.fresh_as_of for claim in claims):
        marks.add(Mark.AS_OF_IN_FUTURE.value)
    record.marks[:] = sorted(marks)
    quality = {*claims[0].record.field_quality}
    for name, claim in filled.items():
        quality.update(entry for entry in claim.record.field_quality if entry.partition("=")[0] == name)
    record.field_quality[:] = sorted(quality)
    record.field_sources[:] = sorted(f"{name}={claim.source_id}" for name, claim in filled.items())
