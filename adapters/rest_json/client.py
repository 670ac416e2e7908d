"""The adapter behind a description: one call a module, all at once, each answer checked and mapped."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from adapters.kit.answering import Outcome, answer_items, failed, refused, with_privacy
from adapters.kit.caller import Call, Caller, Limits
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.pacing import Rate
from adapters.kit.protocol import PlatformInfo
from adapters.kit.quota import Quota
from adapters.kit.transport import RawAnswer, TransportSettings
from adapters.rest_json.calls import ModuleCalls, Read, compile_modules, variables
from adapters.rest_json.description import Description, DescriptionError, Source, read_description
from adapters.rest_json.signing import LANE, Signer, signer_of
from bashu.v1.report_pb2 import CreditRecord
from core.clock import Clock
from core.permit import Permit
from standards.answer import ItemAnswer
from standards.catalogue import Standard
from standards.malformed import MalformedValueError

LOOK_AGAIN_S: Final = 2.0
"""How often, at most, the file is looked at for a change."""
UNAUTHORISED: Final = 401
_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A description made ready: what a question under way keeps, whatever happens to the file."""

    description: Description
    modules: Mapping[str, ModuleCalls]
    platform: PlatformInfo
    caller: Caller
    signer: Signer


class RestJsonAdapter:
    """Asks one platform as its file says; a changed file takes effect without a restart.

    Where the new file is wrong the old description goes on, and the log says why once (file and line). Limits, secrets
    and the address are read at start alone.
    """

    def __init__(
        self,
        *,
        platform: PlatformInfo,
        file: Path,
        files: Mapping[str, Path],
        transport: TransportSettings,
        standard: Standard,
        clock: Clock,
        in_flight: int | None = None,
        quota: Quota | None = None,
        hedge_after_s: float | None = None,
    ) -> None:
        """Read and compile ``file``; ``files`` are the secrets by name, ``in_flight`` stands for the file's.

        Raises DescriptionError, KeyError (a secret is not named), OSError, ValueError.
        """
        self._platform = platform
        self._file = file
        self._files = files
        self._standard = standard
        self._clock = clock
        self._stamp = _stamp(file)
        self._looked_at = clock.monotonic()
        source = read_description(file)
        limits = source.description.limits
        at_once = limits.in_flight if in_flight is None else in_flight
        self._caller = Caller(
            replace(transport, max_answer_bytes=limits.max_answer_kib * 1024),
            Limits(
                in_flight=at_once,
                waiting=8 * at_once,
                rates={LANE: Rate(per_second=limits.per_second, burst=limits.burst)},
                quota=quota,
                hedge_after_s=hedge_after_s,
            ),
            monotonic=clock.monotonic,
        )
        self._compiled = self._compile(source)

    @property
    def platform(self) -> PlatformInfo:
        """Return the platform that is asked, with the items and purposes of its file."""
        return self._compiled.platform

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        """Return one answer for each item; see :class:`adapters.kit.protocol.Adapter`."""
        self._follow_file()
        compiled = self._compiled

        async def ask(permit: Permit, items: frozenset[str], deadline: float) -> Mapping[str, Outcome]:
            return await self._ask(compiled, permit, items, deadline)

        return await answer_items(
            compiled.platform,
            permit,
            items,
            deadline=deadline,
            clock=self._clock,
            mapping_version=compiled.description.mapping_version,
            ask=ask,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._caller.close()

    async def _ask(
        self, compiled: Compiled, permit: Permit, items: frozenset[str], deadline: float
    ) -> Mapping[str, Outcome]:
        unasked = {
            item: refused(Failure.DENIED, "NO_ARTEFACT")
            for item in items
            if permit.artefact is None and compiled.modules[item].needs_consent
        }
        asked = sorted(items - unasked.keys())
        if not asked:
            return unasked
        await compiled.signer.prepare(deadline)
        values = variables(permit, compiled.platform.purposes[permit.purpose])
        async with asyncio.TaskGroup() as group:
            tasks = {
                item: group.create_task(self._outcome(compiled, compiled.modules[item], values, deadline))
                for item in asked
            }
        return unasked | {item: with_privacy(task.result(), permit) for item, task in tasks.items()}

    async def _outcome(
        self, compiled: Compiled, module: ModuleCalls, values: Mapping[str, str], deadline: float
    ) -> Outcome:
        try:
            pages = await self._pages(compiled, module, values, deadline)
            records, dropped = self._records(module, pages, values["uscc"])
        except PlatformFailureError as failure:
            return failed(failure)
        except MalformedValueError as error:
            return refused(Failure.MALFORMED, error.path)
        digest = hashlib.sha256()
        for page in pages:
            digest.update(page.body)
        return Outcome(
            records=tuple(records),
            as_of=pages[0].as_of,
            raw_digest=digest.digest(),
            dropped_class3=dropped,
            source_department=module.department,
        )

    async def _pages(
        self, compiled: Compiled, module: ModuleCalls, values: Mapping[str, str], deadline: float
    ) -> list[Read]:
        """Return every page. Raises PlatformFailureError: part of a list would be a silent gap."""
        pages = [await self._page(compiled, module, values, 1, deadline)]
        if module.pages is None or pages[0].total is None:
            return pages
        total = pages[0].total
        for number in range(2, -(-total // module.pages.rows) + 1):
            page = await self._page(compiled, module, values, number, deadline)
            if (page.total, page.as_of) != (total, pages[0].as_of):
                raise PlatformFailureError(Failure.MALFORMED, f"{module.item}.total")
            pages.append(page)
        if sum(len(page.rows) for page in pages) != total:
            raise PlatformFailureError(Failure.MALFORMED, f"{module.item}.total")
        return pages

    async def _page(
        self, compiled: Compiled, module: ModuleCalls, values: Mapping[str, str], number: int, deadline: float
    ) -> Read:
        request = module.request(values, number)

        def make() -> Call:
            signed = compiled.signer.headers(request.method, request.target, request.body)
            headers = {**request.headers, **signed, "Accept": "application/json"}
            return Call(method=request.method, path=request.target, headers=headers, body=request.body)

        def read(raw: RawAnswer) -> Read:
            if raw.status == UNAUTHORISED:
                compiled.signer.refused()
            return module.read(raw, subject=values["uscc"], clock=self._clock)

        is_read = request.method == "GET"
        return await compiled.caller.call(make, read, lane=LANE, deadline=deadline, is_read=is_read)

    def _records(self, module: ModuleCalls, pages: list[Read], subject: str) -> tuple[list[CreditRecord], int]:
        records, dropped = [], 0
        rows = [row for page in pages for row in page.rows]
        for number, row in enumerate(rows):
            place = f"{module.item}[{number}]"
            record, personal = module.rows.read(row, subject=subject, place=place, standard=self._standard)
            records.append(record)
            dropped += personal
        return records, dropped

    def _follow_file(self) -> None:
        """Take up a changed file; keep what runs where the new one cannot be used."""
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_AGAIN_S:
            return
        self._looked_at = now
        try:
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._compiled = self._compile(read_description(self._file))
        except (DescriptionError, KeyError, OSError, ValueError) as error:
            why = str(error) if isinstance(error, DescriptionError) else type(error).__name__
            _LOG.error("description_kept", platform=self._platform.platform_id, why=why)
        else:
            _LOG.info("description_changed", platform=self._platform.platform_id)

    def _compile(self, source: Source) -> Compiled:
        modules = compile_modules(source, self._standard)
        return Compiled(
            description=source.description,
            modules=modules,
            platform=replace(self._platform, items=frozenset(modules), purposes=dict(source.description.purposes)),
            caller=self._caller,
            signer=signer_of(source, self._files, caller=self._caller, clock=self._clock),
        )


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size
