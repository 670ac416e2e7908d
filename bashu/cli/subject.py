"""`bashu subject …`: what a subject's agent does about the subject's own file; the profile's token says for whom."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from bashu.cli.credit import print_evidence, verify_answer
from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    call,
    find_profile,
    message_json,
    print_json,
    usage,
)
from bashu.cli.subjects import (
    FromOption,
    NameOption,
    PageSizeOption,
    PageTokenOption,
    PersonOption,
    SubjectArgument,
    ToOption,
    access_list,
    erasure_facts,
    named_subject,
    next_page,
    page_request,
)
from bashu.cli.tables import console, facts, moment, print_report
from bashu.client import DEADLINE_S, STREAM_DEADLINE_S, Bashu, QueryAnswer, new_request_id
from bashu.saved import await_proof, save_evidence
from bashu.v1 import ledger_pb2, subject_pb2
from bashu.verify import receipt_json

app = typer.Typer(no_args_is_help=True, help="信息主体权利 the subject's own rights")

ReasonOption = Annotated[str, typer.Option("--reason", help="事由 in the subject's own words")]


@app.command(epilog=EXIT_CODES)
def accesses(
    subject: SubjectArgument,
    *,
    first_day: FromOption = "",
    last_day: ToOption = "",
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """访问记录 List who saw, or tried to see, the file; staff masked, the newest first."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.ListAccessesRequest(
        subject=named_subject(subject, name, person=person),
        from_day=first_day,
        to_day=last_day,
        page=page_request(page_size, page_token),
    )
    answer = answer_or_json(who, lambda rpcs: rpcs.subject.ListAccesses, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    out = console()
    out.print(access_list(answer.accesses))
    if more := next_page(answer.page):
        out.print(more)


@app.command("own-report", epilog=EXIT_CODES)
def own_report(
    subject: SubjectArgument,
    *,
    item: Annotated[list[str] | None, typer.Option(help="数据项 data item id; repeat it; default all held")] = None,
    request_id: Annotated[
        str | None, typer.Option(help="请求号 UUID; give the same one to repeat; default a new one")
    ] = None,
    save_receipt: Annotated[
        Path | None, typer.Option(help="保存回执与报告 folder for receipt, report and proof")
    ] = None,
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """本人报告 Ask for the report on oneself (条例 Art. 17); the first two of a calendar year are free."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.RequestOwnReportRequest(
        request_id=request_id or new_request_id(),
        subject=named_subject(subject, name, person=person),
        data_items=item or [],
    )

    async def work(client: Bashu) -> tuple[QueryAnswer, bool, ledger_pb2.GetInclusionProofResponse | None]:
        answer, is_free = await client.own_report(request)
        return answer, is_free, None if save_receipt is None else await await_proof(client, answer)

    answer, is_free, proof = call(who, work, as_json=as_json, deadline_s=deadline)
    if save_receipt is not None:
        save_evidence(save_receipt, answer, proof=proof, vkey=who.vkey)
    verified = verify_answer(answer, who, as_json=as_json)
    if as_json:
        shown = {
            "request_id": answer.request_id,
            "free_of_charge": is_free,
            "report": message_json(answer.report),
            "receipt": receipt_json(answer.receipt),
            "receipt_verified": None if verified is None else True,
        }
        print_json(shown)
        return
    out = console()
    print_report(out, answer.report)
    charge = "免费（每年两次） free, one of two a year" if is_free else "收费 not free"
    out.print(facts("本人报告 own report", {"请求号 request id": answer.request_id, "费用 charge": charge}))
    print_evidence(out, answer, verified, save_receipt, proof)


@app.command(epilog=EXIT_CODES)
def freeze(
    subject: SubjectArgument,
    *,
    reason: ReasonOption = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """冻结 Freeze the file: no query is admitted or released, one's own neither, until it is thawed."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.FreezeFileRequest(subject=named_subject(subject, name, person=person), reason=reason)
    answer = answer_or_json(who, lambda rpcs: rpcs.subject.FreezeFile, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    rows = {
        "自 since": moment(answer.frozen_at),
        "拦下的在途查询 withheld queries": answer.withheld_queries,
    }
    console().print(facts("已冻结 frozen", rows))


@app.command(epilog=EXIT_CODES)
def thaw(
    subject: SubjectArgument,
    *,
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """解冻 End the freeze; consents that still stand may be used again."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.ThawFileRequest(subject=named_subject(subject, name, person=person))
    answer = answer_or_json(who, lambda rpcs: rpcs.subject.ThawFile, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    console().print(facts("已解冻 thawed", {"自 since": moment(answer.thawed_at)}))


@app.command(epilog=EXIT_CODES)
def export(
    subject: SubjectArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="写入文件 file to write; default standard output")
    ] = None,
    name: NameOption = "",
    person: PersonOption = False,
    deadline: Annotated[
        float, typer.Option("--deadline", min=1, max=3600, help="时限（秒）seconds the export may take")
    ] = STREAM_DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """导出 Take away everything the gateway keeps about the subject, as JSON Lines."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.ExportMineRequest(subject=named_subject(subject, name, person=person))

    async def work(client: Bashu) -> int:
        lines = 0
        with _opened(output) as file:
            answers = client.stream(lambda rpcs: rpcs.subject.ExportMine, request, deadline_s=deadline)
            async for message in answers:
                file.write(message.line + b"\n")
                lines += 1
        return lines

    lines = call(who, work, as_json=as_json, deadline_s=deadline)
    if output is not None:
        if as_json:
            print_json({"lines": lines, "file": str(output)})
        else:
            console().print(facts("已导出 exported", {"行数 lines": lines, "文件 file": output}))


@app.command(epilog=EXIT_CODES)
def statement(
    subject: SubjectArgument,
    *,
    text: Annotated[str, typer.Option("--text", help="声明内容 what reports shall carry; sealed")],
    record: Annotated[str, typer.Option("--record", help="记录编号 record_id; without it, about the whole file")] = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """声明 Add a statement (条例 Art. 16); every later report that shows the record carries it."""
    who = find_profile(profile, dev, participant, operator)
    request = subject_pb2.AddStatementRequest(
        subject=named_subject(subject, name, person=person), record_id=record, text=text
    )
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.subject.AddStatement, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    console().print(facts("已收到声明 statement added", {"编号 statement id": answer.statement_id}))


@app.command(epilog=EXIT_CODES)
def erase(
    subject: SubjectArgument,
    *,
    status: Annotated[bool, typer.Option("--status", help="只看进度 only say where the latest one stands")] = False,
    reason: ReasonOption = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """删除 Ask that what is sealed be erased: at once, or restricted until the retention period ends."""
    who = find_profile(profile, dev, participant, operator)
    named = named_subject(subject, name, person=person)

    async def work(client: Bashu) -> subject_pb2.Erasure:
        if status:
            get = subject_pb2.GetErasureRequest(subject=named)
            return (await client.call(lambda rpcs: rpcs.subject.GetErasure, get)).erasure
        ask = subject_pb2.RequestErasureRequest(subject=named, reason=reason)
        return (await client.call(lambda rpcs: rpcs.subject.RequestErasure, ask)).erasure

    erasure = call(who, work, as_json=as_json, deadline_s=deadline)
    if as_json:
        print_json({"erasure": message_json(erasure)})
    else:
        console().print(erasure_facts(erasure))


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield typer.get_binary_stream("stdout")
        return
    try:
        # It is about one subject: nobody else on this machine reads it.
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        usage(f"{output}: {error.strerror}")
    with os.fdopen(handle, "wb") as file:
        yield file
