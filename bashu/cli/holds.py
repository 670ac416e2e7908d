"""`bashu compliance hold|lift|holds`: queries held by an officer, by a subject's freeze, or by the clock."""

from __future__ import annotations

from typing import Annotated

import typer

from bashu.cli.compliance import ReasonOption
from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
    usage,
)
from bashu.cli.subjects import (
    NameOption,
    PageSizeOption,
    PageTokenOption,
    PersonOption,
    named_subject,
    next_page,
    page_request,
)
from bashu.cli.tables import console, facts, grid, moment
from bashu.client import DEADLINE_S
from bashu.v1 import compliance_pb2

_KINDS = {"HOLD": "合规暂停 hold", "FREEZE": "主体冻结 freeze", "EVIDENCE_LATE": "原件逾期 paper late"}


def hold(
    subject: Annotated[str, typer.Argument(help="主体 the subject; or none, with --consent")] = "",
    *,
    reason: ReasonOption,
    consent: Annotated[str, typer.Option(help="授权编号 only this consent")] = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """暂停查询 Hold every query under a consent or about a subject, at once; it takes two officers to lift."""
    if bool(subject) is bool(consent):
        usage("主体或 --consent 二者之一 a subject or --consent, one of both")
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.PlaceHoldRequest(consent_id=consent, reason=reason)
    if subject:
        request.subject.CopyFrom(named_subject(subject, name, person=person))
    answer = answer_or_json(who, lambda rpcs: rpcs.compliance.PlaceHold, request, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        shown = {"暂停编号 hold id": answer.hold.hold_id, "拦下查询 withheld": answer.withheld_queries}
        console().print(facts("已暂停 held", shown))


def lift(
    hold_id: Annotated[str, typer.Argument(help="暂停编号 hold id")],
    *,
    reason: ReasonOption,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """解除暂停 Lift a hold: a second officer within 24 h, with another staff number, ends it."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.LiftHoldRequest(hold_id=hold_id, reason=reason)
    answer = answer_or_json(who, lambda rpcs: rpcs.compliance.LiftHold, request, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        told = "已解除 lifted" if answer.lifted else "待第二人，24 小时 waits for a second officer"
        console().print(facts("暂停 hold", {"状态 state": told}))


def list_holds(
    *,
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """列出暂停与冻结 List the holds and freezes that stand, and letters held for late paper; the look is recorded."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ListHoldsRequest(page=page_request(page_size, page_token))
    answer = answer_or_json(who, lambda rpcs: rpcs.compliance.ListHolds, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    rows = [
        (
            one.hold_id,
            _KINDS.get(one.kind, one.kind),
            one.consent_id or one.subject_display,
            one.reason,
            one.placed_by.participant,
            moment(one.placed_by.at),
            one.lift_proposed_by.participant,
        )
        for one in answer.holds
    ]
    headings = ("编号 id", "种类 kind", "对象 on", "事由 reason", "由 placed by", "时间 at", "拟解除 lift asked by")
    out = console()
    out.print(grid("暂停与冻结 holds", headings, rows, is_keyed=True))
    if more := next_page(answer.page):
        out.print(more)
