"""Seal, open, destroy: the whole of what the rest of the gateway knows of keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from database import Database
from gateway.vault import store
from gateway.vault.model import (
    KEY_BYTES,
    MOST_BYTES,
    DetailKind,
    Sealed,
    decrypt,
    detail_binding,
    encrypt,
    key_binding,
)

_KID_DIGITS: Final = 16
_AT_ONCE: Final = 200


class Vault:
    """Data keys, one an owner, in the database ``keys``; each wrapped by ``wrapping_key``, which is kept in a file.

    An owner is a handle of whom a detail is about, as :meth:`gateway.pseudonyms.Pseudonyms.in_entry` takes them: a
    subject's pseudonym, ``kid:commitment`` where no identifier is known. Keys are not cached: what was destroyed
    opens nothing a moment later, in no worker.
    """

    def __init__(
        self, keys: Database, *, wrapping_key: bytes, owner_key: bytes, previous: Sequence[bytes] = ()
    ) -> None:
        if any(len(key) != KEY_BYTES for key in (wrapping_key, *previous)):
            raise ValueError(f"a wrapping key has {KEY_BYTES} bytes")
        self._keys = keys
        self._wrapping_key = wrapping_key
        self._wrapping_kid = _kid(wrapping_key)
        # Keys wrapped before a rotation open until they are wrapped anew.
        self._wrapping_keys = {_kid(key): key for key in (*previous, wrapping_key)}
        self._owner_key = owner_key

    async def seal(self, owner: str, kind: DetailKind, content: bytes, *, entry_id: UUID) -> Sealed:
        """Seal ``content`` for the entry ``entry_id`` about to be built; the owner gets a key where it has none.

        Store it with :func:`gateway.vault.store.add_detail` in the transaction that appends the entry, whose
        ``detail_sha256`` is the result's ``sha256``.

        Raises:
            BashuError: MALFORMED over 10 MiB; of :mod:`database.errors` when the key database is away.
        """
        if len(content) > MOST_BYTES:
            raise BashuError(Reason.MALFORMED, f"a detail has at most {MOST_BYTES} bytes", field="content")
        key_id, key = await self._key_of(self._owner(owner))
        sealed = encrypt(key, content, bound_to=detail_binding(entry_id, kind))
        return Sealed(entry_id=entry_id, kind=kind, key_id=key_id, content=sealed)

    async def open(self, sealed: Sealed) -> bytes:
        """Return what was sealed.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS once its key was destroyed, LEDGER_INCONSISTENT where it was altered.
        """
        row = await store.key(self._keys, sealed.key_id)
        if row is None or row.wrapped is None:
            raise BashuError(
                Reason.NOT_FOUND_OR_NOT_YOURS,
                "this detail was erased: its key is destroyed",
                metadata={"rule": "PIPL 47"},
            )
        try:
            return decrypt(self._unwrap(row), sealed.content, bound_to=detail_binding(sealed.entry_id, sealed.kind))
        except ValueError as error:
            raise BashuError(
                Reason.LEDGER_INCONSISTENT, "a sealed detail is not as it was sealed", turn=Turn.OPERATOR
            ) from error

    async def ensure(self, owners: Sequence[str]) -> list[UUID]:
        """Return the ids of these owners' keys, made where missing: a later detail is then under a key known now."""
        return sorted([(await self._key_of(self._owner(owner)))[0] for owner in owners])

    async def keys_of(self, owners: Sequence[str]) -> list[UUID]:
        """Return the ids of the keys that these owners have now."""
        return await store.living_keys(self._keys, [self._owner(owner) for owner in owners])

    async def destroy(self, key_ids: Sequence[UUID]) -> list[UUID]:
        """Destroy keys for good, and with them what they sealed; return those that were still there."""
        return await store.destroy_keys(self._keys, key_ids) if key_ids else []

    async def rewrap(self) -> int:
        """Wrap every living key anew that an older wrapping key wraps; return how many. May be repeated.

        Raises:
            BashuError: INTERNAL where a key is wrapped by one that is not at hand.
        """
        done, after = 0, UUID(int=0)
        while rows := await store.wrapped_otherwise(self._keys, self._wrapping_kid, after=after, limit=_AT_ONCE):
            for row in rows:
                wrapped = encrypt(self._wrapping_key, self._unwrap(row), bound_to=key_binding(row.key_id, row.owner))
                new = replace(row, wrapping_kid=self._wrapping_kid, wrapped=wrapped)
                done += await store.wrap_anew(self._keys, new)
            after = rows[-1].key_id
        return done

    async def _key_of(self, owner: str) -> tuple[UUID, bytes]:
        row = await store.living_key(self._keys, owner)
        if row is None:
            key_id = uuid7()
            wrapped = encrypt(self._wrapping_key, secrets.token_bytes(KEY_BYTES), bound_to=key_binding(key_id, owner))
            new = store.KeyRow(key_id=key_id, owner=owner, wrapping_kid=self._wrapping_kid, wrapped=wrapped)
            await store.add_key(self._keys, new)
            # Another worker may have been first: whichever row is there is the key.
            row = await store.living_key(self._keys, owner)
        if row is None:
            raise BashuError(Reason.IN_PROGRESS, "this subject is being erased", retry_after_s=1.0)
        return row.key_id, self._unwrap(row)

    def _unwrap(self, row: store.KeyRow) -> bytes:
        assert row.wrapped is not None
        wrapping_key = self._wrapping_keys.get(row.wrapping_kid)
        if wrapping_key is None:
            raise BashuError(Reason.INTERNAL, "a data key was wrapped by another wrapping key", turn=Turn.OPERATOR)
        try:
            return decrypt(wrapping_key, row.wrapped, bound_to=key_binding(row.key_id, row.owner))
        except ValueError as error:
            raise BashuError(Reason.INTERNAL, "a data key does not unwrap", turn=Turn.OPERATOR) from error

    def _owner(self, handle: str) -> str:
        return hmac.digest(self._owner_key, f"vault-owner:{handle}".encode(), "sha256").hex()


def _kid(wrapping_key: bytes) -> str:
    return hashlib.sha256(b"bashu-wrapping-kid\x00" + wrapping_key).hexdigest()[:_KID_DIGITS]
