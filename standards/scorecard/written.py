"""书面说明: the text that a lender can hand to the borrower. It names no subject and no other party."""

from __future__ import annotations

from typing import Final

from bashu.v1.report_pb2 import CreditReport, Evaluation, Indicator
from core.clock import SHANGHAI
from standards.scorecard.card import Card

MISSING_ZH: Final = {"NOT_HELD": "平台未持有", "NOT_ANSWERED": "平台未答复", "NOT_GRANTED": "未获授权或未查询"}
_HOW_TO_DISPUTE: Final = (
    "如认为信息有错误、遗漏，可依据《征信业管理条例》第二十五条向数据来源平台或查询机构提出异议，"
    "处理期限为收到异议之日起20日内并书面答复；也可向查询机构申请人工复核。"
)


def written_reasons(card: Card, evaluation: Evaluation, report: CreditReport) -> str:
    """Return grade, reasons, missing data, age of the figures and the borrower's rights, in Chinese."""
    day = report.generated_at.ToDatetime(tzinfo=SHANGHAI).date()
    lines = ["参考评价书面说明", f"评价日期：{day}　模型：{evaluation.model_version}　报告编号：{report.report_id}"]
    lines.append(_result(card, evaluation))
    lines.append("主要原因：")
    ages = {indicator.code: _age(indicator) for indicator in evaluation.indicators}
    lines += [
        f"{number}. {reason.text_zh}（原因代码{reason.code}{ages.get(reason.code, '')}）"
        for number, reason in enumerate(evaluation.reasons, start=1)
    ] or ["无扣分原因。"]
    missing = [f"{one.name_zh}（{MISSING_ZH[one.missing]}）" for one in evaluation.indicators if one.missing]
    lines.append("未取得的数据（不因此视为不良）：" + ("、".join(missing) if missing else "无") + "。")
    lines += [_HOW_TO_DISPUTE, card.disclaimer_zh]
    return "\n".join(lines)


def _result(card: Card, evaluation: Evaluation) -> str:
    covered = f"信息覆盖度{float(evaluation.coverage):.0%}"
    if evaluation.HasField("score"):
        return f"结果：参考等级{evaluation.grade}，参考分{evaluation.score}，{covered}。"
    if evaluation.no_grade_reason:
        return f"结果：未评级（{card.no_grade[evaluation.no_grade_reason].zh}），{covered}。"
    return f"结果：{evaluation.grade}，触发一票否决事项，不给出分数，{covered}。"


def _age(indicator: Indicator) -> str:
    if not indicator.HasField("as_of"):
        return ""
    return f"，数据截至{indicator.as_of.ToDatetime(tzinfo=SHANGHAI).date()}"
