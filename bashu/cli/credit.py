"""`bashu query`: one question, one report, its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bashu.cli.network import RelatedOption, print_network
from bashu.cli.session import (
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
from bashu.cli.subjects import named_subject
from bashu.cli.tables import console, facts, print_report, print_scope
from bashu.client import DEADLINE_S, Bashu, QueryAnswer, new_request_id
from bashu.profiles import Profile
from bashu.saved import await_proof, save_evidence
from bashu.v1 import credit_pb2, ledger_pb2
from bashu.verify import VerificationError, VerifiedReceipt, receipt_json


def query(
    subject: Annotated[
        str | None,
        typer.Argument(
            help="统一社会信用代码 code of the enterprise, or a person's number with --person; - reads it from stdin"
        ),
    ] = None,
    *,
    code: Annotated[str | None, typer.Option(help="统一社会信用代码 the same as SUBJECT, as an option")] = None,
    purpose: Annotated[str, typer.Option(help="查询用途 purpose, for example PRE_LOAN_REVIEW")],
    consent: Annotated[str, typer.Option(help="授权编号 consent id")] = "",
    name: Annotated[str, typer.Option(help="名称 registered name")] = "",
    person: Annotated[bool, typer.Option("--person", help="主体为自然人 the subject is a natural person")] = False,
    application_reference: Annotated[str, typer.Option(help="业务申请编号 your reference of the application")] = "",
    loan_reference: Annotated[str, typer.Option(help="贷款编号 reference of a registered loan")] = "",
    item: Annotated[list[str] | None, typer.Option(help="数据项 data item id; repeat it; default all granted")] = None,
    region: Annotated[
        list[str] | None, typer.Option(help="地区 500000 or 510000; repeat it; default all granted")
    ] = None,
    related: RelatedOption = None,
    lookback_days: Annotated[int, typer.Option(min=0, help="回溯天数 days back; 0: what the consent grants")] = 0,
    legal_basis: Annotated[
        str, typer.Option(help="无授权时的法律依据 why public items are asked for without a consent")
    ] = "",
    evaluate: Annotated[bool, typer.Option("--evaluate", help="附参考评价 with the reference evaluation")] = False,
    allow_narrowing: Annotated[
        bool, typer.Option("--allow-narrowing", help="超出授权的部分略去 take what is granted")
    ] = False,
    resend_all: Annotated[
        bool, typer.Option("--resend-all", help="重查全部平台 on a repeat, ask every platform again")
    ] = False,
    min_consent_revision: Annotated[
        int, typer.Option(min=0, help="授权至少到此版本 revision the consent must have reached")
    ] = 0,
    request_id: Annotated[
        str | None, typer.Option(help="请求号 UUID; give the same one to repeat; default a new one")
    ] = None,
    save_receipt: Annotated[
        Path | None, typer.Option(help="保存回执与报告 folder for receipt, report and proof")
    ] = None,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """查询 Ask both regions about one borrower and print one report; its receipt is verified on the spot."""
    who = find_profile(profile, dev, participant, operator)
    request = credit_pb2.QueryCreditRequest(
        request_id=new_request_id() if request_id is None else request_id,
        consent_id=consent,
        related_consent_ids=related or [],
        purpose=purpose,
        application_reference=application_reference,
        loan_reference=loan_reference,
        data_items=item or [],
        regions=region or [],
        include_evaluation=evaluate,
        allow_narrowing=allow_narrowing,
        min_consent_revision=min_consent_revision,
        resend_all=resend_all,
        legal_basis=legal_basis,
    )
    if lookback_days:
        request.lookback.days = lookback_days
    if (subject is None) == (code is None):
        usage("one SUBJECT is needed, as the argument or with --code")
    request.subject.CopyFrom(named_subject(subject or code or "", name, person=person))

    async def work(client: Bashu) -> tuple[QueryAnswer, ledger_pb2.GetInclusionProofResponse | None]:
        answer = await client.query_credit(request)
        return answer, None if save_receipt is None else await await_proof(client, answer)

    answer, proof = call(who, work, as_json=as_json, deadline_s=deadline)
    if save_receipt is not None:
        save_evidence(save_receipt, answer, proof=proof, vkey=who.vkey)
    verified = verify_answer(answer, who, as_json=as_json)
    if as_json:
        print_json(_answer_json(answer, verified))
    else:
        _print_answer(answer, verified, save_receipt, proof)


def verify_answer(answer: QueryAnswer, who: Profile, *, as_json: bool) -> VerifiedReceipt | None:
    """Check an answer's receipt with the key that the profile pins; None where it pins none."""
    if who.vkey is None:
        return None
    try:
        return answer.verify(who.vkey)
    except VerificationError as error:
        failed(error, as_json=as_json)


def _answer_json(answer: QueryAnswer, verified: VerifiedReceipt | None) -> dict[str, Any]:
    return {
        "request_id": answer.request_id,
        "report": message_json(answer.report),
        "receipt": receipt_json(answer.receipt),
        "effective_scope": message_json(answer.effective_scope),
        "receipt_verified": None if verified is None else True,
    }


def _print_answer(
    answer: QueryAnswer,
    verified: VerifiedReceipt | None,
    folder: Path | None,
    proof: ledger_pb2.GetInclusionProofResponse | None,
) -> None:
    out = console()
    print_report(out, answer.report)
    if answer.report.HasField("guarantee_network"):
        print_network(out, answer.report.guarantee_network)
    print_scope(out, answer.request_id, answer.effective_scope)
    print_evidence(out, answer, verified, folder, proof)


def print_evidence(
    out: Console,
    answer: QueryAnswer,
    verified: VerifiedReceipt | None,
    folder: Path | None,
    proof: ledger_pb2.GetInclusionProofResponse | None,
) -> None:
    """Print what proves an answer, and where it is kept."""
    checked = "未核验：配置中没有访问日志公钥 not verified: the profile pins no vkey"
    if verified is not None:
        checked = "已核验 verified offline"
    kept = "" if folder is None else f"{folder}"
    if folder is not None and proof is None:
        kept += " （尚无包含证明 without inclusion proof yet）"
    rows = {
        "回执 receipt": checked,
        "入账期限 in the log by": "" if verified is None else f"{verified.publish_by:%Y-%m-%d %H:%M:%SZ}",
        "条目摘要 leaf hash": answer.receipt.leaf_hash.hex(),
        "保存于 saved in": kept,
    }
    out.print(facts("凭证 evidence", rows))
