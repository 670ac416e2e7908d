"""One module as calls: what is sent, and what an answer means before its rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.strict_json import decode
from adapters.kit.transport import RawAnswer
from adapters.rest_json import templates
from adapters.rest_json.description import AsOf, ErrorRow, Module, Pages, Source
from adapters.rest_json.mapping import RowReader, compile_rows
from adapters.rest_json.members import ABSENT, Find, compile_path
from adapters.rest_json.places import Key
from adapters.rest_json.templates import Template, TemplateError, compile_template
from core.clock import Clock
from core.permit import Permit
from standards import days
from standards.catalogue import Standard
from standards.items import ConsentNeed
from standards.malformed import MalformedValueError

WRONG_SUBJECT: Final = "WRONG_SUBJECT"
MAX_ROWS: Final = 5000
FIRST_SERVER_ERROR: Final = 500
RETRY_AFTER_S: Final = 0.1
_OK: Final = range(200, 300)
_PATH: Final = templates.SUBJECT | templates.CALL
_HEADER: Final = templates.CALL | {"uscc"}
_BODY: Final = _PATH | templates.ARTEFACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One compiled line of the error table."""

    failure: Failure
    status: int | None
    find: Find | None
    equals: str | int | bool | None
    resume_after: timedelta

    def fits(self, status: int, answer: Any) -> bool:
        """Tell whether this line is about an answer. ``answer`` is ABSENT where it is no JSON."""
        if self.status is not None and status != self.status:
            return False
        if self.find is None:
            return True
        found = self.find(answer)
        return found is not ABSENT and type(found) is type(self.equals) and found == self.equals


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one call is: everything but the headers that authenticate it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What one page says: rows, how many there are in all (None without pages), as-of, the bytes as received."""

    rows: Sequence[Any]
    total: int | None
    as_of: datetime | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCalls:
    """One module, compiled."""

    item: str
    needs_consent: bool
    department: str
    rows: RowReader
    pages: Pages | None
    _method: str
    _path: Template
    _query: Mapping[str, Template]
    _headers: Mapping[str, Template]
    _body: Mapping[str, Template]
    _rows: Find | None
    _total: Find | None
    _subject: Find
    _as_of: AsOf | None
    _as_of_find: Find | None
    _errors: tuple[Refusal, ...]

    def request(self, values: Mapping[str, str], page: int) -> Request:
        """Return the call for one page. ``values`` are the template's variables."""
        encoded = {name: quote(value, safe="") for name, value in values.items()}
        query = {name: template.fill(values) for name, template in self._query.items()}
        if self.pages is not None:
            query |= {self.pages.number: str(page), self.pages.size: str(self.pages.rows)}
        target = self._path.fill(encoded) + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {name: template.fill(values) for name, template in self._headers.items()}
        body = None
        if self._method == "POST":
            body = msgspec.json.encode({name: template.fill(values) for name, template in self._body.items()})
            headers["Content-Type"] = "application/json"
        return Request(method=self._method, target=target, headers=headers, body=body)

    def read(self, raw: RawAnswer, *, subject: str, clock: Clock) -> Read:
        """Return what a page says. Raises PlatformFailureError."""
        answer = decode(raw.body) if raw.status in _OK else _lenient(raw.body)
        self._refuse(raw.status, answer, clock)
        rows = answer if self._rows is None else self._rows(answer)
        if rows is ABSENT:
            raise PlatformFailureError(Failure.MALFORMED, f"{self.item}.rows")
        listed = rows if isinstance(rows, list) else [] if rows is None else [rows]
        found = self._subject(answer)
        # "Nothing found" need not say about whom; where it does, it must be the subject.
        if found != subject and (listed or found not in (ABSENT, None)):
            raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
        return Read(
            rows=listed,
            total=self._counted(answer, len(listed)),
            as_of=self._moment(answer, raw.headers) if listed else None,
            body=raw.body,
        )

    def _refuse(self, status: int, answer: Any, clock: Clock) -> None:
        for line in self._errors:
            if line.fits(status, answer):
                is_pending = line.failure is Failure.PENDING
                raise PlatformFailureError(
                    line.failure,
                    f"{line.failure.value} {status}",
                    resume_after=clock.now() + line.resume_after if is_pending else None,
                )
        if status not in _OK:
            wait_s = RETRY_AFTER_S if status >= FIRST_SERVER_ERROR else None
            raise PlatformFailureError(Failure.HTTP, str(status), retry_after_s=wait_s)

    def _counted(self, answer: Any, here: int) -> int | None:
        if self._total is None:
            return None
        found = self._total(answer)
        total = int(found) if isinstance(found, str) and found.isascii() and found.isdecimal() else found
        if isinstance(total, bool) or not isinstance(total, int) or total < here:
            raise PlatformFailureError(Failure.MALFORMED, f"{self.item}.total")
        if total > MAX_ROWS:
            raise PlatformFailureError(Failure.OVERSIZED, f"{self.item}.total")
        return total

    def _moment(self, answer: Any, headers: Mapping[str, str]) -> datetime | None:
        if self._as_of is None:
            return None
        path = f"{self.item}.as_of"
        value = headers.get(self._as_of.header) if self._as_of.header else None
        if self._as_of_find is not None:
            value = self._as_of_find(answer)
        try:
            return _moment(self._as_of.conversion, None if value is ABSENT else value, path)
        except MalformedValueError as error:
            raise PlatformFailureError(Failure.MALFORMED, error.path) from None


def compile_modules(source: Source, standard: Standard) -> Mapping[str, ModuleCalls]:
    """Return the modules of a description by item. Raises DescriptionError."""
    compiled: dict[str, ModuleCalls] = {}
    errors = tuple(_refusal(source, row, ("error", n)) for n, row in enumerate(source.description.errors))
    for number, module in enumerate(source.description.modules):
        at: tuple[Key, ...] = ("module", number)
        if module.item in compiled:
            raise source.wrong((*at, "item"), f"each item once; found {module.item} again")
        compiled[module.item] = _module(source, module, at, standard, errors)
    unknown = source.description.purposes.keys() - {purpose.purpose_id for purpose in standard.purposes.all()}
    if unknown:
        name = min(unknown)
        raise source.wrong(("purposes", name), f"a purpose of the standard; found {name}")
    return compiled


def _module(
    source: Source, module: Module, at: tuple[Key, ...], standard: Standard, errors: tuple[Refusal, ...]
) -> ModuleCalls:
    if module.body and module.method != "POST":
        raise source.wrong((*at, "body"), "a body with method = POST alone")
    as_of = module.as_of
    if as_of is not None and (as_of.path is None) == (as_of.header is None):
        raise source.wrong((*at, "as_of"), "exactly one of path and header")
    rows = compile_rows(source, module, at, standard)
    return ModuleCalls(
        item=module.item,
        needs_consent=rows.item.consent is not ConsentNeed.NO,
        department=module.department,
        rows=rows,
        pages=module.pages,
        _method=module.method,
        _path=_template(source, module.path, _PATH, (*at, "path")),
        _query=_templates(source, module.query, _PATH, (*at, "query")),
        _headers=_templates(source, source.description.headers, _HEADER, ("headers",)),
        _body=_templates(source, module.body, _BODY, (*at, "body")),
        _rows=None if module.rows is None else _find(source, module.rows, (*at, "rows")),
        _total=None if module.pages is None else _find(source, module.pages.total, (*at, "pages", "total")),
        _subject=_find(source, module.subject, (*at, "subject")),
        _as_of=as_of,
        _as_of_find=None if as_of is None or as_of.path is None else _find(source, as_of.path, (*at, "as_of", "path")),
        _errors=errors,
    )


def variables(permit: Permit, purpose_code: str) -> dict[str, str]:
    """Return what templates may name, from one permit."""
    return {
        "uscc": permit.subject.identifier,
        "name": permit.subject.name,
        "request_id": str(permit.request_id),
        "purpose": purpose_code,
        "institution": permit.institution,
        "evidence": permit.intent_leaf_hash.hex(),
        "look_from": permit.look_from.isoformat(),
        "look_to": permit.look_to.isoformat(),
        "artefact": "" if permit.artefact is None else permit.artefact.decode("ascii"),
    }


def _refusal(source: Source, row: ErrorRow, at: tuple[Key, ...]) -> Refusal:
    if row.status is None and row.path is None:
        raise source.wrong(at, "status, or path with equals")
    if (row.path is None) != (row.equals is None):
        raise source.wrong(at, "path and equals together")
    return Refusal(
        failure=Failure(row.failure),
        status=row.status,
        find=None if row.path is None else _find(source, row.path, (*at, "path")),
        equals=row.equals,
        resume_after=timedelta(seconds=row.resume_after_s),
    )


def _templates(
    source: Source, texts: Mapping[str, str], allowed: frozenset[str], at: tuple[Key, ...]
) -> Mapping[str, Template]:
    return {name: _template(source, text, allowed, (*at, name)) for name, text in texts.items()}


def _template(source: Source, text: str, allowed: frozenset[str], at: tuple[Key, ...]) -> Template:
    if not text.isprintable():
        raise source.wrong(at, "a text without control characters")
    try:
        return compile_template(text, allowed)
    except TemplateError as error:
        raise source.wrong(at, str(error)) from None


def _find(source: Source, text: str, at: tuple[Key, ...]) -> Find:
    try:
        return compile_path(text)
    except ValueError as error:
        raise source.wrong(at, f"{error}; found {text}") from None


def _lenient(body: bytes) -> Any:
    """Decode the body of a refusal: a page for people says no more than its status."""
    try:
        return decode(body)
    except PlatformFailureError:
        return ABSENT


def _moment(conversion: str, value: Any, path: str) -> datetime | None:
    match conversion:
        case "epoch_ms":
            return days.moment_of_epoch_ms(value, path=path)
        case "compact":
            return days.moment_of_compact(value, path=path)
        case _:
            found = days.day(value, path=path)
            return None if found is None else days.start_of_day(found)
