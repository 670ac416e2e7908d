"""How the tables write kinds of subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.permit import SubjectKind

SUBJECT_KINDS: Final[Mapping[str, frozenset[SubjectKind]]] = {
    "enterprise": frozenset({SubjectKind.ENTERPRISE}),
    "person": frozenset({SubjectKind.PERSON}),
    "both": frozenset(SubjectKind),
}
"""Values of the columns ``subject_kinds``."""
