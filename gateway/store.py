"""The statements of admission and release, and those that close intents.

Every list goes in as one array a column; look-ups are ``= ANY($n)`` on the leading key column. A fact that decides is
read on the locked row or in a statement that starts after the lock, never in the locking statement: the statements
here only move what Python decided, and only where the version it decided on is still the one.
Lock order: hold table, consents by id, intents by (request_id, institution), ledger numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from consent.limits import NO_TABLE, Effect, PolicyRule, PolicyTable
from consent.model import ConsentFacts, HoldKind, Loan, LoanEnd
from consent.store import FACTS, facts_from_row
from database import Statements
from gateway.intents import Attempt, IntentKey, OpenIntent
from ledger.model import Entry
from ledger.store import FRESHNESS_COLUMNS, Freshness, append_ctes, freshness_from_row

HOT_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"plan_cache_mode": "force_generic_plan", "jit": "off", "enable_seqscan": "off", "lock_timeout": "500ms"}
)
"""Settings of the connections that run these statements: a plan made on an empty table stays right on a full one, and
one stuck consent keeps a batch waiting no longer than this."""

_ATTEMPT: Final = (
    "request_id, institution, attempt, state, request_digest, expires_at, first_entry_id, first_admitted_at, resends,"
    " paid, outcomes"
)
_OPEN: Final = (
    "request_id, institution, attempt, consent_id, consent_revision, artefact_hash, pseudonym, request_digest,"
    " expires_at, state, stands_until, consent_end, closed_reason"
)
_LOAN: Final = (
    "institution, loan_reference, application_reference, pseudonym, commitments, opened_on, due_on, registered_at,"
    " closed_at, close_reason"
)
# Not max(): planned on an empty table, that reads every version there will ever be.
_POLICY: Final = "(SELECT version FROM policy_version ORDER BY version DESC LIMIT 1)"
_RULE: Final = "rule_id, purpose, data_item, subject_kind, institution_kind, effect, lookback_days"

READ: Final = f"""
SELECT bashu_now() AS now,
    ARRAY(SELECT ROW({", ".join(FACTS)}) FROM consent
        WHERE consent_id = ANY($1::uuid[]) AND institution = ANY($3::text[])) AS consents,
    ARRAY(SELECT ROW({_ATTEMPT}) FROM (
        SELECT DISTINCT ON (request_id, institution) {_ATTEMPT} FROM intent
        WHERE request_id = ANY($2::uuid[]) AND institution = ANY($3::text[])
        ORDER BY request_id, institution, attempt DESC) AS latest) AS attempts,
    ARRAY(SELECT ROW(pseudonym, kind) FROM subject_hold
        WHERE pseudonym = ANY($4::text[]) AND lifted_at IS NULL) AS holds,
    ARRAY(SELECT ROW({_LOAN}) FROM loan
        WHERE institution = ANY($3::text[]) AND loan_reference = ANY($5::text[])) AS loans,
    {_POLICY} AS policy_version,
    ARRAY(SELECT ROW({_RULE}) FROM policy_rule WHERE version = {_POLICY} AND purpose = ANY($6::text[])) AS policy,
    {FRESHNESS_COLUMNS}"""  # noqa: S608 - column names

ADMIT: Final = f"""
WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bytea[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bytea[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
        $15::timestamptz[], $16::bigint[], $17::bigint[], $18::text[], $19::uuid[], $20::timestamptz[], $21::bigint[],
        $22::boolean[], $23::text[], $24::text[], $25::text[], $26::bigint[], $27::uuid[], $28::bytea[], $29::bytea[])
    WITH ORDINALITY AS t (request_id, institution, attempt, consent_id, consent_revision, artefact_hash, pseudonym,
        operator_commitment, purpose, loan_reference, request_digest, admitted_at, expires_at, stands_until,
        consent_end, uses, use_ordinal, window_key, first_entry_id, first_admitted_at, resends, paid, outcomes,
        targets, trace, policy_version, entry_id, body, leaf_hash, ord)),
l AS MATERIALIZED (
    SELECT c.consent_id FROM consent AS c
    WHERE c.consent_id = ANY($30::uuid[])
        AND c.version = ($31::bigint[])[array_position($30::uuid[], c.consent_id)]
    ORDER BY c.consent_id FOR NO KEY UPDATE),
n AS MATERIALIZED (SELECT bashu_now() AS now WHERE (SELECT count(*) FROM l) >= 0),
i AS (
    INSERT INTO intent (request_id, institution, attempt, consent_id, consent_revision, artefact_hash, pseudonym,
        operator_commitment, purpose, loan_reference, request_digest, admitted_at, expires_at, stands_until,
        consent_end, uses, use_ordinal, window_key, first_entry_id, first_admitted_at, resends, paid, outcomes,
        targets, trace, policy_version, entry_id, leaf_hash)
    SELECT u.request_id, u.institution, u.attempt, u.consent_id, u.consent_revision, u.artefact_hash, u.pseudonym,
        u.operator_commitment, u.purpose, u.loan_reference, u.request_digest, u.admitted_at, u.expires_at,
        u.stands_until, u.consent_end, u.uses, u.use_ordinal, u.window_key, u.first_entry_id, u.first_admitted_at,
        u.resends, u.paid, string_to_array(u.outcomes, ' '), string_to_array(u.targets, ' '), u.trace,
        u.policy_version, u.entry_id, u.leaf_hash
    FROM n CROSS JOIN u
    WHERE (u.consent_id IS NULL OR (u.consent_end > n.now AND u.consent_id IN (SELECT l.consent_id FROM l)))
        AND NOT EXISTS (SELECT 1 FROM subject_hold AS h WHERE h.pseudonym = u.pseudonym AND h.lifted_at IS NULL)
    ORDER BY u.request_id, u.institution
    RETURNING entry_id, consent_id, uses),
c AS (
    UPDATE consent AS c SET version = c.version + 1, used = c.used + k.uses, last_use = c.last_use + k.uses,
        window_key = ($32::text[])[array_position($30::uuid[], c.consent_id)],
        window_used = ($33::bigint[])[array_position($30::uuid[], c.consent_id)],
        last_use_at = ($34::timestamptz[])[array_position($30::uuid[], c.consent_id)]
    FROM (SELECT consent_id, sum(uses)::bigint AS uses FROM i GROUP BY consent_id) AS k
    WHERE c.consent_id = k.consent_id AND c.consent_id = ANY($30::uuid[])),
src AS (SELECT u.ord, u.entry_id, u.body, u.leaf_hash FROM u JOIN i ON i.entry_id = u.entry_id),
{append_ctes("src")}
SELECT entry_id FROM i"""  # noqa: S608
"""Admit what was decided. All questions about one consent are admitted or none (its version, its end and the holds on
its subject are the same for all), so the uses that Python numbered stay gapless. A request id taken meanwhile is a
UniqueConflict of the whole batch, which is then tried one by one."""


def _release(condition: str) -> str:
    return f"""
WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::uuid[], $7::bytea[],
        $8::bytea[])
    WITH ORDINALITY AS t (request_id, institution, attempt, outcomes, ts, entry_id, body, leaf_hash, ord)),
l AS MATERIALIZED (
    SELECT t.request_id, t.institution, t.attempt, t.state, t.stands_until FROM intent AS t
    WHERE t.request_id = ANY($1::uuid[]) AND t.institution = ANY($2::text[]) AND t.attempt = ANY($3::bigint[])
    ORDER BY t.request_id, t.institution FOR NO KEY UPDATE),
n AS MATERIALIZED (SELECT bashu_now() AS now WHERE (SELECT count(*) FROM l) >= 0),
g AS (
    UPDATE intent AS t SET state = 'RELEASED', closed_at = n.now, closing_entry_id = u.entry_id,
        outcomes = t.outcomes || string_to_array(u.outcomes, ' ')
    FROM l JOIN u USING (request_id, institution, attempt) CROSS JOIN n
    WHERE t.request_id = l.request_id AND t.institution = l.institution AND t.attempt = l.attempt
        AND t.request_id = ANY($1::uuid[]) AND l.state = 'OPEN' AND l.stands_until > greatest(n.now, u.ts)
        {condition}
    RETURNING u.entry_id),
src AS (SELECT u.ord, u.entry_id, u.body, u.leaf_hash FROM u JOIN g ON g.entry_id = u.entry_id),
{append_ctes("src")}
SELECT seq, entry_id FROM ledger_e"""  # noqa: S608


RELEASE: Final = _release("")
"""Release what still stands, and append RELEASE for exactly the rows moved."""
RELEASE_TOGETHER: Final = _release("""AND cardinality($1::uuid[]) = (
            SELECT count(*) FROM l JOIN u USING (request_id, institution, attempt) CROSS JOIN n
            WHERE l.state = 'OPEN' AND l.stands_until > greatest(n.now, u.ts))""")
"""Release all, or none where one of them stands no more: one report rests on every one of these permits."""
NAMED: Final = f"""
SELECT {", ".join(FACTS)}, (
        SELECT max(h.kind) FROM subject_hold AS h
        WHERE h.commitments @> ARRAY[consent.commitment] AND h.lifted_at IS NULL) AS hold
FROM consent WHERE consent_id = ANY($1::uuid[]) AND institution = $2"""  # noqa: S608


def _close(skip: str) -> str:
    return f"""
WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::uuid[], $6::bytea[], $7::bytea[],
        $8::uuid[], $9::bytea[], $10::bytea[])
    WITH ORDINALITY AS t (request_id, institution, attempt, reason, entry_id, body, leaf_hash, refund_id, refund_body,
        refund_hash, ord)),
k AS MATERIALIZED (
    SELECT c.consent_id FROM consent AS c WHERE c.consent_id = ANY($11::uuid[])
    ORDER BY c.consent_id FOR NO KEY UPDATE),
l AS MATERIALIZED (
    SELECT t.request_id, t.institution, t.attempt, t.state FROM intent AS t
    WHERE t.request_id = ANY($1::uuid[]) AND t.institution = ANY($2::text[]) AND t.attempt = ANY($3::bigint[])
        AND (SELECT count(*) FROM k) >= 0
    ORDER BY t.request_id, t.institution FOR NO KEY UPDATE {skip}),
g AS (
    UPDATE intent AS t SET state = 'CLOSED', closed_at = bashu_now(), closed_reason = u.reason,
        closing_entry_id = u.entry_id, refunded = (u.refund_id IS NOT NULL AND t.uses = 1),
        paid = t.paid AND NOT (u.refund_id IS NOT NULL AND t.uses = 1)
    FROM l JOIN u USING (request_id, institution, attempt)
    WHERE t.request_id = l.request_id AND t.institution = l.institution AND t.attempt = l.attempt
        AND t.request_id = ANY($1::uuid[]) AND l.state = 'OPEN'
    RETURNING u.entry_id, t.consent_id, t.window_key, t.refunded),
b AS (
    UPDATE consent AS c SET version = c.version + 1, used = c.used - 1,
        window_used = c.window_used - CASE WHEN c.window_key = g.window_key THEN 1 ELSE 0 END
    FROM g WHERE g.refunded AND c.consent_id = g.consent_id AND c.consent_id = ANY($11::uuid[])),
src AS (
    SELECT 2 * u.ord AS ord, u.entry_id, u.body, u.leaf_hash FROM u JOIN g ON g.entry_id = u.entry_id
    UNION ALL
    SELECT 2 * u.ord + 1, u.refund_id, u.refund_body, u.refund_hash FROM u JOIN g ON g.entry_id = u.entry_id
    WHERE g.refunded),
{append_ctes("src")}
SELECT seq, entry_id FROM ledger_e"""  # noqa: S608


CLOSE: Final = _close("")
"""Close what is still OPEN, append its closing, and give back the use where a refund is offered and a use was taken."""
CLOSE_SKIPPING_LOCKED: Final = _close("SKIP LOCKED")
"""The same for the sweeper, which waits for nobody."""

OVERDUE: Final = f"""
SELECT {_OPEN}, (SELECT bashu_now()) AS now FROM intent
WHERE state = 'OPEN' AND expires_at <= (SELECT bashu_now()) ORDER BY expires_at LIMIT $1"""  # noqa: S608
FIND: Final = f"""
SELECT {_OPEN}, (SELECT bashu_now()) AS now FROM intent
WHERE request_id = $1 AND institution = $2 AND attempt = $3"""  # noqa: S608

LATEST_TRACE: Final = """
SELECT trace, policy_version, admitted_at FROM intent
WHERE request_id = $1 AND institution = $2 ORDER BY attempt DESC LIMIT 1"""


def _lock(condition: str) -> str:
    return f"""
SELECT {_OPEN} FROM intent WHERE {condition} AND state = 'OPEN'
ORDER BY request_id, institution FOR NO KEY UPDATE"""  # noqa: S608


LOCK_OF_CONSENTS: Final = _lock("consent_id = ANY($1::uuid[])")
LOCK_OF_SUBJECT: Final = _lock("pseudonym = $1")
LOCK_OF_LOAN: Final = _lock("(consent_id = ANY($3::uuid[]) OR (institution = $1 AND loan_reference = $2))")
CLOSE_LOCKED: Final = """
UPDATE intent AS t SET state = 'CLOSED', closed_at = bashu_now(), closed_reason = $4, closing_entry_id = u.entry_id
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $5::uuid[]) AS u (request_id, institution, attempt, entry_id)
WHERE t.request_id = u.request_id AND t.institution = u.institution AND t.attempt = u.attempt
    AND t.request_id = ANY($1::uuid[]) AND t.state = 'OPEN'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one read found for a batch of questions."""

    now: datetime
    consents: Mapping[UUID, ConsentFacts]
    attempts: Mapping[tuple[UUID, str], Attempt]
    holds: Mapping[str, frozenset[str]]
    loans: Mapping[tuple[str, str], Loan]
    freshness: Freshness
    policy: PolicyTable = NO_TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """A decided question, ready for the guarded statement; ``entry`` is its QUERY_INTENT."""

    key: IntentKey
    consent_id: UUID | None
    consent_revision: int
    artefact_hash: bytes | None
    pseudonym: str
    operator_commitment: str
    purpose: str
    loan_reference: str | None
    request_digest: bytes
    admitted_at: datetime
    expires_at: datetime
    stands_until: datetime
    consent_end: datetime | None
    uses: int
    use_ordinal: int | None
    window_key: str
    first_entry_id: UUID
    first_admitted_at: datetime
    resends: int
    paid: bool
    outcomes: str
    targets: str
    trace: str
    policy_version: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What an intent keeps of its decision: the checks passed, in order, and the policy's version (0: no table)."""

    checks: tuple[str, ...]
    policy_version: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One closing to write: which intent, why, and its entry; ``refund`` the entry that gives its use back."""

    key: IntentKey
    reason: str
    entry: Entry
    refund: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release to write; ``outcomes`` are ``platform/item/STATUS`` texts, appended to those of earlier attempts."""

    key: IntentKey
    outcomes: Sequence[str]
    ts: datetime
    entry: Entry


async def read(
    db: Statements,
    *,
    consent_ids: Sequence[UUID],
    request_ids: Sequence[UUID],
    institutions: Sequence[str],
    pseudonyms: Sequence[str],
    loan_references: Sequence[str],
    purposes: Sequence[str],
) -> Facts:
    """Read everything a batch of decisions rests on, as one statement."""
    row = await db.fetchrow(
        READ,
        list(consent_ids),
        list(request_ids),
        list(institutions),
        list(pseudonyms),
        list(loan_references),
        ["", *purposes],
    )
    assert row is not None
    consents = (ConsentFacts(**dict(zip(FACTS, values, strict=True))) for values in row["consents"])
    attempts = (_attempt(values) for values in row["attempts"])
    loans = (_loan(values) for values in row["loans"])
    holds: dict[str, frozenset[str]] = {}
    for pseudonym, kind in row["holds"]:
        holds[pseudonym] = holds.get(pseudonym, frozenset()) | {kind}
    return Facts(
        now=row["now"],
        consents={facts.consent_id: facts for facts in consents},
        attempts={(attempt.key.request_id, attempt.key.institution): attempt for attempt in attempts},
        holds=holds,
        loans={(loan.institution, loan.loan_reference): loan for loan in loans},
        freshness=freshness_from_row(row),
        policy=PolicyTable(version=row["policy_version"] or 0, rules=tuple(map(_rule, row["policy"]))),
    )


async def admit(
    db: Statements,
    intents: Sequence[NewIntent],
    read_consents: Mapping[UUID, ConsentFacts],
    spent: Mapping[UUID, ConsentFacts],
) -> set[UUID]:
    """Write decided questions where the versions read still stand; return the entry ids of those admitted.

    ``read_consents`` are the facts as read, ``spent`` the same after all these uses.
    """
    ids = sorted({intent.consent_id for intent in intents if intent.consent_id is not None})
    rows = await db.fetch(
        ADMIT,
        [i.key.request_id for i in intents],
        [i.key.institution for i in intents],
        [i.key.attempt for i in intents],
        *([getattr(i, name) for i in intents] for name in _INTENT_COLUMNS),
        [i.entry.entry_id for i in intents],
        [i.entry.body for i in intents],
        [i.entry.leaf_hash for i in intents],
        ids,
        [read_consents[consent_id].version for consent_id in ids],
        [spent[consent_id].window_key for consent_id in ids],
        [spent[consent_id].window_used for consent_id in ids],
        [spent[consent_id].last_use_at for consent_id in ids],
    )
    return {row["entry_id"] for row in rows}


_INTENT_COLUMNS: Final = (
    "consent_id", "consent_revision", "artefact_hash", "pseudonym", "operator_commitment", "purpose", "loan_reference",
    "request_digest", "admitted_at", "expires_at", "stands_until", "consent_end", "uses", "use_ordinal", "window_key",
    "first_entry_id", "first_admitted_at", "resends", "paid", "outcomes", "targets", "trace", "policy_version",
)  # fmt: skip


async def named(
    db: Statements, consent_ids: Sequence[UUID], *, institution: str
) -> list[tuple[ConsentFacts, HoldKind | None]]:
    """Return those of ``consent_ids`` that were given to an institution; another's cost the same as none.

    Beside each what stands on its subject, found by its commitment: a HOLD before a FREEZE.
    """
    rows = await db.fetch(NAMED, list(consent_ids), institution)
    return [(facts_from_row(row), HoldKind(row["hold"]) if row["hold"] else None) for row in rows]


async def release(db: Statements, releases: Sequence[Release], *, together: bool = False) -> Sequence[Any]:
    """Release what still stands, ``together`` all or none; return rows (``seq, entry_id``) of the entries appended."""
    return await db.fetch(
        RELEASE_TOGETHER if together else RELEASE,
        *_keys([r.key for r in releases]),
        [" ".join(r.outcomes) for r in releases],
        [r.ts for r in releases],
        [r.entry.entry_id for r in releases],
        [r.entry.body for r in releases],
        [r.entry.leaf_hash for r in releases],
    )


async def close(
    db: Statements, closings: Sequence[Closing], *, refund_consents: Sequence[UUID] = (), skip_locked: bool = False
) -> set[UUID]:
    """Close what is still OPEN; return the ids of the entries appended (refunds too)."""
    rows = await db.fetch(
        CLOSE_SKIPPING_LOCKED if skip_locked else CLOSE,
        *_keys([c.key for c in closings]),
        [c.reason for c in closings],
        [c.entry.entry_id for c in closings],
        [c.entry.body for c in closings],
        [c.entry.leaf_hash for c in closings],
        [c.refund and c.refund.entry_id for c in closings],
        [c.refund and c.refund.body for c in closings],
        [c.refund and c.refund.leaf_hash for c in closings],
        list(refund_consents),
    )
    return {row["entry_id"] for row in rows}


async def overdue(db: Statements, *, limit: int) -> tuple[list[OpenIntent], datetime | None]:
    """Return open intents past their ``expires_at``, the oldest first, and the time."""
    rows = await db.fetch(OVERDUE, limit)
    return [_open(row) for row in rows], rows[0]["now"] if rows else None


async def find(db: Statements, key: IntentKey) -> tuple[OpenIntent, datetime] | None:
    """Return one intent, whatever its state, and the time."""
    row = await db.fetchrow(FIND, key.request_id, key.institution, key.attempt)
    return None if row is None else (_open(row), row["now"])


async def latest_trace(db: Statements, request_id: UUID, institution: str) -> Trace | None:
    """Return what the latest admitted attempt of a request was decided by."""
    row = await db.fetchrow(LATEST_TRACE, request_id, institution)
    if row is None:
        return None
    return Trace(checks=tuple(row["trace"].split()), policy_version=row["policy_version"], at=row["admitted_at"])


async def lock_open_of_consents(tx: Statements, consent_ids: Sequence[UUID]) -> list[OpenIntent]:
    """Lock the open intents that rest on consents whose rows are locked."""
    return [_open(row) for row in await tx.fetch(LOCK_OF_CONSENTS, list(consent_ids))]


async def lock_open_of_subject(tx: Statements, pseudonym: str) -> list[OpenIntent]:
    """Lock the open intents about a subject; the hold table is locked."""
    return [_open(row) for row in await tx.fetch(LOCK_OF_SUBJECT, pseudonym)]


async def lock_open_of_loan(
    tx: Statements, institution: str, loan_reference: str, consent_ids: Sequence[UUID]
) -> list[OpenIntent]:
    """Lock the open intents that name a loan or rest on one of these consents."""
    return [_open(row) for row in await tx.fetch(LOCK_OF_LOAN, institution, loan_reference, list(consent_ids))]


async def close_locked(tx: Statements, closings: Sequence[Closing], *, reason: str) -> None:
    """Close locked intents; their entries are appended by the caller, before its own."""
    if closings:
        keys = _keys([closing.key for closing in closings])
        await tx.execute(CLOSE_LOCKED, *keys, reason, [closing.entry.entry_id for closing in closings])


def _keys(keys: Sequence[IntentKey]) -> tuple[list[UUID], list[str], list[int]]:
    return [k.request_id for k in keys], [k.institution for k in keys], [k.attempt for k in keys]


def _attempt(values: Sequence[Any]) -> Attempt:
    request_id, institution, attempt, state, digest, expires_at, first, first_at, resends, paid, outcomes = values
    return Attempt(
        key=IntentKey(request_id=request_id, institution=institution, attempt=attempt),
        state=state,
        request_digest=digest,
        expires_at=expires_at,
        first_entry_id=first,
        first_admitted_at=first_at,
        resends=resends,
        paid=paid,
        outcomes=tuple(outcomes),
    )


def _rule(values: Sequence[Any]) -> PolicyRule:
    named = dict(zip(_RULE.split(", "), values, strict=True))
    return PolicyRule(**named | {"effect": Effect(named["effect"])})


def _loan(values: Sequence[Any]) -> Loan:
    named = dict(zip(_LOAN.split(", "), values, strict=True))
    named["commitments"] = tuple(named["commitments"])
    named["close_reason"] = LoanEnd(named["close_reason"]) if named["close_reason"] else None
    return Loan(**named)


def _open(row: Any) -> OpenIntent:
    return OpenIntent(
        key=IntentKey(request_id=row["request_id"], institution=row["institution"], attempt=row["attempt"]),
        consent_id=row["consent_id"],
        consent_revision=row["consent_revision"],
        artefact_hash=row["artefact_hash"],
        pseudonym=row["pseudonym"],
        request_digest=row["request_digest"],
        expires_at=row["expires_at"],
        state=row["state"],
        stands_until=row["stands_until"],
        consent_end=row["consent_end"],
        closed_reason=row["closed_reason"],
    )
