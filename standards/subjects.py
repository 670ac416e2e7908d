"""Kinds of subject: whom a record, a purpose or a licence is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class SubjectKind(StrEnum):
    """An enterprise (sole proprietors too) or a natural person."""

    ENTERPRISE = "enterprise"
    PERSON = "person"


SUBJECT_KINDS: Final[Mapping[str, frozenset[SubjectKind]]] = {
    "enterprise": frozenset({SubjectKind.ENTERPRISE}),
    "person": frozenset({SubjectKind.PERSON}),
    "both": frozenset(SubjectKind),
}
"""Values of the columns ``subject_kinds``."""
