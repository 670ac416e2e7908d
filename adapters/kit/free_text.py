"""Numbers and home addresses of persons in free text: found by their form, masked, counted ("Whose data is it").

A platform's clerk writes a citizen's number, a telephone or where somebody lives into a sentence; no member or tag says
that it is there. A home address is known by how judgments and penalties write one: after a comma or bracket, 住 (lives
at), a place, and the end of an address. 住所 is where a firm has its seat, and stays. An address written in another way
has no form to be found by: the free texts that may hold one are dropped whole by the platforms' adapters.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from standards.identifiers import PROVINCES, citizen_id_check, to_half_width

MASK: Final = "〔号码已略〕"
MASKED_ADDRESS: Final = "〔住址已略〕"
_SHORTEST: Final = 8
_NOT_WORDS: Final = (
    "_no", "_code", "uscc", "_id", "_on", "_until", "_from", "month", "period", "amount", "balance", "ratio", "quantity"
)  # fmt: skip
"""Ends of the names of fields that hold a document's number, a code, a day or an amount: numbers of their own."""
_CITIZEN_OR_TELEPHONE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[1-8]\d{5}[- ]?\d{4}[- ]?\d{4}[- ]?\d{3}[0-9Xx]"
    r"|(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4})(?!\.?[0-9A-Za-z])",
    re.ASCII,
)
"""Standing alone; what goes on after a point is an amount."""
_ELEVEN_DIGITS: Final = re.compile("[0-9０-９](?:[- \u3000\uff0d\u2010-\u2015]?[0-9０-９]){10}")
"""What most texts do not have, looked for first: a report has hundreds of texts."""
_CITIZEN_LENGTH: Final = 18
_DASHES: Final = str.maketrans({"\u3000": " ", **dict.fromkeys(map(chr, range(0x2010, 0x2016)), "-")})
"""A clerk's other blanks and dashes; the full-width hyphen is turned with the digits."""
_LIVES: Final = "住"
_HOME: Final = re.compile(
    r"(?:(?<=[，。；、：,;:（(\s])|^)(?:现|户籍)?居?住(?!所|房|宅|建|院|店|宿)(?:址|在|于)?[:：]?\s*"
    r"[^，。；,;（）()〔〕]{2,50}?(?:号|室|户|组|栋|幢|楼|单元|村)[^，。；,;（）()〔〕]{0,20}"
)


def mask_persons(body: Message) -> int:
    """Mask what stands in the free texts of a record's body; return how many values there were. Changes ``body``."""
    masked = 0
    for name in _texts(body.DESCRIPTOR):
        value = getattr(body, name)
        if len(value) < _SHORTEST:
            continue
        text, count = masked_text(value)
        if count:
            setattr(body, name, text)
            masked += count
    return masked


@cache
def _texts(message: Descriptor) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_STRING and not field.name.endswith(_NOT_WORDS)
    )


def masked_text(text: str) -> tuple[str, int]:
    """Return a text without persons' numbers and home addresses, and how many there were."""
    text, homes = _HOME.subn(MASKED_ADDRESS, text) if _LIVES in text else (text, 0)
    if _ELEVEN_DIGITS.search(text) is None:
        return text, homes
    # Full-width digits are digits too; the translations keep every place.
    plain = to_half_width(text).translate(_DASHES)
    found = [match.span() for match in _CITIZEN_OR_TELEPHONE.finditer(plain) if _is_a_persons(match[0])]
    for first, end in reversed(found):
        text = text[:first] + MASK + text[end:]
    return text, homes + len(found)


def _is_a_persons(number: str) -> bool:
    """Tell a citizen's number from any other of 18 digits: by province and check digit (GB 11643-1999)."""
    number = number.replace("-", "").replace(" ", "")
    if len(number) != _CITIZEN_LENGTH or not number[:17].isdigit():
        return True
    return number[:2] in PROVINCES and citizen_id_check(number[:17]) == number[17].upper()
