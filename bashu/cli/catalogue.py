"""`bashu catalogue`: the dictionary of the standard, as a table, JSON or CSV, from this package or the gateway."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.table import Table

from bashu.cli.dictionary import code_lists, own_codes, own_items
from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    call,
    find_profile,
    message_json,
    print_json,
    usage,
)
from bashu.cli.tables import console, facts, grid
from bashu.client import DEADLINE_S
from bashu.profiles import Profile
from bashu.v1 import standard_pb2

ITEM_COLUMNS = (
    "数据项 item",
    "中文 zh",
    "英文 en",
    "部门 department",
    "开放 access",
    "敏感 sensitivity",
    "平台 platforms",
    "字段 fields",
)
FIELD_COLUMNS = (
    "字段 field",
    "中文 zh",
    "英文 en",
    "类型 type",
    "单位 unit",
    "必填 required",
    "开放 access",
    "归属 class",
    "来源 source",
)
CODE_COLUMNS = ("代码 code", "中文 zh", "英文 en", "起 from", "止 to", "来源 source")


SHOWN: Final = {ITEM_COLUMNS: (0, 1, 2, 4, 6, 7), FIELD_COLUMNS: (0, 1, 2, 3, 4, 5, 6, 7), CODE_COLUMNS: (0, 1, 2, 5)}
"""What of them fits a terminal; CSV and JSON have all."""


def catalogue(
    item: Annotated[str, typer.Argument(help="数据项，列出其字段 a data item: list its fields")] = "",
    *,
    codes: Annotated[str, typer.Option(help="代码表，列出其代码 a code list: list its codes")] = "",
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="问网关，其运营者可能替换了码表 ask the gateway, whose operator may have replaced tables"
        ),
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV print CSV")] = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """查阅数据项目录 Look up data items, the fields of one, or the codes of a list. 不需网关 Needs no gateway."""
    if item and codes:
        usage("数据项与 --codes 不能同用 name an item or --codes, not both")
    if as_csv and as_json:
        usage("--csv 与 --json 不能同用 choose --csv or --json, not both")
    who = find_profile(profile, dev, participant, operator) if online else None
    if codes:
        entries = _own_codes(codes) if who is None else _asked_codes(who, codes, as_json=as_json, deadline_s=deadline)
        if as_json:
            print_json(message_json(entries))
        else:
            _show(f"代码表 {codes}", CODE_COLUMNS, [_code(one) for one in entries.codes], as_csv=as_csv)
        return
    answer = own_items() if who is None else _asked_items(who, as_json=as_json, deadline_s=deadline)
    if item:
        _one(answer, item, as_csv=as_csv, as_json=as_json)
    elif as_json:
        print_json(message_json(answer))
    else:
        _show("数据项目录 data items", ITEM_COLUMNS, [_item(one) for one in answer.items], as_csv=as_csv)


def _own_codes(name: str) -> standard_pb2.GetCodeListResponse:
    found = own_codes(name)
    if found is None:
        usage(f"没有此代码表 no such code list; there are: {' '.join(code_lists())}")
    return found


def _asked_items(who: Profile, *, as_json: bool, deadline_s: float) -> standard_pb2.ListDataItemsResponse:
    request = standard_pb2.ListDataItemsRequest()
    return call(
        who,
        lambda client: client.call(lambda stubs: stubs.standard.ListDataItems, request),
        as_json=as_json,
        deadline_s=deadline_s,
    )


def _asked_codes(who: Profile, name: str, *, as_json: bool, deadline_s: float) -> standard_pb2.GetCodeListResponse:
    request = standard_pb2.GetCodeListRequest(code_list=name)
    return call(
        who,
        lambda client: client.call(lambda stubs: stubs.standard.GetCodeList, request),
        as_json=as_json,
        deadline_s=deadline_s,
    )


def _one(answer: standard_pb2.ListDataItemsResponse, item: str, *, as_csv: bool, as_json: bool) -> None:
    found = next((one for one in answer.items if one.id == item), None)
    if found is None:
        usage("没有此数据项 no such data item; bashu catalogue lists them")
    if as_json:
        print_json(message_json(found))
        return
    if not as_csv:
        console().print(_head(found))
    _show("字段 fields", FIELD_COLUMNS, [_field(one) for one in found.fields], as_csv=as_csv)


def _show(title: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], *, as_csv: bool) -> None:
    if not as_csv:
        shown = SHOWN[columns]
        cells = [[row[position] for position in shown] for row in rows]
        console().print(grid(title, [columns[position] for position in shown], cells, is_keyed=True))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    # A CSV's columns are named for programs: the English half.
    writer.writerow([column.rpartition(" ")[2] for column in columns])
    writer.writerows(rows)


def _item(one: standard_pb2.DataItem) -> tuple[object, ...]:
    held = " ".join(one.held_by)
    fields = len(one.fields) if one.typed else ""
    return (
        one.id,
        one.name_zh,
        one.name_en,
        one.owning_department,
        one.access_class,
        one.sensitivity,
        held,
        fields,
    )


def _field(one: standard_pb2.DataField) -> tuple[object, ...]:
    required = "Y" if one.required else ""
    return (
        one.id,
        one.name_zh,
        one.name_en,
        one.type,
        one.unit,
        required,
        one.access,
        one.data_class,
        one.source,
    )


def _code(one: standard_pb2.CodeEntry) -> tuple[object, ...]:
    return one.code, one.name_zh, one.name_en, one.effective_from, one.effective_to, one.source


def _head(one: standard_pb2.DataItem) -> Table:
    return facts(
        f"{one.name_zh} {one.name_en}",
        {
            "数据项 item": one.id,
            "部门 department": one.owning_department,
            "主体 subjects": one.subject_kinds,
            "共享方式 sharing": one.sharing_mode,
            "开放 access": one.access_class,
            "敏感 sensitivity": one.sensitivity,
            "限制采集 restricted": "是 yes（条例第十四条）" if one.restricted else "",
            "保存 retention": one.retention_rule,
            "平台 platforms": " ".join(one.held_by) or "无 none",
            "来源 source": one.source,
        },
    )
