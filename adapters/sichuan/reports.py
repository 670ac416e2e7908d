"""Read a report (POST /v2/reports) and the modules in it (section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import messages as sc
from adapters.sichuan.answers import Answered, Collected
from adapters.sichuan.envelope import NO_DATA, SUCCESS
from adapters.sichuan.exchange import HTTP_OK, Sealed
from adapters.sichuan.modules import Module
from adapters.sichuan.reading import WRONG_SUBJECT
from adapters.sichuan.refusals import EXPIRED, RefusedError
from core.permit import Subject, SubjectKind

_REPORT: Final = msgspec.json.Decoder(sc.Report)


def read_report(sealed: Sealed, modules: Sequence[Module], *, subject: Subject, now: datetime) -> Collected:
    """Decode a report. Raises PlatformFailureError where the whole of it breaks or is about another subject."""
    body, payload = sealed.raw.body, sealed.opened.payload
    if sealed.opened.status == NO_DATA:
        if payload.strip() != b"null":
            raise PlatformFailureError(Failure.MALFORMED, "report")
        return Collected(modules={module.name: Answered(bodies=(body,)) for module in modules})
    try:
        report = _REPORT.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PlatformFailureError(Failure.MALFORMED, "report") from None
    told = report.subject
    is_person = subject.kind is SubjectKind.PERSON
    key, other = (told.id_no, told.credit_code) if is_person else (told.credit_code, told.id_no)
    if key != subject.identifier or other:
        raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
    asked = {module.name for module in modules}
    return Collected(
        name=report.subject.name,
        modules={module.name: _read_entry(module, report.modules.get(module.name), body, now) for module in modules},
        excess=len(report.modules.keys() - asked),
    )


def _read_entry(module: Module, entry: sc.ModuleAnswer | None, body: bytes, now: datetime) -> Answered:
    if entry is None:
        return Answered(failure=PlatformFailureError(Failure.MALFORMED, f"{module.name}: missing"))
    if entry.status != HTTP_OK:
        return Answered(failure=RefusedError(entry.status, entry.message, now=now))
    try:
        return read_module(module, status=entry.data_status, data=bytes(entry.data), as_of=entry.as_of, body=body)
    except PlatformFailureError as failure:
        return Answered(failure=failure)


def read_module(module: Module, *, status: str, data: bytes, as_of: str, body: bytes) -> Answered:
    """Decode one module's payload. Raises PlatformFailureError (MALFORMED)."""
    if not as_of:
        raise PlatformFailureError(Failure.MALFORMED, f"{module.name}.asOf")
    if status == NO_DATA:
        if data.strip() not in {b"null", b"[]"}:
            raise PlatformFailureError(Failure.MALFORMED, f"{module.name}.dataStatus")
        return Answered(as_of=as_of, bodies=(body,))
    if status != SUCCESS:
        raise PlatformFailureError(Failure.MALFORMED, f"{module.name}.dataStatus")
    page = module.page(data)
    return Answered(rows=page.rows, total=page.total, as_of=as_of, bodies=(body,))


def may_be_asked_again(failure: PlatformFailureError | None) -> bool:
    """Tell whether the page advises to ask this module once more: its server failed, or the letter ran out."""
    return isinstance(failure, RefusedError) and (failure.retry_after_s is not None or failure.text == EXPIRED)
