"""The dictionary of the standard as it was when this package was built: items, fields, codes, grades."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from bashu.v1 import standard_pb2

CODE: Final = "code:"
SCALES: Final = "rating_scales"
"""List of a field whose codes are grades: which scale they stand on, the record says in ``scale_id``."""


def own_items() -> standard_pb2.ListDataItemsResponse:
    """Return every data item with its fields."""
    return ParseDict({"items": _copy()["items"]}, standard_pb2.ListDataItemsResponse())


def own_codes(name: str) -> standard_pb2.GetCodeListResponse | None:
    """Return a code list, None for one that is not in it."""
    codes = _copy()["code_lists"].get(name)
    return None if codes is None else ParseDict({"codes": codes}, standard_pb2.GetCodeListResponse())


def code_lists() -> list[str]:
    """Return the names of all code lists."""
    return list(_copy()["code_lists"])


def code_name(item: str, field: str, body: Message) -> str:
    """Return the Chinese name of the code or grade in a record's field; empty where there is none to tell."""
    name = _lists().get((item, field))
    if name == SCALES:
        name = getattr(body, "scale_id", "")
    return "" if name is None else _names(name).get(getattr(body, field), "")


@cache
def _copy() -> dict[str, Any]:
    with resources.files("bashu").joinpath("catalogue.json").open(encoding="utf-8") as file:
        read: dict[str, Any] = json.load(file)
    return read


@cache
def _lists() -> dict[tuple[str, str], str]:
    return {
        (item["id"], field["id"]): field["type"].removeprefix(CODE)
        for item in _copy()["items"]
        for field in item.get("fields", ())
        if field["type"].startswith(CODE)
    }


@cache
def _names(name: str) -> dict[str, str]:
    listed = {code["code"]: code["name_zh"] for code in reversed(_copy()["code_lists"].get(name, ()))}
    return listed or dict(_copy()["scales"].get(name, {}))
