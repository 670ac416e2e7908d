"""One module, and several modules at once: checks, marks, answers (docs/platforms/sichuan.md sections 6 and 8)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any, Final

from sandbox import days
from sandbox.books import Book, Enquiry
from sandbox.clock import Clocks
from sandbox.facts import PlatformFile, PlatformId
from sandbox.faults import FaultKind, Faults
from sandbox.persons import is_person
from sandbox.sichuan.authorisations import Authorisations
from sandbox.sichuan.envelope import DataStatus
from sandbox.sichuan.modules import MODULES, MONTHS_MOST, Module, Payload, SubjectKey, Window, payload
from sandbox.sichuan.purposes import checked_purpose
from sandbox.sichuan.refusals import Refusal, failed, forbidden, timed_out, unknown_module
from sandbox.sichuan.requests import Asker, ReportBody, check_report_body
from sandbox.world import World

_BRACKETS: Final = str.maketrans("()", "（）")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleQuestion:
    """A single module call after its parameters were read."""

    module: Module
    key: str
    window: Window
    reason: str | None
    authorisation_id: str | None
    asker: Asker


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleAnswer:
    """A 200 of a single module call; ``code`` None: the subject is unknown here. ``is_silent``: it is never sent."""

    code: str | None
    as_of: date
    payload: Payload
    is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswer:
    """A 200 of a composite call; ``waits``: a department is silent, the caller's patience must pass first."""

    payload: Payload
    waits: bool


class Queries:
    """Answers questions from the world; writes the enquiry marks."""

    def __init__(
        self, *, world: World, book: Book, faults: Faults, clocks: Clocks, authorisations: Authorisations
    ) -> None:
        self._world = world
        self._book = book
        self._faults = faults
        self._clocks = clocks
        self._authorisations = authorisations

    def identity(self, code: str) -> Payload:
        """Return code and registered name; no mark, no authorisation."""
        file = self._world.file(PlatformId.SICHUAN, code)
        if file is None:
            return Payload(status=DataStatus.NODATA, content=None)
        return Payload(status=DataStatus.SUCCESS, content={"creditCode": file.code, "name": file.name})

    def file_of(self, module: Module, key: str) -> PlatformFile | None:
        """Return the file that a module's subject key names, None when it is unknown here."""
        if module.key is SubjectKey.NAME:
            return self._world.file_by_name(PlatformId.SICHUAN, key)
        return self._world.file(PlatformId.SICHUAN, key)

    def module(self, question: ModuleQuestion) -> ModuleAnswer:
        """Answer a single module call, or refuse it."""
        reason = checked_purpose(question.reason)
        module = question.module
        file = self.file_of(module, question.key)
        code = question.key if file is None else file.code
        if question.authorisation_id is not None:
            enquiry = f"{question.authorisation_id}/{question.asker.request_id}"
            self._authorisations.check_intent(question.asker.evidence, enquiry=enquiry)
        self._check(module, question.authorisation_id, code=code, asker=question.asker, reason=reason)
        answer = payload(module, file, question.window)
        if file is None:
            as_of = days.as_of(PlatformId.SICHUAN, self._clocks.data.day)
            return ModuleAnswer(code=None, as_of=module.as_of(as_of), payload=answer)
        is_silent = file.behaviour.silent_module == module.name
        if not is_silent:
            self._mark(file, [module.name], question.asker, reason, question.authorisation_id)
            self._after(file, question.authorisation_id)
        return ModuleAnswer(code=code, as_of=module.as_of(file.as_of), payload=answer, is_silent=is_silent)

    def report(
        self,
        body: ReportBody,
        asker: Asker,
        *,
        late: Container[str] = (),
        down: Container[str] = (),
        is_stale: bool = False,
    ) -> ReportAnswer:
        """Answer a composite call; trouble with one module stands in that module alone.

        ``late`` modules do not answer in the caller's time, those that are ``down`` not at all.
        """
        check_report_body(body)
        reason = checked_purpose(body.query_reason)
        file = self._world.file(PlatformId.SICHUAN, body.subject, is_stale=is_stale)
        if file is None:
            return ReportAnswer(payload=Payload(status=DataStatus.NODATA, content=None), waits=False)
        name = body.name if body.person is None else body.person.name
        if name is not None and name.translate(_BRACKETS).strip() != file.name:
            raise forbidden("name and credit code differ")
        parts = {name: self._part(name, file, body, asker, reason, late=late, down=down) for name in body.modules}
        answered = [name for name, part in parts.items() if part["status"] == HTTPStatus.OK]
        if answered:
            self._mark(file, answered, asker, reason, body.authorization_id)
        status = DataStatus.SUCCESS if len(answered) == len(parts) else DataStatus.PARTIAL
        whose = {"idNo" if is_person(file.code) else "creditCode": file.code, "name": file.name}
        content = {"subject": whose, "modules": parts}
        waits = any(part["status"] == HTTPStatus.GATEWAY_TIMEOUT for part in parts.values())
        return ReportAnswer(payload=Payload(status=status, content=content), waits=waits)

    def _part(
        self,
        name: str,
        file: PlatformFile,
        body: ReportBody,
        asker: Asker,
        reason: str,
        *,
        late: Container[str],
        down: Container[str],
    ) -> dict[str, Any]:
        """Return one module of a report: what the single call would have answered."""
        try:
            module = MODULES.get(name)
            if module is None:
                raise unknown_module(name)
            if body.authorization_id is not None:
                self._authorisations.check_intent(asker.evidence, enquiry=f"{body.authorization_id}/{asker.request_id}")
            self._check(module, body.authorization_id, code=file.code, asker=asker, reason=reason)
            self._meet_fault(module, file)
            if name in late:
                raise timed_out(module.server)
            if name in down:
                raise failed(module.server)
        except Refusal as refusal:
            return {"status": int(refusal.status), "message": refusal.text}
        answer = payload(module, file, Window(months=min(body.months, MONTHS_MOST)))
        self._after(file, body.authorization_id)
        return {
            "status": int(HTTPStatus.OK),
            "dataStatus": answer.status.value,
            "asOf": module.as_of(file.as_of),
            "data": answer.content,
        }

    def _meet_fault(self, module: Module, file: PlatformFile) -> None:
        fault = self._faults.take_named(PlatformId.SICHUAN, file.code, module.name)
        if file.behaviour.silent_module == module.name or (fault and fault.kind is FaultKind.STALL):
            raise timed_out(module.server)
        if fault is not None:
            raise failed(module.server)

    def _check(self, module: Module, authorisation_id: str | None, *, code: str, asker: Asker, reason: str) -> None:
        self._authorisations.check(
            authorisation_id,
            code=code,
            institution=asker.institution,
            reason=reason,
            module=module.name,
            is_public=module.is_public,
        )

    def _after(self, file: PlatformFile, authorisation_id: str | None) -> None:
        if authorisation_id is not None and file.behaviour.is_revoked_after_first_module:
            self._authorisations.revoke(authorisation_id)

    def _mark(
        self, file: PlatformFile, modules: list[str], asker: Asker, reason: str, authorisation_id: str | None
    ) -> None:
        """Write the enquiry: the pair of authorisation (else institution) and request id is one for 24 h."""
        self._book.mark(
            Enquiry(
                key=f"{authorisation_id or asker.institution}/{asker.request_id}",
                institution=asker.institution,
                subject=file.code,
                purpose=reason,
                kinds=tuple(modules),
                at=self._clocks.sichuan.now(),
                evidence=asker.evidence,
            )
        )
