"""Reading of headers, query parameters and bodies; whatever is wrong is a 400 that names the parameter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from sandbox.persons import CITIZEN_ID, CITIZEN_ID_KIND, is_person
from sandbox.sichuan.modules import (
    MODULES,
    MONTHS_DEFAULT,
    MONTHS_MOST,
    PAGE_SIZE,
    PERSONAL_MODULES,
    Module,
    SubjectKey,
    Window,
)
from sandbox.sichuan.refusals import invalid

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_INSTITUTION: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_CODE: Final = re.compile(r"[0-9A-Z]{18}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_NAME_MOST: Final = 200
_ARTEFACT_MOST: Final = 32_768
_MODULES_MOST: Final = 30
_DEADLINE_LEAST, _DEADLINE_MOST, _DEADLINE_DEFAULT = 500, 15_000, 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Headers that every query carries."""

    institution: str
    request_id: str
    evidence: str | None


class Person(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A natural person as a subject, in a body only: an identity number never stands in an address."""

    id_type: str
    id_no: str
    name: str


class AuthorisationBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``POST /v2/authorizations``."""

    query_reason: str
    modules: list[str]
    institution: str
    valid_to: date
    artefact_digest: str
    artefact: str
    credit_code: str | None = None
    person: Person | None = None

    @property
    def subject(self) -> str:
        """The subject's key."""
        return key_of(self.credit_code, self.person)


class ReportBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``POST /v2/reports``. ``query_reason`` absent is refused as a purpose, not as a parameter."""

    modules: list[str]
    credit_code: str | None = None
    person: Person | None = None
    name: str | None = None
    query_reason: str | None = None
    authorization_id: str | None = None
    months: int = MONTHS_DEFAULT

    @property
    def subject(self) -> str:
        """The subject's key."""
        return key_of(self.credit_code, self.person)


_Body = TypeVar("_Body", bound=msgspec.Struct)


async def read_body(request: web.Request, shape: type[_Body]) -> _Body:
    """Return the JSON body in its shape; unknown members are ignored, doubled ones are malformed."""
    try:
        document = json.loads(await request.read(), object_pairs_hook=_without_doubles)
        return msgspec.convert(document, shape)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise invalid("body") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def request_id(request: web.Request) -> str:
    """Return ``x-request-id``."""
    return _matching(_REQUEST_ID, request.headers.get("x-request-id"), "x-request-id")


def asker(request: web.Request) -> Asker:
    """Return who asks, for which request, with which evidence."""
    evidence = request.headers.get("X-Evidence-Hash")
    return Asker(
        institution=_matching(_INSTITUTION, request.headers.get("X-Institution"), "X-Institution"),
        request_id=request_id(request),
        evidence=None if evidence is None else _matching(_HASH, evidence, "X-Evidence-Hash"),
    )


def deadline_ms(request: web.Request) -> int:
    """Return ``X-Deadline-Ms``, 500-15000, default 5000."""
    text = request.headers.get("X-Deadline-Ms")
    value = _DEADLINE_DEFAULT if text is None else _number(text, "X-Deadline-Ms")
    if not _DEADLINE_LEAST <= value <= _DEADLINE_MOST:
        raise invalid("X-Deadline-Ms")
    return value


def is_zipped(request: web.Request) -> bool:
    """Tell whether the caller wants the payload zipped."""
    return request.headers.get("internal-zip-version") == "1"


def subject_key(query: Mapping[str, str], key: SubjectKey) -> str:
    """Return the value of the module's one subject key."""
    if [name.value for name in SubjectKey if name.value in query] != [key.value]:
        raise invalid("subject key")
    value = query[key.value]
    if key is SubjectKey.NAME:
        if not 0 < len(value) <= _NAME_MOST:
            raise invalid(key.value)
        return value
    code = _matching(_CODE, value, key.value)
    if is_person(code):
        # Addresses end up in logs along the way.
        raise invalid(key.value)
    return code


def book_page(day: str, query: Mapping[str, str], today: date) -> tuple[date, int]:
    """Return the day, ``today`` (the platform's) or earlier, and the page of a book."""
    if _DAY.fullmatch(day) is None:
        raise invalid("day")
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise invalid("day") from error
    if wanted > today:
        raise invalid("day")
    return wanted, _counted(query, "pageNumber", 1)


def window(query: Mapping[str, str], module: Module) -> Window:
    """Return the months and the page wanted, both clamped silently as the page says."""
    months = _counted(query, "months", MONTHS_DEFAULT) if module.is_monthly else MONTHS_DEFAULT
    return Window(
        months=min(months, MONTHS_MOST),
        page=_counted(query, "pageNumber", 1),
        page_size=min(_counted(query, "pageSize", PAGE_SIZE), PAGE_SIZE),
    )


def check_authorisation_body(body: AuthorisationBody) -> None:
    """Refuse a filing whose members are not of their form; days and purpose are looked at later."""
    _check_subject(body.credit_code, body.person, body.modules)
    _matching(_INSTITUTION, body.institution, "institution")
    _matching(_HASH, body.artefact_digest, "artefactDigest")
    if not 0 < len(body.artefact) <= _ARTEFACT_MOST:
        raise invalid("artefact")
    is_sorted = body.modules == sorted(set(body.modules))
    if not body.modules or not is_sorted or any(name not in MODULES for name in body.modules):
        raise invalid("modules")


def check_report_body(body: ReportBody) -> None:
    """Refuse a report whose members are not of their form; unknown modules are answered each by its own 404."""
    _check_subject(body.credit_code, body.person, body.modules)
    if not 1 <= len(body.modules) <= _MODULES_MOST or len(set(body.modules)) != len(body.modules):
        raise invalid("modules")
    if body.months < 1:
        raise invalid("months")


def key_of(credit_code: str | None, person: Person | None) -> str:
    """Return the subject's key: a firm's code, or a person's identity number."""
    return person.id_no if person is not None else credit_code or ""


def _check_subject(credit_code: str | None, person: Person | None, modules: list[str]) -> None:
    if person is None:
        _matching(_CODE, credit_code, "creditCode")
        return
    is_named = person.id_type == CITIZEN_ID_KIND and 0 < len(person.name) <= _NAME_MOST
    if credit_code is not None or not is_named or CITIZEN_ID.fullmatch(person.id_no) is None:
        raise invalid("person")
    if not PERSONAL_MODULES.issuperset(modules):
        raise invalid("modules")


def _counted(query: Mapping[str, str], name: str, default: int) -> int:
    value = _number(query[name], name) if name in query else default
    if value < 1:
        raise invalid(name)
    return value


def _number(text: str, name: str) -> int:
    return int(_matching(_NUMBER, text, name))


def _matching(pattern: re.Pattern[str], text: str | None, name: str) -> str:
    if text is None or pattern.fullmatch(text) is None:
        raise invalid(name)
    return text
