"""Ask chongqing: authorisation, submit, poll, fetch, acknowledge (section 6). Keeps nothing that matters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import structlog

from adapters.chongqing import codes, exchange, serials
from adapters.chongqing.books import read_book
from adapters.chongqing.codec import malformed
from adapters.chongqing.codes import RefusedError
from adapters.chongqing.disputes import send_dispute
from adapters.chongqing.exchange import Answer, ChongqingAccess, Exchange, Transaction
from adapters.chongqing.grants import Enquiry, Grant, Grants
from adapters.chongqing.mapping import MAPPING_VERSION, map_items
from adapters.chongqing.result import Page, Result, page_of, put_together
from adapters.chongqing.shapes import KINDS, PUBLIC_KINDS
from adapters.kit.answering import Outcome, answer_items, failed, refused, with_privacy
from adapters.kit.caller import Limits
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.protocol import Book, DisputeCase, DisputeStanding, OnPage, PlatformInfo
from adapters.kit.transport import TransportSettings
from core.clock import Clock
from core.permit import Permit
from standards.answer import ItemAnswer
from standards.catalogue import Standard

ITEMS: Final = frozenset(KINDS)
POLL_WAITS_S: Final = (0.2, 0.4, 0.8, 2.0)
"""Waits between polls of one job; the last one repeats."""
SHORTEST_RESUME: Final = timedelta(seconds=5)
LAST_POLL_RESERVE_S: Final = 0.3
"""Time kept for the answer to the last poll, so that PENDING is told before the deadline turns it into TIMEOUT."""
ACKNOWLEDGE_WITHIN_S: Final = 1.0
PUBLIC_REPORT, AUTHORISED_REPORT = "1", "2"
_STALE_GRANT: Final = frozenset(
    {codes.AUTHORISATION_MISSING, codes.AUTHORISATION_EXPIRED, codes.AUTHORISATION_MISMATCH}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A submitted job; ``wait_s`` is how long the platform says it takes."""

    number: str
    serial: str
    wait_s: float


class ChongqingAdapter:
    """Asks chongqing, one job a question."""

    def __init__(
        self,
        *,
        platform: PlatformInfo,
        access: ChongqingAccess,
        transport: TransportSettings,
        standard: Standard,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        """Read secret and keys; ``limits`` None means the published ones. Raises OSError or ValueError."""
        self._platform = platform
        self._standard = standard
        self._clock = clock
        self._exchange = Exchange(access, transport, clock=clock, limits=limits)
        self._grants = Grants(self._exchange, clock=clock)

    @property
    def platform(self) -> PlatformInfo:
        """Return the platform that is asked."""
        return self._platform

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        """Return one answer for each item; see :class:`adapters.kit.protocol.Adapter`."""
        return await answer_items(
            self._platform,
            permit,
            items,
            deadline=deadline,
            clock=self._clock,
            mapping_version=MAPPING_VERSION,
            ask=self._ask,
        )

    async def dispute(
        self,
        case: DisputeCase,
        reference: str,  # noqa: ARG002 - the serial number is enough here
        *,
        deadline: float,
    ) -> DisputeStanding:
        """Hand a dispute over by XY2001; sent again it is the question where it stands, so ``reference`` is not needed.

        Raises PlatformFailureError.
        """
        return await send_dispute(self._exchange, case, deadline=deadline)

    def enquiry_key(self, institution: str, request_id: UUID) -> str:
        """Return under which key the platform's book holds an enquiry."""
        return serials.enquiry_number(institution=institution, request_id=str(request_id))

    async def book(self, day: date, *, deadline: float, on_page: OnPage) -> Book:
        """Return the platform's book of a day; see :class:`adapters.kit.protocol.ShowsBooks`."""
        return await read_book(self._exchange, day, deadline=deadline, monotonic=self._clock.monotonic, on_page=on_page)

    async def close(self) -> None:
        """Close connections."""
        await self._exchange.close()

    async def _ask(self, permit: Permit, items: frozenset[str], deadline: float) -> Mapping[str, Outcome]:
        is_authorised = permit.artefact is not None
        askable = frozenset(item for item in items if is_authorised or KINDS[item] in PUBLIC_KINDS)
        unasked = {item: refused(Failure.DENIED, "NO_ARTEFACT") for item in items - askable}
        if not askable:
            return unasked
        enquiry = Enquiry(
            permit=permit,
            kinds=tuple(sorted(KINDS[item] for item in askable)),
            purpose=self._platform.purposes[permit.purpose],
            deadline=deadline,
        )
        try:
            result = await self._result(enquiry)
            found = map_items(result, askable, self._standard)
        except PlatformFailureError as failure:
            return unasked | dict.fromkeys(askable, failed(failure))
        return unasked | {item: with_privacy(outcome, permit) for item, outcome in found.items()}

    async def _result(self, enquiry: Enquiry) -> Result:
        if enquiry.permit.artefact is None:
            return await self._collected(enquiry, None)
        try:
            return await self._collected(enquiry, await self._grants.covering(enquiry))
        except RefusedError as refusal:
            if refusal.code in _STALE_GRANT:
                self._grants.forget(enquiry)
            if refusal.code != codes.AUTHORISATION_EXPIRED:
                raise
        return await self._collected(enquiry, await self._grants.covering(enquiry))

    async def _collected(self, enquiry: Enquiry, grant: Grant | None) -> Result:
        """Return the result of the enquiry's job; one that is gone (4001) is submitted anew under the next suffix."""
        for suffix in serials.REPEATS:
            job = await self._submit(enquiry, grant, suffix)
            try:
                await self._done(job, enquiry)
                pages = await self._pages(job, enquiry)
            except RefusedError as refusal:
                if refusal.code != codes.JOB_GONE:
                    raise
                continue
            result = put_together(pages)
            await self._acknowledge(job, enquiry)
            return result
        raise PlatformFailureError(Failure.FAILED, codes.JOB_GONE)

    async def _submit(self, enquiry: Enquiry, grant: Grant | None, suffix: str) -> Job:
        permit, request_id = enquiry.permit, str(enquiry.permit.request_id)
        authorisation = "" if grant is None else grant.number
        first_serial = serials.submit_serial(
            institution=permit.institution, request_id=request_id, kinds=enquiry.kinds, authorisation=authorisation
        )
        serial = first_serial + suffix
        fields = (
            *enquiry.named(),
            ("CXYY", enquiry.purpose),
            ("SQSBH", authorisation),
            ("SQJZRQ", "" if grant is None else grant.last_day),
            ("BGLX", PUBLIC_REPORT if grant is None else AUTHORISED_REPORT),
            ("CXMK", ",".join(enquiry.kinds)),
            ("CXJG", permit.institution),
            ("CXBH", serials.enquiry_number(institution=permit.institution, request_id=request_id)),
        )
        answer = await self._exchange.send(
            exchange.SUBMIT, serial, fields, evidence=permit.intent_leaf_hash, deadline=enquiry.deadline
        )
        number = answer.tags.get("RWH")
        if not number:
            raise malformed("BODY/RWH")
        return Job(number=number, serial=serial, wait_s=answer.seconds_until("YJWCSJ"))

    async def _done(self, job: Job, enquiry: Enquiry) -> None:
        """Poll until the job is done. Raises PlatformFailureError (PENDING) where the deadline comes first."""
        polls, wait_s, expected_s = 0, min(job.wait_s, POLL_WAITS_S[-1]), job.wait_s
        while (left_s := enquiry.deadline - LAST_POLL_RESERVE_S - self._clock.monotonic()) > 0:
            if wait_s > 0:
                await asyncio.sleep(min(max(wait_s, POLL_WAITS_S[0]), left_s))
            answer = await self._about(job, exchange.POLL, enquiry)
            if answer.reply.code == codes.OK:
                return
            expected_s = answer.seconds_until("YJWCSJ")
            wait_s = POLL_WAITS_S[min(polls, len(POLL_WAITS_S) - 1)]
            polls += 1
        resume = self._clock.now() + max(SHORTEST_RESUME, timedelta(seconds=expected_s))
        raise PlatformFailureError(Failure.PENDING, codes.UNDER_WAY, resume_after=resume)

    async def _pages(self, job: Job, enquiry: Enquiry) -> list[Page]:
        first = await self._page(job, enquiry, 1)
        return [first, *[await self._page(job, enquiry, number) for number in range(2, first.pages + 1)]]

    async def _page(self, job: Job, enquiry: Enquiry, number: int) -> Page:
        answer = await self._about(job, exchange.FETCH, enquiry, ("DQYS", str(number)))
        return page_of(answer.reply, answer.raw, job=job.number, subject=enquiry.subject, wanted=number)

    async def _acknowledge(self, job: Job, enquiry: Enquiry) -> None:
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN_S):
                await self._about(job, exchange.ACKNOWLEDGE, enquiry)
        except (PlatformFailureError, TimeoutError) as failure:
            # The data are here; what is not acknowledged expires at the platform by itself.
            detail = failure.detail if isinstance(failure, PlatformFailureError) else Failure.TIMED_OUT.value
            structlog.get_logger().info("chongqing_not_acknowledged", detail=detail)

    async def _about(self, job: Job, transaction: Transaction, enquiry: Enquiry, *more: tuple[str, str]) -> Answer:
        return await self._exchange.send(
            transaction,
            job.serial,
            (("RWH", job.number), *more),
            evidence=enquiry.permit.intent_leaf_hash,
            deadline=enquiry.deadline,
        )
