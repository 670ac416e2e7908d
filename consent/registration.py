"""Register an artefact: who signed it, for whom, and whether that key was good when it signed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

from consent.artefact import Assurance, ParsedArtefact
from core.errors import BashuError, Reason, Turn
from core.jws import StrictJws

ISSUED_AHEAD: Final = timedelta(seconds=10)
"""How far an authority's clock may be ahead of the database's."""


class AuthorityKey(Protocol):
    """A consent authority's registered key, with one algorithm. SM2 follows by another implementation."""

    @property
    def authority(self) -> str:
        """Participant id of the authority; artefacts name it as ``iss``."""

    @property
    def may_issue_for(self) -> str | None:
        """The one institution it may name as requester (a lender attesting its own letters), None for any."""

    @property
    def is_compromised(self) -> bool:
        """Tell whether it was given up for compromise before now: then it vouches for nothing new."""

    def was_valid_at(self, signed_at: datetime) -> bool:
        """Tell whether it was in its window and not revoked at ``signed_at``."""

    def is_signature_of(self, jws: StrictJws) -> bool:
        """Verify the signature under this key's own algorithm."""


class AuthorityKeys(Protocol):
    """Where registered authorities' keys are found, by kid."""

    def find(self, kid: str) -> AuthorityKey | None:
        """Return the key, None for one that is not registered to a consent authority or lender."""


def verify(
    parsed: ParsedArtefact,
    *,
    keys: AuthorityKeys,
    origin: str,
    now: datetime,
    commitment_holders: Mapping[str, frozenset[str]],
) -> None:
    """Check what one artefact alone cannot tell; ``origin`` is this gateway's name in ``aud``.

    ``commitment_holders``: who may name a borrower under which commitment key, participant ids by ``commitment_kid``.
    Whoever holds no key can still copy a commitment out of somebody else's artefact: it vouches for nobody with it.

    Raises:
        BashuError: ARTEFACT_UNKNOWN_KEY, ARTEFACT_SIGNATURE or ARTEFACT_MALFORMED.
    """
    _check_signer(parsed, keys, now)
    artefact = parsed.artefact
    if origin not in artefact.audience:
        _refuse(Reason.ARTEFACT_MALFORMED, "artefact: aud does not name this gateway", "aud")
    if artefact.iat > now + ISSUED_AHEAD:
        _refuse(Reason.ARTEFACT_MALFORMED, "artefact: iat is in the future", "iat")
    if artefact.exp <= now:
        _refuse(Reason.ARTEFACT_MALFORMED, "artefact: exp is past", "exp")
    if artefact.issuer not in commitment_holders.get(artefact.subject.commitment_kid, frozenset()):
        message = "no commitment key of this id is lent to iss: the gateway's operator names the holders of each key"
        _refuse(Reason.ARTEFACT_UNKNOWN_KEY, message, "subject.commitment_kid")


def _check_signer(parsed: ParsedArtefact, keys: AuthorityKeys, now: datetime) -> None:
    artefact = parsed.artefact
    key = keys.find(parsed.jws.header["kid"])
    if key is None or key.is_compromised or not key.was_valid_at(artefact.iat):
        _refuse(Reason.ARTEFACT_UNKNOWN_KEY, "the signing key was not valid when the artefact was issued", "kid")
    if not key.was_valid_at(now):
        # Whoever still holds a key that ended can write any iat: it vouches for nothing new.
        _refuse(Reason.ARTEFACT_UNKNOWN_KEY, "the signing key has ended: have the artefact signed anew", "kid")
    if not key.is_signature_of(parsed.jws):
        _refuse(Reason.ARTEFACT_SIGNATURE, "the signature does not verify under the registered key", "artefact")
    if key.authority != artefact.issuer:
        _refuse(Reason.ARTEFACT_SIGNATURE, "the signing key belongs to another authority than iss", "iss")
    if key.may_issue_for not in {None, artefact.institution}:
        _refuse(Reason.ARTEFACT_SIGNATURE, "a lender attests its own letters only", "requester.institution")
    if (key.may_issue_for is not None) is not (artefact.assurance is Assurance.LENDER_ATTESTED):
        message = "a lender's key signs LENDER_ATTESTED letters, and nobody else's does"
        _refuse(Reason.ARTEFACT_SIGNATURE, message, "capture.assurance")


def _refuse(reason: Reason, message: str, field: str) -> NoReturn:
    raise BashuError(reason, message, field=field, turn=Turn.CALLER)
