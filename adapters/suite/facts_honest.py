"""Facts 1-24: what an adapter says of itself, of an honest platform, and whom it does not ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.message import Message

from adapters.kit.answering import COUNTERPARTY_FIELDS
from adapters.kit.checked import is_about
from adapters.suite.bench import Bench, FactFailed, NotApplicable, must, must_be, status_of_answer, statuses
from core.permit import Subject, SubjectKind
from standards.answer import ItemAnswer, Mark, body_of

_DIGEST_BYTES: Final = 32
_SUBJECT_FIELDS: Final = ("uscc", "party_uscc")
_FORMS: Final = {
    "decimal": re.compile(r"-?\d+(\.\d+)?"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "month": re.compile(r"\d{4}-\d{2}"),
}
_PERSONAL: Final = re.compile(r"(?<![0-9A-Z])(?:[1-6]\d{16}[0-9X]|1[3-9]\d{9})(?![0-9A-Z])")
"""A citizen's number (GB 11643) or a mobile telephone, standing alone."""


async def platform_is_the_configured_one(bench: Bench) -> None:
    """1 平台身份与配置一致。The adapter names the platform, region and agreement it was configured with."""
    platform, config = bench.adapter.platform, bench.plan.config
    same = (platform.platform_id, platform.region, platform.agreement_id, platform.pia_id)
    must(same == (config.platform_id, config.region, config.agreement_id, config.pia_id), "another platform is named")


async def items_are_of_the_standard(bench: Bench) -> None:
    """2 数据项属于统一标准。It declares at least one item, each an item of the standard with a message."""
    items = bench.adapter.platform.items
    must(bool(items), "no item is declared")
    rows = bench.plan.standard.items.rows
    strange = [item for item in items if item not in rows or not rows[item].is_typed]
    must(not strange, f"not of the standard: {', '.join(sorted(strange))}")


async def purposes_are_of_the_standard(bench: Bench) -> None:
    """3 用途属于统一标准。It declares its purposes, each a purpose of the standard with the platform's own code."""
    known = {purpose.purpose_id for purpose in bench.plan.standard.purposes.all()}
    purposes = bench.adapter.platform.purposes
    must(bool(purposes) and set(purposes) <= known and all(purposes.values()), "a purpose is unknown or has no code")


async def licence_is_named(bench: Bench) -> None:
    """4 许可或备案齐全。It names the platform's licence: kind, number and authority (rules R1, R4)."""
    licence = bench.adapter.platform.licence
    must(bool(licence.kind and licence.number and licence.authority), "a part of the licence is empty")


async def one_answer_an_item(bench: Bench) -> None:
    """5 每项恰有一个答复。One answer for each item, in the order of their ids."""
    await bench.ask()


async def subject_is_found(bench: Bench) -> None:
    """6 测试主体可查得。The test subject is found: at least one item has records."""
    must("OK" in statuses(bench.honest), f"saw {', '.join(sorted(statuses(bench.honest)))}")


async def honest_platform_answers_all(bench: Bench) -> None:
    """7 正常平台逐项答复。Every item of an honest platform is answered: found, nothing found, or pending."""
    must_be(bench.honest, "OK", "NO_DATA", "PENDING")


async def records_are_about_the_subject(bench: Bench) -> None:
    """8 记录均属本主体。Every record is about the subject; a branch's paper names the branch and is marked so."""
    for record in (record for answer in _answered(bench) for record in answer.records):
        must(is_about(record, bench.plan.subject.code), f"{record.WhichOneof('body')}: a record is another's")


async def provenance_is_whole(bench: Bench) -> None:
    """9 来源信息完整。Every answer names platform, region, mapping version and raw digest (R38)."""
    for answer in _answered(bench):
        platform = bench.adapter.platform
        named = (answer.platform_id, answer.region) == (platform.platform_id, platform.region)
        whole = named and answer.mapping_version and len(answer.raw_digest) == _DIGEST_BYTES
        must(bool(whole), f"{answer.item}: platform, region, mapping version or digest is missing")


async def times_are_told(bench: Bench) -> None:
    """10 取得时间与数据时点合理。Every answer says when it was fetched; what the data describe is not in the future."""
    soon = datetime.now(UTC) + timedelta(days=1)
    for answer in _answered(bench):
        must(answer.fetched_at is not None, f"{answer.item}: no fetched_at")
        must(answer.as_of is None or answer.as_of <= soon, f"{answer.item}: as-of lies in the future")


async def found_data_have_an_as_of(bench: Bench) -> None:
    """11 有数据必有数据时点。Records come with the day or moment that they describe (R37)."""
    without = [a.item for a in _answered(bench) if a.records and a.as_of is None]
    must(not without, f"no as-of: {', '.join(without)}")


async def the_same_question_has_the_same_records(bench: Bench) -> None:
    """12 同一问题记录一致。The same question asked twice brings the same records, byte by byte."""
    permit = bench.permit()
    first, second = await bench.ask(permit), await bench.ask(permit)
    other = [item for item in first if _bytes(first[item]) != _bytes(second[item])]
    must(not other, f"different: {', '.join(other)}")


async def no_number_of_a_person(bench: Bench) -> None:
    """13 无自然人号码。No field holds an identity number or a mobile telephone (条例 Art. 13)."""
    for _, body in _bodies(bench):
        for name, value in _texts(body):
            must(not _PERSONAL.search(value), f"{body.DESCRIPTOR.name}.{name} holds a number of a person")


async def forms_are_the_standards(bench: Bench) -> None:
    """14 金额日期格式合规。Every decimal, date and month has the standard's form."""
    for item, body in _bodies(bench):
        types = {field.field_id: field.type for field in bench.plan.standard.items.get(item).fields}
        for name, value in _texts(body):
            form = _FORMS.get(types.get(name, ""))
            must(form is None or form.fullmatch(value) is not None, f"{item}.{name} is no {types.get(name)}")


async def codes_are_known_or_marked(bench: Bench) -> None:
    """15 代码入表或标记未知。Every code is of its list, or its record is marked CODE_UNKNOWN."""
    codes = bench.plan.standard.codes
    for answer in _answered(bench):
        for record in answer.records:
            for field in bench.plan.standard.items.get(answer.item).fields:
                kind, _, list_id = field.type.partition(":")
                value = getattr(body_of(record), field.field_id, "")
                if kind != "code" or not value or not codes.codes(list_id) or codes.find(list_id, value):
                    continue
                must(Mark.CODE_UNKNOWN.value in record.marks, f"{answer.item}.{field.field_id}: unknown, not marked")


async def keys_of_records_are_there(bench: Bench) -> None:
    """16 记录主键齐全。Every record has the fields it is told apart by."""
    for item, body in _bodies(bench):
        for field in bench.plan.standard.items.get(item).fields:
            name = field.field_id
            if field.is_natural_key and field.is_required and name not in COUNTERPARTY_FIELDS:
                must(body.HasField(name), f"{item}.{name} is missing")


async def unknown_subject_is_no_data(bench: Bench) -> None:
    """17 查无主体即无数据。A subject that is in no register is "nothing found", an answer like others."""
    answers = await bench.ask(bench.permit(about=bench.plan.unknown))
    must_be(answers, "NO_DATA")
    must(all(answer.fetched_at is not None for answer in answers.values()), "no fetched_at")


async def item_not_held_is_not_asked(bench: Bench) -> None:
    """18 未持有的项不问。An item the platform does not hold is SKIPPED, and nobody is asked."""
    held = bench.adapter.platform.items
    item = next(item for item in sorted(bench.plan.standard.items.rows) if item not in held)
    await _asks_nobody(bench, {"items": frozenset({item})}, "SKIPPED", {})


async def item_not_granted_is_not_asked(bench: Bench) -> None:
    """19 未授权的项不问。An item that the permit does not name is SKIPPED, and nobody is asked."""
    targets = {bench.adapter.platform.platform_id: frozenset[str]()}
    await _asks_nobody(bench, {}, "SKIPPED", {"targets": targets})


async def only_what_is_granted_comes(bench: Bench) -> None:
    """20 只返回获准的项。A permit for one item brings records of that item alone."""
    one = next(item for item in sorted(bench.honest) if bench.honest[item].records)
    targets = {bench.adapter.platform.platform_id: frozenset({one})}
    answers = await bench.ask(bench.permit(targets=targets))
    more = [item for item, answer in answers.items() if answer.records and item != one]
    must(bool(answers[one].records) and not more, f"more came than was granted: {', '.join(more)}")


async def purpose_not_offered_is_denied(bench: Bench) -> None:
    """21 不支持的用途被拒。A purpose that is not offered is DENIED, and nobody is asked."""
    offered = bench.adapter.platform.purposes
    others = [p.purpose_id for p in bench.plan.standard.purposes.all() if p.purpose_id not in offered]
    if not others:
        raise NotApplicable("the platform offers every purpose")
    answers = await _asks_nobody(bench, {}, "DENIED", {"purpose": others[0]})
    must({answer.detail for answer in answers.values()} == {"PURPOSE_NOT_OFFERED"}, "the detail says otherwise")


async def expired_permit_asks_nobody(bench: Bench) -> None:
    """22 过期许可不问。A permit that has expired is SKIPPED, and nobody is asked."""
    await _asks_nobody(bench, {}, "SKIPPED", {"expires_at": datetime.now(UTC) - timedelta(seconds=1)})


async def person_is_not_asked_about(bench: Bench) -> None:
    """23 不问自然人。A person is SKIPPED where the adapter serves enterprises alone, and nobody is asked."""
    person = Subject(kind=SubjectKind.PERSON, id_type="citizen_id", identifier="", name="")
    await _asks_nobody(bench, {}, "SKIPPED", {"subject": person})


async def without_consent_public_items_alone(bench: Bench) -> None:
    """24 无授权书只问公开项。Without an artefact, items that need a consent are not answered."""
    answers = await bench.ask(bench.permit(artefact=None))
    needing = [i for i in answers if bench.plan.standard.items.get(i).consent.value == "yes"]
    told = [item for item in needing if answers[item].records]
    must(not told, f"answered without a consent: {', '.join(told)}")


async def _asks_nobody(
    bench: Bench, question: dict[str, Any], status: str, changes: dict[str, Any]
) -> dict[str, ItemAnswer]:
    bench.between.mends()
    answers = await bench.ask(bench.permit(**changes), **question)
    must_be(answers, status)
    must(not bench.between.watched.calls, f"{len(bench.between.watched.calls)} calls reached the platform")
    return answers


def _answered(bench: Bench) -> list[ItemAnswer]:
    return [answer for answer in bench.honest.values() if status_of_answer(answer) in {"OK", "NO_DATA"}]


def _bodies(bench: Bench) -> Iterator[tuple[str, Message]]:
    for answer in _answered(bench):
        for record in answer.records:
            if record.WhichOneof("body") != answer.item:
                raise FactFailed(f"{answer.item} holds a record of another item")
            yield answer.item, body_of(record)


def _texts(body: Message) -> Iterator[tuple[str, str]]:
    for field, value in body.ListFields():
        if isinstance(value, str) and field.name not in _SUBJECT_FIELDS and "uscc" not in field.name:
            yield field.name, value


def _bytes(answer: ItemAnswer) -> list[bytes]:
    return [record.SerializeToString(deterministic=True) for record in answer.records]


HONEST: Final = (
    platform_is_the_configured_one,
    items_are_of_the_standard,
    purposes_are_of_the_standard,
    licence_is_named,
    one_answer_an_item,
    subject_is_found,
    honest_platform_answers_all,
    records_are_about_the_subject,
    provenance_is_whole,
    times_are_told,
    found_data_have_an_as_of,
    the_same_question_has_the_same_records,
    no_number_of_a_person,
    forms_are_the_standards,
    codes_are_known_or_marked,
    keys_of_records_are_there,
    unknown_subject_is_no_data,
    item_not_held_is_not_asked,
    item_not_granted_is_not_asked,
    only_what_is_granted_comes,
    purpose_not_offered_is_denied,
    expired_permit_asks_nobody,
    person_is_not_asked_about,
    without_consent_public_items_alone,
)
"""In the order of their numbers."""
