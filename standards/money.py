"""Money: decimal text with two decimals, and an ISO 4217 currency. Blank in means None, never zero.

Every function is total: a value, None for a blank, or ``MalformedValueError`` with the path. No currency is ever
converted, and a fraction of a fen is refused rather than rounded away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from standards.identifiers import to_half_width
from standards.malformed import MalformedValueError
from standards.quantities import MAX_INTEGER_DIGITS, decimal_of

CNY: Final = "CNY"
CURRENCIES: Final[Mapping[str, str]] = {
    "人民币元": CNY, "人民币": CNY, "元人民币": CNY, "元": CNY, "圆": CNY,
    "美元": "USD", "美金": "USD", "元美元": "USD",
    "港元": "HKD", "港币": "HKD", "元港币": "HKD",
    "澳门元": "MOP", "新台币": "TWD", "新台币元": "TWD",
    "欧元": "EUR", "英镑": "GBP", "日元": "JPY", "韩元": "KRW",
    "新加坡元": "SGD", "澳大利亚元": "AUD", "澳元": "AUD", "加拿大元": "CAD", "加元": "CAD", "瑞士法郎": "CHF",
}  # fmt: skip
"""Names of currencies in registered capital, and ISO 4217."""

_EXACT: Final = Context(prec=60)
_FEN: Final = Decimal("0.01")
_SCALES: Final = {"": 0, "万": 4, "亿": 8}
_CAPITAL: Final = re.compile(
    r"(?P<before>人民币|美元|港元|港币|欧元)?(?P<number>[0-9,]+(?:\.[0-9]+)?)(?P<scale>[万亿]?)(?P<after>\D{0,6})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in units of ``currency`` (ISO 4217), decimal text with two decimals."""

    amount: str
    currency: str


def wan_yuan(value: str | int | Decimal | None, *, path: str) -> str | None:
    """Turn 万元 into yuan: ``1,250.00`` → ``12500000.00``; the unit may stand behind (``18.35万元``)."""
    return _scaled(_without_unit(value, ("万元", "万")), 4, path)


def yuan(value: str | int | Decimal | None, *, path: str) -> str | None:
    """Read yuan: ``183450`` → ``183450.00``; the unit may stand behind (``12.5元``)."""
    return _scaled(_without_unit(value, ("元",)), 0, path)


def fen(value: str | int | Decimal | None, *, path: str) -> str | None:
    """Turn fen into yuan: ``18345000`` → ``183450.00``; part of a fen is malformed."""
    return _scaled(_without_unit(value, ("分",)), -2, path)


def capital_text(value: str | None, *, path: str) -> Money | None:
    """Read registered capital written as text: ``500万元人民币`` → CNY 5000000.00, ``100万美元`` → USD 1000000.00.

    A text without a currency is malformed: nothing says which one is meant.
    """
    text = "" if value is None else to_half_width(value).translate({ord("("): None, ord(")"): None})
    text = "".join(text.split())
    if not text:
        return None
    match = _CAPITAL.fullmatch(text)
    currency = None if match is None else _currency(match["before"] or "", match["after"])
    if match is None or currency is None:
        raise MalformedValueError(path, "an amount with its currency, for example 500万元人民币")
    amount = _scaled(match["number"], _SCALES[match["scale"]], path)
    return None if amount is None else Money(amount=amount, currency=currency)


def _currency(before: str, after: str) -> str | None:
    if not before:
        return CURRENCIES.get(after)
    ahead = CURRENCIES[before]
    behind = CURRENCIES.get(after) if after else ahead
    return ahead if after in {"", "元", "圆"} or behind == ahead else None


def _without_unit(value: str | int | Decimal | None, units: tuple[str, ...]) -> str | int | Decimal | None:
    if not isinstance(value, str):
        return value
    text = value.strip()
    unit = next((unit for unit in units if text.endswith(unit) and text != unit), "")
    return text.removesuffix(unit)


def _scaled(value: str | int | Decimal | None, exponent: int, path: str) -> str | None:
    number = decimal_of(value, path=path)
    if number is None:
        return None
    amount = _EXACT.scaleb(number, exponent)
    if amount.adjusted() >= MAX_INTEGER_DIGITS:
        raise MalformedValueError(path, f"an amount of at most {MAX_INTEGER_DIGITS} digits")
    exact = amount.quantize(_FEN, context=_EXACT)
    if exact != amount:
        raise MalformedValueError(path, "an amount without fractions of a fen")
    return f"{exact + 0:.2f}"
