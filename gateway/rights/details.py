"""Opening what is sealed, for whoever may: while an erasure is pending nobody but compliance, by Unmask."""

from __future__ import annotations

from core.errors import BashuError, Reason, Turn
from database import Statements
from gateway.rights import store
from gateway.vault.model import Sealed
from gateway.vault.service import Vault


async def open_detail(db: Statements, vault: Vault, sealed: Sealed) -> bytes:
    """Return what was sealed, where no erasure is pending on it; what was written since it was asked for may be opened.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS while it is RESTRICTED or once it is erased; LEDGER_INCONSISTENT.
    """
    if await store.is_restricted(db, sealed):
        raise BashuError(
            Reason.NOT_FOUND_OR_NOT_YOURS,
            "its subject asked for erasure: until then only compliance may open it, with an entry",
            turn=Turn.COMPLIANCE,
            metadata={"rule": "PIPL 47"},
        )
    return await vault.open(sealed)
