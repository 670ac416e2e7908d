"""The platform's own book of a day: XY9001 (section 11 of docs/platforms/chongqing.md)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final
from xml.etree.ElementTree import Element

from adapters.chongqing import exchange, serials
from adapters.chongqing.codec import cells, malformed
from adapters.chongqing.exchange import Answer, Exchange
from adapters.chongqing.shapes import KINDS
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.paged import a_page
from adapters.kit.protocol import Book, BookLine, OnPage
from core.permit import Subject, SubjectKind
from standards.days import moment_of_compact
from standards.malformed import MalformedValueError

ROWS_A_PAGE: Final = 50
MAX_PAGES: Final = 4_000
"""200,000 lines: ten times the quota of a day."""
_ITEMS: Final[Mapping[str, str]] = {kind: item for item, kind in KINDS.items()}
_PAGES: Final = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_REQUIRED: Final = ("CXBH", "CXJG", "CXYY", "CXMK")


async def read_book(
    link: Exchange, day: date, *, deadline: float, monotonic: Callable[[], float], on_page: OnPage
) -> Book:
    """Read every page of a day. Raises PlatformFailureError."""
    lines: list[BookLine] = []
    digest = hashlib.sha256()
    page, pages, compact = 1, 1, f"{day:%Y%m%d}"
    while page <= pages:
        serial = serials.book_serial(day=compact, page=page)
        fields = (("DZRQ", compact), ("DQYS", str(page)))

        async def ask(until: float, serial: str = serial, fields: tuple[tuple[str, str], ...] = fields) -> Answer:
            return await link.send(exchange.BOOK, serial, fields, evidence=b"", deadline=until)

        answer = await a_page(ask, deadline=deadline, monotonic=monotonic)
        pages = _pages(answer.tags, compact, page, at_least=pages)
        rows = [] if answer.reply.body is None else answer.reply.body.findall("DZ")
        if len(rows) > ROWS_A_PAGE or (page < pages and len(rows) < ROWS_A_PAGE):
            raise malformed("BODY/DZ")
        lines.extend(_line(row, f"BODY/DZ[{number}]") for number, row in enumerate(rows, 1))
        digest.update(hashlib.sha256(answer.raw).digest())
        on_page(page, pages)
        page += 1
    return Book(lines=tuple(lines), digest=digest.digest())


def _pages(tags: Mapping[str, str], day: str, page: int, *, at_least: int) -> int:
    """Return how many pages there are; a day that is not over may have grown, and never shrinks."""
    pages = tags.get("ZYS", "")
    if tags.get("DZRQ") != day or tags.get("DQYS") != str(page) or not _PAGES.fullmatch(pages):
        raise malformed("BODY/ZYS")
    if int(pages) < at_least:
        raise malformed("BODY/ZYS")
    if int(pages) > MAX_PAGES:
        raise PlatformFailureError(Failure.OVERSIZED, "BODY/ZYS")
    return int(pages)


def _line(row: Element, path: str) -> BookLine:
    found = cells(row, path)
    if missing := [tag for tag in _REQUIRED if not found.get(tag)]:
        raise malformed(f"{path}/{missing[0]}")
    return BookLine(
        key=found["CXBH"],
        number=found["CXBH"],
        institution=found["CXJG"],
        subject=_subject(found, path),
        purpose=found["CXYY"],
        kinds=tuple(frozenset({_ITEMS[kind]} if kind in _ITEMS else ()) for kind in found["CXMK"].split(",")),
        at=_moment(found.get("SLSJ", ""), path),
        evidence=found.get("YT", ""),
    )


def _subject(found: Mapping[str, str], path: str) -> Subject:
    if code := found.get("TYSHXYDM"):
        return Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=code, name="")
    if number := found.get("ZJHM"):
        return Subject(kind=SubjectKind.PERSON, id_type="citizen_id", identifier=number, name="")
    raise malformed(f"{path}/TYSHXYDM")


def _moment(text: str, path: str) -> datetime:
    try:
        moment = moment_of_compact(text, path=f"{path}/SLSJ")
    except MalformedValueError as error:
        raise malformed(error.path) from error
    if moment is None:
        raise malformed(f"{path}/SLSJ")
    return moment
