"""``make catalogue`` writes ``docs/standard/catalogue.md`` and the client's own copy of the dictionary.

The page: items, who holds them, fields; from tables and adapters. The copy: what ``ListDataItems`` and ``GetCodeList``
answer where no operator replaced a table, so that ``bashu catalogue`` needs no gateway.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from adapters.chongqing.client import ITEMS as CHONGQING_ITEMS
from adapters.sichuan.modules import ITEMS as SICHUAN_ITEMS
from gateway.services.standard import code_entry, data_item
from standards.catalogue import STANDARD_VERSION, load_standard
from standards.items import DataItem, Field

COPY: Final = Path(__file__).parents[1] / "bashu/catalogue.json"
PAGE: Final = Path(__file__).parents[1] / "docs/standard/catalogue.md"
ASKED: Final[Mapping[str, frozenset[str]]] = {"chongqing": CHONGQING_ITEMS, "sichuan": SICHUAN_ITEMS}
"""What each shipped adapter can ask; where a platform holds an item and its adapter does not ask, the page says so."""
UNVERIFIED: Final = "unverified"
FIELD_HEADINGS: Final = (
    "| 字段 field | 中文 | English | 类型 type | 单位 unit | 必填 required "
    "| 主键 key | 开放 access | 归属 class | 核实 verified |"
)
HEAD: Final = """# 数据项目录 Catalogue of data items

本页由 `make catalogue` 从 [`shared_items.csv`](../../standards/data/shared_items.csv)、
[`data_elements.csv`](../../standards/data/data_elements.csv) 和两个适配器生成，勿手改。
命令行查同一目录，不需网关：`bashu catalogue`、`bashu catalogue tax_arrears`、
`bashu catalogue --codes tax_kind`，加 `--json` 或 `--csv`；加 `--online` 问网关（运营者可能替换了码表）。
"未核实"的内容是本项目工作值，不是官方目录。怎样合并见[合并](merge.md)。
"归属"：1 企业自身；2 董监高及股东；3 其他个人，不出现在企业报告中。

Generated from the tables and the adapters; the same by `bashu catalogue`, which needs no gateway unless `--online`.
What is marked unverified is a working value, no official list. Class: 1 the enterprise's own, 2 officers and
shareholders, 3 other persons' (never in an enterprise's report).
"""


def main() -> int:
    """Write the page and the copy; return the exit code."""
    PAGE.write_text(render(), encoding="utf-8")
    COPY.write_text(render_copy(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(PAGE.parents[2])}, {COPY.relative_to(COPY.parents[1])}")
    return 0


def render_copy() -> str:
    """Return the client's copy: JSON, one item or code list a line."""
    standard = load_standard()
    items = [_json(data_item(item)) for item in standard.items.all()]
    lists = [
        f"{json.dumps(name)}: [{', '.join(_json(code_entry(code)) for code in codes)}]"
        for name, codes in sorted(standard.codes.lists.items())
    ]
    scales = [
        f"{json.dumps(name)}: {json.dumps({one.code: one.label_zh for one in grades}, ensure_ascii=False)}"
        for name, grades in sorted(standard.scales.rows.items())
    ]
    version = json.dumps(STANDARD_VERSION)
    between = ",\n"
    return (
        f'{{"standard_version": {version},\n"items": [\n{between.join(items)}\n],\n'
        f'"code_lists": {{\n{between.join(lists)}\n}},\n"scales": {{\n{between.join(scales)}\n}}}}\n'
    )


def _json(message: Message) -> str:
    return json.dumps(MessageToDict(message, preserving_proto_field_name=True), ensure_ascii=False)


def render() -> str:
    """Return the page, Chinese first."""
    items = load_standard().items.all()
    typed = [item for item in items if item.is_typed]
    lines = [HEAD, "## 覆盖 Coverage: 数据项 × 平台", ""]
    held = {name: sum(item.item_id in asked for item in typed) for name, asked in ASKED.items()}
    count = "，".join(f"{name} {number}" for name, number in held.items())
    lines += [
        f"有类型的数据项 typed items {len(typed)}：{count}。",
        "● 可查 asked；○ 平台持有，适配器尚未接 held, not asked yet；空 不持有 not held。",
        "",
        f"| 数据项 item | 名称 name | {' | '.join(ASKED)} |",
        "|---|---|" + "---|" * len(ASKED),
    ]
    lines += [_coverage(item) for item in typed]
    lines += ["", "## 有类型的数据项 Typed items", ""]
    for item in typed:
        lines += _section(item)
    lines += [
        "## 尚无类型 Not typed yet",
        "",
        "两个平台都不持有；编号已预留。Held by neither platform; their numbers are reserved.",
        "",
        "| 数据项 item | 中文 | English | 部门 department | 共享 sharing | 开放 access |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_bare(item) for item in items if not item.is_typed]
    return "\n".join(lines) + "\n"


def _coverage(item: DataItem) -> str:
    marks = [_mark(item, platform) for platform in ASKED]
    return f"| [`{item.item_id}`](#{item.item_id}) | {_text(item.name_zh)} | {' | '.join(marks)} |"


def _mark(item: DataItem, platform: str) -> str:
    if item.item_id in ASKED[platform]:
        return "●"
    return "○" if platform in item.held_by else ""


def _section(item: DataItem) -> list[str]:
    kinds = "、".join(sorted(kind.value for kind in item.subject_kinds))
    restricted = "；限制采集 restricted（条例第十四条）" if item.is_restricted else ""
    kept = f"；保存规则 retention {item.retention_rule}" if item.retention_rule else ""
    about = (
        f"{item.owning_department}；{kinds}；{item.sharing_mode.value}；开放 access `{item.access.value}`；"
        f"敏感 `{item.sensitivity}`{restricted}{kept}。{_checked(item.source)}"
    )
    return [
        f'<a id="{item.item_id}"></a>',
        "",
        f"### {item.name_zh} {item.name_en} `{item.item_id}`",
        "",
        about,
        "",
        FIELD_HEADINGS,
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_field(field) for field in item.fields),
        "",
    ]


def _field(field: Field) -> str:
    cells = (
        f"`{field.field_id}`",
        field.name_zh,
        field.name_en,
        field.type,
        field.unit or "",
        "是" if field.is_required else "",
        "是" if field.is_natural_key else "",
        field.access.value,
        field.data_class.value,
        _checked(field.source),
    )
    return "| " + " | ".join(map(_text, cells)) + " |"


def _bare(item: DataItem) -> str:
    cells = (
        f"`{item.item_id}`",
        item.name_zh,
        item.name_en,
        item.owning_department,
        item.sharing_mode.value,
        item.access.value,
    )
    return "| " + " | ".join(map(_text, cells)) + " |"


def _checked(source: str) -> str:
    return "未核实 unverified" if UNVERIFIED in source else "已核实 verified"


def _text(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
