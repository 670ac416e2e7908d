"""Ask sichuan: one report for all modules, further pages one by one (section 6). Keeps nothing that matters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from adapters.kit.answering import Outcome, answer_items, failed, refused, with_privacy
from adapters.kit.caller import Limits
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.protocol import Book, DisputeCase, DisputeStanding, OnPage, PlatformInfo
from adapters.kit.transport import TransportSettings
from adapters.sichuan.answers import Answered, Collected, outcomes_of
from adapters.sichuan.authorisations import Authorisations, named
from adapters.sichuan.books import book_key, read_book
from adapters.sichuan.disputes import send_dispute
from adapters.sichuan.exchange import Exchange, Query, SichuanAccess
from adapters.sichuan.modules import MAX_ROWS, MONTHLY, NAME, PAGE_ROWS, Module, modules_of
from adapters.sichuan.reading import MAPPING_VERSION, WRONG_SUBJECT
from adapters.sichuan.refusals import RefusedError
from adapters.sichuan.reports import may_be_asked_again, read_module, read_report
from core.clock import Clock
from core.permit import Permit, Subject, SubjectKind
from standards.answer import ItemAnswer
from standards.catalogue import Standard

MONTHS: Final = 24
REPORT_SHARE: Final = 0.8
"""Part of the time that the report may take: further pages come after it."""
SHORTEST_WAIT_MS, LONGEST_WAIT_MS = 500, 15_000
PAGES_AT_ONCE: Final = 8
"""Further pages of one query under way at once, so that one long file does not take every connection."""


class SichuanAdapter:
    """Asks sichuan, one report a question and single calls for what does not fit on its first pages."""

    def __init__(
        self,
        *,
        platform: PlatformInfo,
        access: SichuanAccess,
        transport: TransportSettings,
        standard: Standard,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        """Read credentials and keys; ``limits`` None means the published ones. Raises OSError or ValueError."""
        self._platform = platform
        self._standard = standard
        self._clock = clock
        self._exchange = Exchange(access, transport, clock=clock, limits=limits)
        self._authorisations = Authorisations(self._exchange, clock=clock)

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

    async def dispute(self, case: DisputeCase, reference: str, *, deadline: float) -> DisputeStanding:
        """Hand a dispute over, or ask where it stands; see :class:`adapters.kit.protocol.TakesDisputes`."""
        return await send_dispute(self._exchange, case, reference, deadline=deadline)

    def enquiry_key(self, institution: str, request_id: UUID) -> str:
        """Return under which key the platform's book holds an enquiry."""
        return book_key(institution, str(request_id))

    async def book(self, day: date, *, deadline: float, on_page: OnPage) -> Book:
        """Return the platform's book of a day; see :class:`adapters.kit.protocol.ShowsBooks`."""
        return await read_book(self._exchange, day, deadline=deadline, monotonic=self._clock.monotonic, on_page=on_page)

    async def close(self) -> None:
        """Close connections."""
        await self._exchange.close()

    async def _ask(self, permit: Permit, items: frozenset[str], deadline: float) -> Mapping[str, Outcome]:
        is_authorised = permit.artefact is not None
        modules = tuple(module for module in modules_of(items) if is_authorised or module.is_public)
        askable = items & {item for module in modules for item in module.items}
        unasked = {item: refused(Failure.DENIED, "NO_ARTEFACT") for item in items - askable}
        if not modules:
            return unasked
        query = Query(
            request_id=str(permit.request_id),
            institution=permit.institution,
            subject=_code(permit.subject),
            reason=self._platform.purposes[permit.purpose],
            evidence=permit.intent_leaf_hash,
            deadline=deadline,
        )
        try:
            collected = await self._collected(permit, query, modules)
        except PlatformFailureError as failure:
            return unasked | dict.fromkeys(askable, failed(failure))
        found = outcomes_of(collected, modules, subject=_code(permit.subject), standard=self._standard)
        return unasked | {item: with_privacy(outcome, permit) for item, outcome in found.items() if item in askable}

    async def _collected(self, permit: Permit, query: Query, modules: Sequence[Module]) -> Collected:
        """Ask for a report, once more for what the platform advises to ask again, and for further pages."""
        authorisation = await self._authorised(permit, query, modules)
        collected = await self._report(permit, query, modules, authorisation)
        refusals = {name: answer.failure for name, answer in collected.modules.items()}
        if any(isinstance(one, RefusedError) and one.concerns_authorisation for one in refusals.values()):
            self._authorisations.forget(permit, query)
        again = [module for module in modules if may_be_asked_again(refusals[module.name])]
        if again and self._exchange.may_ask_again():
            try:
                authorisation = await self._authorised(permit, query, again) or authorisation
                collected = collected.updated(await self._report(permit, query, again, authorisation))
            except PlatformFailureError:
                # The first report stands: what it brought must not be lost to a second try.
                return await self._with_further_pages(query, collected, modules, authorisation)
        return await self._with_further_pages(query, collected, modules, authorisation)

    async def _authorised(self, permit: Permit, query: Query, modules: Sequence[Module]) -> str:
        """Return the authorisation to ask under, empty without an artefact.

        Public modules alone are asked under it too: a repeat that asks no others would else be a second mark.
        """
        if permit.artefact is None:
            return ""
        return await self._authorisations.covering(permit, query, frozenset(module.name for module in modules))

    async def _report(self, permit: Permit, query: Query, modules: Sequence[Module], authorisation: str) -> Collected:
        body: dict[str, Any] = {
            **named(permit.subject),
            "modules": [module.name for module in modules],
            "queryReason": query.reason,
            "months": MONTHS,
        }
        if permit.subject.name and permit.subject.kind is SubjectKind.ENTERPRISE:
            body["name"] = permit.subject.name
        body |= {"authorizationId": authorisation} if authorisation else {}
        remaining_ms = int((query.deadline - self._clock.monotonic()) * REPORT_SHARE * 1000)
        wait_ms = max(SHORTEST_WAIT_MS, min(LONGEST_WAIT_MS, remaining_ms))
        sealed = await self._exchange.sealed(
            "POST",
            "/v2/reports",
            query=query,
            headers={"X-Deadline-Ms": str(wait_ms), "internal-zip-version": "1"},
            body=msgspec.json.encode(body),
        )
        return read_report(sealed, modules, subject=permit.subject, now=self._clock.now())

    async def _with_further_pages(
        self, query: Query, collected: Collected, modules: Sequence[Module], authorisation: str
    ) -> Collected:
        at_once = asyncio.Semaphore(PAGES_AT_ONCE)

        async def whole(module: Module, first: Answered) -> Answered:
            async with at_once:
                return await self._whole(query, module, first, name=collected.name, authorisation=authorisation)

        firsts = {module.name: (module, collected.modules[module.name]) for module in modules}
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(whole(module, first))
                for name, (module, first) in firsts.items()
                if first.total is not None
            }
        return replace(collected, modules={**collected.modules, **{name: t.result() for name, t in tasks.items()}})

    async def _whole(self, query: Query, module: Module, first: Answered, *, name: str, authorisation: str) -> Answered:
        try:
            return await self._all_rows(query, module, first, name=name, authorisation=authorisation)
        except PlatformFailureError as failure:
            return Answered(failure=failure)

    async def _all_rows(
        self, query: Query, module: Module, first: Answered, *, name: str, authorisation: str
    ) -> Answered:
        """Return all rows of a paged module. Raises PlatformFailureError: part of a list would be a silent gap."""
        total = first.total or 0
        rows, bodies = list(first.rows), list(first.bodies)
        contradiction = PlatformFailureError(Failure.MALFORMED, f"{module.name}.total")
        # Further pages are asked by address, where no identity number may stand: a person's lists come whole.
        if total > MAX_ROWS or (query.subject is None and total > len(rows)):
            raise PlatformFailureError(Failure.OVERSIZED, f"{module.name}.total")
        for number in range(2, -(-total // PAGE_ROWS) + 1):
            page = await self._page(query, module, number, name=name, authorisation=authorisation)
            if page.total != total or page.as_of != first.as_of:
                raise contradiction
            rows.extend(page.rows)
            bodies.extend(page.bodies)
        if len(rows) != total:
            raise contradiction
        return replace(first, rows=rows, bodies=tuple(bodies))

    async def _page(self, query: Query, module: Module, number: int, *, name: str, authorisation: str) -> Answered:
        subject = {module.key: name if module.key == NAME else query.subject or ""}
        months = {"months": str(MONTHS)} if module.name in MONTHLY else {}
        pages = {"pageNumber": str(number), "pageSize": str(PAGE_ROWS)}
        group, _, short = module.name.partition("/")
        path = f"/v2/enterprises/{group}/modules/{short}?" + urlencode(subject | months | pages, quote_via=quote)
        headers = {"X-Query-Reason": query.reason} | ({"X-Auth-Id": authorisation} if authorisation else {})
        sealed = await self._exchange.sealed("GET", path, query=query, headers=headers)
        # Only an answer about a subject unknown there lacks it, and that has no further pages.
        if sealed.raw.headers.get("x-credit-code") != query.subject:
            raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
        return read_module(
            module,
            status=sealed.opened.status,
            data=sealed.opened.payload,
            as_of=sealed.raw.headers.get("x-data-asof", ""),
            body=sealed.raw.body,
        )


def _code(subject: Subject) -> str | None:
    """Return a firm's code, None of a person."""
    return subject.identifier if subject.kind is SubjectKind.ENTERPRISE else None
