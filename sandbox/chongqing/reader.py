"""Read requests: GB18030 bytes into elements (docs/platforms/chongqing.md section 2).

The grammar allows no attribute, declaration, comment, CDATA or reference beyond three escapes, so nothing an XML
library would have to be hardened against (DTD, entities, includes) can be expressed here at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DECLARATION: Final = b'<?xml version="1.0" encoding="GB18030"?>\n'
"""The first line, exactly, and its LF."""

ENCODING: Final = "gb18030"
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""A file of 5,000 lines in base64, and room to spare."""
_MAX_DEPTH: Final = 8
_MAX_SIBLINGS: Final = 64

_TOKEN: Final = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9_]{0,31})[ \t\r\n]*(?P<empty>/?)>|(?P<text>[^<]+)"
)
_BAD_TEXT: Final = re.compile(r"&(?!(?:amp|lt|gt);)|[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_BODY_OPEN: Final = b"<BODY>"
_BODY_CLOSE: Final = b"</BODY>"


class UnreadableError(Exception):
    """The bytes are no document of this interface; the text says what broke and holds no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: its text, or its children."""

    name: str
    text: str = ""
    children: tuple[Element, ...] = ()

    def child(self, name: str) -> Element | None:
        """Return the child of that name, None when there is none."""
        return next((child for child in self.children if child.name == name), None)

    def value(self, name: str) -> str:
        """Return the text of the child of that name; absent, ``<X></X>`` and ``<X/>`` are all blank."""
        child = self.child(name)
        return child.text if child is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as read: ``HEAD``, ``BODY`` and the bytes of the body, which decide whether an LSH repeats."""

    head: Element
    body: Element
    body_bytes: bytes


def read_request(raw: bytes, *, most: int = MAX_REQUEST_BYTES) -> Request:
    """Read the bytes of a request, at most ``most``.

    Raises:
        UnreadableError: it is too long, not GB18030, not the declared grammar, or without ``HEAD`` and ``BODY``.
    """
    root = read_document(raw, most=most)
    head, body = root.child("HEAD"), root.child("BODY")
    if root.name != "REQ" or head is None or body is None:
        raise UnreadableError("REQ, HEAD or BODY is missing")
    return Request(head=head, body=body, body_bytes=_body_bytes(raw))


def read_document(raw: bytes, *, most: int = MAX_REQUEST_BYTES) -> Element:
    """Read a whole document.

    Raises:
        UnreadableError: as for :func:`read_request`.
    """
    if len(raw) > most:
        raise UnreadableError("too long")
    if not raw.startswith(DECLARATION):
        raise UnreadableError("the first line is not the declaration")
    try:
        text = raw[len(DECLARATION) :].decode(ENCODING)
    except UnicodeDecodeError as error:
        raise UnreadableError("not GB18030") from error
    return _parse(text)


def _parse(text: str) -> Element:
    # The bottom frame collects the root, so that "exactly one root" is a check like any other.
    frames: list[tuple[str, list[Element], list[str]]] = [("", [], [])]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise UnreadableError(f"not a tag of this interface at character {at}")
        at = token.end()
        if token["text"] is not None:
            frames[-1][2].append(_unescaped(token["text"]))
        elif token["close"]:
            _close(frames, token["name"], empty=bool(token["empty"]))
        elif token["empty"]:
            _add(frames[-1][1], Element(name=token["name"]))
        elif len(frames) > _MAX_DEPTH:
            raise UnreadableError("nested too deep")
        else:
            frames.append((token["name"], [], []))
    _, roots, outside = frames[0]
    if len(frames) != 1 or len(roots) != 1 or "".join(outside).strip():
        raise UnreadableError("not exactly one whole element")
    return roots[0]


def _close(frames: list[tuple[str, list[Element], list[str]]], name: str, *, empty: bool) -> None:
    opened, children, texts = frames.pop()
    if opened != name or empty:
        raise UnreadableError("an end tag without its start")
    text = "".join(texts)
    if children and text.strip():
        raise UnreadableError("text beside elements")
    _add(frames[-1][1], Element(name=name, text="" if children else text, children=tuple(children)))


def _add(siblings: list[Element], element: Element) -> None:
    if len(siblings) >= _MAX_SIBLINGS:
        raise UnreadableError("too many elements")
    # Two tags of one name would let two readers of one signed request see different questions.
    if any(sibling.name == element.name for sibling in siblings):
        raise UnreadableError("a tag occurs twice")
    siblings.append(element)


def _unescaped(text: str) -> str:
    if _BAD_TEXT.search(text):
        raise UnreadableError("a reference or a character that this interface does not know")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _body_bytes(raw: bytes) -> bytes:
    # '<' is never a trailing byte in GB18030, so the search on bytes cannot hit inside a character.
    start, end = raw.find(_BODY_OPEN), raw.rfind(_BODY_CLOSE)
    return raw[start : end + len(_BODY_CLOSE)] if 0 <= start < end else b""
