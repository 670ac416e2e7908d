"""`bashu compliance …`: the officers' desk. What is looked at is an entry of the access log before it is shown."""

from __future__ import annotations

from typing import Annotated

import typer

from bashu.cli.labels import CONSENT_STATE, coded
from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
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
from bashu.cli.tables import console, facts, grid, moment, plain
from bashu.client import DEADLINE_S
from bashu.v1 import compliance_pb2

app = typer.Typer(no_args_is_help=True, help="合规 the officers' desk")

InstitutionOption = Annotated[str, typer.Option("--institution", help="机构 only this institution")]
ReasonOption = Annotated[str, typer.Option("--reason", help="事由 why; sealed beside the entry")]


@app.command(epilog=EXIT_CODES)
def search(
    *,
    institution: InstitutionOption = "",
    staff: Annotated[str, typer.Option("--staff", help="工号 only this staff number of --institution")] = "",
    consent: Annotated[str, typer.Option(help="授权编号 only under this consent")] = "",
    request_id: Annotated[str, typer.Option(help="请求号 only this request")] = "",
    first_day: FromOption = "",
    last_day: ToOption = "",
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """检索 Search accesses and refusals, the newest first; staff masked."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.SearchAccessRequest(
        institution=institution,
        operator=staff,
        consent_id=consent,
        request_id=request_id,
        from_day=first_day,
        to_day=last_day,
        page=page_request(page_size, page_token),
    )
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.SearchAccess, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    out.print(access_list(answer.accesses))
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def trace(
    consent_id: Annotated[str, typer.Argument(help="授权编号 consent id")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """追溯 Follow a consent from its registration to every access under it."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.TraceConsentRequest(consent_id=consent_id)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.TraceConsent, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    columns = ("版本 rev.", "从 from", "到 to", "原因 reason", "操作方 actor", "时间 at", "条目 entry id")
    events = [
        (
            event.revision,
            coded(event.from_state, CONSENT_STATE),
            coded(event.to_state, CONSENT_STATE),
            event.reason,
            event.actor,
            moment(event.at),
            event.entry_id,
        )
        for event in answer.events
    ]
    out.print(facts("授权 consent", {"授权编号 consent id": consent_id, "机构 institution": answer.institution}))
    out.print(grid("经过 history", columns, events))
    out.print(access_list(answer.accesses))
    if answer.truncated:
        out.print(
            plain("仅列最近 500 条，其余请用 search --consent  the newest 500 alone: search --consent finds the rest")
        )


@app.command("report-subject", epilog=EXIT_CODES)
def report_subject(
    subject: SubjectArgument,
    *,
    reason: ReasonOption,
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """主体全貌 Everything about one subject; it takes two officers within 24 h, so the first one is refused."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ReportSubjectRequest(subject=named_subject(subject, name, person=person), reason=reason)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.ReportSubject, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    out.print(grid("授权 consents", ("授权编号 consent id",), [(consent_id,) for consent_id in answer.consent_ids]))
    out.print(access_list(answer.accesses))


@app.command(epilog=EXIT_CODES)
def unmask(
    entry_id: Annotated[str, typer.Argument(help="条目编号 entry id")],
    field: Annotated[str, typer.Argument(help="字段 operator, reason, statement, dispute or evidence")],
    *,
    reason: ReasonOption,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """解除遮盖 Show one masked or sealed value; an UNMASK entry says who saw it and why."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.UnmaskRequest(entry_id=entry_id, field=field, reason=reason)
    answer = answer_or_json(who, lambda rpcs: rpcs.compliance.Unmask, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    console().print(facts("已解除遮盖 unmasked", {"字段 field": field, "内容 value": answer.value}))


@app.command(epilog=EXIT_CODES)
def sample(
    *,
    size: Annotated[int, typer.Option(min=1, max=500, help="抽取件数 how many")],
    seed: Annotated[
        str, typer.Option(help="种子 the same seed and frame give the same sample; default a new one")
    ] = "",
    institution: InstitutionOption = "",
    first_day: FromOption = "",
    last_day: ToOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """抽样 Draw accesses and LENDER_ATTESTED letters for review."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.DrawSampleRequest(
        size=size, seed=seed, institution=institution, from_day=first_day, to_day=last_day
    )
    answer = answer_or_json(who, lambda rpcs: rpcs.compliance.DrawSample, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    out = console()
    rows = {
        "样本编号 sample id": answer.sample_id,
        "种子 seed": answer.seed,
        "总体 frame": answer.frame_size,
        "抽出 drawn": len(answer.accesses) + len(answer.letters),
    }
    out.print(facts("样本 sample", rows))
    out.print(access_list(answer.accesses))
    if answer.letters:
        columns = ("登记条目 entry id", "授权编号 consent id", "机构 institution", "登记时间 registered")
        letters = [(one.entry_id, one.consent_id, one.institution, moment(one.at)) for one in answer.letters]
        out.print(grid("机构自签授权书 LENDER_ATTESTED letters", columns, letters))


@app.command(epilog=EXIT_CODES)
def verdict(
    sample_id: Annotated[str, typer.Argument(help="样本编号 sample id")],
    entry_id: Annotated[str, typer.Argument(help="条目编号 entry id in the sample")],
    verdict: Annotated[str, typer.Argument(help="结论代码 code, for example OK, QUESTIONABLE, VIOLATION")],
    *,
    note: Annotated[str, typer.Option(help="说明 note; sealed beside the entry")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """结论 Record what was found about one sampled access or letter, once."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.RecordVerdictRequest(sample_id=sample_id, entry_id=entry_id, verdict=verdict, note=note)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.RecordVerdict, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    console().print(facts("已记录 recorded", {"结论 verdict": verdict, "条目 entry id": answer.entry_id}))


@app.command(epilog=EXIT_CODES)
def anomalies(
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
    """异常 List what looks unusual in the last 30 days; a hint to look, never a finding."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ListAnomaliesRequest(page=page_request(page_size, page_token))
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.ListAnomalies, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    columns = (
        "规则 rule",
        "机构 institution",
        "工号 staff",
        "情况 what",
        "计数/阈值 count",
        "时间 at",
        "条目 entry id",
    )
    rows = [
        (
            found.rule,
            found.institution,
            found.operator,
            found.text,
            f"{found.count} / {found.threshold}",
            moment(found.at),
            found.entry_ids[0] if found.entry_ids else "",
        )
        for found in answer.anomalies
    ]
    out.print(grid("异常 anomalies", columns, rows))
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def erasures(
    *,
    with_erased: Annotated[bool, typer.Option("--all", help="含已删除 also those that are done")] = False,
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """删除申请 List the erasures that subjects asked for."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ListErasuresRequest(page=page_request(page_size, page_token), with_erased=with_erased)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.ListErasures, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    for erasure in answer.erasures:
        out.print(erasure_facts(erasure))
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def erase(
    erasure_id: Annotated[str, typer.Argument(help="删除申请编号 erasure id")],
    *,
    reason: ReasonOption,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """提前删除 Erase before the retention period ends; a second officer within 24 h carries it out."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.DecideErasureRequest(erasure_id=erasure_id, reason=reason)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.DecideErasure, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    console().print(erasure_facts(answer.erasure))


@app.command(epilog=EXIT_CODES)
def preserve(
    subject: Annotated[str, typer.Argument(help="主体 the subject; or none, with --institution and days")] = "",
    *,
    reason: ReasonOption,
    institution: InstitutionOption = "",
    first_day: FromOption = "",
    last_day: ToOption = "",
    name: NameOption = "",
    person: PersonOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """封存 Preserve records (条例 Art. 33): a regulator alone, or two officers within 24 h; nothing there is erased."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.PreserveRecordsRequest(
        institution=institution, from_day=first_day, to_day=last_day, reason=reason
    )
    if subject:
        request.subject.CopyFrom(named_subject(subject, name, person=person))
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.PreserveRecords, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    console().print(facts("已封存 preserved", {"封存编号 preservation id": answer.preservation_id}))


@app.command("preservations", epilog=EXIT_CODES)
def list_preservations(
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
    """列出封存 List the preservations that stand, the oldest first; the look is recorded."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ListPreservationsRequest(page=page_request(page_size, page_token))
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.ListPreservations, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    rows = [
        (
            row.preservation_id,
            "一个主体 one subject" if row.of_subject else row.institution or "全部机构 all institutions",
            f"{row.from_day} – {row.to_day}" if row.from_day or row.to_day else "",
            f"{row.placed_by} {'监管 regulator' if row.by_regulator else ''}".strip(),
            moment(row.placed_at),
        )
        for row in answer.preservations
    ]
    headings = ("封存编号 preservation id", "范围 scope", "期间 days", "由 placed by", "时间 at")
    console().print(grid("封存 preservations", headings, rows, is_keyed=True))
    next_page(answer.page)


@app.command(epilog=EXIT_CODES)
def release(
    preservation_id: Annotated[str, typer.Argument(help="封存编号 preservation id")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """解除封存 End a preservation; officers need two within 24 h, a regulator releases its own alone."""
    who = find_profile(profile, dev, participant, operator)
    request = compliance_pb2.ReleasePreservationRequest(preservation_id=preservation_id)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.compliance.ReleasePreservation, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    state = "已解除 released" if answer.released else "待第二名合规人员 waits for a second officer"
    console().print(facts("封存 preservation", {"封存编号 preservation id": preservation_id, "状态 state": state}))
