"""Keyed commitments: how the identifier of a person or firm is kept without keeping it."""

from __future__ import annotations

import hmac


def subject_commitment(key: bytes, id_type: str, identifier: str) -> str:
    """Return lower-case hex HMAC-SHA-256(key, ``id_type:identifier``) over the normalised identifier."""
    return hmac.new(key, f"{id_type}:{identifier}".encode(), "sha256").hexdigest()


def same_commitment(left: str, right: str) -> bool:
    """Compare two commitments in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
