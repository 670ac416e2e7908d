"""`bashu consent notice|text`: the texts that a borrower is shown."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
    read_bytes,
    usage,
)
from bashu.cli.tables import console, facts, notice_facts
from bashu.client import DEADLINE_S
from bashu.v1 import consent_pb2


def notice(
    file: Annotated[Path, typer.Argument(help="文本 UTF-8 text of a notice or a purpose, byte for byte; - is stdin")],
    *,
    notice_id: Annotated[str, typer.Option("--id", help="文本编号 id of your choice")],
    version: Annotated[str, typer.Option(help="版本 version of your choice; a new wording is a new version")],
    lang: Annotated[str, typer.Option(help="语言 language, BCP 47")] = "zh-CN",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """登记文本 Register the text of a notice or a purpose; artefacts name it by its hash."""
    try:
        text = read_bytes(file).decode()
    except UnicodeDecodeError:
        usage(f"{file}: 不是 UTF-8 文本 not UTF-8 text")
    request = consent_pb2.RegisterNoticeRequest(notice_id=notice_id, version=version, lang=lang, text=text)
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.consent.RegisterNotice, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    if answer.sha256 != hashlib.sha256(text.encode()).digest():
        usage("网关返回的摘要与文本不符 the gateway's hash is not the text's")
    rows = {"摘要 sha256": answer.sha256.hex(), "日志条目 entry id": answer.entry_id}
    console().print(facts("文本 text", rows))


def text(
    sha256: Annotated[str, typer.Argument(help="摘要 SHA-256 of the text, hex")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """取文本 Show the registered text with this hash."""
    request = consent_pb2.GetNoticeRequest(sha256=digest(sha256))
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(who, lambda rpcs: rpcs.consent.GetNotice, request, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        console().print(notice_facts(answer.notice))


def digest(text: str) -> bytes:
    """Read a SHA-256 in hex, or end with USAGE."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != hashlib.sha256().digest_size:
        usage("摘要为 64 位十六进制 a SHA-256 has 64 hex digits")
    return found
