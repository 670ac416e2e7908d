"""Names of subjects and staff that are no names: keyed hashes under keys that never enter the database."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from core.commitments import subject_commitment
from core.permit import Subject
from gateway.identity.sealing import operator_commitment

_MIN_KEY_BYTES: Final = 16


class Pseudonyms:
    """The gateway's own key, the one for staff, and the commitment keys that consent authorities share with it, by kid.

    A pseudonym finds everything of one subject across authorities; commitments are one authority's view. What stands
    in ledger entries is neither: it is keyed over the entry's id, so that two entries cannot be linked without keys.
    """

    def __init__(self, key: bytes, commitment_keys: Mapping[str, bytes], *, operator_key: bytes) -> None:
        if min(len(key), len(operator_key)) < _MIN_KEY_BYTES:
            raise ValueError("the pseudonym key or the operator key is too short")
        self._key = key
        self._operator_key = operator_key
        self._commitment_keys = dict(commitment_keys)

    def subject(self, subject: Subject) -> str:
        """Return the pseudonym of a subject: lower-case hex HMAC-SHA-256 over ``id_type:identifier``."""
        return self._hash(f"{subject.id_type}:{subject.identifier}")

    def commitment(self, subject: Subject, kid: str) -> str | None:
        """Return a subject's commitment under one authority's key, None where that key is not at hand."""
        key = self._commitment_keys.get(kid)
        return None if key is None else subject_commitment(key, subject.id_type, subject.identifier)

    def commitments(self, subject: Subject) -> list[str]:
        """Return a subject's commitments under every key at hand, sorted."""
        return sorted(
            subject_commitment(key, subject.id_type, subject.identifier) for key in self._commitment_keys.values()
        )

    def handles(self, subject: Subject) -> list[str]:
        """Return every handle under which something may be kept about a subject (see :meth:`in_entry`)."""
        views = {kid: self.commitment(subject, kid) for kid in sorted(self._commitment_keys)}
        return [self.subject(subject), *(f"{kid}:{commitment}" for kid, commitment in views.items())]

    def operator(self, institution: str, staff_number: str) -> str | None:
        """Return what stands for a staff number in an entry, None where nobody acted.

        The same name as in the registry's entries, so that an auditor can follow one staff number through the log.
        """
        return operator_commitment(self._operator_key, institution, staff_number) if staff_number else None

    def loan(self, institution: str, loan_reference: str) -> str:
        """Return what stands for a loan in an entry; a lender's reference may say whose loan it is."""
        return self._hash(f"loan:{institution}:{loan_reference}")

    def request(self, request_digest: bytes | None) -> str | None:
        """Return what stands for a question in an entry, None where there is no digest.

        A bare digest is no secret: the id beside it and the few billions of people's numbers are all it takes to try.
        """
        return self._hash(f"request:{request_digest.hex()}") if request_digest else None

    def in_entry(self, handle: str, entry_id: UUID) -> str:
        """Return an entry's ``subject_commitment``: HMAC(subject key, entry_id).

        ``handle`` names the subject: its pseudonym, or a commitment where no identifier is known.
        """
        subject_key = hmac.digest(self._key, f"subject-key:{handle}".encode(), "sha256")
        return hmac.digest(subject_key, str(entry_id).encode(), "sha256").hex()

    def _hash(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()
