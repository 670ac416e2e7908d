"""`bashu-gateway`: the operator's command line; `--help` names the exit codes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from core.clock import SHANGHAI
from core.lifetime import follow_parent
from gateway.commands.adapter import adapter_app
from gateway.commands.clock import clock_app
from gateway.commands.keys import keys_app
from gateway.commands.report import Span
from gateway.commands.shared import EXIT_CODES, USAGE, SettingsFile, spoken
from gateway.logs import configure_logs
from gateway.settings import Settings, SettingsError, load_settings, read_secret

FSCK_EXIT_CODES: Final = (
    "退出码 exit codes: 0 无问题或仅提示 nothing, or INFO alone · 4 有警告 a WARNING · 5 有错误 an ERROR · "
    "1 未能执行 could not go on · 2 用法或设置有误 usage or settings · 3 数据库不可用 the database is unavailable"
)

DOCTOR_EXIT_CODES: Final = (
    "退出码 exit codes: 0 无失败 nothing FAILs (a WARN works today) · 1 有失败 a check FAILs · "
    "2 用法或设置有误 usage or settings"
)
SHOWN_EVERY: Final = 1 << 18

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="巴蜀信用互联网关 Bashu gateway: run it, migrate it, check it.",
    epilog=EXIT_CODES,
)
app.add_typer(adapter_app, name="adapter")
app.add_typer(keys_app, name="keys")
app.add_typer(clock_app, name="clock")


class SandboxProfile(StrEnum):
    """Latency and faults of the simulated platforms."""

    INSTANT = "instant"
    REALISTIC = "realistic"
    BAD_DAY = "bad-day"


@app.command(epilog=EXIT_CODES)
def dev(
    *,
    state: Annotated[Path, typer.Option(help="状态目录 State folder; made where missing.")] = Path(".dev"),
    grpc_port: Annotated[int, typer.Option(help="gRPC 端口 Port; 0 picks a free one.", min=0, max=65535)] = 0,
    workers: Annotated[int, typer.Option(help="工作进程数 Worker processes.", min=1, max=16)] = 1,
    profile: Annotated[
        SandboxProfile, typer.Option(help="沙箱时延与故障 Latency and faults of the sandbox.")
    ] = SandboxProfile.INSTANT,
    persons: Annotated[bool, typer.Option("--persons", help="个人查询 Personal path, sandbox licence.")] = False,
    witness: Annotated[
        bool, typer.Option("--witness", help="模拟见证方附署检查点 A simulated witness cosigns the checkpoints.")
    ] = False,
    second_checker: Annotated[
        bool, typer.Option("--second-checker", help="平台复核授权书 Platforms verify letters and intents themselves.")
    ] = False,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="仅用于测量 No TLS, for measurements.")] = False,
) -> None:
    """开发环境：内嵌数据库、两个模拟平台、网关、封存进程. Everything on one machine until Ctrl-C."""
    from database.binaries import EmbeddedPostgresError
    from gateway.dev import DevOptions, DevStartFailed, run_dev

    options = DevOptions(
        state=state,
        grpc_port=grpc_port,
        workers=workers,
        profile=profile,
        persons=persons,
        witness=witness,
        plaintext=plaintext,
        second_checker=second_checker,
    )
    with spoken(EmbeddedPostgresError, DevStartFailed):
        _run(run_dev(options, say=lambda line: print(line, flush=True)))  # noqa: T201 - this is the terminal


@app.command(epilog=EXIT_CODES)
def serve(settings: SettingsFile) -> None:
    """网关：若干工作进程共用一个端口. The gateway: N workers behind one port."""
    from gateway.doctor import say_faults
    from gateway.serve import run_workers
    from standards.catalogue import load_standard

    run = settings.parent / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    with spoken():
        configure_logs(process="supervisor")
        loaded = load_settings(settings)
        load_standard(loaded.standard.tables)
        _run(say_faults(loaded, say=typer.echo))
        _run(run_workers(settings, loaded, run=run, say=typer.echo))


@app.command(epilog=EXIT_CODES)
def sealer(settings: SettingsFile) -> None:
    """封存进程：把已提交条目并入日志树并签署检查点. Integrates entries and signs checkpoints."""
    from gateway.sealer import run_sealer
    from ledger.note import NoteError

    follow_parent()
    with spoken(NoteError):
        configure_logs(process="sealer")
        _run(run_sealer(load_settings(settings)))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """模拟平台（重庆、四川）. The simulated platforms; options after it are theirs (`--help` shows them)."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *context.args])  # noqa: S606 - our own program


@app.command(epilog=EXIT_CODES)
def migrate(settings: SettingsFile) -> None:
    """数据库迁移（含密钥库），以所有者身份. Runs both databases' migrations as the owner, whom nothing else uses."""
    from database import migrate as run_migrations
    from gateway.dev import KEYS_MIGRATIONS, MIGRATIONS

    with spoken():
        loaded = load_settings(settings)
        owners = {
            "database.owner_dsn_file": (loaded.database.owner_dsn_file, MIGRATIONS),
            "vault.owner_dsn_file": (loaded.vault.owner_dsn_file, KEYS_MIGRATIONS),
        }
        for name, (owner, folder) in owners.items():
            if owner is None:
                raise SettingsError(f"{name} is missing")
            _run(run_migrations(read_secret(owner, setting=name).decode(), folder, progress=typer.echo))


@app.command(epilog=EXIT_CODES)
def rewrap(settings: SettingsFile) -> None:
    """更换包裹密钥后，重新包裹全部数据密钥. Wraps every data key with the newest wrapping key; may be repeated."""
    with spoken():
        typer.echo(f"{_run(_rewrap(load_settings(settings)))} keys wrapped anew")


@app.command("check-config", epilog=EXIT_CODES)
def check_config(settings: SettingsFile) -> None:
    """检查设置文件与替换的码表. Reads settings and own tables, says what is wrong with them or which are replaced."""
    from standards.catalogue import load_standard
    from standards.tables import Tables

    with spoken():
        loaded = load_settings(settings)
        load_standard(loaded.standard.tables)
        replaced = Tables(override=loaded.standard.tables).replaced()
        typer.echo(f"ok: profile {loaded.profile}, {len(loaded.platforms)} platforms, origin {loaded.ledger.origin}")
        typer.echo(f"码表 tables: {len(replaced)} replaced{''.join(f' {name}.csv' for name in replaced)}")


@app.command(epilog=EXIT_CODES)
def report(
    span: Annotated[Span, typer.Argument(help="年报或月报 annual or monthly")],
    period: Annotated[str, typer.Argument(help="YYYY 或 or YYYY-MM, 北京时间 Beijing time")],
    settings: SettingsFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="一个 JSON 对象 One JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV 表格 A CSV table.")] = False,
) -> None:
    """业务报告，仅由日志统计. Queries, refusals, disputes, holds, suspensions, from the log alone."""
    from gateway.commands import report as counting

    with spoken():
        since, before = counting.period_of(span, period)
        rows = _run(counting.read_report(load_settings(settings), since, before))
    if as_csv:
        counting.write_csv(rows)
    else:
        typer.echo((counting.as_json if as_json else counting.as_text)(rows, since, before))


@app.command(epilog=FSCK_EXIT_CODES)
def fsck(
    settings: Annotated[
        Path | None, typer.Option(envvar="BASHU_SETTINGS", help="设置文件 TOML settings file.", exists=True)
    ] = None,
    *,
    archive: Annotated[
        Path | None, typer.Option(help="归档目录 An archive: alone, or together with the database.", exists=True)
    ] = None,
    vkey: Annotated[
        list[str] | None, typer.Option(help="日志公钥 A public key of the log, or a file of them; may be repeated.")
    ] = None,
    from_index: Annotated[int, typer.Option(min=0, help="续查起点 Go on here: the last index that was shown.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON One JSON object a line.")] = False,
) -> None:
    """检查日志：树、检查点、不变式、计数、孤立意图. Checks tree, checkpoints, invariants, tallies, orphan intents."""
    from gateway.commands.fsck import run_fsck
    from ledger.archive.files import ArchiveError
    from ledger.note import NoteError

    with spoken(ArchiveError, NoteError, OSError):
        loaded = None if settings is None else load_settings(settings)
        work = run_fsck(
            loaded, archive=archive, vkeys=vkey or [], from_index=from_index, as_json=as_json, progress=_show_progress()
        )
        raise typer.Exit(_run(work))


@app.command(epilog=EXIT_CODES)
def reproject(
    settings: SettingsFile,
    *,
    archive: Annotated[
        Path | None, typer.Option(help="归档目录 An archive, for entries that are out of the database.", exists=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON One JSON object a line.")] = False,
) -> None:
    """由条目重建有差异的投影，以所有者身份. Makes projections that differ anew from entries, as the owner."""
    from gateway.commands.fsck import run_reproject

    with spoken():
        work = run_reproject(load_settings(settings), archive=archive, as_json=as_json, progress=_show_progress())
        mended = _run(work)
        typer.echo(f'{{"mended": {mended}}}' if as_json else f"{mended} 项已修复 mended")


@app.command(epilog=EXIT_CODES)
def archive(
    out: Annotated[Path, typer.Argument(help="目录 Folder; files there are kept, so a run broken off goes on.")],
    settings: SettingsFile,
    *,
    before: Annotated[
        str,
        typer.Option(help="此日以前 Older than this day, Beijing time; else [retention] years.", metavar="YYYY-MM-DD"),
    ] = "",
    to_index: Annotated[
        int | None, typer.Option(min=1, help="到此序号 Up to this index, a multiple of 65,536.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="一个 JSON 对象 One JSON object.")] = False,
) -> None:
    """归档：把较早的条目复制成文件. Copies old leaves with their tiles to files; nothing leaves the database."""
    from gateway.commands.archive import Wish, run_archive
    from ledger.archive.files import ArchiveError

    with spoken(ArchiveError, OSError):
        try:
            day = datetime.strptime(before, "%Y-%m-%d").replace(tzinfo=SHANGHAI) if before else None
        except ValueError:
            raise SettingsError("--before: no such day") from None
        work = run_archive(load_settings(settings), out, Wish(to_index=to_index, before=day), progress=_show_progress())
        done = _run(work)
    if as_json:
        typer.echo(msgspec.json.encode({"size": done.size, "root": done.root, "stopped": done.stopped}).decode())
        return
    typer.echo(f"归档 archived: {done.size} 条 leaves{f'，根 root {done.root}' if done.root else ''}")
    if done.stopped:
        typer.echo(f"止于 stopped: {done.stopped}")


@app.command(epilog=DOCTOR_EXIT_CODES)
def doctor(
    *,
    settings: SettingsFile,
    platform: Annotated[list[str] | None, typer.Option(help="平台 Only this platform; repeat it.")] = None,
    sample: Annotated[str, typer.Option(help="测试主体 CODE[=NAME]: ask about it, item by item.")] = "",
    artefact: Annotated[list[str] | None, typer.Option(help="授权书 CODE=FILE of that subject.")] = None,
    institution: Annotated[str, typer.Option(help="信息使用机构 The lender named to the platform.")] = "bank-test",
    purpose: Annotated[str, typer.Option(help="用途 Purpose of the standard.")] = "PRE_LOAN_REVIEW",
    test_environment: Annotated[
        bool, typer.Option("--test-environment", help="确认是测试环境 Confirm that it is a test subject.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON One JSON object a line.")] = False,
) -> None:
    """体检：许可、密钥、数据库、日志、各平台链路. Proves each link; a failing line says whose turn it is."""
    from gateway.commands.doctor import Sample, run_doctor

    asked = None
    if sample:
        if not test_environment:
            typer.echo("--sample 须加 --test-environment; it asks the platform really: a test subject alone", err=True)
            raise typer.Exit(USAGE)
        asked = Sample(subject=sample, artefacts=tuple(artefact or ()), institution=institution, purpose=purpose)
    with spoken():
        work = run_doctor(settings, platforms=platform, sample=asked, as_json=as_json, say=typer.echo)
        raise typer.Exit(_run(work))


@app.command(epilog=EXIT_CODES)
def reconcile(
    platform: Annotated[str, typer.Argument(help="平台 platform id")],
    day: Annotated[str, typer.Argument(help="日期 YYYY-MM-DD, 北京时间 Beijing time, today or earlier")],
    settings: SettingsFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="一个 JSON 对象 One JSON object.")] = False,
) -> None:
    """对账：平台账簿与日志逐条比对. Compares a platform's own book of a day with the ledger, line by line."""
    from gateway.commands import reconcile as comparing

    def on_page(page: int, pages: int) -> None:
        if sys.stderr.isatty() or page == pages:
            typer.echo(f"\r平台账簿 book: {page} / {pages} 页 pages ", nl=page == pages, err=True)

    with spoken():
        when = comparing.day_of(day)
        work = comparing.reconcile_day(load_settings(settings), platform, when, on_page=on_page)
        done = _run(work)
    typer.echo(comparing.as_json(done) if as_json else comparing.as_text(done, platform, when))


@app.command(epilog=EXIT_CODES)
def tiles(
    settings: SettingsFile,
    out: Annotated[Path, typer.Argument(help="目录 Folder for checkpoint and tile/; files there are kept.")],
    *,
    entries: Annotated[bool, typer.Option("--entries", help="含条目 Entry bundles too: not for the public.")] = False,
) -> None:
    """把已签署的日志树写成静态文件. Writes the signed tree as static files in C2SP tlog-tiles layout."""
    from database import open_database
    from ledger.publish import write_static

    async def work(loaded: Settings) -> int:
        if loaded.database.reader_dsn_file is None:
            raise SettingsError("database.reader_dsn_file is missing")
        dsn = read_secret(loaded.database.reader_dsn_file, setting="database.reader_dsn_file").decode()
        db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-tiles")
        try:
            return await write_static(db, out, entries=entries, progress=_show_progress())
        finally:
            await db.close()

    with spoken(OSError):
        typer.echo(f"{_run(work(load_settings(settings)))} leaves")


@app.command(epilog=EXIT_CODES)
def identifier(
    *,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="标准输入每行一个 JSON One JSON object a line.")],
) -> None:
    """标识核验：{kind, value} → {ok, normalised, warnings, error}. Checks identifiers, a line each."""
    from standards.catalogue import load_standard
    from standards.identifiers import identifier_line

    if not jsonl:
        raise typer.Exit(USAGE)
    divisions = load_standard().divisions
    today = datetime.now(SHANGHAI).date()
    for line in sys.stdin.buffer:
        if line.strip():
            answer = identifier_line(line, divisions=divisions, today=today)
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")


async def _rewrap(settings: Settings) -> int:
    from database import open_database
    from gateway.from_settings import open_vault

    dsn = read_secret(settings.vault.dsn_file, setting="vault.dsn_file").decode()
    keys = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-rewrap")
    try:
        return await open_vault(settings, keys).rewrap()
    finally:
        await keys.close()


def _show_progress() -> Callable[[int, int], None] | None:
    """Return what says how far it is: at a terminal all the time, in a log every 262,144 leaves."""
    if sys.stderr.isatty():
        return lambda done, size: typer.echo(f"\r{done} / {size} ", nl=done == size, err=True)
    return lambda done, size: None if done % SHOWN_EVERY else typer.echo(f"{done} / {size}", err=True)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
