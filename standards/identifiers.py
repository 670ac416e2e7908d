"""Identifiers of subjects: normalise once, then everybody holds a parsed value.

Steps and codes are those of ``identifier_rules.csv``: the first failing step gives the error, warnings are a set.
No value and no failure shows the identifier in its ``repr``: a citizen id must not reach a log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

from standards.divisions import Divisions

USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015: no I, O, S, V, Z."""
USCC_WEIGHTS: Final = tuple(pow(3, index, 31) for index in range(17))
ORG_CODE_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
"""GB 11714-1997."""
CITIZEN_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CITIZEN_ID_CHECKS: Final = "10X98765432"
"""GB 11643-1999, indexed by the weighted sum mod 11."""
NONCOMPLIANT_CODES: Final = frozenset({"91350211M00013FA1N"})
"""Issued codes that break GB 32100-2015 (early pilot): accepted, with a warning."""
PROVINCES: Final = frozenset(
    str(code)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for code in range(first, last + 1)
)
RESIDENCE_PERMIT_DIVISIONS: Final = frozenset({"810000", "820000", "830000"})
"""Hong Kong, Macao and Taiwan residents' permits carry these instead of a county."""
IDENTIFIER_LENGTH: Final = 18
OLD_CITIZEN_ID_LENGTH: Final = 15

_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_DIGITS: Final = frozenset("0123456789")


class IdentifierKind(StrEnum):
    """Kinds of identifier that a request may carry."""

    USCC = "uscc"
    CITIZEN_ID = "citizen_id"


class IdentifierWarning(StrEnum):
    """What was changed, or doubted in an accepted value."""

    WHITE_SPACE = "WHITE_SPACE"
    FULL_WIDTH = "FULL_WIDTH"
    CASE = "CASE"
    NONCOMPLIANT_LISTED = "NONCOMPLIANT_LISTED"
    DIVISION_UNKNOWN = "DIVISION_UNKNOWN"
    ORG_CODE_CHECK = "ORG_CODE_CHECK"


class IdentifierError(StrEnum):
    """The first step that an identifier failed; MALFORMED is a line that is no question at all."""

    LENGTH = "LENGTH"
    CHARSET = "CHARSET"
    ALL_ZEROS = "ALL_ZEROS"
    CHECK_DIGIT = "CHECK_DIGIT"
    PROVINCE = "PROVINCE"
    DATE = "DATE"
    FUTURE_DATE = "FUTURE_DATE"
    MALFORMED = "MALFORMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uscc:
    """An accepted unified social credit code (统一社会信用代码)."""

    normalised: str = field(repr=False)
    warnings: tuple[IdentifierWarning, ...] = ()
    kind: Literal[IdentifierKind.USCC] = IdentifierKind.USCC

    @property
    def division(self) -> str:
        """Division of the registration authority (GB/T 2260), possibly retired."""
        return self.normalised[2:8]

    @property
    def is_sole_proprietor(self) -> bool:
        """Tell whether the code belongs to a sole proprietor (个体工商户), behind whom stands one person."""
        return self.normalised.startswith("92")


@dataclass(frozen=True, slots=True, kw_only=True)
class CitizenId:
    """An accepted citizen id (公民身份号码)."""

    normalised: str = field(repr=False)
    born_on: date = field(repr=False)
    warnings: tuple[IdentifierWarning, ...] = ()
    kind: Literal[IdentifierKind.CITIZEN_ID] = IdentifierKind.CITIZEN_ID

    def age_on(self, day: date) -> int:
        """Return completed years on ``day`` (Beijing); who was born on 29 February ages on 1 March in other years."""
        born = self.born_on
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierFailure:
    """A refused identifier; ``warnings`` holds only what normalisation changed."""

    kind: IdentifierKind
    error: IdentifierError
    warnings: tuple[IdentifierWarning, ...] = ()


UsccResult: TypeAlias = Uscc | IdentifierFailure
CitizenIdResult: TypeAlias = CitizenId | IdentifierFailure


def parse_uscc(text: str, *, divisions: Divisions) -> UsccResult:
    """Read a unified social credit code (GB 32100-2015); steps 1-10 of ``identifier_rules.csv``."""
    value, warnings = normalise(text)
    error = _uscc_error(value)
    if error is not None:
        return IdentifierFailure(kind=IdentifierKind.USCC, error=error, warnings=tuple(warnings))
    if value in NONCOMPLIANT_CODES:
        warnings.append(IdentifierWarning.NONCOMPLIANT_LISTED)
    if not divisions.is_known(value[2:8]):
        warnings.append(IdentifierWarning.DIVISION_UNKNOWN)
    if organisation_check(value[8:16]) != value[16]:
        warnings.append(IdentifierWarning.ORG_CODE_CHECK)
    return Uscc(normalised=value, warnings=tuple(warnings))


def parse_citizen_id(text: str, *, divisions: Divisions, today: date) -> CitizenIdResult:
    """Read a citizen id (GB 11643-1999); steps 1-10 of ``identifier_rules.csv``. ``today`` is the Beijing day."""
    value, warnings = normalise(text)
    born_on = _citizen_birth(value, today)
    if isinstance(born_on, IdentifierError):
        return IdentifierFailure(kind=IdentifierKind.CITIZEN_ID, error=born_on, warnings=tuple(warnings))
    division = value[:6]
    if division not in RESIDENCE_PERMIT_DIVISIONS and not divisions.is_known_county(division):
        warnings.append(IdentifierWarning.DIVISION_UNKNOWN)
    return CitizenId(normalised=value, born_on=born_on, warnings=tuple(warnings))


def normalise(text: str) -> tuple[str, list[IdentifierWarning]]:
    """Apply steps 1-3: outer white space, full-width forms, case of ASCII letters."""
    warnings: list[IdentifierWarning] = []
    steps: tuple[tuple[IdentifierWarning, Callable[[str], str]], ...] = (
        (IdentifierWarning.WHITE_SPACE, _strip),
        (IdentifierWarning.FULL_WIDTH, to_half_width),
        (IdentifierWarning.CASE, lambda value: value.translate(_UPPER)),
    )
    for warning, step in steps:
        changed = step(text)
        if changed != text:
            warnings.append(warning)
        text = changed
    return text, warnings


def to_half_width(text: str) -> str:
    """Turn full-width forms U+FF01 to U+FF5E into ASCII."""
    return text.translate(_FULL_WIDTH)


def uscc_check(first_seventeen: str) -> str:
    """Return the check character of GB 32100-2015 for 17 characters of its alphabet."""
    total = sum(USCC_ALPHABET.index(char) * weight for char, weight in zip(first_seventeen, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[(31 - total % 31) % 31]


def organisation_check(first_eight: str) -> str:
    """Return the check character of GB 11714-1997 for the eight characters of an organisation code."""
    total = sum(int(char, 36) * weight for char, weight in zip(first_eight, ORG_CODE_WEIGHTS, strict=True))
    return "0123456789X"[(11 - total % 11) % 11]


def citizen_id_check(first_seventeen: str) -> str:
    """Return the check character of GB 11643-1999 for 17 digits."""
    total = sum(int(char) * weight for char, weight in zip(first_seventeen, CITIZEN_ID_WEIGHTS, strict=True))
    return CITIZEN_ID_CHECKS[total % 11]


def matches_old_citizen_id(old: str, current: CitizenId) -> bool:
    """Tell whether a 15-digit number of a platform's old record (void since 2013-01-01) means ``current``."""
    value = current.normalised
    return len(old) == OLD_CITIZEN_ID_LENGTH and old == value[:6] + value[8:17] and value[6:8] == "19"


class _Question(msgspec.Struct):
    kind: IdentifierKind
    value: str


class IdentifierAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer line of ``bashu-gateway identifier --jsonl``; ``normalised`` is null when refused."""

    ok: bool
    normalised: str | None
    warnings: list[str]
    error: str | None


_QUESTION_DECODER: Final = msgspec.json.Decoder(_Question)


def identifier_line(line: str | bytes, *, divisions: Divisions, today: date) -> IdentifierAnswer:
    """Answer one line ``{"kind": "uscc" | "citizen_id", "value": text}``; anything else is error MALFORMED."""
    try:
        question = _QUESTION_DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeError):
        return IdentifierAnswer(ok=False, normalised=None, warnings=[], error=IdentifierError.MALFORMED.value)
    if question.kind is IdentifierKind.USCC:
        result: UsccResult | CitizenIdResult = parse_uscc(question.value, divisions=divisions)
    else:
        result = parse_citizen_id(question.value, divisions=divisions, today=today)
    warnings = [warning.value for warning in result.warnings]
    if isinstance(result, IdentifierFailure):
        return IdentifierAnswer(ok=False, normalised=None, warnings=warnings, error=result.error.value)
    return IdentifierAnswer(ok=True, normalised=result.normalised, warnings=warnings, error=None)


def _strip(text: str) -> str:
    # str.strip() knows U+3000 and U+00A0 but not U+FEFF, which copied spreadsheets put in front.
    first = 0
    last = len(text)
    while first < last and _is_blank(text[first]):
        first += 1
    while last > first and _is_blank(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_blank(char: str) -> bool:
    return char.isspace() or char == "\ufeff"


def _uscc_error(value: str) -> IdentifierError | None:
    if len(value) != IDENTIFIER_LENGTH:
        return IdentifierError.LENGTH
    if not (_DIGITS.issuperset(value[2:8]) and all(char in USCC_ALPHABET for char in value)):
        return IdentifierError.CHARSET
    if value == "0" * IDENTIFIER_LENGTH:
        return IdentifierError.ALL_ZEROS
    if value not in NONCOMPLIANT_CODES and uscc_check(value[:17]) != value[17]:
        return IdentifierError.CHECK_DIGIT
    return None


def _citizen_birth(value: str, today: date) -> date | IdentifierError:
    if len(value) != IDENTIFIER_LENGTH:
        return IdentifierError.LENGTH
    if not (_DIGITS.issuperset(value[:17]) and value[17] in "0123456789X"):
        return IdentifierError.CHARSET
    if value[:2] not in PROVINCES:
        return IdentifierError.PROVINCE
    try:
        born_on = date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return IdentifierError.DATE
    if born_on > today:
        return IdentifierError.FUTURE_DATE
    return born_on if citizen_id_check(value[:17]) == value[17] else IdentifierError.CHECK_DIGIT
