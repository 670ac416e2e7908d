"""`bashu platform …`: what the operator of a platform decides: who is admitted to what, and what is stopped."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

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
)
from bashu.cli.subjects import PageSizeOption, PageTokenOption, next_page, page_request
from bashu.cli.tables import console, facts, grid, moment
from bashu.client import DEADLINE_S
from bashu.v1 import platform_pb2, standard_pb2

app = typer.Typer(no_args_is_help=True, help="平台运营方 what a platform's operator decides")

PlatformArgument = Annotated[str, typer.Argument(help="平台 platform id")]
RECONCILE_S: Final = 60.0
"""A day of 10,000 lines takes about 5 s; the gateway gives no call more than a minute."""
LenderOption = Annotated[str, typer.Option(help="信息使用机构 only this lender; empty is the whole platform")]
ReasonOption = Annotated[str, typer.Option(help="事由 why; its digest stands in the access log")]


class Policy(StrEnum):
    """How much of an answer leaves the platform."""

    VALUES = "VALUES"
    DERIVED = "DERIVED"
    VERIFY_ONLY = "VERIFY_ONLY"


class State(StrEnum):
    """Whether a platform takes questions."""

    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    MAINTENANCE = "MAINTENANCE"
    STOPPED = "STOPPED"


@app.command("health", epilog=EXIT_CODES)
def health(
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """各平台状态与延迟 Each platform's state and latency of the last five minutes, as the answering worker saw them."""
    who = find_profile(profile, dev, participant, operator)
    request = standard_pb2.ListPlatformsRequest()
    answer = answer_or_json(
        who, lambda stubs: stubs.standard.ListPlatforms, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return

    def ms(one: standard_pb2.Platform, field: str) -> str:
        return f"{getattr(one, field).ToMilliseconds()} ms" if one.HasField(field) else ""  # type: ignore[arg-type]

    rows = [
        (
            one.platform_id,
            one.name_zh,
            one.state,
            *(ms(one, field) for field in ("latency_p50", "latency_p95", "latency_p99")),
            f"{one.daily_quota_taken} / {one.daily_quota}" if one.daily_quota else "—",
            len(one.data_items),
        )
        for one in answer.platforms
    ]
    headings = ("平台 platform", "名称 name", "状态 state", "p50", "p95", "p99", "今日配额 quota", "数据项 items")
    console().print(grid("平台 platforms", headings, rows, is_keyed=True))


@app.command("access", epilog=EXIT_CODES)
def access(
    platform: PlatformArgument,
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
    """准入清单 List which lenders are admitted to what; who is not here gets nothing."""
    who = find_profile(profile, dev, participant, operator)
    request = platform_pb2.ListPlatformAccessRequest(platform_id=platform, page=page_request(page_size, page_token))
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.platform.ListPlatformAccess, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(_accesses(answer.accesses))
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def admit(
    platform: PlatformArgument,
    lender: Annotated[str, typer.Argument(help="信息使用机构 institution of the lender")],
    *,
    item: Annotated[list[str], typer.Option(help="数据项 data item id; repeat it")],
    purpose: Annotated[list[str], typer.Option(help="用途 purpose; repeat it")],
    policy: Annotated[Policy, typer.Option(help="输出策略 values, counts and grades, or yes and no")] = Policy.VALUES,
    daily_quota: Annotated[int, typer.Option(min=0, help="每日配额 questions a day, 0 no limit")] = 0,
    valid_to: Annotated[str, typer.Option(help="截止日 last day, YYYY-MM-DD; empty is open")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """准入 Admit a lender: it counts when a second person asks for exactly the same within 24 hours."""
    who = find_profile(profile, dev, participant, operator)
    request = platform_pb2.SetPlatformAccessRequest(
        platform_id=platform,
        lender=lender,
        data_items=item,
        purposes=purpose,
        export_policy=platform_pb2.ExportPolicy.Value(f"EXPORT_POLICY_{policy.value}"),
        daily_quota=daily_quota,
        valid_to=valid_to,
    )
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.platform.SetPlatformAccess, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    told = "已生效 in force" if answer.access.confirmed else "待第二人，24 小时 waits for a second person"
    out = console()
    out.print(_accesses([answer.access]))
    out.print(facts("准入 access", {"状态 state": told}))


@app.command(epilog=EXIT_CODES)
def state(
    platform: PlatformArgument,
    new: Annotated[State, typer.Argument(help="RUNNING, DRAINING, MAINTENANCE, STOPPED")],
    *,
    lender: LenderOption = "",
    reason: ReasonOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """停用与恢复 Stop one lender or everything, or let it go on; within a second nothing more is asked."""
    who = find_profile(profile, dev, participant, operator)
    request = platform_pb2.SetPlatformStateRequest(platform_id=platform, lender=lender, state=new.value, reason=reason)
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.platform.SetPlatformState, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    shown = {"平台 platform": platform, "机构 lender": lender or "全部 all", "状态 state": new.value}
    console().print(facts("平台 platform", shown | {"生效 since": moment(answer.effective_at)}))


@app.command(epilog=EXIT_CODES)
def findings(
    platform: PlatformArgument,
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
    """超范围披露 List what the platform sent that it should not have: kinds and counts, never values."""
    who = find_profile(profile, dev, participant, operator)
    request = platform_pb2.ListDisclosureFindingsRequest(platform_id=platform, page=page_request(page_size, page_token))
    answer = call(
        who,
        lambda client: client.call(lambda rpcs: rpcs.platform.ListDisclosureFindings, request),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    columns = ("数据项 item", "种类 kind", "次数 count", "最近 last seen")
    rows = ((one.data_item, one.kind, one.count, moment(one.last_seen)) for one in answer.findings)
    out.print(grid("", columns, rows))
    if more := next_page(answer.page):
        out.print(more)


@app.command(epilog=EXIT_CODES)
def reconcile(
    platform: PlatformArgument,
    day: Annotated[str, typer.Argument(help="日期 day by Beijing time, YYYY-MM-DD, today or earlier")],
    *,
    deadline: DeadlineOption = RECONCILE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """对账 Compare the platform's own book of a day with the ledger, line by line; the result is an entry itself."""
    who = find_profile(profile, dev, participant, operator)
    request = platform_pb2.ReconcileDayRequest(platform_id=platform, date=day)
    with Console(stderr=True).status(f"对账中 reading {platform}'s book of {day} …"):
        answer = call(
            who,
            lambda client: client.call(lambda rpcs: rpcs.platform.ReconcileDay, request),
            as_json=as_json,
            deadline_s=deadline,
        )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    counts = {
        "一致 agree": answer.both,
        "仅本方 only in the ledger": answer.only_here_count,
        "仅平台 only in its book": answer.only_there_count,
        "不一致 differ": answer.different_count,
        "日志条目 entry": answer.entry_id,
    }
    out.print(facts(f"对账 {platform} {day}", counts))
    found = (
        ("仅本方 here", answer.only_here),
        ("仅平台 there", answer.only_there),
        ("不一致 differ", answer.different),
    )
    rows = [(where, line) for where, lines in found for line in lines]
    if rows:
        out.print(grid("", ("何处 where", "行 line"), rows))


def _accesses(rows: Iterable[platform_pb2.PlatformAccess]) -> Table:
    columns = (
        "机构 lender",
        "数据项 items",
        "用途 purposes",
        "输出 policy",
        "至 until",
        "今日配额 quota",
        "状态 state",
    )
    return grid("", columns, (_line(row) for row in rows))


def _line(row: platform_pb2.PlatformAccess) -> tuple[object, ...]:
    state = "停用 stopped" if row.stopped else "有效 in force" if row.confirmed else "待第二人 proposed"
    quota = f"{row.daily_quota_taken} / {row.daily_quota}" if row.daily_quota else "—"
    policy = platform_pb2.ExportPolicy.Name(row.export_policy).removeprefix("EXPORT_POLICY_")
    return row.lender, len(row.data_items), ", ".join(row.purposes), policy, row.valid_to or "—", quota, state
