"""`bashu ledger …`: read the access log, and check each thing read before showing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bashu.cli.labels import LOG_KEY
from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    call,
    failed,
    find_profile,
    message_json,
    print_json,
    usage,
)
from bashu.cli.tables import console, facts, grid, moment, plain
from bashu.cli.witnesses import WitnessedOption
from bashu.client import DEADLINE_S, Bashu
from bashu.log_keys import read_succession
from bashu.profiles import Profile
from bashu.saved import check_inclusion_under, inclusion_json
from bashu.v1 import ledger_pb2
from bashu.verify import (
    Checkpoint,
    LogKeys,
    VerificationError,
    VerifierKey,
    leaf_hash,
    verify_checkpoint,
    verify_tlog_proof,
)

app = typer.Typer(no_args_is_help=True, help="访问日志 the access log")

KeyArgument = Annotated[str, typer.Argument(help="序号或条目编号 leaf index or entry id")]


@app.command(epilog=EXIT_CODES)
def checkpoint(
    *,
    witnessed: WitnessedOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """检查点 Print the newest signed checkpoint; verified where the profile pins the ledger's key."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(who, lambda client: client.get_checkpoint(witnessed=witnessed), as_json=as_json, deadline_s=deadline)
    checked = _checked(who, answer.checkpoint, as_json=as_json)
    if as_json:
        print_json(message_json(answer) | {"verified": checked is not None})
        return
    out = console()
    rows = {
        "条目数 size": answer.tree_size,
        "签署时间 signed": moment(answer.signed_at),
        "核验 verified": _word(checked),
    }
    out.print(facts("检查点 checkpoint", rows))
    out.print(plain(answer.checkpoint))


@app.command(epilog=EXIT_CODES)
def proof(
    key: KeyArgument,
    *,
    tree_size: Annotated[int, typer.Option(min=0, help="树的大小 tree size; 0: the newest checkpoint's")] = 0,
    save: Annotated[
        Path | None, typer.Option(help="保存为 tlog-proof 文件 file for the C2SP tlog-proof, checked before it is kept")
    ] = None,
    witnessed: WitnessedOption = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """包含证明 Prove that an entry is in the log."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.get_inclusion_proof(_key(key), tree_size=tree_size, witnessed=witnessed),
        as_json=as_json,
        deadline_s=deadline,
    )
    checked = _checked(who, answer.checkpoint, as_json=as_json)
    if checked is not None:
        try:
            check_inclusion_under(checked, answer.leaf_hash, inclusion_json(answer))
        except VerificationError as error:
            failed(error, as_json=as_json)
    if save is not None:
        _save(who, answer, save, as_json=as_json)
    if as_json:
        print_json(inclusion_json(answer) | {"checkpoint": answer.checkpoint, "verified": checked is not None})
        return
    rows = {
        "序号 index": answer.leaf_index,
        "条目数 tree size": answer.tree_size,
        "条目摘要 leaf hash": answer.leaf_hash.hex(),
        "路径 proof": "\n".join(item.hex() for item in answer.proof),
        "核验 verified": _word(checked),
    }
    out = console()
    out.print(facts("包含证明 inclusion proof", rows))
    out.print(plain(answer.checkpoint))


@app.command(epilog=EXIT_CODES)
def entry(
    key: KeyArgument,
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """条目 Show one entry; its bytes are checked against its hash."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(who, lambda client: client.get_entry(_key(key)), as_json=as_json, deadline_s=deadline)
    if leaf_hash(answer.leaf) != answer.leaf_hash:
        failed(VerificationError("the entry's bytes do not have the entry's hash"), as_json=as_json)
    if as_json:
        print_json(message_json(answer) | {"entry": json.loads(answer.leaf)})
        return
    index = answer.leaf_index if answer.HasField("leaf_index") else "尚未收录 not yet integrated"
    out = console()
    out.print(facts("条目 entry", {"序号 index": index, "条目摘要 leaf hash": answer.leaf_hash.hex()}))
    out.print(plain(json.dumps(json.loads(answer.leaf), ensure_ascii=False, indent=1)))


def _save(who: Profile, answer: ledger_pb2.GetInclusionProofResponse, file: Path, *, as_json: bool) -> None:
    """Keep the tlog-proof, once it is shown to hold where the profile pins the ledger's key."""
    if who.vkey is not None:
        try:
            verify_tlog_proof(answer.tlog_proof, leaf=answer.leaf_hash, vkey=LogKeys.parse(who.vkey))
        except VerificationError as error:
            failed(error, as_json=as_json)
    try:
        file.write_text(answer.tlog_proof, encoding="utf-8")
    except OSError as error:
        usage(f"{error.filename}: {error.strerror}")


@app.command(epilog=EXIT_CODES)
def keys(
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """日志密钥 The log's keys; a successor is proven (日志已证明) where the log names it under a key you pinned.

    What to pin is printed as the profile's line.
    """
    who = find_profile(profile, dev, participant, operator)
    if who.vkey is None:
        usage("the profile pins no vkey: the ledger's key has to come from outside the gateway")
    found = call(who, lambda client: _keys(client, who.vkey), as_json=as_json, deadline_s=deadline)
    # A retired key still opens what it signed; a compromised one opens nothing that can be believed.
    to_pin = [row["vkey"] for row in found if (row["pinned"] or row["proven"]) and row["state"] != "COMPROMISED"]
    if as_json:
        print_json({"keys": found, "pin": to_pin})
        return
    words = {True: "是 yes", False: "否 no"}
    headings = ("密钥 key", "状态 state", "已配置 pinned", "日志已证明 proven by the log")
    rows = [(row["key"], LOG_KEY[row["state"]], words[row["pinned"]], words[row["proven"]]) for row in found]
    console().print(grid("日志密钥 keys of the log", headings, rows))
    typer.echo(f"vkey = {json.dumps(to_pin)}")


async def _keys(client: Bashu, vkey: str | None) -> list[dict[str, Any]]:
    pinned = LogKeys.parse(vkey)
    newest = verify_checkpoint((await client.get_checkpoint()).checkpoint, pinned)
    succession, told = await read_succession(client, newest)
    pinned_ids = {key.key_id for key in pinned.keys}
    return [
        {
            "key": key.key_id.hex(),
            "state": ledger_pb2.LogKeyState.Name(said.state).removeprefix("LOG_KEY_STATE_"),
            "pinned": key.key_id in pinned_ids,
            "proven": key.key_id in succession.keys,
            "vkey": said.vkey,
        }
        for said in told
        for key in (VerifierKey.parse(said.vkey),)
    ]


def _key(value: str) -> int | str:
    return int(value) if value.isascii() and value.isdigit() else value


def _checked(who: Profile, note: str, *, as_json: bool) -> Checkpoint | None:
    """Check a checkpoint against the pinned key; None where none is pinned."""
    if who.vkey is None:
        return None
    try:
        return verify_checkpoint(note, LogKeys.parse(who.vkey))
    except VerificationError as error:
        failed(error, as_json=as_json)


def _word(checked: Checkpoint | None) -> str:
    return "已核验 yes" if checked is not None else "否：配置中没有访问日志公钥 no: the profile pins no vkey"
