"""How people and numbers are shown (JR/T 0171-2020 annex A, ``masking_rules.csv``): never whole where a hint does."""

from __future__ import annotations

from typing import Final

from core.permit import Subject, SubjectKind

_SOLE_PROPRIETOR: Final = "92"
"""How codes of 个体工商户 start (GB 32100-2015)."""


def masked_id_number(number: str) -> str:
    """Keep the first and the last character (the strict form)."""
    return number[:1] + "*" * (len(number) - 2) + number[-1:] if len(number) > 2 else "*" * len(number)  # noqa: PLR2004


def masked_staff(number: str) -> str:
    """Keep the last character of a staff number: enough to tell two apart at one counter, not to name one.

    ``masking_rules.csv`` has no row for staff numbers: a rule of this project.
    """
    return "*" * (len(number) - 1) + number[-1:] if len(number) > 1 else "*" * len(number)


def masked(subject: Subject) -> str:
    """Return how reviewers see a subject: a company's code is public, a sole proprietor's (92…) points to a person."""
    is_public = subject.kind is SubjectKind.ENTERPRISE and not subject.identifier.startswith(_SOLE_PROPRIETOR)
    return subject.identifier if is_public else hint(subject)


def hint(subject: Subject) -> str:
    """Return what may be stored for people to recognise a subject by: no identifier whole, not a company's."""
    code = subject.identifier
    if subject.kind is SubjectKind.PERSON:
        return masked_id_number(code)
    return code[:8] + "*" * (len(code) - 12) + code[-4:]
