"""The page's own example, written from facts: chongqing_result.xml byte for byte, its signature aside."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from sandbox.baseline import Moment
from sandbox.chongqing.codes import Kind
from sandbox.chongqing.groups import RowGroup, groups
from sandbox.chongqing.paging import page_count, page_text
from sandbox.chongqing.writer import answer_bytes, body_bytes, tags
from sandbox.facts import PlatformFile, PlatformId
from sandbox.subjects import FIXED_SUBJECTS

VECTORS = Path(__file__).resolve().parents[2] / "conformance" / "vectors" / "platforms"
FIRST = "91500105XXTT00018M"
AT = Moment(day=date(2026, 11, 23), first_day=date(2026, 11, 23))
ALL = frozenset(Kind)


def held(code: str, at: Moment = AT) -> PlatformFile:
    subject = next(subject for subject in FIXED_SUBJECTS if subject.code == code)
    return subject.files[PlatformId.CHONGQING](code, subject.name, at)


def test_the_example_page_is_written_byte_for_byte() -> None:
    vector = json.loads((VECTORS / "chongqing_qm.json").read_text("utf-8"))
    file = held(FIRST)
    # The example shows two months of invoices and one of insurance, and the judicial day of another data day.
    shown = replace(
        file,
        sales=file.sales[:2],
        insurance=file.insurance[:1],
        listed={},
        as_of=replace(file.as_of, judicial=date(2026, 11, 20)),
    )
    found = groups(shown, ALL)
    inner = tags(
        (
            ("RWH", "RW20261123090008000001"),
            ("TYSHXYDM", FIRST),
            ("QYMC", file.name),
            ("SJSJ", "20261122"),
            ("DQYS", "1"),
            ("ZYS", str(page_count(found))),
        )
    )
    head = [
        ("FHM", "0000"),
        ("FHXX", "成功"),
        ("LSH", "Q437C37CB1CC15668C24F7BCD924B1"),
        ("QMBH", vector["qmbh"]),
        ("QMSF", vector["qmsf"]),
        ("QM", vector["qm"]),
    ]
    written = answer_bytes(head, body_bytes(inner + page_text(found, 1)))
    expected = (VECTORS / "chongqing_result.xml").read_bytes()
    assert written.decode("gb18030") == expected.decode("gb18030")
    assert written == expected


def test_the_first_subject_has_53_rows_on_two_pages_but_for_its_plain_lists_and_none_is_lost_or_doubled() -> None:
    found = groups(replace(held(FIRST), listed={}), ALL)
    rows = [row for group in found if isinstance(group, RowGroup) for row in group.rows]
    assert len(rows) == 53
    assert page_count(found) == 2
    pages = [page_text(found, page) for page in (1, 2)]
    assert [sum(page.count(row) for page in pages) for row in rows] == [
        1 if rows.count(row) == 1 else rows.count(row) for row in rows
    ]
    assert "<JBXX>" in pages[0]
    assert "<JBXX>" not in pages[1]
    assert "<PTPF>" not in pages[1]
    assert pages[1].startswith("<SHJF><SJSJ>20261031</SJSJ><JF>")
    assert pages[1].count("<JF>") == 2
    assert "<DBXX>" in pages[1]


def test_a_kind_brings_its_own_tags_alone() -> None:
    assert page_text(groups(held(FIRST), frozenset({Kind.QSXX})), 1) == (
        "<NSXX><SJSJ>20261031</SJSJ><QSJE>0</QSJE></NSXX>"
    )
    assert page_text(groups(held(FIRST), frozenset({Kind.SXXX})), 1) == (
        "<SFXX><SJSJ>20261120</SJSJ><SFSXBZXR>否</SFSXBZXR></SFXX>"
    )
    assert page_text(groups(held(FIRST), frozenset({Kind.PTPF})), 1) == "<PTPF>83.5</PTPF><PTDJ>AA</PTDJ>"


def test_every_kind_by_itself_makes_up_the_whole() -> None:
    for code in (FIRST, "91500105XXTT00034B", "92500112XXTT00130M"):
        file = held(code)
        pages = range(1, page_count(groups(file, ALL)) + 1)
        whole = "".join(page_text(groups(file, ALL), page) for page in pages)
        for kind in Kind:
            for group in groups(file, frozenset({kind})):
                if isinstance(group, RowGroup):
                    assert all(row in whole for row in group.rows)


def test_the_thin_file_holds_its_registration_alone() -> None:
    text = page_text(groups(held("91500105XXTT000501"), ALL), 1)
    assert text.startswith("<JBXX>")
    assert text.endswith("</JBXX>")
    assert "<SJZB>" not in text
    assert groups(held("91500105XXTT000501"), frozenset({Kind.KPXX, Kind.BZXR})) == ()


def test_the_dishonest_debtor_is_written_as_the_page_says() -> None:
    text = page_text(groups(held("91500105XXTT00034B"), frozenset({Kind.BZXR, Kind.SXXX})), 1)
    assert "<BZXRS>2</BZXRS><SFSXBZXR>是</SFSXBZXR>" in text
    assert "<ZXBD>31.25</ZXBD><WLXJE>30.00</WLXJE></ZX>" in text
    assert "<AH>（2025）渝0105执示例101号</AH>" in text
    assert text.index("（2026）渝0105执示例22号") < text.index("（2025）渝0105执示例101号")
    assert "<LXQK>0</LXQK>" in text
    assert "<ZJHM>50010519XXXXXX0000</ZJHM></SX>" in text


def test_a_repaired_penalty_is_still_sent_with_its_day_and_then_no_longer() -> None:
    first = AT.first_day
    days = {ahead: Moment(day=date.fromordinal(first.toordinal() + ahead), first_day=first) for ahead in (0, 1, 31, 32)}
    texts = {
        ahead: page_text(groups(held("91500105XXTT001732", at), frozenset({Kind.XZCF})), 1)
        for ahead, at in days.items()
    }
    assert "<FKJE>2.00</FKJE>" in texts[0]
    assert "<XFRQ>" not in texts[0]
    assert "<FRZJHM>50010519XXXXXX0000</FRZJHM>" in texts[0]
    assert "<XFRQ>20261124</XFRQ>" in texts[1]
    assert "<XFRQ>20261124</XFRQ>" in texts[31]
    assert texts[32] == ""
