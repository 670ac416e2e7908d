"""``GET /v2/reconciliation/{day}``: the enquiries of a day (docs/platforms/sichuan.md section 10)."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sandbox.books import Book, Enquiry
from sandbox.persons import is_person
from sandbox.sichuan.envelope import DataStatus
from sandbox.sichuan.modules import Payload

LINES_A_PAGE: Final = 100


def book_page(book: Book, day: date, page: int) -> Payload:
    """Return one page of a day, from 1. The sandbox has one caller, so the whole book is its own."""
    lines = book.of_day(day)
    if not lines:
        return Payload(status=DataStatus.NODATA, content=[])
    start, total = LINES_A_PAGE * (page - 1), len(lines)
    content = {
        "list": [_row(line) for line in lines[start : start + LINES_A_PAGE]],
        "total": str(total) if total % 2 else total,
        "pageNumber": page,
        "pageSize": LINES_A_PAGE,
    }
    return Payload(status=DataStatus.SUCCESS, content=content)


def _row(line: Enquiry) -> dict[str, Any]:
    # A mark without an authorisation stands under its institution (section 4).
    under, _, request_id = line.key.partition("/")
    return {
        "authorizationId": None if under == line.institution else under,
        "requestId": request_id,
        "institution": line.institution,
        "idNo" if is_person(line.subject) else "creditCode": line.subject,
        "queryReason": line.purpose,
        "modules": list(line.kinds),
        "receivedAt": int(line.at.timestamp() * 1000),
        "evidenceHash": line.evidence,
    }
