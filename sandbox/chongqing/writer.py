"""Write answers: one line after the declaration, in GB18030 (docs/platforms/chongqing.md sections 2 and 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sandbox.chongqing.reader import DECLARATION, ENCODING

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def tag(name: str, value: str | None) -> str:
    """Write one value; None and the empty text are blank, which is written by leaving the element out."""
    return f"<{name}>{value.translate(_ESCAPES)}</{name}>" if value else ""


def tags(values: Iterable[tuple[str, str | None]]) -> str:
    """Write values in the order given."""
    return "".join(tag(name, value) for name, value in values)


def nest(name: str, inner: str) -> str:
    """Write an element around what is written already."""
    return f"<{name}>{inner}</{name}>"


def body_bytes(inner: str) -> bytes:
    """Return the bytes of ``<BODY>…</BODY>``: exactly what ``QM`` signs."""
    return nest("BODY", inner).encode(ENCODING)


def answer_bytes(head: Iterable[tuple[str, str | None]], body: bytes | None) -> bytes:
    """Return a whole answer; ``LSH`` is written even when it is empty."""
    inner = "".join(tag(name, value) or (nest(name, "") if name == "LSH" else "") for name, value in head)
    return b"".join((DECLARATION, b"<RSP>", nest("HEAD", inner).encode(ENCODING), body or b"", b"</RSP>"))
