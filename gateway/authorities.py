"""Who may sign consents: the registry's keys as a consent's verifier sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.jws import StrictJws
from gateway.identity.model import Key, Participant, Role, Snapshot

_SIGNERS: Final = frozenset({Role.CONSENT_AUTHORITY, Role.LENDER})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKey:
    """A key of a consent authority, or of a lender that attests its own paper letters."""

    key: Key
    participant: Participant

    @property
    def authority(self) -> str:
        """Participant id, the artefact's ``iss``."""
        return self.participant.participant_id

    @property
    def may_issue_for(self) -> str | None:
        """A lender's own institution; None for an authority, which issues for any."""
        return self.participant.institution if self.participant.role is Role.LENDER else None

    @property
    def is_compromised(self) -> bool:
        """Tell whether the key was given up for compromise, or its holder is suspended."""
        return self.key.compromised_at is not None or self.participant.suspended_at is not None

    def was_valid_at(self, signed_at: datetime) -> bool:
        """Tell whether something signed at ``signed_at`` counts."""
        return self.key.was_valid_at(signed_at)

    def is_signature_of(self, jws: StrictJws) -> bool:
        """Verify the signature under the key's own algorithm."""
        return self.key.verification.is_signature_of(jws)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKeys:
    """``consent.registration.AuthorityKeys`` over one registry snapshot."""

    snapshot: Snapshot

    def find(self, kid: str) -> RegisteredKey | None:
        """Return a key that may sign consents, None for any other."""
        key = self.snapshot.keys.get(kid)
        participant = None if key is None else self.snapshot.participants.get(key.participant_id)
        if key is None or participant is None or participant.role not in _SIGNERS:
            return None
        return RegisteredKey(key=key, participant=participant)
