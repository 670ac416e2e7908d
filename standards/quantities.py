"""Numbers that are not money: ratios, counts, scores, flags. Decimal text out; blank in means None, never zero.

Every function is total: a value, None for a blank, or :class:`MalformedValueError` with the path.
JSON numbers must arrive as ``Decimal`` or ``int``: a float has already lost what the platform wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from standards.identifiers import to_half_width
from standards.malformed import MalformedValueError

RATIO_STEP: Final = Decimal("0.000001")
SCORE_STEP: Final = Decimal("0.01")
MAX_INTEGER_DIGITS: Final = 16
"""data_elements.csv: no decimal is longer than 18,2."""
MAX_TEXT: Final = 64

_NUMBER: Final = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
_EXACT: Final = Context(prec=60)
_FLAGS: Final[Mapping[str, bool]] = {
    "1": True, "0": False, "是": True, "否": False, "Y": True, "N": False,
    "y": True, "n": False, "true": True, "false": False,
}  # fmt: skip


def decimal_of(value: str | int | Decimal | None, *, path: str) -> Decimal | None:
    """Read a number: text (thousands commas and full-width digits allowed) or a decoded JSON number."""
    if value is None:
        return None
    if isinstance(value, str):
        text = to_half_width(value).strip()
        if not text:
            return None
        if len(text) > MAX_TEXT or _NUMBER.fullmatch(text) is None:
            raise MalformedValueError(path, "a decimal number")
        number = Decimal(text.replace(",", ""))
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedValueError(path, "a decimal number")
    else:
        number = Decimal(value)
    if not number.is_finite() or number.adjusted() >= MAX_INTEGER_DIGITS + 4:
        raise MalformedValueError(path, f"a number of at most {MAX_INTEGER_DIGITS} digits")
    return number


def percent(value: str | None, *, path: str) -> str | None:
    """Turn per cent text into a ratio: ``12.50`` (or ``12.50%``) → ``0.125``. Outside 0..100 is malformed."""
    text = None if value is None else to_half_width(value).strip().removesuffix("%")
    number = decimal_of(text, path=path)
    return None if number is None else _ratio_text(_EXACT.scaleb(number, -2), path)


def ratio(value: str | int | Decimal | None, *, path: str) -> str | None:
    """Turn a number 0..1 into ratio text without trailing zeros: ``0.125``."""
    number = decimal_of(value, path=path)
    return None if number is None else _ratio_text(number, path)


def score(value: str | int | Decimal | None, *, path: str) -> str | None:
    """Turn points into decimal text as they are (at most two decimals), on whatever scale they stand."""
    number = decimal_of(value, path=path)
    if number is None:
        return None
    if _rounded(number, SCORE_STEP) != number:
        raise MalformedValueError(path, "points with at most two decimals")
    return plain(number)


def count(value: str | int | Decimal | None, *, path: str) -> int | None:
    """Read a whole number of things, 0 or more; text is as good as a number (``buyerCnt``: ``"37"``)."""
    number = decimal_of(value, path=path)
    if number is None:
        return None
    if number < 0 or number != int(number) or number > 2**31 - 1:
        raise MalformedValueError(path, "a whole number from 0 to 2147483647")
    return int(number)


def flag(value: str | int | bool | None, *, path: str) -> bool | None:
    """Read a yes or no in any platform's spelling: 1/0, 是/否, Y/N, true/false; blank is unknown."""
    if value is None or isinstance(value, bool):
        return value
    text = to_half_width(value).strip() if isinstance(value, str) else str(value)
    if not text:
        return None
    if text not in _FLAGS:
        raise MalformedValueError(path, "1/0, 是/否, Y/N or true/false")
    return _FLAGS[text]


def plain(number: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros; minus zero is ``0``."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _ratio_text(number: Decimal, path: str) -> str:
    if not 0 <= number <= 1:
        raise MalformedValueError(path, "a share between 0 and 1 (0 and 100 per cent)")
    return plain(_rounded(number, RATIO_STEP))


def _rounded(number: Decimal, step: Decimal) -> Decimal:
    return number.quantize(step, rounding=ROUND_HALF_UP, context=_EXACT)
