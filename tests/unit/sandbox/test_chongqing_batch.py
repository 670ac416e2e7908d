"""XY1100: a file of questions, each line a job of its own, wrong lines with their own code."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.unit.sandbox.test_chongqing_platform import Bench, code, value

FIRST, THIRD = "91500105XXTT00018M", "91500105XXTT00034B"
ELSEWHERE = "91510107XXTT00069Y"
HEADER = "XH,TYSHXYDM,QYMC,SQSBH,SQJZRQ,CXMK"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sent(bench: Bench, *lines: str, lsh: str = "B1", header: str = HEADER, **changes: str) -> str:
    file = "\r\n".join((header, *lines)) + "\r\n"
    fields = {"PCH": "P1", "CXYY": "01", "CXJG": "bank-cq", "WJ": base64.b64encode(file.encode("gb18030")).decode()}
    return bench.ask("XY1100", lsh, "".join(f"<{tag}>{text}</{tag}>" for tag, text in (fields | changes).items()))


def fetched(bench: Bench, number: str, line: str, page: str = "1") -> str:
    return bench.ask("XY1003", "B1", f"<RWH>{number}</RWH><DQYS>{page}</DQYS><XH>{line}</XH>")


def test_each_line_is_answered_by_its_own_code_and_marked_once(bench: Bench) -> None:
    answer = sent(
        bench,
        f"1,{FIRST},重庆示例一号机电有限公司,,,JBXX;XZCF",
        f"2,{THIRD},,,,BZXR",
        f"3,{ELSEWHERE},,,,JBXX",
        f"4,{FIRST},别的名称,,,JBXX",
        f"5,{FIRST},,,,KPXX",
        f"6,{FIRST},,SQ20261123999999,20270101,KPXX",
        "7,not-a-code,,,,JBXX",
    )
    assert (code(answer), value(answer, "HS"), value(answer, "SLS")) == ("0000", "7", "2")
    number = value(answer, "RWH")
    polled = bench.ask("XY1002", "B1", f"<RWH>{number}</RWH>")
    assert (code(polled), value(polled, "JD"), value(polled, "HS")) == ("0000", "100", "7")
    first = fetched(bench, number, "1")
    assert (code(first), value(first, "RWH"), value(first, "TYSHXYDM")) == ("0000", number, FIRST)
    assert "<JBXX>" in first
    assert "<QM>" in first
    assert value(fetched(bench, number, "2"), "TYSHXYDM") == THIRD
    codes = [code(fetched(bench, number, line)) for line in "34567"]
    assert codes == ["3001", "3002", "2004", "2001", "1001"]
    assert [mark.key for mark in bench.books.chongqing.enquiries] == ["P1L0001", "P1L0002"]


def test_the_same_serial_with_the_same_file_is_the_same_batch(bench: Bench) -> None:
    first = value(sent(bench, f"1,{FIRST},,,,JBXX"), "RWH")
    assert value(sent(bench, f"1,{FIRST},,,,JBXX"), "RWH") == first
    assert code(sent(bench, f"1,{THIRD},,,,JBXX")) == "1001"
    assert len(bench.books.chongqing.enquiries) == 1


def test_an_acknowledged_batch_is_gone_and_another_callers_is_unknown(bench: Bench) -> None:
    number = value(sent(bench, f"1,{FIRST},,,,JBXX"), "RWH")
    stranger = bench.ask("XY1003", "B1", f"<RWH>{number}</RWH><DQYS>1</DQYS><XH>1</XH>", jgdm="SBXGW0002")
    assert code(stranger) == "1001"
    assert code(bench.ask("XY1004", "B1", f"<RWH>{number}</RWH>")) == "0000"
    assert code(fetched(bench, number, "1")) == "4001"


@pytest.mark.parametrize(
    "wrong",
    [
        {"header": "XH,TYSHXYDM"},
        {"PCH": "p-1"},
        {"CXYY": "99"},
        {"CXJG": "bank cq"},
        {"WJ": "not base64"},
        {"WJ": base64.b64encode(b"\xff\xff").decode()},
        {"WJ": base64.b64encode(HEADER.encode()).decode()},
    ],
    ids=["header", "batch number", "purpose", "institution", "base64", "encoding", "no line"],
)
def test_a_file_that_is_none_is_1001_as_a_whole(bench: Bench, wrong: dict[str, str]) -> None:
    assert code(sent(bench, f"1,{FIRST},,,,JBXX", **wrong)) == "1001"


@pytest.mark.parametrize("lines", [["1,x"], ["0,x,,,,"], ["1,a,,,,", "1,b,,,,"], ["5001x,a,,,,"]])
def test_lines_that_cannot_be_told_apart_are_1001_as_a_whole(bench: Bench, lines: list[str]) -> None:
    assert code(sent(bench, *lines)) == "1001"


def test_five_thousand_lines_fit_and_one_more_does_not(bench: Bench) -> None:
    lines = [f"{number},{FIRST},重庆示例一号机电有限公司,SQ20261123999999,20270101,KPXX" for number in range(1, 5_001)]
    assert value(sent(bench, *lines), "HS") == "5000"
    assert code(sent(bench, *lines, f"5001,{FIRST},,,,JBXX", lsh="B2")) == "1001"


def test_a_line_is_asked_by_its_number_alone(bench: Bench) -> None:
    number = value(sent(bench, f"1,{FIRST},,,,JBXX"), "RWH")
    assert [code(fetched(bench, number, line)) for line in ("2", "0", "x", "")] == ["1001"] * 4
    job = value(bench.submit(), "RWH")
    assert code(fetched(bench, job, "1")) == "1001"
