"""Shape of a request message as the contract's protovalidate rules say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import protovalidate
from google.protobuf.message import Message

from core.errors import BashuError, Reason

MOST_VIOLATIONS: Final = 20
"""A message can break a rule once an element; nobody reads more than this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One field and the rule it breaks; never the value."""

    field: str
    rule: str


class ShapeRefused(BashuError):  # noqa: N818 - named after the fact, like every refusal here
    """MALFORMED with every field that has the wrong shape."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        first = violations[0]
        super().__init__(Reason.MALFORMED, f"{first.field or 'message'}: {first.rule}", field=first.field)
        self.violations: Final = violations


def validate(message: Message) -> None:
    """Refuse a message that breaks a rule of its shape; about 9 us for one that does not.

    Raises:
        ShapeRefused: MALFORMED, with the violations for ``google.rpc.BadRequest``.
    """
    found = protovalidate.collect_violations(message)
    if found:
        raise ShapeRefused(tuple(_violation(violation) for violation in found[:MOST_VIOLATIONS]))


def _violation(found: protovalidate.Violation) -> Violation:
    return Violation(field=_path(found), rule=found.proto.message or found.proto.rule_id)


def _path(found: protovalidate.Violation) -> str:
    elements = () if found.proto.field is None else found.proto.field.elements
    return ".".join(f"{element.field_name}{_position(element.subscript)}" for element in elements)


def _position(subscript: Any) -> str:
    # A map's key can be text from outside, even an identifier, so only positions are shown.
    return f"[{subscript.value}]" if subscript is not None and subscript.field == "index" else ""
