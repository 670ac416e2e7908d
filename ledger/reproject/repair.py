"""Make the projections anew from the entries, where they differ. It takes the owner's login, whom nothing else uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from database import Database, Transaction
from ledger import store as ledger_store
from ledger.archive.files import ArchiveFolder
from ledger.invariants import Finding
from ledger.projection import search_row
from ledger.reproject import store
from ledger.reproject.check import Chunk, Commitment, chunks, surpluses


async def reproject(
    owner: Database,
    *,
    commitment: Commitment | None = None,
    archive: ArchiveFolder | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AsyncIterator[Finding]:
    """Mend what :func:`ledger.reproject.check.check_projections` finds, and yield each finding once it is mended.

    Pseudonyms come from intents. One taken out of ``ledger_subject`` for an erased subject stays out; one of a refused
    question, which had no intent, cannot be put back, for nothing else tells whom it was about.
    """
    async for chunk in chunks(owner, archive=archive, progress=progress):
        if chunk.findings:
            async with owner.transaction() as tx:
                await _mend(tx, chunk)
        for finding in chunk.findings:
            yield finding
    async for surplus in surpluses(owner, commitment=commitment, archive=archive):
        async with owner.transaction() as tx:
            await store.drop(tx, surplus.table, surplus.name, surplus.leaf_index)
        yield surplus.finding


async def _mend(tx: Transaction, chunk: Chunk) -> None:
    if chunk.is_rewritten:
        await store.clear(tx, list(chunk.bodies))
        for index, body in chunk.bodies.items():
            await ledger_store.add_search(tx, index, [search_row(body)])
        await store.list_anew(tx, chunk.listed)
    await ledger_store.add_touched(tx, chunk.touched)
    await ledger_store.add_countable(tx, chunk.countable)
    await store.name(tx, chunk.named)
