"""The plans of the hot statements: by index on empty tables and on full ones, or a query gets ten times dearer."""

from __future__ import annotations

import json
import re

import pytest

from database import open_database
from gateway import store

HOT = {"READ": store.READ, "ADMIT": store.ADMIT, "RELEASE": store.RELEASE, "CLOSE": store.CLOSE}
HOT["RELEASE_TOGETHER"] = store.RELEASE_TOGETHER
TABLES = {"consent", "intent", "subject_hold", "loan", "policy_version", "policy_rule"}
FILL = """
INSERT INTO consent (consent_id, institution, authority, authority_kid, artefact_hash, subject_kind, id_type,
    commitment, commitment_kid, subject_display, purpose, ends_with_loan, plus_days, nbf, exp, max_uses, revision,
    last_event, registered_at)
SELECT gen_random_uuid(), 'bank-' || n % 7, 'a', 'k', sha256('x'), 'enterprise', 'uscc',
    encode(sha256(n::text::bytea), 'hex'), 'c', 'd', 'p', false, 0, now(), now() + interval '1 day', 3, 1,
    sha256('x'), now()
FROM generate_series(1, 20000) AS n;
INSERT INTO intent (request_id, institution, attempt, state, consent_id, consent_revision, pseudonym,
    operator_commitment, purpose, request_digest, admitted_at, expires_at, stands_until, uses, window_key,
    first_entry_id, first_admitted_at, resends, paid, targets, trace, entry_id, leaf_hash, closing_entry_id)
SELECT gen_random_uuid(), 'bank-' || n % 7, 1, CASE WHEN n % 100 = 0 THEN 'OPEN' ELSE 'RELEASED' END,
    gen_random_uuid(), 1, encode(sha256(n::text::bytea), 'hex'), '', 'p', sha256('x'), now(), now(), now(), 0, '',
    gen_random_uuid(), now(), 0, false, '{}', '', gen_random_uuid(), sha256('x'),
    CASE WHEN n % 100 = 0 THEN NULL ELSE gen_random_uuid() END
FROM generate_series(1, 20000) AS n;
INSERT INTO loan (institution, loan_reference, application_reference, pseudonym, commitments, opened_on, due_on,
    registered_at)
SELECT 'bank-' || n % 7, 'loan-' || n, '', 'p' || n, '{}', now(), now(), now() FROM generate_series(1, 5000) AS n;
INSERT INTO subject_hold (hold_id, pseudonym, kind, reason, commitments, entry_id, placed_at)
SELECT gen_random_uuid(), 'p' || n, 'HOLD', 'r', '{}', gen_random_uuid(), now() FROM generate_series(1, 500) AS n;
INSERT INTO policy_version (version, set_by, set_operator, set_at, table_sha256, entry_id)
SELECT n, 'a', 'o', now(), sha256('x'), gen_random_uuid() FROM generate_series(1, 100) AS n;
INSERT INTO policy_rule (version, rule_id, purpose, data_item, subject_kind, institution_kind, effect)
SELECT v, 'R' || n, 'p' || n % 10, 'i' || n, '', '', 'DENY'
FROM generate_series(1, 100) AS v, generate_series(1, 200) AS n;
"""


def nodes(plan):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def first_rows(plan):
    """The index scans that end with the one row a LIMIT takes from their end of the index."""
    limits = [node for node in nodes(plan) if node["Node Type"] == "Limit"]
    return [id(inner) for limit in limits for inner in limit["Plans"] if inner["Node Type"].startswith("Index")]


async def plan_of(db, sql):
    numbers = [int(number) for number in re.findall(r"\$(\d+)", sql)]
    arguments = ", ".join(["NULL"] * max(numbers))
    async with db.transaction() as tx:
        await tx.execute(f"PREPARE hot AS {sql}")
        plan = await tx.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot ({arguments})")
        await tx.execute("DEALLOCATE hot")
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


@pytest.mark.parametrize("fill", ["", FILL], ids=["empty", "full"])
async def test_hot_statements_reach_their_tables_by_index_conditions(fresh_database, fill):
    owner = await open_database(fresh_database.owner_dsn, max_size=1)
    db = await open_database(fresh_database.gateway_dsn, settings=store.HOT_SETTINGS, max_size=1)
    try:
        if fill:
            await owner.execute(fill)
        await owner.execute("VACUUM ANALYZE")
        reached = set()
        for name, sql in HOT.items():
            plan = await plan_of(db, sql)
            for node in nodes(plan):
                reached.add(node.get("Relation Name"))
                if node.get("Relation Name") in TABLES and node["Node Type"] != "ModifyTable":
                    where = (name, node["Relation Name"], node["Node Type"])
                    assert "Seq Scan" not in node["Node Type"], where
                    bitmap = [inner for inner in nodes(node) if "Index Cond" in inner]
                    assert "Index Cond" in node or bitmap or id(node) in first_rows(plan), where
        assert reached >= TABLES
        rules = [n for n in nodes(await plan_of(db, store.READ)) if n.get("Index Name") == "policy_rule_pkey"]
        assert rules
        assert all("version = " in scan["Index Cond"] for scan in rules)
    finally:
        await db.close()
        await owner.close()


async def test_the_plan_check_sees_a_sequential_scan(fresh_database):
    db = await open_database(fresh_database.gateway_dsn, settings={"plan_cache_mode": "force_generic_plan"}, max_size=1)
    try:
        plan = await plan_of(db, "SELECT consent_id FROM consent WHERE used = $1::bigint")
        assert any("Seq Scan" in node["Node Type"] for node in nodes(plan))
    finally:
        await db.close()
