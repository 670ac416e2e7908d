# ruff: noqa: S608, E501, ISC004 - statements are of numbers and names of this module; a page has long lines
"""Tamper with the ledger as the database's owner, triggers off, and write down who finds it and what it names.

Three look: `fsck` on the gateway's side, `bashu ledger watch` (a stranger that keeps an old checkpoint), and a lender
that holds a receipt of one answer. Each change is undone before the next. The table in docs/tampering.md is this run's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from bashu.alarms import LogAlarm
from bashu.client import Bashu, QueryAnswer
from bashu.entry_reading import EntryReading, Which
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.saved import await_proof, check_inclusion_under, entry_id_of, inclusion_json
from bashu.verify import VerificationError, VerifierKey, verify_checkpoint
from bashu.watch import LogWatch
from database import Database, open_database
from gateway.settings import load_settings, read_secret
from ledger import store
from ledger.fsck import fsck
from ledger.invariants import Severity
from ledger.note import parse_vkey
from ledger.reproject.check import check_projections
from loadtest.crash import Loan, loan_question, prepare
from loadtest.observation import ledger_reader, sealed_export
from loadtest.stack import Stack, dev_stack

PAGE: Final = Path(__file__).parent.parent / "docs" / "tampering.md"
TABLES: Final = (
    "ledger_entry", "ledger_pending", "ledger_leaf", "ledger_tile", "ledger_head", "ledger_checkpoint", "ledger_access",
)  # fmt: skip
HASH: Final = 32
_CHANGED: Final = "sha256('\\x00'::bytea || {body})"
HEAD: Final = """# 篡改检验 Tampering as the database's owner

`make tamper` starts a dev stack, takes one answer with its receipt, lets a watcher see the log, and then changes tables
with the owner's login and every trigger off; then it writes this page. Who finds what, by that run (`leaf` is the one tampered with, N):

| tampering | fsck | `bashu ledger watch` | the lender's stored receipt |
|---|---|---|---|
"""
TAIL: Final = """
fsck derives the tree anew from every entry. The watcher is an auditor's, with `--entries all`: it folds the entries as shown
into a root, which must be the signed one, and consistency proofs name the first that is not the tree's. Once the tree is made
to agree with a changed row, its kept checkpoint contradicts that. There fsck can name a span only, from the last checkpoint that
agrees to the first that does not; N lies in it. A watcher without `--entries`, which anybody may run, sees checkpoints and
consistency proofs alone: of these it finds the rewritten checkpoint and the changed tree. The receipt holds the exact bytes of its
RELEASE and the log's promise: what the gateway shows for it now has to be the same bytes, in the tree of a checkpoint that opens
under the log's key. The access list is no evidence but made from it: fsck names what is missing there, and `bashu-gateway
reproject` puts it back ([fsck](fsck.md)).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One tampering: what it is called, its statements, and who must find it."""

    name: str
    statements: Sequence[str]
    is_watched: bool
    is_evidence: bool = True
    """Whether the tree or an entry was tampered with: what is only projected beside them, fsck alone finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A sealed log with one answer in it at leaf ``leaf``, and the owner's own connection."""

    stack: Stack
    owner: Database
    answer: QueryAnswer
    leaf: int
    watched: Path


def main() -> int:
    """Tamper, look, print, and write the page; return 0 where each tampering was found by who must find it."""
    with dev_stack() as stack:
        rows, faults = asyncio.run(_run(stack))
    PAGE.write_text(HEAD + "\n".join(rows) + "\n" + TAIL, encoding="utf-8")
    console = Console(width=160)
    for line in (*rows, *faults):
        console.print(line, markup=False)
    return 1 if faults else 0


async def _run(stack: Stack) -> tuple[list[str], list[str]]:
    scene = await _scene(stack)
    try:
        rows, faults = [], []
        for case in _cases(scene.leaf, (await store.head(scene.owner)).size):
            found = await _tampered(scene, case)
            rows.append(f"| {case.name} | {' | '.join(text or '—' for text in found)} |")
            due = (True, case.is_watched, case.is_evidence)
            faults += [
                f"NOT FOUND {case.name} by {who}"
                for who, text, is_due in zip(("fsck", "watch", "receipt"), found, due, strict=True)
                if is_due and not text
            ]
        return rows, faults
    finally:
        await scene.owner.close()
        os.kill(stack.pids["sealer"], signal.SIGCONT)


async def _scene(stack: Stack) -> Scene:
    settings = load_settings(stack.state / "gateway.toml")
    assert settings.database.owner_dsn_file is not None
    dsn = read_secret(settings.database.owner_dsn_file, setting="database.owner_dsn_file").decode()
    watched = stack.state / "watched"
    (loan, *_) = await prepare(stack)
    async with ledger_reader(stack) as db:
        await sealed_export(db)
    async with Bashu(Profile.of_dev_stack(stack.state, "auditor-1")) as auditor:
        await LogWatch(watched, VerifierKey.parse(stack.ledger_vkey)).look(auditor)
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        answer = await _answered(bank, loan)
        # One more after it, so that the leaf has a neighbour to be swapped with.
        await _answered(bank, loan)
        proof = await await_proof(bank, answer, wait_s=15)
    assert proof is not None
    async with ledger_reader(stack) as db:
        await sealed_export(db)
    # The sealer would go on over what is tampered with, and seal the auditor's own views; the log stands as it is now.
    os.kill(stack.pids["sealer"], signal.SIGSTOP)
    owner = await open_database(dsn, max_size=1)
    return Scene(stack=stack, owner=owner, answer=answer, leaf=proof.leaf_index, watched=watched)


async def _answered(bank: Bashu, loan: Loan) -> QueryAnswer:
    return await bank.query_credit(loan_question(loan))


def _cases(leaf: int, size: int) -> list[Case]:
    of_leaf = f"seq = (SELECT seq FROM ledger_leaf WHERE leaf_index = {leaf})"
    body = "convert_to(replace(convert_from(body, 'UTF8'), '\"records\":', '\"records\":9'), 'UTF8')"
    change = f"UPDATE ledger_entry SET body = {body}, leaf_hash = {_CHANGED.format(body=body)} WHERE {of_leaf}"
    fresh = f"(SELECT leaf_hash FROM ledger_entry WHERE {of_leaf})"
    place = leaf % 256 * HASH + 1
    other = leaf + 1
    swap = (
        "UPDATE ledger_leaf AS l SET seq = o.seq FROM ledger_leaf AS o"
        f" WHERE l.leaf_index IN ({leaf}, {other}) AND o.leaf_index = {leaf + other} - l.leaf_index"
    )
    retile = (
        f"UPDATE ledger_tile SET hashes = overlay(hashes PLACING {fresh} FROM {place} FOR {HASH})"
        f" WHERE level = 0 AND tile_index = {leaf // 256}"
    )
    return [
        Case(name="一行被改 one row changed", statements=[change], is_watched=True),
        Case(
            name="一行被删 one row removed",
            statements=[f"DELETE FROM ledger_entry WHERE {of_leaf}"],
            is_watched=True,
        ),
        Case(
            name="两行互换 two rows swapped",
            statements=["ALTER TABLE ledger_leaf DROP CONSTRAINT ledger_leaf_seq_unique", swap],
            is_watched=True,
        ),
        Case(
            name="检查点被改 a checkpoint rewritten",
            statements=[
                f"UPDATE ledger_checkpoint SET root = sha256('x'), note = replace(note, encode(root, 'base64'),"
                f" encode(sha256('x'), 'base64')) WHERE size = {size}"
            ],
            is_watched=True,
        ),
        Case(
            name="一行被改且树随之改 one row changed, and the tree with it",
            statements=[
                change,
                retile,
            ],
            is_watched=True,
        ),
        Case(
            name="访问清单少一行 an access taken out of the list",
            statements=[f"DELETE FROM ledger_access WHERE leaf_index = {leaf}"],
            is_watched=False,
            is_evidence=False,
        ),
    ]


async def _tampered(scene: Scene, case: Case) -> tuple[str, str, str]:
    """Tamper, let all three look, and put everything back as it was."""
    owner = scene.owner
    for table in TABLES:
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        await owner.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    try:
        for statement in case.statements:
            await owner.execute(statement)
        return await _fsck(scene), await _watch(scene), await _receipt(scene)
    finally:
        async with owner.transaction() as tx:
            # At once: a worker that saw no head would take the database for an older one, and stop serving.
            for table in TABLES:
                await tx.execute(f"TRUNCATE {table}")
                await tx.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
                await tx.execute(f"DROP TABLE kept_{table}")


async def _fsck(scene: Scene) -> str:
    found = [finding async for finding in fsck(scene.owner, key=parse_vkey(scene.stack.ledger_vkey))]
    found = [finding for finding in found if finding.severity is Severity.ERROR]
    found += [finding async for finding in check_projections(scene.owner)]
    named = sorted({_named(f.code, f.leaf_index, scene.leaf) for f in found})
    return ", ".join(named)


def _named(code: str, leaf: int | None, tampered: int) -> str:
    if leaf is None:
        return code
    if code == "CHECKPOINT_DIFFERS":
        # The first leaf of a span, which depends on when the sealer signed.
        return f"{code} a span with leaf N" if leaf <= tampered else f"{code} leaf N{leaf - tampered:+d}"
    return f"{code} leaf N{leaf - tampered:+d}" if leaf != tampered else f"{code} leaf N"


async def _watch(scene: Scene) -> str:
    kept = scene.watched.with_name("watched.copy")
    shutil.copyfile(scene.watched, kept)
    async with Bashu(Profile.of_dev_stack(scene.stack.state, "auditor-1")) as auditor:
        try:
            reading = EntryReading(kept.with_suffix(".entries"), Which.ALL)
            await LogWatch(kept, VerifierKey.parse(scene.stack.ledger_vkey), reading=reading).look(auditor)
        except LogAlarm as alarm:
            named = re.search(r"leaf (\d+)", str(alarm))
            return _named(alarm.alarm.value, int(named[1]) if named else None, scene.leaf)
    return ""


async def _receipt(scene: Scene) -> str:
    """Compare what the gateway shows for a receipt's entry with the receipt, as its lender."""
    receipt, key = scene.answer.receipt, VerifierKey.parse(scene.stack.ledger_vkey)
    entry_id = entry_id_of(receipt.entry)
    async with Bashu(Profile.of_dev_stack(scene.stack.state, "bank-cq")) as bank:
        try:
            entry = await bank.get_entry(entry_id)
            if entry.leaf != receipt.entry:
                return "the entry shown is not the receipt's (its entry_id)"
            proof = await bank.get_inclusion_proof(entry_id)
            checkpoint = verify_checkpoint(proof.checkpoint, key)
            if proof.leaf_hash != hashlib.sha256(b"\x00" + receipt.entry).digest():
                return "the proof offered is another entry's (its entry_id)"
            check_inclusion_under(checkpoint, proof.leaf_hash, inclusion_json(proof))
        except BashuCallError as error:
            return f"its entry_id is gone: {error.reason}"
        except VerificationError as error:
            return re.sub(r"\d+", "N", f"its entry_id is not proven: {error}")
    return ""


if __name__ == "__main__":
    sys.exit(main())
