"""`bashu consent notice|text|request|bundle|decide|request-evidence|submit-evidence`: how a consent comes about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import ParseDict, ParseError

from bashu.cli.consent import ConsentArgument
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
from bashu.cli.subjects import NameOption, PersonOption, SubjectArgument, named_subject
from bashu.cli.tables import bundle_facts, consent_facts, console, draft_facts, facts, moment, notice_facts
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


def request(
    subject: SubjectArgument,
    *,
    drafts: Annotated[
        Path, typer.Option(help="授权草案 JSON list of drafts, as in examples/consent/drafts.json; - is stdin")
    ],
    notice: Annotated[str, typer.Option(help="告知文本摘要 SHA-256 of the registered notice, hex")],
    name: NameOption = "",
    person: PersonOption = False,
    bundle_id: Annotated[str, typer.Option(help="请求编号 UUID of your choice; the same again answers alike")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """请求授权 Ask a borrower for a bundle of consents with one signing; prints where the borrower decides."""
    if str(drafts) == subject == "-":
        usage("标准输入只能读一次 only one of them is read from stdin")
    asked = consent_pb2.RequestConsentRequest(
        bundle_id=bundle_id,
        subject=named_subject(subject, name, person=person),
        drafts=_read_drafts(drafts),
        notice_sha256=digest(notice),
    )
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(who, lambda rpcs: rpcs.consent.RequestConsent, asked, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    rows = {
        "请求编号 bundle id": answer.bundle_id,
        "办理链接 decision url": answer.decision_url,
        "截止 lapses": moment(answer.expires_at),
        "后果 consequences": answer.consequences,
    }
    console().print(facts("授权请求 request", rows))


def bundle(
    bundle_id: Annotated[str, typer.Argument(help="请求编号 bundle id")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """查看请求 Show what a borrower is asked for: as its lender, or as the borrower's agent."""
    asked = consent_pb2.GetConsentBundleRequest(bundle_id=bundle_id)
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.consent.GetConsentBundle, asked, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    out = console()
    out.print(bundle_facts(answer))
    for draft in answer.drafts:
        out.print(draft_facts(draft))
    out.print(notice_facts(answer.notice))


def decide(
    bundle_id: Annotated[str, typer.Argument(help="请求编号 bundle id")],
    *,
    grant: Annotated[
        list[Path] | None, typer.Option(help="同意 grant: artefact that the authority signed; repeat it; - is stdin")
    ] = None,
    deny: Annotated[bool, typer.Option("--deny", help="拒绝 refuse")] = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """决定 Grant or refuse as the borrower's agent; every consent of it is registered, or none."""
    files = grant or []
    if deny is bool(files):
        usage("--grant FILE 或 --deny one of both")
    # A text editor's last line break is not part of what was signed.
    artefacts = [read_bytes(file).removesuffix(b"\n").removesuffix(b"\r") for file in files]
    asked = consent_pb2.DecideConsentRequest(bundle_id=bundle_id, grant=not deny, artefacts=artefacts)
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(who, lambda rpcs: rpcs.consent.DecideConsent, asked, as_json=as_json, deadline_s=deadline)
    if answer is None:
        return
    out = console()
    for consent in answer.consents:
        out.print(consent_facts(consent))
    out.print(facts("决定 decision", {"后果 consequences": answer.consequences}))


def _read_drafts(path: Path) -> list[consent_pb2.ConsentDraft]:
    try:
        rows = json.loads(read_bytes(path))
        if not isinstance(rows, list):
            usage(f"{path}: 须为列表 not a list of drafts")
        return [ParseDict(row, consent_pb2.ConsentDraft()) for row in rows]
    except (ValueError, ParseError) as error:
        usage(f"{path}: {error}")


def request_evidence(
    consent_id: ConsentArgument,
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """调取原件 Ask a lender for the paper behind a letter that it signed itself, as an officer; 5 working days."""
    asked = consent_pb2.RequestEvidenceRequest(consent_id=consent_id)
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(who, lambda rpcs: rpcs.consent.RequestEvidence, asked, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        console().print(facts("调取原件 paper asked for", {"截止 due": moment(answer.due_at)}))


def submit_evidence(
    consent_id: ConsentArgument,
    file: Annotated[Path, typer.Argument(help="原件扫描件 scan of the sealed paper, at most 3 MiB; - is stdin")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """提交原件 Upload the paper that was asked for; its SHA-256 must be the artefact's evidence_sha256."""
    asked = consent_pb2.SubmitEvidenceRequest(consent_id=consent_id, document=read_bytes(file))
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(who, lambda rpcs: rpcs.consent.SubmitEvidence, asked, as_json=as_json, deadline_s=deadline)
    if answer is not None:
        console().print(facts("提交原件 paper received", {"收到 received": moment(answer.received_at)}))
