"""Codes with right check digits for invented firms (GB 32100-2015, GB 11714-1997)."""

from __future__ import annotations

from typing import Final

USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of GB 32100-2015: no I, O, S, V, Z."""
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_ENTERPRISE_PREFIX: Final = "91"


def organisation_check(body: str) -> str:
    """Return the check character of an organisation code's eight characters (GB 11714-1997)."""
    total = sum(int(sign, 36) * weight for sign, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X"[-total % 11]


def uscc_check(body: str) -> str:
    """Return the check character of a code's first seventeen characters (GB 32100-2015)."""
    total = sum(USCC_ALPHABET.index(sign) * pow(3, place, 31) for place, sign in enumerate(body))
    return USCC_ALPHABET[-total % 31]


def enterprise_code(division: str, organisation: str) -> str:
    """Return the code of an enterprise registered in ``division`` with the organisation code's eight characters."""
    body = _ENTERPRISE_PREFIX + division + organisation + organisation_check(organisation)
    return body + uscc_check(body)
