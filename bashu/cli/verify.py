"""`bashu verify …`: offline checks. Needs no gateway, no profile and no trust in either.

With `--jsonl` every command reads one JSON object a line from standard input and answers
`{"ok": bool, "error": text or null}` a line; it ends with 0 once every line is answered, whatever the verdicts.
Without it one thing is checked: 0 it holds, 4 it does not, 2 it could not be read.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from bashu.cli.labels import FACT
from bashu.cli.session import Exit, JsonOption, failed, print_json, read_bytes, usage
from bashu.cli.tables import console, facts, plain
from bashu.cli.witnesses import QuorumOption, WitnessOption, cosigned_facts, policy
from bashu.saved import SavedEvidence, check_evidence
from bashu.verify import (
    ExportVerdict,
    LogKeys,
    Receipt,
    Selection,
    TlogProof,
    VerificationError,
    leaf_hash,
    registrable_key,
    verify_artefact,
    verify_checkpoint,
    verify_export,
    verify_jws,
    verify_receipt,
    verify_tlog_proof,
)
from bashu.verify.lines import CHECKS, Line, answers, check_consistency, check_inclusion
from bashu.verify.strict import base64_hash, json_object

app = typer.Typer(
    no_args_is_help=True, help="离线核验 offline checks", epilog=" ".join((__doc__ or "").split("\n\n")[1:])
)

JsonlOption = Annotated[bool, typer.Option("--jsonl", help="逐行 JSON one JSON object a line from stdin")]
JwkOption = Annotated[Path | None, typer.Option("--jwk", help="公钥文件 file with the public key as JWK")]
VkeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vkey",
        help="访问日志公钥（可重复）the ledger's key as published (name+hash+base64), or a file with it; repeatable",
    ),
]


@app.command()
def jws(
    file: Annotated[Path, typer.Argument(help="JWS 文件 file with a compact JWS; - is stdin")] = Path("-"),
    jwk: JwkOption = None,
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """签名 Check a compact JWS. Lines: {jwk, jws}."""
    if jsonl:
        _answer_lines("jws")
    key_file = _needed(jwk, "--jwk")

    def check() -> dict[str, Any]:
        verified = verify_jws(_line_of(file), registrable_key(_json_file(key_file)))
        return {"header": dict(verified.header), "payload_bytes": len(verified.payload)}

    _report(check, as_json=as_json)


@app.command()
def artefact(
    file: Annotated[Path, typer.Argument(help="授权书 artefact file; - is stdin")] = Path("-"),
    jwk: JwkOption = None,
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """授权书 Check a consent artefact's signature and form. Lines: {jwk, jws}."""
    if jsonl:
        _answer_lines("artefact")
    key_file = _needed(jwk, "--jwk")

    def check() -> dict[str, Any]:
        payload = verify_artefact(_line_of(file), registrable_key(_json_file(key_file))).payload
        return {name: payload[name] for name in ("consent_id", "iss", "nbf", "exp")} | {
            "purpose": payload["purpose"]["code"],
            "institution": payload["requester"]["institution"],
        }

    _report(check, as_json=as_json)


@app.command()
def receipt(
    folder: Annotated[Path | None, typer.Argument(help="保存回执的目录 folder of `bashu query --save-receipt`")] = None,
    *,
    receipt_file: Annotated[Path | None, typer.Option("--receipt", help="回执文件 receipt.json")] = None,
    report_file: Annotated[Path | None, typer.Option("--report", help="报告文件 report.bin")] = None,
    vkey: VkeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """回执 Check that exactly this report was recorded as released. Lines: {receipt, report_bytes, vkey}.

    Without --vkey a folder's own `vkey` is used, kept there from the profile when the report came. With --witness the
    checkpoint kept in the folder has to be cosigned (`bashu ledger proof --witnessed --save` fetches one that is).
    """
    if jsonl:
        _answer_lines("receipt")
    witnesses = policy(witness, quorum)
    if folder is not None:
        key_text = _vkey(vkey, folder)
        _report(lambda: _evidence_facts(check_evidence(folder, vkey=key_text, witnesses=witnesses)), as_json=as_json)
        return
    if witnesses is not None:
        usage("--witness is for a folder with a checkpoint in it: a receipt alone has none")
    receipt_path, report_path = _needed(receipt_file, "--receipt"), _needed(report_file, "--report")

    def check() -> dict[str, Any]:
        kept = Receipt.from_json(json_object(read_bytes(receipt_path), str(receipt_path)))
        key = LogKeys.parse(_vkey(vkey, None))
        verified = verify_receipt(kept, report=read_bytes(report_path), vkey=key)
        return _evidence_facts(SavedEvidence(receipt=verified, checkpoint=None, leaf_index=None))

    _report(check, as_json=as_json)


@app.command()
def checkpoint(
    file: Annotated[Path, typer.Argument(help="检查点文件 file with the signed note; - is stdin")] = Path("-"),
    *,
    vkey: VkeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """检查点 Check a signed checkpoint, and who cosigned it. Lines: {note, vkey, witnesses[], quorum}."""
    if jsonl:
        _answer_lines("checkpoint")
    witnesses = policy(witness, quorum)

    def check() -> dict[str, Any]:
        note = read_bytes(file).decode("utf-8", "surrogateescape")
        verified = verify_checkpoint(note, LogKeys.parse(_vkey(vkey, None)))
        found = {"origin": verified.origin, "size": verified.size, "root": base64.b64encode(verified.root).decode()}
        return found | cosigned_facts(() if witnesses is None else witnesses.check(note))

    _report(check, as_json=as_json)


@app.command()
def inclusion(
    file: Annotated[Path, typer.Argument(help="JSON 文件 one object as in --jsonl; - is stdin")] = Path("-"),
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """包含证明 Check an inclusion proof. Lines: {leaf_index, tree_size, leaf_hash, root, proof[]}, hashes base64."""
    if jsonl:
        _answer_lines("inclusion")
    _report(lambda: _held(check_inclusion, file), as_json=as_json)


@app.command()
def consistency(
    file: Annotated[Path, typer.Argument(help="JSON 文件 one object as in --jsonl; - is stdin")] = Path("-"),
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """一致性证明 Check a consistency proof. Lines: {size1, size2, root1, root2, proof[]}, hashes base64."""
    if jsonl:
        _answer_lines("consistency")
    _report(lambda: _held(check_consistency, file), as_json=as_json)


@app.command("tlog-proof")
def tlog_proof(
    file: Annotated[Path, typer.Argument(help="证明文件 file with a C2SP tlog-proof@v1; - is stdin")] = Path("-"),
    *,
    receipt_file: Annotated[Path | None, typer.Option("--receipt", help="回执文件 receipt.json with the entry")] = None,
    entry_file: Annotated[Path | None, typer.Option("--entry", help="条目文件 file with the entry's bytes")] = None,
    hash_text: Annotated[str, typer.Option("--leaf-hash", help="条目摘要 leaf hash, base64", metavar="BASE64")] = "",
    vkey: VkeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    jsonl: JsonlOption = False,
    as_json: JsonOption = False,
) -> None:
    """收录证明 Check the one file that proves an entry is in the log. Lines: {tlog_proof, entry or leaf_hash, vkey}.

    The entry comes from a receipt, from a file with its exact bytes, or as its leaf hash: one of the three. Lines may
    name `witnesses` and `quorum` too.
    """
    if jsonl:
        _answer_lines("tlog-proof")
    witnesses = policy(witness, quorum)
    if sum(bool(given) for given in (receipt_file, entry_file, hash_text)) != 1:
        usage("one of --receipt, --entry and --leaf-hash is needed")

    def check() -> dict[str, Any]:
        leaf = _leaf(receipt_file, entry_file, hash_text)
        text = read_bytes(file).decode("utf-8", "surrogateescape")
        proven = verify_tlog_proof(text, leaf=leaf, vkey=LogKeys.parse(_vkey(vkey, None)))
        cosigned = () if witnesses is None else witnesses.check(TlogProof.parse(text).checkpoint)
        return {
            "origin": proven.checkpoint.origin,
            "leaf_index": proven.leaf_index,
            "tree_size": proven.checkpoint.size,
        } | cosigned_facts(cosigned)

    _report(check, as_json=as_json)


def _leaf(receipt_file: Path | None, entry_file: Path | None, hash_text: str) -> bytes:
    if receipt_file is not None:
        kept = Receipt.from_json(json_object(read_bytes(receipt_file), str(receipt_file)))
        return leaf_hash(kept.entry)
    return leaf_hash(read_bytes(entry_file)) if entry_file is not None else base64_hash(hash_text, "leaf hash")


ConsentFilter = Annotated[str, typer.Option("--consent", help="授权编号 only this consent")]
InstitutionFilter = Annotated[str, typer.Option("--institution", help="机构 only this institution")]
MonthFilter = Annotated[
    str, typer.Option("--month", help="月份 only this month by Beijing time, YYYY-MM", metavar="YYYY-MM")
]
DayFilter = Annotated[
    str, typer.Option("--day", help="日期 only this day by Beijing time, YYYY-MM-DD", metavar="YYYY-MM-DD")
]
FromIndex = Annotated[int, typer.Option("--from-index", min=0, help="起始序号 first leaf index")]


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="导出文件 file of `bashu ledger export`; - is stdin")],
    *,
    vkey: VkeyOption = None,
    from_index: FromIndex = 0,
    consent: ConsentFilter = "",
    institution: InstitutionFilter = "",
    month: MonthFilter = "",
    day: DayFilter = "",
    of_subject: Annotated[bool, typer.Option("--of-subject", help="一个主体 everything about one subject")] = False,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    as_json: JsonOption = False,
) -> None:
    """导出 Check an export: every leaf's proof, what is left out, and the log's rules; findings name line and leaf.

    Without a filter it has to be the whole log, or everything about one consent.
    """
    asked = Selection(
        consent_id=consent,
        institution=institution,
        month=month,
        day=day,
        is_of_subject=of_subject,
        from_index=from_index,
    )
    try:
        verdict = verify_export(
            _reader(file),
            LogKeys.parse(_vkey(vkey, None)),
            selection=None if asked == Selection() else asked,
            progress=_show_place if sys.stderr.isatty() else None,
            witnesses=policy(witness, quorum),
        )
    except VerificationError as error:
        failed(error, as_json=as_json)
    except OSError as error:
        usage(f"{error.filename}: {error.strerror}")
    _print_verdict(verdict, as_json=as_json)
    raise typer.Exit(Exit.OK if verdict.holds else Exit.VERIFICATION_FAILED)


def _reader(file: Path) -> Callable[[], Iterable[bytes]]:
    """Return what opens the file anew; standard input is kept, for it comes once."""
    if str(file) == "-":
        content = typer.get_binary_stream("stdin").read()
        return lambda: io.BytesIO(content)

    def lines() -> Iterable[bytes]:
        with file.open("rb") as opened:
            yield from opened

    return lines


def _show_place(place: int) -> None:
    typer.echo(f"\r{place} ", nl=False, err=True)


def _print_verdict(verdict: ExportVerdict, *, as_json: bool) -> None:
    size = None if verdict.checkpoint is None else verdict.checkpoint.size
    errors = [finding.text() for finding in verdict.findings if finding.is_error]
    found = {
        "leaves": verdict.leaves,
        "tree_size": size,
        "is_whole": verdict.is_whole,
        "open_intents": verdict.open_intents,
        "consent": verdict.selection.consent_id,
    } | cosigned_facts(verdict.cosigned)
    if as_json:
        findings = [
            {
                "code": finding.code,
                "is_error": finding.is_error,
                "leaf_index": finding.leaf_index,
                "line": finding.line,
                "message": finding.message,
            }
            for finding in verdict.findings
        ]
        first = errors[0] if errors else None
        print_json({"ok": verdict.holds, "error": first} | found | {"findings": findings})
        return
    out = console()
    for finding in verdict.findings:
        out.print(plain(finding.text()))
    rows = {
        "结果 result": "通过 ok" if verdict.holds else f"不通过 failed: {len(errors)}",
        "条目 leaves": f"{verdict.leaves} / {size if size is not None else '-'}",
        "完整台账 whole log": "是 yes" if verdict.is_whole else "否 no",
        "授权 consent": verdict.selection.consent_id,
        "未关闭查询 open intents": verdict.open_intents,
    }
    if verdict.cosigned:
        rows[FACT["cosigned"]] = "\n".join(found["cosigned"])
    out.print(facts("导出核验 export", rows))


def _answer_lines(kind: str) -> None:
    for answer in answers(typer.get_binary_stream("stdin"), CHECKS[kind]):
        typer.echo(answer)
    raise typer.Exit(Exit.OK)


def _report(check: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    try:
        found = check()
    except VerificationError as error:
        failed(error, as_json=as_json)
    except OSError as error:
        usage(f"{error.filename}: {error.strerror}")
    if as_json:
        print_json({"ok": True, "error": None} | found)
        return
    shown = {
        FACT.get(name, name): "\n".join(value) if isinstance(value, list) else value for name, value in found.items()
    }
    console().print(facts("核验通过 verified", {"结果 result": "通过 ok"} | shown))


def _held(check: Callable[[Line], None], file: Path) -> dict[str, Any]:
    check(_json_file(file))
    return {}


def _evidence_facts(evidence: SavedEvidence) -> dict[str, Any]:
    entry = evidence.receipt.entry
    found: dict[str, Any] = {
        "origin": entry["origin"],
        "type": entry["type"],
        "entry_id": entry.get("entry_id"),
        "ts": entry.get("ts"),
        "report_digest": entry["report_digest"],
        "publish_by": evidence.receipt.publish_by.isoformat().replace("+00:00", "Z"),
    }
    if evidence.checkpoint is not None:
        found |= {"leaf_index": evidence.leaf_index, "tree_size": evidence.checkpoint.size}
    return found | cosigned_facts(evidence.cosigned)


def _vkey(given: list[str] | None, folder: Path | None) -> str:
    if given:
        return " ".join(
            text if "+" in text else read_bytes(Path(text)).decode("utf-8", "replace").strip() for text in given
        )
    if folder is not None and not folder.is_dir():
        usage(f"{folder}: no such folder")
    kept = None if folder is None else folder / "vkey"
    if kept is None or not kept.exists():
        usage("--vkey is needed: the ledger's key as its operator published it")
    return kept.read_text(encoding="utf-8").strip()


def _json_file(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_bytes(path))
    except ValueError as error:
        raise VerificationError(f"{path}: not JSON") from error
    if not isinstance(value, dict):
        raise VerificationError(f"{path}: a JSON object expected")
    return value


def _line_of(path: Path) -> str:
    # A text editor's last line break is not part of what was signed.
    return read_bytes(path).decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def _needed(value: Path | None, option: str) -> Path:
    if value is None:
        usage(f"{option} is needed")
    return value
