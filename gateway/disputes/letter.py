"""The letter for a platform that has no interface for disputes; an officer prints, signs and sends it."""

from __future__ import annotations

from typing import Final

from adapters.kit.protocol import PlatformInfo
from core.clock import SHANGHAI
from gateway.disputes.model import Dispute, Words

_LETTER: Final = """异议转交函

{name}：

    依据《征信业管理条例》第二十五条，现将信息主体的异议转交贵平台核查。

    异议编号：{dispute_id}
    信息主体：{subject}（{identifier}）
    记录编号：{record_id}
    数据项：{item}    记录标识：{locator}
    受理日期：{received}    答复期限：{due}

    异议内容：
    {text}

    请在答复期限前书面告知核查结果：数据有误、数据无误、数据遗漏、数据删除、数据删除（欺诈）或无法核实。

                                                    {operator}
                                                    经办人：____________  日期：____________
"""
UNKNOWN: Final = "未提供"


def render_letter(dispute: Dispute, words: Words, *, platform: PlatformInfo, operator: str) -> str:
    """Return the letter as text; days are Beijing days."""
    return _LETTER.format(
        name=platform.name_zh,
        dispute_id=dispute.dispute_id,
        subject=words.name or UNKNOWN,
        identifier=words.identifier,
        record_id=dispute.record_id,
        item=dispute.data_item or UNKNOWN,
        locator=words.locator or UNKNOWN,
        received=dispute.received_at.astimezone(SHANGHAI).date().isoformat(),
        due=dispute.due_at.astimezone(SHANGHAI).date().isoformat(),
        text=words.text.replace("\n", "\n    "),
        operator=operator or UNKNOWN,
    )
