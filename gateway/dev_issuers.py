"""Whom the simulated platforms trust as second checkers: the dev stack's consent authorities and lenders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.jws import public_jwk
from gateway.certificates import signing_key, write_secret
from gateway.dev_registry import DevParticipant
from gateway.dev_state import AUTHORITIES, DevState, commitment_kid
from gateway.identity.model import Role

SIGNERS: Final = frozenset({Role.CONSENT_AUTHORITY, Role.LENDER})
"""A lender signs for the paper that it took in."""


def write_issuers(state: DevState, participants: Iterable[DevParticipant]) -> Path:
    """Write the file that ``sandbox --authorities`` reads; it holds the commitment keys lent, so only its owner may."""
    keys = [
        {
            "issuer": member.participant.participant_id,
            "kid": member.kid,
            "alg": "ES256",
            "jwk": public_jwk(signing_key(member.key_file)),
        }
        for member in participants
        if member.participant.role in SIGNERS
    ]
    commitments = {commitment_kid(name): state.commitment_key(name).read_bytes().hex() for name in AUTHORITIES}
    file = state.root / "sandbox_issuers.json"
    write_secret(file, json.dumps({"keys": keys, "commitments": commitments}).encode())
    return file
