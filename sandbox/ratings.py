"""Authorities' grades and certificates that the fixed subjects hold (docs/platforms/subjects.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from sandbox.facts import Entry

GRADED_WELL: Final[Mapping[str, tuple[Entry, ...]]] = {
    "environment_credit": (
        {
            "year": 2025, "score": Decimal("102.5"), "rank": 1, "authority": "重庆市示例区生态环境局",
            "permit": "91500105XXTT00018M001P",
        },
        {"year": 2024, "score": Decimal("88.0"), "rank": 2},
    ),
    "customs_credit_grade": (
        {
            "number": "5001XXXX01", "scale": "2026", "rank": 2, "day": date(2026, 4, 20), "aeo": "AEOCNXXXXXX0001",
        },
    ),
}  # fmt: skip
GRADED_BADLY: Final[Mapping[str, tuple[Entry, ...]]] = {
    "environment_credit": ({"year": 2025, "score": Decimal("41.0"), "rank": 4},),
    "customs_credit_grade": ({"number": "5001XXXX03", "scale": "2021", "rank": 3, "day": date(2025, 6, 5)},),
}
CERTIFIED: Final[Mapping[str, tuple[Entry, ...]]] = {
    "qualification_certificates": (
        {
            "what": "信息系统建设和服务能力", "title": "信息系统建设和服务能力评估证书", "number": "CS3-5100-000026",
            "level": "CS3", "day": date(2024, 9, 2), "until": date(2028, 9, 1), "unit": "示例行业协会",
            "status": "VALID",
        },
    ),
}  # fmt: skip
ONCE_CERTIFIED: Final[Mapping[str, tuple[Entry, ...]]] = {
    "qualification_certificates": (
        {
            "what": "建筑业企业资质", "title": "建筑工程施工总承包", "number": "D251XXXXX4", "level": "三级",
            "day": date(2019, 2, 11), "until": date(2024, 2, 10), "unit": "四川省示例住房城乡建设厅",
            "status": "EXPIRED",
        },
    ),
}  # fmt: skip
