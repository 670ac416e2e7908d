"""`bashu ledger list|export|watch`: read many entries, take them away, and watch the log from outside."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bashu.alarms import LogAlarm
from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    Exit,
    JsonOption,
    OperatorOption,
    ProfileOption,
    call,
    failed,
    find_profile,
    print_json,
    usage,
)
from bashu.cli.subjects import PersonOption, named_subject
from bashu.cli.tables import console, grid
from bashu.cli.verify import ConsentFilter, DayFilter, FromIndex, InstitutionFilter, MonthFilter
from bashu.cli.witnesses import QuorumOption, WitnessedOption, WitnessOption, cosigned_facts, policy
from bashu.client import DEADLINE_S, Bashu
from bashu.entry_reading import EntryReading, Which
from bashu.errors import BashuCallError
from bashu.exporting import ExportRefusedError, export_to
from bashu.profiles import Profile
from bashu.v1 import ledger_pb2
from bashu.verify import LogKeys, Selection, VerificationError, leaf_hash
from bashu.watch import LogWatch, Look, Witnessing

STATE_FOLDER: Final = Path("~/.local/state/bashu")
WITNESS_AGE_S: Final = 3600.0
"""At this age of their quorum the gateway refuses queries about persons."""


def list_entries(
    *,
    from_index: FromIndex = 0,
    consent: ConsentFilter = "",
    types: Annotated[list[str] | None, typer.Option("--type", help="类型 only these types (repeat)")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="条数 entries a page")] = 50,
    page: Annotated[str, typer.Option("--page-token", help="下一页标记 token that the page before ended with")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """列表 List entries, one page; each one's bytes are checked against its hash. A reviewer's view is recorded."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.list_entries(
            from_index=from_index, consent_id=consent, types=types or (), page_size=limit, page_token=page
        ),
        as_json=as_json,
        deadline_s=deadline,
    )
    if any(leaf_hash(entry.leaf) != entry.leaf_hash for entry in answer.entries):
        failed(VerificationError("an entry's bytes do not have the entry's hash"), as_json=as_json)
    entries = [(entry, json.loads(entry.leaf)) for entry in answer.entries]
    if as_json:
        listed = [{"leaf_index": entry.leaf_index, "entry": members} for entry, members in entries]
        print_json({"entries": listed, "next_page_token": answer.page.next_page_token})
        return
    headings = ("序号 index", "时间 time", "类型 type", "机构 institution", "授权或对象 consent or object")
    console().print(grid("条目 entries", headings, [_row(entry, members) for entry, members in entries]))
    if answer.page.next_page_token:
        typer.echo(f"下一页 next page: --page-token {answer.page.next_page_token}")


def export(
    file: Annotated[Path, typer.Argument(help="导出文件 file to write; an interrupted one is continued")],
    *,
    from_index: FromIndex = 0,
    consent: ConsentFilter = "",
    institution: InstitutionFilter = "",
    month: MonthFilter = "",
    day: DayFilter = "",
    subject: Annotated[str, typer.Option("--subject", help="主体 only this one, - is stdin; takes two officers")] = "",
    person: PersonOption = False,
    witnessed: WitnessedOption = False,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """导出 Write entries with their proofs and the checkpoint to a file: `bashu verify export` checks it offline.

    Interrupted, the same command goes on where it stopped. A reviewer's export is recorded before the first row.
    """
    who = find_profile(profile, dev, participant, operator)
    asked = Selection(
        consent_id=consent,
        institution=institution,
        month=month,
        day=day,
        is_of_subject=bool(subject),
        from_index=from_index,
    )

    named = named_subject(subject, "", person=person) if subject else None

    def show(lines: int) -> None:
        typer.echo(f"{lines} 条 entries …", err=True)

    async def work(client: Bashu) -> int:
        return await export_to(client, file, asked, subject=named, progress=show, witnessed=witnessed)

    try:
        added = call(who, work, as_json=as_json, deadline_s=DEADLINE_S)
    except ExportRefusedError as error:
        usage(str(error))
    except OSError as error:
        usage(f"{error.filename}: {error.strerror}")
    typer.echo(f"{added} 条 entries, 完成 complete", err=True)
    if as_json:
        print_json({"file": str(file), "added": added})


def watch(
    *,
    state: Annotated[Path | None, typer.Option("--state", help="状态文件 file that keeps the last checkpoint")] = None,
    once: Annotated[bool, typer.Option("--once", help="只看一次 look once, for cron")] = False,
    entries: Annotated[
        Which | None, typer.Option("--entries", help="同时读条目 also read the entries: new ones, or all again")
    ] = None,
    every: Annotated[float, typer.Option("--every", min=0.1, help="间隔（秒）seconds between looks")] = 10.0,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    witness_age: Annotated[
        float, typer.Option("--witness-age", min=1, help="附署最旧（秒）a quorum may be this old, seconds")
    ] = WITNESS_AGE_S,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """监视 Follow the log: each checkpoint must continue the last one seen, else alarm and exit code 4.

    --entries 供监管、审计和合规岗使用：读到的每条都须是树中的那条，否则指出是第几条；每次读取都会留痕。
    For reviewers: each entry read must be the tree's, or the alarm names it; each page read is recorded.
    --witness：日志须由这些见证方在近期附署，且所见与此处一致。With --witness the log has to be cosigned lately too.
    """
    witnesses = policy(witness, quorum)
    who = find_profile(profile, dev, participant, operator)
    if who.vkey is None:
        usage("the profile pins no vkey: the ledger's key has to come from outside the gateway")
    try:
        key = LogKeys.parse(who.vkey)
    except VerificationError as error:
        failed(error, as_json=as_json)
    file = state or STATE_FOLDER.expanduser() / f"ledger-{key.keys[0].key_id.hex()}.checkpoint"
    reading = None if entries is None else EntryReading(file.with_suffix(".entries"), entries)
    witnessing = None if witnesses is None else Witnessing(policy=witnesses, oldest=timedelta(seconds=witness_age))
    watching = LogWatch(file, key, reading=reading, witnessing=witnessing)
    try:
        if once:
            _show(call(who, watching.look, as_json=as_json, deadline_s=deadline), as_json=as_json)
            return
        asyncio.run(_follow(who, watching, every, deadline, lambda look: _show(look, as_json=as_json)))
    except LogAlarm as alarm:
        if as_json:
            print_json({"ok": False, "alarm": alarm.alarm.value, "error": str(alarm)})
        typer.echo(f"警报 ALARM {alarm}", err=True)
        raise typer.Exit(Exit.VERIFICATION_FAILED) from alarm
    except KeyboardInterrupt:
        return


async def _follow(
    who: Profile, watching: LogWatch, every: float, deadline: float, show: Callable[[Look], None]
) -> None:
    async with Bashu(who, deadline_s=deadline) as client:
        while True:
            try:
                show(await watching.look(client))
            except BashuCallError as error:
                # No answer is no evidence of a fork; whoever waits for one sees it here.
                typer.echo(f"未能查看 no look: {error.reason}", err=True)
            await asyncio.sleep(every)


def _show(look: Look, *, as_json: bool) -> None:
    if as_json:
        read = {} if look.entries is None else {"entries": look.entries}
        print_json({"ok": True, "size": look.size, "before": look.before, **read, **cosigned_facts(look.cosigned)})
    else:
        grown = "首次 first look" if look.before is None else f"+{look.size - look.before}"
        told = "" if look.entries is None else f", 已读条目 entries read: {look.entries}"
        seen = "" if not look.cosigned else f", 附署 cosigned: {', '.join(one.witness for one in look.cosigned)}"
        typer.echo(f"一致 consistent: {look.size} ({grown}){told}{seen}")
    sys.stdout.flush()


def _row(entry: ledger_pb2.LedgerEntry, members: dict[str, Any]) -> tuple[object, ...]:
    consent = members.get("consent", {}).get("id")
    about = consent or members.get("object", "")
    return entry.leaf_index, members["ts"], members["type"], members.get("requester", {}).get("institution", ""), about
