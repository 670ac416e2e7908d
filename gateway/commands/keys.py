"""`bashu-gateway keys …`: one key of the log succeeds another, with an overlap in which both sign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from core.errors import BashuError
from database import DatabaseUnavailable
from gateway.commands.shared import SettingsFile, spoken, work_on
from gateway.log_keys import Decide, change_keys
from gateway.settings import Settings, SettingsError, load_settings
from ledger.keys import model, store
from ledger.keys.model import KeyEvent, KeyState, KeyStep, key_id
from ledger.note import NoteError
from ledger.signer import LogKeyFiles

_STATES: Final = {
    KeyState.ADDED: "待启用",
    KeyState.SIGNING: "签署中",
    KeyState.RETIRED: "已停用",
    KeyState.COMPROMISED: "已泄露",
}
_STEPS: Final = {
    KeyStep.FIRST: "登记首把密钥",
    KeyStep.ADDED: "加入后继密钥",
    KeyStep.OVERLAP: "开始签署",
    KeyStep.RETIRED: "停用",
    KeyStep.COMPROMISED: "作废（泄露）",
}

keys_app = typer.Typer(
    no_args_is_help=True,
    help="日志签名密钥的更替 The log's keys: list, add, overlap, retire, compromised.",
    epilog=(
        "退出码 exit codes: 0 成功 done · 1 未能执行 refused · 2 用法或设置有误 usage or settings · "
        "3 数据库不可用 the database is unavailable"
    ),
)

KeyId = Annotated[str, typer.Argument(help="密钥编号 key id, eight hex digits, as `keys list` shows")]


@keys_app.command("list")
def list_keys(
    settings: SettingsFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON One JSON object a line.")] = False,
) -> None:
    """各密钥及其状态、公钥、本机有无文件. Each key with its state, its vkey, and whether its file is here."""
    with spoken(usage=(NoteError,)):
        loaded = load_settings(settings)
        files = _files(loaded)
        known = model.states(work_on(loaded, store.steps)) or {files.vkey: KeyState.SIGNING}
    for vkey, state in known.items():
        here = _is_here(files, vkey)
        if as_json:
            typer.echo(json.dumps({"key": key_id(vkey), "state": state, "vkey": vkey, "file": here}))
        else:
            told = "有密钥文件 file here" if here else "本机无密钥文件 no file here"
            typer.echo(f"{key_id(vkey)}  {_STATES[state]} {state}  {told}  {vkey}")


@keys_app.command()
def add(settings: SettingsFile) -> None:
    """生成后继密钥并入账. Makes the successor's key on this machine; copy its file to the others before `overlap`."""
    with spoken(usage=(NoteError,)):
        loaded = load_settings(settings)
        files = _files(loaded)
        fresh = files.generate()
        try:
            _change(loaded, lambda events, _now: model.add(events, first=files.vkey, fresh=fresh.vkey))
        except DatabaseUnavailable:
            # It may be recorded; a key that is not does no harm.
            raise
        except BashuError:
            files.file_of(fresh.vkey).unlink()
            raise
    typer.echo(f"密钥文件 key file (0600): {files.file_of(fresh.vkey)}")
    typer.echo(f"公钥 vkey, to be published: {fresh.vkey}")


@keys_app.command()
def overlap(settings: SettingsFile, key: KeyId) -> None:
    """后继密钥开始与旧密钥一同签署. The successor signs beside the older key from here on."""
    with spoken(usage=(NoteError,)):
        loaded = load_settings(settings)
        files = _files(loaded)

        def decide(events: Sequence[KeyEvent], _now: datetime) -> list[model.Change]:
            vkey = _named(events, key)
            changes = model.overlap(events, vkey)
            files.load(vkey)
            return changes

        _change(loaded, decide)


@keys_app.command()
def retire(
    settings: SettingsFile,
    key: KeyId,
    *,
    early: Annotated[
        bool, typer.Option("--early", help="不等重叠期满 Before the overlap of the settings is over.")
    ] = False,
) -> None:
    """旧密钥停用，重叠期（[ledger] overlap_days）满后. The older key signs no more, once the overlap is over."""
    with spoken(usage=(NoteError,)):
        loaded = load_settings(settings)
        after = timedelta(days=0 if early else loaded.ledger.overlap_days)
        _change(loaded, lambda events, now: model.retire(events, _named(events, key), now=now, after=after))


@keys_app.command()
def compromised(settings: SettingsFile, key: KeyId) -> None:
    """密钥泄露：立即作废，已加入的后继密钥接替. Ends a key that others may have; an added successor signs at once."""
    with spoken(usage=(NoteError,)):
        loaded = load_settings(settings)
        files = _files(loaded)

        def decide(events: Sequence[KeyEvent], _now: datetime) -> list[model.Change]:
            changes = model.compromised(events, _named(events, key))
            for change in changes:
                if change.step is KeyStep.OVERLAP:
                    files.load(change.vkey)
            return changes

        _change(loaded, decide)


def _named(events: Sequence[KeyEvent], key: str) -> str:
    """Return the vkey of a key id among those of ``events``."""
    for vkey in model.states(events):
        if key_id(vkey) == key.lower():
            return vkey
    raise SettingsError(f"there is no key {key} in the log: see `bashu-gateway keys list`")


def _change(settings: Settings, decide: Decide) -> None:
    for change in work_on(settings, lambda db: change_keys(db, decide, origin=settings.ledger.origin)):
        typer.echo(f"{key_id(change.vkey)}  {_STEPS[change.step]} {change.step}")


def _files(settings: Settings) -> LogKeyFiles:
    try:
        return LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
    except OSError as error:
        raise SettingsError(f"ledger.signing_key: the file {settings.ledger.signing_key} cannot be read") from error


def _is_here(files: LogKeyFiles, vkey: str) -> bool:
    try:
        return files.vkey == vkey or files.load(vkey).vkey == vkey
    except NoteError:
        return False
