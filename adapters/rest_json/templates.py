"""Texts with variables, ``/v1/firms/{uscc}``: compiled when a description is loaded, filled when a query runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SUBJECT: Final = frozenset({"uscc", "name"})
CALL: Final = frozenset({"request_id", "purpose", "institution", "evidence", "look_from", "look_to"})
ARTEFACT: Final = frozenset({"artefact"})
_PART: Final = re.compile(r"\{([a-z_]*)\}|([^{}]+)|(.)", re.DOTALL)


class TemplateError(ValueError):
    """A template is wrong; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Template:
    """Pieces in order: a literal text, or the name of a variable."""

    pieces: tuple[tuple[str, bool], ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with its variables in place."""
        return "".join(values[text] if is_variable else text for text, is_variable in self.pieces)


def compile_template(text: str, allowed: frozenset[str]) -> Template:
    """Compile ``text``. Raises TemplateError for an unknown variable or a brace that stands alone."""
    pieces: list[tuple[str, bool]] = []
    for match in _PART.finditer(text):
        variable, literal, stray = match.groups()
        if stray is not None:
            raise TemplateError("braces around a variable only")
        if variable is not None and variable not in allowed:
            raise TemplateError(f"a variable of {', '.join(sorted(allowed))}; found {{{variable}}}")
        pieces.append((literal, False) if variable is None else (variable, True))
    return Template(tuple(pieces))
