"""The platform's own book of a day: ``GET /v2/reconciliation/{day}`` (section 10 of docs/platforms/sichuan.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.paged import a_page
from adapters.kit.protocol import Book, BookLine, OnPage
from adapters.sichuan import messages as sc
from adapters.sichuan.envelope import NO_DATA
from adapters.sichuan.exchange import Exchange, Query
from adapters.sichuan.modules import MODULES
from core.ids import uuid7
from core.permit import Subject, SubjectKind

ROWS_A_PAGE: Final = 100
MAX_LINES: Final = 200_000
"""Twice the quota of a day."""


class _Row(msgspec.Struct, rename="camel"):
    request_id: sc.Text
    institution: sc.Text
    query_reason: sc.Text
    modules: list[str]
    received_at: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
    credit_code: sc.Words = None
    id_no: sc.Words = None
    authorization_id: str | None = None
    evidence_hash: str | None = None


_PAGE: Final[msgspec.json.Decoder[sc.Paged[_Row]]] = msgspec.json.Decoder(sc.Paged[_Row])


def book_key(institution: str, request_id: str) -> str:
    """Return what one enquiry is known by; another authorisation under the same request would be a second mark."""
    return f"{institution}/{request_id}"


async def read_book(
    link: Exchange, day: date, *, deadline: float, monotonic: Callable[[], float], on_page: OnPage
) -> Book:
    """Read every page of a day. Raises PlatformFailureError."""
    query = Query(
        request_id=str(uuid7()), institution="gateway", subject="", reason="", evidence=b"", deadline=deadline
    )
    lines: list[BookLine] = []
    digest = hashlib.sha256()
    page, pages = 1, 1
    while page <= pages:
        path = f"/v2/reconciliation/{day.isoformat()}?pageNumber={page}"

        async def ask(until: float, path: str = path) -> tuple[bytes, sc.Paged[_Row]]:
            sealed = await link.sealed("GET", path, query=replace(query, deadline=until), headers={})
            return sealed.raw.body, _read(sealed.opened.status, sealed.opened.payload)

        raw, found = await a_page(ask, deadline=deadline, monotonic=monotonic)
        total = int(found.total)
        if total > MAX_LINES:
            raise PlatformFailureError(Failure.OVERSIZED, "reconciliation.total")
        # A day that is not over may grow, and never shrinks.
        pages = max(pages, -(-total // ROWS_A_PAGE))
        if len(found.rows) != min(ROWS_A_PAGE, total - ROWS_A_PAGE * (page - 1)):
            raise PlatformFailureError(Failure.MALFORMED, "reconciliation.total")
        lines.extend(_line(row) for row in found.rows)
        digest.update(hashlib.sha256(raw).digest())
        on_page(page, pages)
        page += 1
    return Book(lines=tuple(lines), digest=digest.digest())


def _read(status: str, payload: bytes) -> sc.Paged[_Row]:
    if status == NO_DATA:
        return sc.Paged(rows=[], total=0)
    try:
        return _PAGE.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PlatformFailureError(Failure.MALFORMED, "reconciliation") from None


def _line(row: _Row) -> BookLine:
    return BookLine(
        key=book_key(row.institution, row.request_id),
        number=f"{row.authorization_id or '-'}/{row.request_id}",
        institution=row.institution,
        subject=_subject(row),
        purpose=row.query_reason,
        kinds=tuple(frozenset(MODULES[name].items if name in MODULES else ()) for name in row.modules),
        at=datetime.fromtimestamp(row.received_at / 1000, UTC),
        evidence=row.evidence_hash or "",
    )


def _subject(row: _Row) -> Subject:
    if row.credit_code:
        return Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=row.credit_code, name="")
    if row.id_no:
        return Subject(kind=SubjectKind.PERSON, id_type="citizen_id", identifier=row.id_no, name="")
    raise PlatformFailureError(Failure.MALFORMED, "reconciliation.creditCode")
