from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.chongqing.reader import DECLARATION, MAX_REQUEST_BYTES, UnreadableError, read_document, read_request

VECTORS = Path(__file__).resolve().parents[2] / "conformance" / "vectors" / "platforms"


def document(text: str) -> bytes:
    return DECLARATION + text.encode("gb18030")


def test_the_vector_s_body_is_read_and_its_body_bytes_are_kept() -> None:
    raw = (VECTORS / "chongqing_sign_body.xml").read_bytes()
    request = read_request(raw)
    assert request.head.value("LSH") == "SBX202611230900000001"
    assert request.body.value("QYMC") == "重庆示例一号机电有限公司"
    assert request.body_bytes == raw[raw.index(b"<BODY>") : raw.index(b"</REQ>")]


def test_a_four_byte_character_survives() -> None:
    raw = document("<X>𠮷祥</X>")
    assert "𠮷".encode("gb18030") in raw
    assert len("𠮷".encode("gb18030")) == 4
    assert read_document(raw).text == "𠮷祥"


@pytest.mark.parametrize("blank", ["", "<X></X>", "<X/>", "<X />"])
def test_absent_and_empty_are_blank(blank: str) -> None:
    assert read_document(document(f"<R>{blank}<Y>1</Y></R>")).value("X") == ""


def test_space_between_elements_is_ignored_and_inside_a_value_kept() -> None:
    assert read_document(document("<R>\n  <X> a </X>\n</R>")).value("X") == " a "


def test_escapes_are_undone_once() -> None:
    assert read_document(document("<X>&amp;lt; &lt;&gt;</X>")).text == "&lt; <>"


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE R [<!ENTITY a "b">]><R>&a;</R>',
        "<!DOCTYPE R><R/>",
        "<R><!-- note --></R>",
        "<R><![CDATA[x]]></R>",
        "<R><?php x?></R>",
        "<R a='1'/>",
        "<R xmlns='urn:x'/>",
        "<R>&#65;</R>",
        "<R>&quot;</R>",
        "<R>& </R>",
        "<R>\x01</R>",
        "<R><X>1</X><X>2</X></R>",
        "<R>text<X>1</X></R>",
        "<R><X></R></X>",
        "<R>",
        "</R>",
        "<R/><R/>",
        "<R/>more",
        "",
        "<" + "R>" * 3,
        "".join(f"<A{n}>" for n in range(40)) + "".join(f"</A{n}>" for n in reversed(range(40))),
        "<R>" + "".join(f"<A{n}/>" for n in range(65)) + "</R>",
    ],
)
def test_anything_beyond_the_declared_grammar_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_document(document(text))


@pytest.mark.parametrize(
    "raw",
    [
        b"<R/>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<R/>',
        DECLARATION.rstrip() + b"<R/>",
        DECLARATION + b"<R>\xff</R>",
        DECLARATION + b"<R>\x81</R>",
        DECLARATION + b"<R>" + b"a" * MAX_REQUEST_BYTES + b"</R>",
    ],
)
def test_bytes_that_are_no_such_document_are_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_document(raw)


def test_a_request_has_a_head_and_a_body() -> None:
    with pytest.raises(UnreadableError):
        read_request(document("<REQ><HEAD/></REQ>"))
    with pytest.raises(UnreadableError):
        read_request(document("<RSP><HEAD/><BODY/></RSP>"))
    assert read_request(document("<REQ><HEAD/><BODY/></REQ>")).body_bytes == b""
