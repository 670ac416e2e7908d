"""Messages of chongqing: GB18030 XML in and out (sections 2 and 4); a reader takes only what the page allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from adapters.kit.failures import Failure, PlatformFailureError

ENCODING: Final = "gb18030"
DECLARATION: Final = b'<?xml version="1.0" encoding="GB18030"?>\n'
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_ELEMENTS: Final = 50_000
MAX_DEPTH: Final = 8
BODY_OPENS: Final = b"<BODY>"
BODY_CLOSES: Final = b"</BODY>"
_CODE: Final = re.compile(r"\d{4}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: ``head`` by tag, ``body`` None where it has none, ``signed`` the bytes that ``QM`` covers."""

    code: str
    head: Mapping[str, str]
    body: Element | None
    signed: bytes


def encode(transaction: str, serial: str, caller: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """Write a request; ``fields`` are the tags of BODY in the order of the page, blank ones are left out.

    Raises PlatformFailureError (FAILED) for a request larger than the platform takes.
    """
    head = f"<JYDM>{transaction}</JYDM><LSH>{serial}</LSH><JGDM>{caller}</JGDM>"
    body = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in fields if text)
    document = DECLARATION + f"<REQ><HEAD>{head}</HEAD><BODY>{body}</BODY></REQ>".encode(ENCODING)
    if len(document) > MAX_REQUEST_BYTES:
        raise PlatformFailureError(Failure.FAILED, "REQUEST_TOO_LARGE")
    return document


def decode(raw: bytes) -> Reply:
    """Read an answer. Raises PlatformFailureError (MALFORMED) with the path that broke."""
    root = _parse(raw)
    children = cells_of_groups(root, "RSP")
    if root.tag != "RSP" or "HEAD" not in children or set(children) - {"HEAD", "BODY"}:
        raise malformed("RSP")
    head = cells(children["HEAD"], "HEAD")
    code = head.get("FHM", "")
    if _CODE.fullmatch(code) is None:
        raise malformed("HEAD/FHM")
    return Reply(code=code, head=head, body=children.get("BODY"), signed=_signed(raw))


def cells(element: Element, path: str) -> dict[str, str]:
    """Return the texts of an element's leaves by tag; blank where an element is empty.

    Raises PlatformFailureError where a leaf stands twice: nobody could tell which one counts.
    """
    found: dict[str, str] = {}
    for child in element:
        if len(child):
            continue
        if child.tag in found:
            raise malformed(f"{path}/{child.tag}")
        found[child.tag] = child.text or ""
    return found


def cells_of_groups(element: Element, path: str) -> dict[str, Element]:
    """Return the children of an element by tag, each of which must stand once."""
    found: dict[str, Element] = {}
    for child in element:
        if child.tag in found:
            raise malformed(f"{path}/{child.tag}")
        found[child.tag] = child
    return found


def malformed(path: str) -> PlatformFailureError:
    """Return the failure of a document that breaks at ``path``."""
    return PlatformFailureError(Failure.MALFORMED, path)


def _parse(raw: bytes) -> Element:
    if not raw.startswith(DECLARATION):
        raise malformed("XML")
    try:
        text = raw[len(DECLARATION) :].decode(ENCODING)
    except UnicodeDecodeError:
        raise malformed("GB18030") from None
    # No DTD, so no entities to expand; no CDATA, comments or processing instructions either.
    if "<!" in text or "<?" in text:
        raise malformed("XML")
    try:
        root = ET.fromstring(text)  # noqa: S314  # what makes XML dangerous was refused in the line above
    except (ET.ParseError, ValueError, RecursionError):
        raise malformed("XML") from None
    _check_shape(root)
    return root


def _check_shape(root: Element) -> None:
    """Refuse attributes, text beside elements, and trees larger or deeper than any answer."""
    seen = 0
    level = [root]
    for _ in range(MAX_DEPTH):
        below: list[Element] = []
        for element in level:
            has_children = len(element) > 0
            if element.attrib or _has_words(element.tail) or (has_children and _has_words(element.text)):
                raise malformed("XML")
            below.extend(element)
        seen += len(level)
        level = below
    if level or seen > MAX_ELEMENTS:
        raise malformed("XML")


def _has_words(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _signed(raw: bytes) -> bytes:
    """Return the bytes from ``<BODY>`` to ``</BODY>`` as received; empty where they do not stand exactly once."""
    if raw.count(BODY_OPENS) != 1 or raw.count(BODY_CLOSES) != 1:
        return b""
    return raw[raw.index(BODY_OPENS) : raw.index(BODY_CLOSES) + len(BODY_CLOSES)]
