"""`bashu evaluate`: the reference evaluation alone, or the text of it for the borrower."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table

from bashu.cli.labels import coded
from bashu.cli.network import RelatedOption, print_network
from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
)
from bashu.cli.tables import console, day, grid, print_evaluation, print_scope
from bashu.client import DEADLINE_S, new_request_id
from bashu.v1 import credit_pb2, report_pb2

INDICATOR_COLUMNS: Final = (
    "代码 code",
    "指标 indicator",
    "得分 points",
    "值 value",
    "缺数据 missing",
    "数据截至 as of",
)
MISSING: Final = {"NOT_HELD": "平台未持有", "NOT_ANSWERED": "平台未答复", "NOT_GRANTED": "未获授权或未查询"}


def evaluate(
    subject: Annotated[str, typer.Argument(help="统一社会信用代码 code of the enterprise")],
    *,
    purpose: Annotated[str, typer.Option(help="查询用途 purpose, for example PRE_LOAN_REVIEW")],
    consent: Annotated[str, typer.Option(help="授权编号 consent id; it must allow the act EVALUATE")] = "",
    name: Annotated[str, typer.Option(help="名称 registered name")] = "",
    application_reference: Annotated[str, typer.Option(help="业务申请编号 your reference of the application")] = "",
    loan_reference: Annotated[str, typer.Option(help="贷款编号 reference of a registered loan")] = "",
    related: RelatedOption = None,
    written: Annotated[
        bool, typer.Option("--written", help="只输出给借款人的书面说明 print only the text for the borrower")
    ] = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """参考评价 Evaluate one enterprise over both regions' data: an expert prior, not a lending model."""
    who = find_profile(profile, dev, participant, operator)
    request = credit_pb2.QueryCreditRequest(
        request_id=new_request_id(),
        consent_id=consent,
        related_consent_ids=related or [],
        purpose=purpose,
        application_reference=application_reference,
        loan_reference=loan_reference,
        include_evaluation=True,
    )
    request.subject.enterprise.unified_social_credit_code = subject
    request.subject.enterprise.name = name
    answer = answer_or_json(
        who, lambda stubs: stubs.credit.EvaluateCredit, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    if written:
        typer.echo(answer.evaluation.written_reasons_zh)
        return
    print_evaluation(console(), answer.evaluation)
    console().print(indicators(answer.evaluation))
    if answer.evaluation.HasField("guarantee_network"):
        print_network(console(), answer.evaluation.guarantee_network)
    print_scope(console(), answer.request_id, answer.effective_scope)


def indicators(evaluation: report_pb2.Evaluation) -> Table:
    """Lay out every indicator: points, value, how old, and why it has no data where it has none."""
    rows = [
        (
            one.code,
            one.name_zh,
            f"{one.points} / {one.max_points}",
            one.value,
            coded(one.missing, MISSING) if one.missing else "",
            day(one.as_of),
        )
        for one in evaluation.indicators
    ]
    return grid("指标 indicators", INDICATOR_COLUMNS, rows, is_keyed=True)
