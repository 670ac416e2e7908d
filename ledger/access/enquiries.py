"""How often lenders asked for a subject's file (``platform_enquiry_count``): numbers from the access list, no names.

Counted are releases for purposes that ``purposes.csv`` counts (pre-loan, guarantor, underwriting), under consents whose
subject allowed counting (act COUNT_ENQUIRIES, rule R79), an institution once in 14 days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from database import Statements

ONCE_IN: Final = timedelta(days=14)
"""Further enquiries of one institution within this time count with its first (standard.md: Enquiries)."""

ENQUIRIES: Final = """
SELECT a.institution, a.at FROM ledger_subject AS s
JOIN ledger_access AS a ON a.leaf_index = s.leaf_index
JOIN ledger_countable AS c ON c.consent_id = a.consent_id
WHERE s.pseudonym = $1 AND a.type = 'RELEASE' AND a.purpose = ANY($2::text[]) AND a.at >= $3 AND a.at < $4
ORDER BY a.at, a.leaf_index"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnquiryCount:
    """Enquiries in ``[since, before)``: from how many institutions, and how many after the 14-day rule."""

    distinct_institutions: int
    enquiries: int
    since: datetime
    before: datetime


async def enquiry_count(
    db: Statements, pseudonym: str, *, purposes: Collection[str], since: datetime, before: datetime
) -> EnquiryCount:
    """Count enquiries about a subject; ``purposes`` are the ids with ``counts_as_enquiry`` Y.

    Whether the asking lender may see the number is its own consent's (item ``platform_enquiry_count``, act
    COUNT_ENQUIRIES): without it the item is NOT_HELD. A RELEASE counts once it is integrated, within a second.
    """
    rows = await db.fetch(ENQUIRIES, pseudonym, sorted(purposes), since, before)
    institutions, counted = count_once((row["institution"], row["at"]) for row in rows)
    return EnquiryCount(distinct_institutions=institutions, enquiries=counted, since=since, before=before)


def count_once(asked: Iterable[tuple[str, datetime]]) -> tuple[int, int]:
    """Return (institutions, enquiries) of (institution, time) pairs in time order: one an institution per 14 days."""
    last: dict[str, datetime] = {}
    enquiries = 0
    for institution, at in asked:
        if institution not in last or at - last[institution] >= ONCE_IN:
            last[institution] = at
            enquiries += 1
    return len(last), enquiries
