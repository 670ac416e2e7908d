"""The one item that no platform holds: how many lenders asked about the subject (``platform_enquiry_count``).

From the gateway's own access list, both regions, numbers and never names. It is given only under a consent that names
the item, allows counting (act COUNT_ENQUIRIES, rule R79) and reaches back over the window; else it is NOT_HELD.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.items_pb2 import PlatformEnquiryCount
from bashu.v1.report_pb2 import QUALITY_DERIVED
from consent.artefact import Act
from core.clock import Clock
from core.errors import BashuError
from database import Database
from gateway.admission import Admitted
from gateway.outcomes import NOT_HELD
from gateway.pseudonyms import Pseudonyms
from ledger.access.enquiries import enquiry_count
from standards.answer import GATEWAY, ItemAnswer, record_of
from standards.days import beijing_day, months_before, start_of_day
from standards.items import ENQUIRY_COUNT

MONTHS: Final = 3
"""Window of the count, calendar months up to and with today (standard: XC03)."""
SOURCE: Final = "网关访问日志 the gateway's own access list"

_LOG: Final = structlog.get_logger(__name__)


class Enquiries:
    """Answers the item; ``purposes`` are the ids with ``counts_as_enquiry`` Y."""

    def __init__(self, db: Database, *, pseudonyms: Pseudonyms, purposes: Collection[str], clock: Clock) -> None:
        self._db = db
        self._pseudonyms = pseudonyms
        self._purposes = frozenset(purposes)
        self._clock = clock

    async def answers(self, admitted: Admitted) -> list[ItemAnswer]:
        """Return one answer where the item was granted, none otherwise. This query itself is not counted yet."""
        if ENQUIRY_COUNT not in admitted.scope.items:
            return []
        if Act.COUNT_ENQUIRIES not in admitted.acts:
            return [_answer(PlatformStatus.PLATFORM_STATUS_SKIPPED, detail=NOT_HELD)]
        now = self._clock.now()
        today = beijing_day(now)
        first = months_before(today, MONTHS)
        if admitted.scope.look_from > first:
            # A shorter count would read like fewer lenders, so none is given.
            return [_answer(PlatformStatus.PLATFORM_STATUS_SKIPPED, detail=f"{NOT_HELD} OUTSIDE_LOOKBACK")]
        window_from, window_to = first.isoformat(), (today + timedelta(days=1)).isoformat()
        try:
            found = await enquiry_count(
                self._db,
                self._pseudonyms.subject(admitted.permit.subject),
                purposes=self._purposes,
                since=start_of_day(window_from),
                before=start_of_day(window_to),
            )
        except BashuError as error:
            # The number is one item among many: a report without it says so, as with any source that is away.
            _LOG.error("enquiries_not_counted", error=type(error).__name__)
            return [_answer(PlatformStatus.PLATFORM_STATUS_UNAVAILABLE, detail="LEDGER_UNREAD")]
        body = PlatformEnquiryCount(
            window_from=window_from,
            window_to=window_to,
            distinct_institutions=found.distinct_institutions,
            enquiry_count=found.enquiries,
        )
        return [_answer(PlatformStatus.PLATFORM_STATUS_OK, body=body, at=now)]


def _answer(
    status: PlatformStatus.ValueType,
    *,
    body: PlatformEnquiryCount | None = None,
    at: datetime | None = None,
    detail: str = "",
) -> ItemAnswer:
    return ItemAnswer(
        platform_id=GATEWAY,
        region="",
        item=ENQUIRY_COUNT,
        status=status,
        records=() if body is None else (record_of(body),),
        as_of=at,
        fetched_at=at,
        source_department=SOURCE,
        detail=detail,
        quality=QUALITY_DERIVED,
    )
