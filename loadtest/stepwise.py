"""Admission and release as one round trip a step: what the gathered statements are compared with, never served.

A :class:`StepByStep` stands where the gateway's database stands and does what the three hot statements do in fifteen
round trips, the fewest that one step each takes: five reads; BEGIN, the guarded update of the consent, the look at
holds, the intent, its entry, COMMIT; BEGIN, the guarded update of the intent, its entry, COMMIT. One question at a
time. It records the same rows and the same entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from consent.store import FACTS
from database import Database
from gateway import store
from ledger.store import FRESHNESS_COLUMNS, append_ctes

_INTENT: Final = (
    "request_id, institution, attempt, consent_id, consent_revision, artefact_hash, pseudonym, operator_commitment,"
    " purpose, loan_reference, request_digest, admitted_at, expires_at, stands_until, consent_end, uses, use_ordinal,"
    " window_key, first_entry_id, first_admitted_at, resends, paid, outcomes, targets, trace, policy_version"
)
_ATTEMPT: Final = (
    "request_id, institution, attempt, state, request_digest, expires_at, first_entry_id, first_admitted_at, resends,"
    " paid, outcomes"
)
_LOAN: Final = (
    "institution, loan_reference, application_reference, pseudonym, commitments, opened_on, due_on, registered_at,"
    " closed_at, close_reason"
)
_RULE: Final = "rule_id, purpose, data_item, subject_kind, institution_kind, effect, lookback_days"
_COLUMNS: Final = tuple(_INTENT.split(", "))
READ_CONSENT: Final = f"""
SELECT bashu_now() AS now, {FRESHNESS_COLUMNS},
    ARRAY(SELECT ROW({", ".join(FACTS)}) FROM consent WHERE consent_id = $1 AND institution = $2) AS consents
"""  # noqa: S608 - column names
READ_ATTEMPT: Final = f"""
SELECT ARRAY(SELECT ROW({_ATTEMPT}) FROM intent WHERE request_id = $1 AND institution = $2
    ORDER BY attempt DESC LIMIT 1) AS attempts"""  # noqa: S608
READ_HOLDS: Final = """
SELECT ARRAY(SELECT ROW(pseudonym, kind) FROM subject_hold WHERE pseudonym = $1 AND lifted_at IS NULL) AS holds"""
READ_LOAN: Final = f"""
SELECT ARRAY(SELECT ROW({_LOAN}) FROM loan WHERE institution = $1 AND loan_reference = $2) AS loans"""  # noqa: S608
READ_POLICY: Final = f"""
WITH latest AS (SELECT version FROM policy_version ORDER BY version DESC LIMIT 1)
SELECT (SELECT version FROM latest) AS policy_version, ARRAY(SELECT ROW({_RULE}) FROM policy_rule
    WHERE version = (SELECT version FROM latest) AND purpose = ANY($1::text[])) AS policy"""  # noqa: S608
SPEND: Final = """
UPDATE consent SET version = version + 1, used = used + $3, last_use = last_use + $3, window_key = $4,
    window_used = $5, last_use_at = $6
WHERE consent_id = $1 AND version = $2 RETURNING consent_id"""
IS_HELD: Final = "SELECT EXISTS (SELECT 1 FROM subject_hold WHERE pseudonym = $1 AND lifted_at IS NULL)"
_LISTS: Final = ("outcomes", "targets")
_VALUES: Final = (
    f"string_to_array(${place}, ' ')" if name in _LISTS else f"${place}" for place, name in enumerate(_COLUMNS, start=1)
)
INTEND: Final = f"""
INSERT INTO intent ({_INTENT}, entry_id, leaf_hash)
VALUES ({", ".join(_VALUES)}, ${len(_COLUMNS) + 1}, ${len(_COLUMNS) + 2})"""  # noqa: S608
APPEND: Final = f"""
WITH src AS (SELECT 1 AS ord, $1::uuid AS entry_id, $2::bytea AS body, $3::bytea AS leaf_hash),
{append_ctes("src")}
SELECT seq, entry_id FROM ledger_e"""  # noqa: S608
RELEASE: Final = """
UPDATE intent SET state = 'RELEASED', closed_at = bashu_now(), closing_entry_id = $4,
    outcomes = outcomes || string_to_array($5, ' ')
WHERE request_id = $1 AND institution = $2 AND attempt = $3 AND state = 'OPEN' AND stands_until > bashu_now()
RETURNING request_id"""


class StepByStep:
    """Takes the hot statements of one question and does them step by step on ``db``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def as_database(self) -> Database:
        """Return itself as what admissions and releases ask for; only the hot statements go through it."""
        return cast("Database", self)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        """Read what a decision rests on."""
        if sql != store.READ:
            return await self._db.fetchrow(sql, *args)
        consent_id, request_id, institution, pseudonym, loan_reference = (
            next(iter(values), None) for values in args[:-1]
        )
        found: dict[str, Any] = {}
        for step, values in (
            (READ_CONSENT, (consent_id, institution)),
            (READ_ATTEMPT, (request_id, institution)),
            (READ_HOLDS, (pseudonym,)),
            (READ_LOAN, (institution, loan_reference)),
            (READ_POLICY, (args[-1],)),
        ):
            row = await self._db.fetchrow(step, *values)
            assert row is not None
            found |= dict(cast("Any", row).items())
        return found

    async def fetch(self, sql: str, *args: Any) -> Sequence[Any]:
        """Admit or release one question."""
        if sql == store.ADMIT:
            return await self._admit(*(only for (only,) in args))
        if sql == store.RELEASE:
            return await self._release(*(only for (only,) in args))
        return await self._db.fetch(sql, *args)

    async def _admit(self, *values: Any) -> Sequence[Any]:
        columns, values = values[: len(_COLUMNS)], values[len(_COLUMNS) :]
        entry_id, body, leaf_hash, consent_id, version, window_key, window_used, last_use_at = values
        intent = dict(zip(_COLUMNS, columns, strict=True))
        async with self._db.transaction() as tx:
            spent = (consent_id, version, intent["uses"], window_key, window_used, last_use_at)
            if not await tx.fetch(SPEND, *spent):
                return []
            if await tx.fetchval(IS_HELD, intent["pseudonym"]):
                return []
            await tx.execute(INTEND, *columns, entry_id, leaf_hash)
            return await tx.fetch(APPEND, entry_id, body, leaf_hash)

    async def _release(self, *values: Any) -> Sequence[Any]:
        request_id, institution, attempt, outcomes, _, entry_id, body, leaf_hash = values
        async with self._db.transaction() as tx:
            if not await tx.fetch(RELEASE, request_id, institution, attempt, entry_id, outcomes):
                return []
            return await tx.fetch(APPEND, entry_id, body, leaf_hash)
