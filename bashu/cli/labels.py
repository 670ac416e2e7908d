"""Chinese and English names of what a report shows; `labels.csv` follows the unified standard's dictionary."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import Final

PLATFORM_STATUS: Final = {
    "OK": "已返回",
    "NO_DATA": "无记录",
    "PENDING": "处理中",
    "DENIED": "被拒绝",
    "TIMEOUT": "超时",
    "UNAVAILABLE": "不可用",
    "MAINTENANCE": "维护中",
    "MALFORMED": "格式有误",
    "QUOTA_EXHAUSTED": "额度用尽",
    "SKIPPED": "未查询",
}
COMPLETENESS: Final = {"FULL": "完整", "PARTIAL": "部分", "THIN": "信息不足", "EMPTY": "无信息"}
CONSENT_STATE: Final = {
    "REQUESTED": "待授权",
    "DENIED": "已拒绝",
    "LAPSED": "逾期未处理",
    "PENDING_START": "待生效",
    "ACTIVE": "有效",
    "PAUSED": "主体暂停",
    "HELD": "暂停查询",
    "REVOKED": "已撤回",
    "EXPIRED": "已到期",
    "EXHAUSTED": "次数用尽",
    "SUPERSEDED": "已被替代",
}
REGION: Final = {"500000": "重庆", "510000": "四川"}


@cache
def _names() -> dict[tuple[str, str], str]:
    with resources.files("bashu").joinpath("labels.csv").open(encoding="utf-8") as file:
        return {
            (row["data_item"], row["field"]): f"{row['name_zh']} {row['name_en']}".strip()
            for row in csv.DictReader(file)
        }


def item_name(data_item: str) -> str:
    """Name a data item in both languages; its id where the dictionary does not have it."""
    return _names().get((data_item, ""), data_item)


def field_name(data_item: str, field: str) -> str:
    """Name a field of a data item in both languages; its id where the dictionary does not have it."""
    return _names().get((data_item, field), field)


def coded(code: str, names: dict[str, str]) -> str:
    """Show a code with its Chinese name before it."""
    return f"{names[code]} {code}" if code in names else code
