"""Permits that the fixed subjects hold (docs/platforms/subjects.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from sandbox.facts import OPEN_END, PLANTED_ID_NO, PLANTED_ID_TYPE, Entry, PlatformFile

ITEM: Final = "administrative_permission"


def permitted(file: PlatformFile, permit: Entry) -> Mapping[str, tuple[Entry, ...]]:
    """Return a file's plain lists with one permit, the file's own unless the permit names another party."""
    own = {"party": file.name, "party_code": file.code, "category": "GENERAL", "status": "VALID"}
    return {**file.listed, ITEM: ({**own, **permit},)}


DISCHARGE: Final[Entry] = {
    "number": "渝示例许〔2023〕8号", "title": "排污许可决定", "legal_rep": "张样本", "certificate": "排污许可证",
    "certificate_no": "91500105XXTT00018M001P", "content": "排放工业废水", "day": date(2023, 5, 16),
    "from": date(2023, 5, 20), "until": date(2028, 5, 19), "authority": "重庆市示例区生态环境局",
}  # fmt: skip
HAULAGE: Final[Entry] = {
    "number": "川示例许〔2024〕21号", "title": "道路运输经营许可决定", "content": "道路货物运输",
    "day": date(2024, 3, 11), "from": date(2024, 3, 11), "until": OPEN_END, "authority": "成都市示例区交通运输局",
}  # fmt: skip
TELECOMS: Final[Entry] = {
    "number": "川示例许〔2022〕6号", "title": "增值电信业务经营许可决定", "legal_rep": "李样本",
    "certificate": "增值电信业务经营许可证", "certificate_no": "川B2-XXXXXXXX", "content": "信息服务业务",
    "day": date(2022, 8, 1), "from": date(2022, 8, 1), "until": date(2027, 7, 31),
    "authority": "四川省示例通信管理局",
}  # fmt: skip
FOOD: Final[Entry] = {
    "number": "渝北示例许〔2019〕31号", "title": "食品经营许可决定", "legal_rep": "周样本", "content": "热食类食品制售",
    "day": date(2019, 3, 12), "from": date(2019, 3, 12), "until": date(2024, 3, 11),
    "authority": "渝北区示例市场监管局", "status": "INVALID",
}  # fmt: skip
HYGIENE: Final[Entry] = {
    "number": "川示例许〔2020〕77号", "title": "公共场所卫生许可决定", "legal_rep": "吴样本", "content": "理发店",
    "day": date(2020, 11, 5), "from": date(2020, 11, 5), "until": date(2099, 12, 31),
    "authority": "成都市示例区卫生健康局",
}  # fmt: skip
"""Its open end is written as older systems write one."""


def printing(decided_on: date) -> Entry:
    """Return a permit with every kind of personal data that a platform may wrongly send of one."""
    return {
        "number": "渝示例许〔2025〕19号", "title": "印刷经营许可决定", "legal_rep": "张样本", "content": "包装装潢印刷",
        "day": decided_on, "from": decided_on, "until": OPEN_END, "authority": "重庆市示例区新闻出版局",
        "id_type": PLANTED_ID_TYPE, "id_no": PLANTED_ID_NO, "legal_rep_id_no": PLANTED_ID_NO,
    }  # fmt: skip
