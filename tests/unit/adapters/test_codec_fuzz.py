"""Whatever a platform sends, reading it gives a value or one classified failure, and never anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.chongqing.codec import DECLARATION, MAX_ELEMENTS, decode
from adapters.chongqing.mapping import map_items
from adapters.chongqing.result import page_of, put_together
from adapters.chongqing.shapes import KINDS
from adapters.kit.answering import Outcome
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan.answers import Answered, Collected, outcomes_of
from adapters.sichuan.envelope import load_private_key, open_envelope
from adapters.sichuan.modules import MODULES
from standards.catalogue import load_standard
from tests.platform_stage import a_firm

VECTORS = Path(__file__).parents[2] / "conformance" / "vectors" / "platforms"
STANDARD = load_standard()
RESULT = (VECTORS / "chongqing_result.xml").read_bytes().removeprefix(DECLARATION).decode("gb18030")
LEAVES = sorted(set(re.findall(r"<([A-Z]+)>[^<]*</\1>", RESULT.partition("<BODY>")[2])))
ENTRIES = [entry for entry in json.loads((VECTORS / "sichuan_modules.json").read_text())["modules"] if entry["payload"]]
KEY = load_private_key(
    json.loads((VECTORS / "sichuan_envelope.json").read_text())["rsa_private_key_pem_NOT_REAL"].encode()
)
SUBJECT = "91500105XXTT00018M"

values = st.one_of(
    st.sampled_from(
        ["", " ", "0", "-1", "1e9", "00000000", "99991231", "20260230", "１２", "NaN", "9" * 400, "是", "𠮷"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def read(raw: bytes) -> dict[str, Outcome]:
    page = page_of(decode(raw), raw, job="RW20261123090008000001", subject=a_firm(SUBJECT), wanted=1)
    return dict(map_items(put_together([page]), KINDS, STANDARD))


def classified(work: Callable[[], dict[str, Outcome]]) -> dict[str, Outcome]:
    try:
        return work()
    except PlatformFailureError as failure:
        assert failure.failure in {Failure.MALFORMED, Failure.OVERSIZED}  # noqa: PT017  # a value is as good
        return {}


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_malformed(raw: bytes) -> None:
    for document in (raw, DECLARATION + raw):
        with pytest.raises(PlatformFailureError) as caught:
            decode(document)
        assert caught.value.failure is Failure.MALFORMED


@given(st.sampled_from(LEAVES), values)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_tag_is_a_status(leaf: str, value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    changed = re.sub(f"<{leaf}>[^<]*</{leaf}>", lambda _: f"<{leaf}>{escaped}</{leaf}>", RESULT)
    outcomes = classified(lambda: read(DECLARATION + changed.encode("gb18030")))
    assert not outcomes or set(outcomes) == set(KINDS)


@given(st.sampled_from(LEAVES), st.sampled_from(["drop", "double"]))
@settings(max_examples=120, deadline=None)
def test_any_tag_missing_or_doubled_is_a_status(leaf: str, how: str) -> None:
    changed = re.sub(f"(<{leaf}>[^<]*</{leaf}>)", r"\1\1" if how == "double" else "", RESULT)
    outcomes = classified(lambda: read(DECLARATION + changed.encode("gb18030")))
    assert not outcomes or set(outcomes) == set(KINDS)


@given(st.integers(0, 2500), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_a_status(at: int, value: int) -> None:
    raw = bytearray((VECTORS / "chongqing_result.xml").read_bytes())
    raw[at] = value
    classified(lambda: read(bytes(raw)))


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE RSP [<!ENTITY a 'b'>]><RSP><HEAD><FHM>0000</FHM></HEAD></RSP>",
        "<RSP><HEAD><FHM>&a;</FHM></HEAD></RSP>",
        "<RSP><HEAD><FHM a='1'>0000</FHM></HEAD></RSP>",
        "<RSP><HEAD><FHM><![CDATA[0000]]></FHM></HEAD></RSP>",
        "<RSP><?php ?><HEAD><FHM>0000</FHM></HEAD></RSP>",
        "<RSP xmlns='x'><HEAD><FHM>0000</FHM></HEAD></RSP>",
        "<RSP>words<HEAD><FHM>0000</FHM></HEAD></RSP>",
        "<RSP><HEAD><FHM>0000</FHM><FHM>0000</FHM></HEAD></RSP>",
        "<RSP><HEAD><FHM>0000</FHM></HEAD><HEAD/></RSP>",
        "<RSP><HEAD><FHM>00</FHM></HEAD></RSP>",
        "<RSP><BODY/></RSP>",
        "<RSP>" + "<a>" * 20 + "</a>" * 20 + "</RSP>",
        "<RSP><BODY>" + "<a/>" * MAX_ELEMENTS + "</BODY></RSP>",
        "<a>" * 100_000 + "</a>" * 100_000,
    ],
    ids=range(14),
)
def test_xml_that_the_page_does_not_allow_is_malformed(document: str) -> None:
    with pytest.raises(PlatformFailureError) as caught:
        decode(DECLARATION + document.encode("gb18030"))
    assert caught.value.failure is Failure.MALFORMED


def test_a_value_is_never_in_a_detail() -> None:
    changed = RESULT.replace("<ZCZB>1,250.00</ZCZB>", "<ZCZB>secret</ZCZB>")
    outcome = read(DECLARATION + changed.encode("gb18030"))["enterprise_registration"]
    assert outcome.notes == ("BODY/JBXX/ZCZB",)


def mapped(entry: dict[str, Any], payload: object) -> dict[str, Outcome]:
    module = MODULES[entry["module"]]
    page = module.page(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    collected = Collected(
        name="x", modules={module.name: Answered(rows=page.rows, total=page.total, as_of="2026-11-22")}
    )
    return dict(outcomes_of(collected, [module], subject=entry["subject"], standard=STANDARD))


def changed_at(payload: Any, path: list[Any], value: object) -> Any:
    if not path:
        return value
    copy = dict(payload) if isinstance(payload, dict) else list(payload)
    copy[path[0]] = changed_at(copy[path[0]], path[1:], value)
    return copy


def places(payload: Any, path: tuple[Any, ...] = ()) -> list[list[Any]]:
    inner = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    return [list(path), *(place for key, value in inner for place in places(value, (*path, key)))]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_any_value_in_any_member_is_a_status(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(ENTRIES))
    place = data.draw(st.sampled_from(places(entry["payload"])))
    payload = changed_at(entry["payload"], place, data.draw(st.one_of(anything, values)))
    classified(lambda: mapped(entry, payload))


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_no_envelope(raw: bytes) -> None:
    with pytest.raises(PlatformFailureError) as caught:
        open_envelope(raw, {"k": KEY}, key_id="k", is_zipped=True)
    assert caught.value.failure is Failure.MALFORMED


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_payloads_break_no_module(raw: bytes) -> None:
    for module in MODULES.values():
        try:
            module.page(raw)
        except PlatformFailureError as failure:
            assert failure.failure is Failure.MALFORMED  # noqa: PT017  # a value is as good
