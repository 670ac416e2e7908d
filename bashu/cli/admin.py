"""`bashu admin …`: what the gateway's operator decides: the policy limits of every query, quotas of lenders."""

from __future__ import annotations

import json
from pathlib import Path
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
    answer_or_json,
    find_profile,
    read_bytes,
)
from bashu.cli.tables import console, facts, grid, moment
from bashu.client import DEADLINE_S
from bashu.v1 import admin_pb2

app = typer.Typer(no_args_is_help=True, help="网关运营方 what the gateway's operator decides")

_COLUMNS = {
    "id": "规则 rule",
    "effect": "效果 effect",
    "lookback_days": "回溯天数 days",
    "purpose": "用途 purpose",
    "data_item": "数据项 item",
    "subject_kind": "主体 subject",
    "institution_kind": "机构类别 kind",
}


@app.command(epilog=EXIT_CODES)
def policy(
    *,
    version: Annotated[str, typer.Option("--version", help="版本 an earlier version; default the one in force")] = "",
    save: Annotated[
        Path | None, typer.Option("--save", help="另存 file for the table as JSON, to be changed and set")
    ] = None,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """规则表 Show the policy limits in force, also as a lender or reviewer."""
    who = find_profile(profile, dev, participant, operator)
    request = admin_pb2.GetPolicyRequest(policy_version=version)
    answer = answer_or_json(who, lambda rpcs: rpcs.admin.GetPolicy, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    if save is not None:
        save.write_bytes(answer.table + b"\n")
    rows = json.loads(answer.table)["rules"]
    out = console()
    out.print(
        grid("规则 rules", _COLUMNS.values(), [[row.get(name, "") for name in _COLUMNS] for row in rows], is_keyed=True)
    )
    out.print(
        facts(
            "规则表 policy",
            {
                "版本 version": answer.policy_version,
                "设定 set at": moment(answer.set_at),
                "由 by": answer.set_by,
                "条目 entry id": answer.entry_id,
            },
        )
    )


@app.command("set-policy", epilog=EXIT_CODES)
def set_policy(
    table: Annotated[Path, typer.Argument(help="规则表 the whole table as JSON, or - for standard input")],
    *,
    replaces: Annotated[int, typer.Option("--replaces", min=0, help="所替版本 version it replaces; 0 is the first")],
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """设定规则表 Put a whole table in the place of the one in force; the next query is decided by it."""
    who = find_profile(profile, dev, participant, operator)
    request = admin_pb2.SetPolicyRequest(table=read_bytes(table), replaces_version=str(replaces))
    answer = answer_or_json(who, lambda rpcs: rpcs.admin.SetPolicy, request, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        console().print(facts("规则表 policy", {"现行版本 version in force": answer.policy_version}))


@app.command(epilog=EXIT_CODES)
def quota(
    institution: Annotated[str, typer.Argument(help="机构 institution; default one's own")] = "",
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """配额 Show a lender's quota of queries and what was taken of it today; a lender sees its own."""
    who = find_profile(profile, dev, participant, operator)
    request = admin_pb2.GetQuotaRequest(institution=institution)
    answer = answer_or_json(who, lambda rpcs: rpcs.admin.GetQuota, request, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    shown = {
        "机构 institution": answer.institution,
        "每日 a day": answer.queries_per_day or "不限 no limit",
        "今日已用 taken today": answer.taken_today if answer.queries_per_day else "",
        "每秒 a second": answer.queries_per_second or "不限 no limit",
    }
    console().print(facts("查询配额 quota", shown))


@app.command("set-quota", epilog=EXIT_CODES)
def set_quota(
    institution: Annotated[str, typer.Argument(help="机构 institution of the lender")],
    *,
    per_day: Annotated[int, typer.Option("--per-day", min=0, help="每日次数 queries a day; 0 is no limit")],
    per_second: Annotated[int, typer.Option("--per-second", min=0, help="每秒次数 queries a second; 0 is no limit")],
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """设定配额 Say how many queries a lender may make; within a second every worker counts by it."""
    who = find_profile(profile, dev, participant, operator)
    request = admin_pb2.SetQuotaRequest(institution=institution, queries_per_day=per_day, queries_per_second=per_second)
    answer = answer_or_json(who, lambda rpcs: rpcs.admin.SetQuota, request, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        shown = {"机构 institution": institution, "生效 since": moment(answer.effective_at)}
        console().print(facts("查询配额 quota", shown))
