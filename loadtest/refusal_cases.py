"""One wrong request for every reason that has a door today; each function prepares it and returns it unmade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

from bashu.client import new_request_id
from bashu.errors import BashuCallError
from bashu.v1 import admin_pb2, common_pb2, compliance_pb2, consent_pb2, ledger_pb2, loan_pb2, subject_pb2
from core.errors import Reason
from core.ids import uuid7
from loadtest import wrong_tokens
from loadtest.authority import PLATFORM_REGIONS, Grant, SigningAuthority
from loadtest.observation import books, until
from loadtest.questions import question
from loadtest.refusal_events import evidence_stale, key_compromised, superseded
from loadtest.refusal_world import ITEM, LENDER, OTHER_SUBJECT, SLOW_ITEM, SLOW_SUBJECT, SUBJECT, Attempt, World

LOAN_PURPOSE: Final = "POST_LOAN_MANAGEMENT"
PERSON: Final = "513401190412319984"
"""A citizen id with a right check digit and a birth that no living person has (test vectors)."""
PERSON_ITEM: Final = "administrative_penalty"
WRONG_CHECK_DIGIT: Final = "91500105XXTT00018N"
SLOW_DEADLINE_S: Final = 6.0
QUOTA_WITHIN_S: Final = 15.0
FROZEN_SUBJECT: Final = "91510107XXTT000427"
"""Nobody else asks about it: a freeze stops every query about a subject."""
POLICY: Final = (
    {"id": "NO_TAX_GRADE", "effect": "DENY", "purpose": "PRE_LOAN_REVIEW", "data_item": "tax_credit_grade"},
    {"id": "TAX_OF_A_YEAR", "effect": "LOOKBACK", "lookback_days": 365, "data_item": "tax_payment"},
)
"""Limits of the operator's on items that no other case asks for."""
MOST_RESENDS: Final = 3
"""How often one request may ask for everything again (contract: Repeats)."""


Prepare = Callable[[World], Awaitable[Attempt]]


class Trail(Enum):
    """What a wrong request leaves behind, beside its reason."""

    NOTHING = auto()
    """No entry about a query, no enquiry: the caller was not known, or the request was no query."""
    DENIED = auto()
    """Exactly one QUERY_DENIED with the reason, no enquiry."""
    FAILED = auto()
    """It was admitted; its intent is closed by one FAILED with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table."""

    name: str
    reason: Reason
    prepare: Prepare
    trail: Trail


# The token and the certificate


def _with_token(make: Callable[..., str], *others: str) -> Prepare:
    async def prepare(world: World) -> Attempt:
        profile = world.profile()
        bearer = make(profile, *(world.profile(other) for other in others))
        return world.ask(str(uuid7()), wire=world.wire_of(make.__name__, profile, bearer=bearer))

    return prepare


async def _token_of_another_certificate(world: World) -> Attempt:
    other = world.profile("bank-sc")
    thief = replace(world.profile(), certificate=other.certificate, certificate_key=other.certificate_key)
    return world.ask(str(uuid7()), wire=world.wire_of("thief", thief))


async def _suspended(world: World) -> Attempt:
    request = admin_pb2.SuspendParticipantRequest(participant_id="bank-09", suspended=True, reason="REFUSALS")
    await world.administer("SuspendParticipant", request)
    return world.ask(str(uuid7()), wire=world.wire("bank-09"))


async def _unknown_staff_number(world: World) -> Attempt:
    profile = replace(world.profile(), operator="9999")
    return world.ask(str(uuid7()), wire=world.wire_of("unknown staff", profile))


# The request itself


def _asking(**fields: Any) -> Prepare:
    """Ask under a good consent, with one thing wrong."""

    async def prepare(world: World) -> Attempt:
        code = fields.get("code", SUBJECT)
        return world.ask(await world.grant(), code, **{name: fields[name] for name in fields if name != "code"})

    return prepare


async def _no_consent_no_items(world: World) -> Attempt:
    return world.ask("", legal_basis="征信业管理条例 Art. 13")


async def _person_without_items(world: World) -> Attempt:
    return world.ask(str(uuid7()), subject=_person_subject())


# The consent


async def _unknown_consent(world: World) -> Attempt:
    return world.ask(str(uuid7()))


async def _other_lenders_consent(world: World) -> Attempt:
    return world.ask(await world.grant(lender="bank-sc"))


async def _one_platform_granted(world: World) -> Attempt:
    return world.ask(await world.grant(platforms=("chongqing",)), regions=["510000"])


async def _newcomer(world: World) -> Attempt:
    wire = await world.newcomer()
    return world.ask(await world.grant(lender="bank-new"), wire=wire)


async def _person(world: World, *, separate: bool) -> Attempt:
    providers = [
        {"region": region, "platform_id": platform, "separate_consent": separate, "notice": "0" * 64}
        for platform, region in PLATFORM_REGIONS.items()
    ]
    consent_id = await world.grant(
        PERSON, id_type="citizen_id", items=(PERSON_ITEM,), overrides={"providers": providers}
    )
    return world.ask(consent_id, subject=_person_subject(), data_items=[PERSON_ITEM])


async def _person_without_separate_consent(world: World) -> Attempt:
    return await _person(world, separate=False)


async def _person_without_licence(world: World) -> Attempt:
    return await _person(world, separate=True)


def _person_subject() -> common_pb2.Subject:
    person = common_pb2.PersonSubject(id_type="citizen_id", id_number=PERSON, name="示例个人")
    return common_pb2.Subject(person=person)


# Loans


async def _loan_consent(world: World) -> str:
    return await world.grant(purpose=LOAN_PURPOSE)


async def _no_loan_reference(world: World) -> Attempt:
    return world.ask(await _loan_consent(world), purpose=LOAN_PURPOSE)


async def _unknown_loan(world: World) -> Attempt:
    return world.ask(await _loan_consent(world), purpose=LOAN_PURPOSE, loan_reference="NO-SUCH-LOAN")


async def _closed_loan(world: World) -> Attempt:
    wire, reference, today = world.wire(), f"LOAN-{uuid7()}", datetime.now(UTC).date()
    loan = loan_pb2.RegisterLoanRequest(
        loan_reference=reference,
        subject=question(SUBJECT, "").subject,
        opened_on=today.isoformat(),
        due_on=(today + timedelta(days=365)).isoformat(),
    )
    await wire.call(wire.loan.RegisterLoan, loan)
    consent_id = await _loan_consent(world)
    settled = loan_pb2.LoanCloseReason.LOAN_CLOSE_REASON_SETTLED
    await wire.call(wire.loan.CloseLoan, loan_pb2.CloseLoanRequest(loan_reference=reference, reason=settled))
    return world.ask(consent_id, purpose=LOAN_PURPOSE, loan_reference=reference)


# The operator's policy


def _limited(item: str) -> Prepare:
    async def prepare(world: World) -> Attempt:
        await world.set_policy(POLICY)
        return world.ask(await world.grant(items=(ITEM, item)))

    return prepare


async def _beyond_its_quota(world: World) -> Attempt:
    lender, wire = "bank-07", world.wire("bank-07")
    await world.administer("SetQuota", admin_pb2.SetQuotaRequest(institution=lender, queries_per_day=1))
    consent_id = await world.grant(lender=lender)

    async def is_counted() -> bool:
        # Every worker learns of a quota within a second.
        try:
            await world.ask(consent_id, data_items=["tax_credit_grade"], wire=wire).call()
        except BashuCallError as refused:
            return bool(refused.reason == Reason.RATE_LIMITED)
        return False

    await until(is_counted, within_s=QUOTA_WITHIN_S, what="the quota's end")
    return world.ask(consent_id, wire=wire)


# State and budget


async def _not_started(world: World) -> Attempt:
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    return world.ask(await world.grant(not_before=tomorrow, days=30))


async def _expired(world: World) -> Attempt:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    consent_id = await world.grant(expires_at=soon)
    await world.wait_for_state(consent_id, consent_pb2.ConsentState.CONSENT_STATE_EXPIRED)
    return world.ask(consent_id)


async def _revoked(world: World) -> Attempt:
    consent_id = await world.grant()
    await world.revoke(consent_id)
    return world.ask(consent_id)


async def _paused(world: World) -> Attempt:
    consent_id, agent = await world.grant(), world.agent(SUBJECT)
    await agent.call(agent.consent.PauseConsent, consent_pb2.PauseConsentRequest(consent_id=consent_id))
    return world.ask(consent_id)


async def _held(world: World) -> Attempt:
    consent_id, officer = await world.grant(), world.wire("officer-1")
    hold = compliance_pb2.PlaceHoldRequest(consent_id=consent_id, reason="REFUSALS")
    await officer.call(officer.compliance.PlaceHold, hold)
    return world.ask(consent_id)


async def _frozen(world: World) -> Attempt:
    consent_id, agent = await world.grant(FROZEN_SUBJECT), world.agent(FROZEN_SUBJECT)
    freeze = subject_pb2.FreezeFileRequest(subject=question(FROZEN_SUBJECT, "").subject)
    await agent.call(agent.subject.FreezeFile, freeze)
    return world.ask(consent_id, FROZEN_SUBJECT)


async def _exhausted(world: World) -> Attempt:
    consent_id = await world.grant(mode="ONE_TIME", max_uses=1)
    await world.ask(consent_id).call()
    return world.ask(consent_id)


async def _too_often(world: World) -> Attempt:
    consent_id = await world.grant(frequency=(1, "DAY"))
    await world.ask(consent_id).call()
    return world.ask(consent_id)


# Repeats


async def _same_id_other_request(world: World) -> Attempt:
    consent_id, request_id = await world.grant(), new_request_id()
    await world.ask(consent_id, request_id=request_id).call()
    return world.ask(consent_id, request_id=request_id, application_reference="ANOTHER")


async def _sent_again_too_often(world: World) -> Attempt:
    request = question(SUBJECT, await world.grant())
    await world.send(request).call()
    request.resend_all = True
    for _ in range(MOST_RESENDS):
        await world.send(request).call()
    return world.send(request)


async def _slow(world: World) -> Attempt:
    consent_id = await world.grant(SLOW_SUBJECT, items=(SLOW_ITEM,))
    request = question(SLOW_SUBJECT, consent_id, regions=["510000"])
    return Attempt(call=lambda: world.wire().query(request, deadline_s=SLOW_DEADLINE_S), request=request)


async def _under_way(world: World) -> Attempt:
    slow, before = await _slow(world), await books(world.stack)

    async def is_in_the_books() -> bool:
        # Once the platform was asked its intent is open, and stays so while the module does not answer.
        return bool(await books(world.stack) != before)

    world.start(slow.call)
    await until(is_in_the_books, within_s=SLOW_DEADLINE_S, what="a trace of the slow query at the platform")
    return slow


# Artefacts, and changes of consents


async def _artefact_without_purpose(world: World) -> Attempt:
    grant = Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,), overrides={"purpose": None})
    return world.register_wrong(world.authority.sign(grant))


async def _artefact_signed_by_another(world: World) -> Attempt:
    ours, other = (world.stack.authorities[name] for name in ("authority-cq", "authority-sc"))
    signer = SigningAuthority(replace(ours, private_key=other.private_key))
    return world.register_wrong(signer.sign(Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,))))


async def _artefact_of_unknown_key(world: World) -> Attempt:
    signer = SigningAuthority(replace(world.stack.authorities["authority-cq"], kid="authority-cq-unknown"))
    return world.register_wrong(signer.sign(Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,))))


async def _consent_id_taken(world: World) -> Attempt:
    grant = Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,))
    await world.register(world.authority.sign(grant))
    return world.register_wrong(world.authority.sign(replace(grant, max_uses=2)))


async def _changed_meanwhile(world: World) -> Attempt:
    consent_id = await world.grant()
    return Attempt(call=lambda: world.revoke(consent_id, expected_revision=7))


# Other services


async def _admin_asks(world: World) -> Attempt:
    request = admin_pb2.ListParticipantsRequest()
    wire = world.wire()
    return Attempt(call=lambda: wire.call(wire.admin.ListParticipants, request))


async def _auditor_asks(world: World) -> Attempt:
    return replace(world.ask(str(uuid7()), wire=world.wire("auditor-1")), unread_from="gateway-operator")


async def _unknown_entry(world: World) -> Attempt:
    wire, request = world.wire(), ledger_pb2.GetEntryRequest(entry_id=str(uuid7()))
    return Attempt(call=lambda: wire.call(wire.ledger.GetEntry, request))


async def _one_officer_alone(world: World) -> Attempt:
    request = admin_pb2.SuspendParticipantRequest(participant_id="bank-08", suspended=True, reason="REFUSALS")
    return Attempt(call=lambda: world.administer("SuspendParticipant", request, participant="officer-1"))


_Row = tuple[Reason, str, Prepare]

_NO_QUERY: Final[tuple[_Row, ...]] = (
    (
        Reason.TOKEN_INVALID,
        "另一参与方的签名 signed with another's key",
        _with_token(wrong_tokens.signed_by_another, "bank-sc"),
    ),
    (Reason.TOKEN_INVALID, "无签名算法 alg none", _with_token(wrong_tokens.without_signature)),
    (Reason.TOKEN_INVALID, "多余的头部字段 jku in the header", _with_token(wrong_tokens.naming_a_key_source)),
    (Reason.TOKEN_EXPIRED, "令牌过期 token ended", _with_token(wrong_tokens.ended)),
    (Reason.TOKEN_BINDING_MISMATCH, "他人证书 another participant's certificate", _token_of_another_certificate),
    (Reason.CLOCK_SKEW, "时钟超前 clock a minute ahead", _with_token(wrong_tokens.from_the_future)),
    (Reason.PARTICIPANT_SUSPENDED, "机构停用 suspended", _suspended),
    (Reason.OPERATOR_UNKNOWN, "未登记工号 unknown staff number", _unknown_staff_number),
    (Reason.ROLE_NOT_ALLOWED, "角色不符 a lender calls AdminService", _admin_asks),
    (Reason.ARTEFACT_MALFORMED, "授权书缺用途 artefact without purpose", _artefact_without_purpose),
    (Reason.ARTEFACT_SIGNATURE, "授权书签名错误 artefact's signature", _artefact_signed_by_another),
    (Reason.ARTEFACT_UNKNOWN_KEY, "授权书密钥未知 artefact's key unknown", _artefact_of_unknown_key),
    (Reason.CONSENT_ID_TAKEN, "授权编号已被占用 same consent id, other bytes", _consent_id_taken),
    (Reason.REVISION_CHANGED, "授权已变化 another revision expected", _changed_meanwhile),
    (Reason.NOT_FOUND_OR_NOT_YOURS, "日志条目不存在 unknown entry", _unknown_entry),
    (Reason.SECOND_OFFICER_NEEDED, "需第二名合规人员 one officer alone", _one_officer_alone),
)
_REFUSED: Final[tuple[_Row, ...]] = (
    (Reason.ROLE_NOT_ALLOWED, "审计员查询 an auditor asks", _auditor_asks),
    (
        Reason.ROLE_NOT_ALLOWED,
        "机构类别不符 a bank asks as a guarantee company",
        _asking(purpose="GUARANTEE_UNDERWRITING"),
    ),
    (Reason.MALFORMED, "字段格式 region of two digits", _asking(regions=["50"])),
    (Reason.MALFORMED, "申请编号含非法字符 characters in a reference", _asking(application_reference="A B")),
    (Reason.IDENTIFIER_INVALID, "校验位错误 wrong check digit", _asking(code=WRONG_CHECK_DIGIT)),
    (Reason.PURPOSE_MISSING, "未写用途 no purpose", _asking(purpose="")),
    (Reason.PURPOSE_MISSING, "未知用途 unknown purpose", _asking(purpose="CURIOSITY")),
    (Reason.REFERENCE_MISSING, "无申请编号 no application reference", _asking(application_reference="")),
    (Reason.REFERENCE_MISSING, "无贷款编号 no loan reference", _no_loan_reference),
    (Reason.UNKNOWN_DATA_ITEM, "未知数据项 unknown item", _asking(data_items=["favourite_colour"])),
    (Reason.ITEMS_REQUIRED, "无授权且未列数据项 neither consent nor items", _no_consent_no_items),
    (Reason.ITEMS_REQUIRED, "自然人未列数据项 a person, no items", _person_without_items),
    (Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "授权不存在 unknown consent", _unknown_consent),
    (Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "他行的授权 another lender's consent", _other_lenders_consent),
    (Reason.SUBJECT_MISMATCH, "另一主体 another subject", _asking(code=OTHER_SUBJECT)),
    (Reason.PLATFORM_NOT_GRANTED, "平台未获授权 platform not granted", _one_platform_granted),
    (Reason.SEPARATE_CONSENT_MISSING, "自然人无单独同意 no separate consent", _person_without_separate_consent),
    (Reason.LENDER_NOT_ADMITTED, "平台未接纳机构 newly registered lender", _newcomer),
    (Reason.LICENCE_MISSING, "无个人征信牌照 a person, no licence", _person_without_licence),
    (Reason.PURPOSE_MISMATCH, "用途不符 another purpose", _asking(purpose="GUARANTOR_REVIEW")),
    (Reason.LOAN_NOT_FOUND, "贷款未登记 unknown loan", _unknown_loan),
    (Reason.LOAN_CLOSED, "贷款已结清 closed loan", _closed_loan),
    (Reason.SCOPE_EXCEEDED, "数据项超出授权 item not granted", _asking(data_items=[ITEM, "tax_payment"])),
    (Reason.RANGE_EXCEEDED, "回溯超出授权 look-back too wide", _asking(lookback=common_pb2.Lookback(days=3000))),
    (Reason.POLICY_LIMIT, "规则表不予提供 item denied by the operator's policy", _limited("tax_credit_grade")),
    (Reason.POLICY_LIMIT, "规则表回溯上限 look-back beyond the operator's policy", _limited("tax_payment")),
    (Reason.REVISION_TOO_OLD, "授权版本未到 revision not reached", _asking(min_consent_revision=7)),
    (Reason.CONSENT_NOT_STARTED, "授权未生效 before its start", _not_started),
    (Reason.CONSENT_EXPIRED, "授权已到期 after its end", _expired),
    (Reason.CONSENT_REVOKED, "授权已撤回 revoked", _revoked),
    (Reason.CONSENT_PAUSED, "主体已暂停 paused by its subject", _paused),
    (Reason.CONSENT_HELD, "合规已暂停查询 held by an officer", _held),
    (Reason.CONSENT_SUPERSEDED, "授权已被替代 superseded by another", superseded),
    (Reason.SUBJECT_FROZEN, "主体已冻结 file frozen", _frozen),
    (Reason.CONSENT_EXHAUSTED, "次数用尽 one use, asked twice", _exhausted),
    (Reason.FREQUENCY_EXCEEDED, "超出频次 once a day, asked twice", _too_often),
    (Reason.IDEMPOTENCY_CONFLICT, "请求号重用 used request id, other request", _same_id_other_request),
    (Reason.RATE_LIMITED, "机构每日配额用尽 the institution's quota of the day is gone", _beyond_its_quota),
    (Reason.RATE_LIMITED, "第四次要求全部重发 everything again, a fourth time", _sent_again_too_often),
    (Reason.IN_PROGRESS, "首次查询进行中 first attempt under way", _under_way),
    (Reason.ARTEFACT_UNKNOWN_KEY, "授权服务方密钥泄露 authority's key compromised", key_compromised),
    (Reason.EVIDENCE_STALE, "存证停滞 sealer stands still for 30 s", evidence_stale),
)
_FAILED: Final[tuple[_Row, ...]] = ((Reason.PLATFORMS_UNAVAILABLE, "平台均未答复 no platform answers", _slow),)
CASES: Final = tuple(
    Case(name=name, reason=reason, prepare=prepare, trail=trail)
    for trail, rows in ((Trail.NOTHING, _NO_QUERY), (Trail.DENIED, _REFUSED), (Trail.FAILED, _FAILED))
    for reason, name, prepare in rows
)
"""Every wrong request."""
