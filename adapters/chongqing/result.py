"""A whole result: the pages of one job, checked against one another and put together (section 6, XY1003)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from adapters.chongqing.codec import Reply, cells, malformed
from adapters.chongqing.reading import day
from adapters.kit.failures import Failure, PlatformFailureError
from core.permit import Subject, SubjectKind
from standards.days import start_of_day
from standards.malformed import MalformedValueError

MAX_PAGES: Final = 40
"""2,000 rows: more than any kind can have."""
WRONG_SUBJECT: Final = "WRONG_SUBJECT"
LISTS: Final[Mapping[str, str]] = {
    "GDXX": "GD", "ZYRY": "RY", "KPXX": "KP", "SHJF": "JF", "XZCF": "CF", "ZXMC": "ZX", "SXMX": "SX", "DBXX": "DB",
    "BGXX": "BG", "JYYC": "YC", "YZSX": "YZ", "ZDSS": "ZS", "SJAJ": "AJ", "PCCZ": "PC", "CWBB": "BB", "ZJLXX": "ZJ",
    "RZXX": "RZ", "SDQXX": "SD", "ZSCQ": "CQ", "RYZZ": "RZ", "XZXK": "XK", "GJJXX": "GJ", "HBXX": "HB", "HGXX": "HG",
}  # fmt: skip
"""Groups of rows, and the tag of a row."""
SINGLES: Final = frozenset({"JBXX", "NSXX", "SBXX", "SFXX"})
"""Groups that stand on the first page alone."""
_PAGE_NUMBER: Final = re.compile(r"[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to XY1003, with the bytes it came in."""

    reply: Reply
    raw: bytes
    body: Element
    tags: Mapping[str, str]
    page: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of one result: its as-of text, and its rows, or itself where it is no list."""

    as_of: str
    rows: tuple[Element, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A result of all pages. ``tags`` are BODY's own; ``missing`` are the kinds of ``QSMK``.

    ``subject`` is the firm's code, None of a person: no record holds an identity number.
    """

    subject: str | None
    name: str
    tags: Mapping[str, str]
    groups: Mapping[str, Group]
    missing: frozenset[str]
    raw_digest: bytes

    def as_of(self, group: str | None) -> datetime:
        """Return the moment that a group describes, UTC; BODY's own for None. Raises MalformedValueError."""
        path = "BODY/SJSJ" if group is None else f"BODY/{group}/SJSJ"
        return start_of_day(self.as_of_day(group, path))

    def as_of_day(self, group: str | None, path: str) -> str:
        """Return the day that a group describes. Raises MalformedValueError."""
        text = self.tags.get("SJSJ", "") if group is None else self.groups[group].as_of
        found = day(text, path) if text else None
        if found is None:
            raise MalformedValueError(path, "a day, the tag is mandatory")
        return found


def page_of(reply: Reply, raw: bytes, *, job: str, subject: Subject, wanted: int) -> Page:
    """Check one page by itself. Raises PlatformFailureError (MALFORMED)."""
    if reply.body is None:
        raise malformed("BODY")
    tags = cells(reply.body, "BODY")
    if tags.get("RWH") != job:
        raise malformed("BODY/RWH")
    key, other, name = (
        ("ZJHM", "TYSHXYDM", "XM") if subject.kind is SubjectKind.PERSON else ("TYSHXYDM", "ZJHM", "QYMC")
    )
    if tags.get(key) != subject.identifier or other in tags:
        raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
    if not tags.get(name):
        raise malformed(f"BODY/{name}")
    page, pages = (_number(tags, tag) for tag in ("DQYS", "ZYS"))
    if page != wanted or page > pages:
        raise malformed("BODY/DQYS")
    if pages > MAX_PAGES:
        raise PlatformFailureError(Failure.OVERSIZED, "BODY/ZYS")
    return Page(reply=reply, raw=raw, body=reply.body, tags=tags, page=page, pages=pages)


def put_together(pages: Sequence[Page]) -> Result:
    """Join the pages of one job, in their order. Raises PlatformFailureError where they contradict one another."""
    first = pages[0]
    rows: dict[str, list[Element]] = {}
    as_of: dict[str, str] = {}
    for page in pages:
        for tag in ("ZYS", "SJSJ", "QSMK"):
            if page.tags.get(tag, "") != first.tags.get(tag, ""):
                raise malformed(f"BODY/{tag}")
        for element in page.body:
            if element.tag in LISTS or element.tag in SINGLES:
                _collect(element, page.page, rows, as_of)
    digest = hashlib.sha256()
    for page in pages:
        digest.update(page.raw)
    return Result(
        subject=first.tags.get("TYSHXYDM"),
        name=first.tags.get("QYMC") or first.tags["XM"],
        tags=first.tags,
        groups={name: Group(as_of=as_of[name], rows=tuple(found)) for name, found in rows.items()},
        missing=frozenset(filter(None, first.tags.get("QSMK", "").split(","))),
        raw_digest=digest.digest(),
    )


def _collect(element: Element, page: int, rows: dict[str, list[Element]], as_of: dict[str, str]) -> None:
    name = element.tag
    row_tag = LISTS.get(name)
    if row_tag is None:
        if page != 1 or name in rows:
            raise malformed(f"BODY/{name}")
        found = [element]
    else:
        found = [child for child in element if child.tag == row_tag]
    stamp = element.findtext("SJSJ") or ""
    if as_of.setdefault(name, stamp) != stamp:
        raise malformed(f"BODY/{name}/SJSJ")
    rows.setdefault(name, []).extend(found)


def _number(tags: Mapping[str, str], tag: str) -> int:
    text = tags.get(tag, "")
    if _PAGE_NUMBER.fullmatch(text) is None:
        raise malformed(f"BODY/{tag}")
    return int(text)
