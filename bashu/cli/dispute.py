"""`bashu dispute …`: open a dispute (异议), follow it, move it on; corrections of what an institution got."""

from __future__ import annotations

from typing import Annotated

import typer

from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    call,
    find_profile,
    message_json,
    print_json,
    usage,
)
from bashu.cli.subjects import (
    NameOption,
    PageSizeOption,
    PageTokenOption,
    PersonOption,
    SubjectArgument,
    named_subject,
    next_page,
    page_request,
)
from bashu.cli.tables import console, facts, grid, moment
from bashu.client import DEADLINE_S
from bashu.v1 import compliance_pb2, subject_pb2

app = typer.Typer(no_args_is_help=True, help="异议 disputes: open, follow, move on, corrections")

STATE = {"RECEIVED": "已受理", "FORWARDED": "已转交", "CHECKED": "已核查", "ANSWERED": "已书面答复"}
OUTCOME = {
    "1": "数据有误", "2": "数据无误", "3": "数据遗漏",
    "4": "数据删除", "5": "数据删除（欺诈）", "UNVERIFIABLE": "无法核实",
}  # fmt: skip
TASK = {
    "SEND_LETTER": "打印并寄送转交函 print and send the letter",
    "CHASE_PLATFORM": "已逾期，催办平台 overdue: chase the platform",
    "WRITE_ANSWER": "书面答复 write the answer",
}
IdArgument = Annotated[str, typer.Argument(metavar="DISPUTE_ID", help="异议编号 id of the dispute")]


@app.command(name="open", epilog=EXIT_CODES)
def open_dispute(
    subject: SubjectArgument,
    *,
    record: Annotated[str, typer.Option("--record", help="记录编号 record_id as in the report")],
    platform: Annotated[str, typer.Option("--platform", help="平台 platform id, for example chongqing")],
    text: Annotated[str, typer.Option("--text", help="异议内容 what is wrong; sealed")],
    item: Annotated[
        str, typer.Option("--item", help="数据项 data item id; without it the dispute goes by letter")
    ] = "",
    locator: Annotated[str, typer.Option("--locator", help="文号、案号、月份 document or case number, month")] = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """提出异议 Dispute one record at one platform; reports carry the mark from now on, due in 20 days."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.OpenDisputeRequest(
        subject=named_subject(subject, name, person=person),
        record_id=record,
        platform_id=platform,
        data_item=item,
        record_locator=locator,
        text=text,
    )
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.subject.OpenDispute, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    _show(answer.dispute, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def show(
    dispute_id: IdArgument,
    *,
    letter: Annotated[bool, typer.Option("--letter", help="打印转交函 print the letter alone (officers)")] = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """查看异议 Show a dispute; an officer's view is recorded."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.GetDisputeRequest(dispute_id=dispute_id)
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.subject.GetDispute, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if not letter:
        _show(answer.dispute, as_json=as_json)
    elif not answer.letter:
        usage("no letter: the platform takes this dispute by its interface, or you are no officer")
    elif as_json:
        print_json({"letter": answer.letter})
    else:
        typer.echo(answer.letter)


@app.command(name="list", epilog=EXIT_CODES)
def list_disputes(
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="状态 RECEIVED, FORWARDED, CHECKED, ANSWERED; repeat it")
    ] = None,
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """异议清单与待办 List disputes and what is to be done about each (officers, auditors)."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ListDisputesRequest(
        states=[_state(one) for one in state or []], page=page_request(page_size, page_token)
    )
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.compliance.ListDisputes, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    columns = ("异议编号 dispute id", "平台 platform", "状态 state", "结果 outcome", "到期 due", "待办 task")
    rows = [
        (
            one.dispute_id,
            one.platform_id,
            _state_name(one.state),
            _outcome(one.outcome),
            moment(one.due_at) + (" 逾期 overdue" if one.overdue else ""),
            TASK.get(one.task, one.task),
        )
        for one in answer.disputes
    ]
    out = console()
    table = grid("异议 disputes", columns, rows)
    table.columns[0].no_wrap = True
    out.print(table)
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def update(
    dispute_id: IdArgument,
    state: Annotated[str, typer.Argument(help="FORWARDED, CHECKED 或 or ANSWERED")],
    *,
    outcome: Annotated[str, typer.Option(help="核查结果 1-5 or UNVERIFIABLE, with CHECKED")] = "",
    answer: Annotated[
        str, typer.Option(help="平台说明或书面答复 the platform's words, or the written answer; sealed")
    ] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """推进异议 Move a dispute on by one step (compliance)."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.UpdateDisputeRequest(
        dispute_id=dispute_id, state=_state(state), outcome=outcome, answer=answer
    )
    moved = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.compliance.UpdateDispute, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    _show(moved.dispute, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def corrections(
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
    """更正通知 Records that this institution got in 12 months and that were corrected since (lenders)."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.ListCorrectionsRequest(page=page_request(page_size, page_token))
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.subject.ListCorrections, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    columns = ("更正于 corrected", "平台 platform", "结果 outcome", "记录 record id", "请求 requests")
    rows = [
        (
            moment(one.corrected_at),
            one.platform_id,
            _outcome(one.outcome),
            one.record_id,
            "\n".join(one.request_ids),
        )
        for one in answer.corrections
    ]
    out = console()
    out.print(grid("更正 corrections", columns, rows))
    if more := next_page(answer.page):
        out.print(more)


def _show(dispute: subject_pb2.Dispute, *, as_json: bool) -> None:
    if as_json:
        print_json({"dispute": message_json(dispute)})
        return
    rows = {
        "编号 dispute id": dispute.dispute_id,
        "记录 record id": dispute.record_id,
        "平台 platform": dispute.platform_id,
        "数据项 item": dispute.data_item,
        "状态 state": _state_name(dispute.state),
        "受理 received": moment(dispute.received_at),
        "到期 due (R31)": moment(dispute.due_at) + (" 逾期 overdue" if dispute.overdue else ""),
        "转交方式 channel": dispute.channel,
        "平台编号 platform's number": dispute.platform_reference,
        "核查结果 outcome": _outcome(dispute.outcome),
        "平台说明 explanation": dispute.explanation,
        "书面答复 answer": dispute.answer,
        "异议内容 text": dispute.text,
        "待办 task": TASK.get(dispute.task, dispute.task),
    }
    console().print(facts("异议 dispute", {name: value for name, value in rows.items() if value}))


def _state(text: str) -> subject_pb2.DisputeState.ValueType:
    if text not in STATE:
        usage(f"no such state: {text}; there are {', '.join(STATE)}")
    return subject_pb2.DisputeState.Value(f"DISPUTE_STATE_{text}")


def _state_name(state: subject_pb2.DisputeState.ValueType) -> str:
    name = subject_pb2.DisputeState.Name(state).removeprefix("DISPUTE_STATE_")
    return f"{STATE.get(name, '')} {name}"


def _outcome(code: str) -> str:
    return f"{OUTCOME[code]} {code}" if code in OUTCOME else code
