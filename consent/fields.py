"""Read the members of a signed payload one by one: every deviation is ARTEFACT_MALFORMED and names its field."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

from core.errors import BashuError, Reason

MAX_TEXT: Final = 512
MAX_LIST: Final = 128
MAX_INTEGER: Final = 2**53 - 1
"""The largest integer every JSON reader keeps exactly (RFC 8259 section 6)."""

_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""JSON can spell them, UTF-8 or PostgreSQL's text cannot hold them."""
_ORIGIN: Final = re.compile(r"[\w.@:/-]{1,128}", re.ASCII)

Choice = TypeVar("Choice", bound=StrEnum)


def refuse(name: str, rule: str) -> NoReturn:
    """Raise ARTEFACT_MALFORMED for the field ``name``; ``rule`` says what it must be, never what it was."""
    raise BashuError(Reason.ARTEFACT_MALFORMED, f"artefact: {name} {rule}", field=name)


@dataclass(slots=True)
class Fields:
    """The members of one JSON object; a member that nobody asked for is refused by :meth:`done`."""

    members: Mapping[str, Any]
    path: str = ""
    _read: set[str] = field(default_factory=set)

    def name(self, member: str) -> str:
        """Return the dotted path of ``member``."""
        return f"{self.path}.{member}" if self.path else member

    def has(self, member: str) -> bool:
        """Tell whether ``member`` stands there with a value other than null, and count it as read."""
        self._read.add(member)
        return self.members.get(member) is not None

    def value(self, member: str) -> Any:
        """Return a member that must be there."""
        if not self.has(member):
            refuse(self.name(member), "is missing")
        return self.members[member]

    def text(self, member: str, *, longest: int = MAX_TEXT) -> str:
        """Return a text of 1 to ``longest`` characters."""
        value = self.value(member)
        if not isinstance(value, str) or not 0 < len(value) <= longest:
            refuse(self.name(member), f"must be text of 1 to {longest} characters")
        if _UNSTORABLE.search(value):
            refuse(self.name(member), "must not hold NUL or half of a surrogate pair")
        return value

    def token(self, member: str) -> str:
        """Return an identifier chosen outside: letters, digits and ``. @ : / - _``."""
        value = self.text(member, longest=128)
        if _ORIGIN.fullmatch(value) is None:
            refuse(self.name(member), "must be an identifier of at most 128 characters")
        return value

    def integer(self, member: str, *, least: int = 0, most: int = MAX_INTEGER) -> int:
        """Return an integer between ``least`` and ``most``, both inside."""
        value = self.value(member)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            refuse(self.name(member), f"must be an integer from {least} to {most}")
        return value

    def flag(self, member: str) -> bool:
        """Return true or false."""
        value = self.value(member)
        if not isinstance(value, bool):
            refuse(self.name(member), "must be true or false")
        return value

    def moment(self, member: str) -> datetime:
        """Return a time given as whole seconds since 1970, UTC."""
        try:
            return datetime.fromtimestamp(self.integer(member), UTC)
        except (ValueError, OverflowError, OSError):
            refuse(self.name(member), "must be a time in whole seconds since 1970-01-01 UTC")

    def day(self, member: str) -> date:
        """Return a calendar day written YYYY-MM-DD."""
        text = self.text(member, longest=10)
        try:
            value = date.fromisoformat(text)
        except ValueError:
            refuse(self.name(member), "must be a day written YYYY-MM-DD")
        if value.isoformat() != text:
            refuse(self.name(member), "must be a day written YYYY-MM-DD")
        return value

    def digest(self, member: str) -> bytes:
        """Return 32 bytes written as 64 lower-case hexadecimal digits."""
        value = self.value(member)
        if not isinstance(value, str) or _HEX_SHA256.fullmatch(value) is None:
            refuse(self.name(member), "must be 64 lower-case hexadecimal digits")
        return bytes.fromhex(value)

    def uuid7(self, member: str) -> UUID:
        """Return a UUID version 7 in its one canonical spelling (RFC 9562 section 4)."""
        text = self.text(member, longest=36)
        try:
            value = UUID(text)
        except ValueError:
            refuse(self.name(member), "must be a UUIDv7 in lower case with hyphens")
        if str(value) != text or value.version != 7:  # noqa: PLR2004 - RFC 9562 section 5.7
            refuse(self.name(member), "must be a UUIDv7 in lower case with hyphens")
        return value

    def choice(self, member: str, kind: type[Choice]) -> Choice:
        """Return one value of a closed set."""
        value = self.value(member)
        if not isinstance(value, str) or value not in kind.__members__.values():
            refuse(self.name(member), f"must be one of {', '.join(kind)}")
        return kind(value)

    def exactly(self, member: str, wanted: str) -> None:
        """Insist on one value."""
        if self.value(member) != wanted:
            refuse(self.name(member), f"must be {wanted}")

    def listing(self, member: str, *, most: int = MAX_LIST) -> list[Any]:
        """Return a list of 1 to ``most`` values."""
        value = self.value(member)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            refuse(self.name(member), f"must be a list of 1 to {most} values")
        return value

    def texts(self, member: str, *, most: int = MAX_LIST) -> tuple[str, ...]:
        """Return a list of distinct texts."""
        values = self.listing(member, most=most)
        if not all(isinstance(value, str) and 0 < len(value) <= MAX_TEXT for value in values):
            refuse(self.name(member), f"must hold texts of 1 to {MAX_TEXT} characters")
        self.distinct(member, values)
        return tuple(values)

    def distinct(self, member: str, values: Collection[Any]) -> None:
        """Refuse a value that stands twice."""
        if len(set(values)) != len(values):
            refuse(self.name(member), "holds a value twice")

    def inner(self, member: str) -> Fields:
        """Return the fields of a member that is an object."""
        value = self.value(member)
        if not isinstance(value, dict):
            refuse(self.name(member), "must be an object")
        return Fields(value, self.name(member))

    def each(self, member: str, *, most: int = MAX_LIST) -> Iterator[Fields]:
        """Yield the fields of every object of a list, each checked for unknown members after its turn."""
        for index, value in enumerate(self.listing(member, most=most)):
            path = f"{self.name(member)}[{index}]"
            if not isinstance(value, dict):
                refuse(path, "must be an object")
            fields = Fields(value, path)
            yield fields
            fields.done()

    def done(self) -> None:
        """Refuse members that were never asked for: what nobody reads, nobody agreed to."""
        if unknown := sorted(self.members.keys() - self._read):
            refuse(self.name(unknown[0]), "is no field of bashu-consent/1")
