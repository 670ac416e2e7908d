"""The bodies of requests, checked for form: what fails here is answered ``1001`` (docs/platforms/chongqing.md 4-6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from core.clock import SHANGHAI
from sandbox.chongqing.codes import PURPOSES, Kind
from sandbox.chongqing.reader import Element
from sandbox.persons import CITIZEN_ID, CITIZEN_ID_KIND

LONGEST_AUTHORISATION: Final = timedelta(days=180)

_USCC: Final = re.compile(r"[0-9A-HJ-NP-RTUW-Y]{18}")
INSTITUTION: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_SERIAL: Final = re.compile(r"[A-Z0-9]{1,32}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_JOB_NUMBER: Final = re.compile(r"RW[0-9A-Z]{1,30}")
_PAGE: Final = re.compile(r"[1-9][0-9]{0,8}")
_DAY: Final = re.compile(r"[0-9]{8}")
_MAX_NAME: Final = 200
_PERSONS_TAGS: Final = ("ZJLX", "ZJHM", "XM")
_MAX_ARTEFACT: Final = 32_768
_MAX_AUTHORISATION_NUMBER: Final = 32
_MAX_REASON: Final = 2_000
_MAX_LOCATOR: Final = 100
_REPEAT: Final = re.compile(r"R[1-9]$")
_DERIVED_LSH_LENGTH: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """XY1000: an authorisation to be filed."""

    subject: str
    name: str
    purpose: str
    institution: str
    kinds: frozenset[Kind]
    last_day: date
    artefact_digest: str
    artefact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """XY1001: a question; ``authorisation`` is None under ``BGLX`` 1 and may be blank under 2 (then ``2001``)."""

    subject: str
    name: str
    purpose: str
    authorisation: str | None
    last_day: date | None
    kinds: frozenset[Kind]
    """Empty: all that may be had."""
    institution: str
    enquiry_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """XY1003: a page of a job's result."""

    job_number: str
    page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """XY2001: a dispute about one record of one kind; a blank ``locator`` names no record."""

    subject: str
    kind: Kind
    locator: str
    reason: str
    institution: str


def dispute(body: Element) -> Dispute | None:
    """Read the body of XY2001, None for ``1001``."""
    kinds = _kinds(body.value("MK"))
    reason, locator, institution = body.value("YYLY"), body.value("JLBS"), body.value("CXJG")
    formed = INSTITUTION.fullmatch(institution) and _day(body.value("SQRQ")) is not None
    if not formed or not kinds or len(kinds) != 1 or not 0 < len(reason) <= _MAX_REASON or len(locator) > _MAX_LOCATOR:
        return None
    return Dispute(
        subject=body.value("TYSHXYDM"), kind=next(iter(kinds)), locator=locator, reason=reason, institution=institution
    )


def book_page(body: Element, *, today: date) -> tuple[date, int] | None:
    """Read the body of XY9001, a day up to ``today`` (the platform's) and a page; None for ``1001``."""
    day, page = _day(body.value("DZRQ")), body.value("DQYS")
    return None if day is None or day > today or not _PAGE.fullmatch(page) else (day, int(page))


def serial(head: Element) -> str:
    """Return ``LSH``, or nothing where it is missing or of the wrong form."""
    value = head.value("LSH")
    return value if _SERIAL.fullmatch(value) else ""


def filing(body: Element, *, today: date) -> Filing | None:
    """Read the body of XY1000, None for ``1001``; ``today`` is the platform's day."""
    kinds = _kinds(body.value("SQMK"))
    last_day = _day(body.value("SQJZRQ"))
    institution = body.value("CXJG")
    formed = (
        _subject_formed(body)
        and INSTITUTION.fullmatch(institution)
        and _DIGEST.fullmatch(body.value("SQZY"))
        and 0 < len(body.value("SQWJ")) <= _MAX_ARTEFACT
    )
    if not formed or not kinds or last_day is None or last_day > today + LONGEST_AUTHORISATION:
        return None
    return Filing(
        subject=subject_of(body),
        name=body.value("QYMC") or body.value("XM"),
        purpose=body.value("CXYY"),
        institution=institution,
        kinds=kinds,
        last_day=last_day,
        artefact_digest=body.value("SQZY"),
        artefact=body.value("SQWJ"),
    )


def submission(body: Element, *, jgdm: str, lsh: str) -> Submission | None:
    """Read the body of XY1001, None for ``1001``; blank ``CXJG`` and ``CXBH`` take their stated defaults."""
    kinds = _kinds(body.value("CXMK"))
    institution = body.value("CXJG") or jgdm
    enquiry_number = body.value("CXBH") or without_repeat(lsh)
    formed = _subject_formed(body) and INSTITUTION.fullmatch(institution) and _SERIAL.fullmatch(enquiry_number)
    if not formed or kinds is None or not _authorisation_formed(body):
        return None
    return Submission(
        subject=subject_of(body),
        name=body.value("QYMC") or body.value("XM"),
        purpose=body.value("CXYY"),
        authorisation=body.value("SQSBH") if body.value("BGLX") == "2" else None,
        last_day=_day(body.value("SQJZRQ")),
        kinds=kinds,
        institution=institution,
        enquiry_number=enquiry_number,
    )


def line_of_batch(row: list[str], *, purpose: str, institution: str, enquiry_number: str) -> Submission | None:
    """Read one line of XY1100 (``XH,TYSHXYDM,QYMC,SQSBH,SQJZRQ,CXMK``), None for ``1001``; firms only."""
    _, code, name, authorisation, last_day, joined = row
    kinds = _kinds(joined.replace(";", ","))
    day = _day(last_day)
    is_dated = not authorisation or (len(authorisation) <= _MAX_AUTHORISATION_NUMBER and day is not None)
    is_firm = _USCC.fullmatch(code) is not None and CITIZEN_ID.fullmatch(code) is None
    if not is_firm or len(name) > _MAX_NAME or kinds is None or not is_dated:
        return None
    return Submission(
        subject=code,
        name=name,
        purpose=purpose,
        authorisation=authorisation or None,
        last_day=day,
        kinds=kinds,
        institution=institution,
        enquiry_number=enquiry_number,
    )


def job_number(body: Element) -> str | None:
    """Read ``RWH``, None for ``1001``."""
    value = body.value("RWH")
    return value if _JOB_NUMBER.fullmatch(value) else None


def page_request(body: Element) -> PageRequest | None:
    """Read the body of XY1003, None for ``1001``."""
    number, page = job_number(body), body.value("DQYS")
    if number is None or not _PAGE.fullmatch(page):
        return None
    return PageRequest(job_number=number, page=int(page))


def compact_day(day: date) -> str:
    """Write a day as ``yyyyMMdd``."""
    return f"{day:%Y%m%d}"


def compact_time(moment: datetime) -> str:
    """Write a moment as ``yyyyMMddHHmmss``, Beijing time."""
    return f"{moment.astimezone(SHANGHAI):%Y%m%d%H%M%S}"


def same_name(one: str, other: str) -> bool:
    """Compare names after turning ``(`` ``)`` into ``（`` ``）`` and trimming spaces."""
    return _full_width(one) == _full_width(other)


def _full_width(name: str) -> str:
    return name.strip().replace("(", "（").replace(")", "）")


def without_repeat(lsh: str) -> str:
    """Return the LSH without the ``R1`` … ``R9`` of a repeat after expiry."""
    return _REPEAT.sub("", lsh) if len(lsh) > _DERIVED_LSH_LENGTH else lsh


def _authorisation_formed(body: Element) -> bool:
    number = body.value("SQSBH")
    match body.value("BGLX"):
        case "1":
            return not number
        case "2":
            # A blank number is 2001, not 1001 (section 9); its day then has nothing to belong to.
            day = _day(body.value("SQJZRQ"))
            return len(number) <= _MAX_AUTHORISATION_NUMBER and (not number or day is not None)
        case _:
            return False


def subject_of(body: Element) -> str:
    """Return the subject's key: a firm's code, or a person's identity number."""
    return body.value("TYSHXYDM") or body.value("ZJHM")


def _subject_formed(body: Element) -> bool:
    code = body.value("TYSHXYDM")
    is_firm = _USCC.fullmatch(code) is not None and not any(body.value(tag) for tag in _PERSONS_TAGS)
    return (
        ((is_firm and not CITIZEN_ID.fullmatch(code)) or _is_person(body))
        and max(len(body.value(tag)) for tag in ("QYMC", "XM")) <= _MAX_NAME
        and body.value("CXYY") in PURPOSES
    )


def _is_person(body: Element) -> bool:
    is_identified = body.value("ZJLX") == CITIZEN_ID_KIND and CITIZEN_ID.fullmatch(body.value("ZJHM")) is not None
    # A name beside the number, always: a mistyped number must not bring somebody else's report.
    return is_identified and bool(body.value("XM")) and not body.value("TYSHXYDM") and not body.value("QYMC")


def _kinds(joined: str) -> frozenset[Kind] | None:
    """Return the kinds, none for blank, None for one that is unknown or named twice."""
    names = joined.split(",") if joined else []
    if len(set(names)) != len(names) or any(name not in Kind.__members__ for name in names):
        return None
    return frozenset(Kind(name) for name in names)


def _day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        return None
