-- Who saw, or tried to see, whose file: one row for each closing of a query and each refusal. Written by the sealer as
-- it integrates their entries, never by a query; never evidence, and but for pseudonyms rebuilt from the entries.

CREATE TABLE ledger_access (
    leaf_index bigint PRIMARY KEY,
    entry_id uuid NOT NULL CONSTRAINT ledger_access_entry UNIQUE,
    type text NOT NULL CHECK (type IN ('RELEASE', 'RELEASE_WITHHELD', 'FAILED', 'ABANDONED', 'QUERY_DENIED')),
    institution text NOT NULL,
    operator_commitment text,
    at timestamptz NOT NULL,
    purpose text,
    data_items text [] NOT NULL,
    platform_ids text [] NOT NULL,
    reason text,
    rule text,
    consent_id uuid,
    request_id uuid,
    attempt bigint,
    -- Of refusals that were only counted: how many.
    number bigint NOT NULL CHECK (number > 0)
);
CREATE INDEX ledger_access_at ON ledger_access (at);
CREATE INDEX ledger_access_institution ON ledger_access (institution, leaf_index);
CREATE INDEX ledger_access_consent ON ledger_access (consent_id, leaf_index) WHERE consent_id IS NOT NULL;
CREATE INDEX ledger_access_request ON ledger_access (request_id, leaf_index) WHERE request_id IS NOT NULL;

-- Pseudonyms for search, apart, so that this table may be emptied.
CREATE TABLE ledger_subject (
    pseudonym text NOT NULL,
    leaf_index bigint NOT NULL,
    PRIMARY KEY (pseudonym, leaf_index)
);

-- Whom a refusal is about, from its append until it is integrated: a refused question has no intent that tells.
CREATE TABLE denied_subject (
    entry_id uuid PRIMARY KEY,
    pseudonym text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What was integrated before this table existed.
WITH closed AS (
    SELECT
        s.leaf_index, e.entry_id, s.type, s.institution, s.ts, s.consent_id, s.request_id, s.attempt,
        convert_from(e.body, 'UTF8')::jsonb AS leaf
    FROM ledger_search AS s
    INNER JOIN ledger_leaf AS l ON l.leaf_index = s.leaf_index
    INNER JOIN ledger_entry AS e ON e.seq = l.seq
    WHERE s.type IN ('RELEASE', 'RELEASE_WITHHELD', 'FAILED', 'ABANDONED', 'QUERY_DENIED') AND s.institution IS NOT NULL
),

known AS (
    INSERT INTO ledger_subject (pseudonym, leaf_index)
    SELECT i.pseudonym, c.leaf_index FROM closed AS c
    INNER JOIN intent AS i
        ON i.request_id = c.request_id AND i.institution = c.institution AND i.attempt = c.attempt
)

INSERT INTO ledger_access
SELECT
    c.leaf_index, c.entry_id, c.type, c.institution,
    coalesce(nullif(i.operator_commitment, ''), c.leaf #>> '{requester,operator_commitment}'), c.ts,
    coalesce(i.purpose, c.leaf #>> '{scope,purpose}'),
    ARRAY(SELECT DISTINCT split_part(t, '/', 2) FROM unnest(i.targets) AS t ORDER BY 1),
    ARRAY(SELECT DISTINCT split_part(t, '/', 1) FROM unnest(i.targets) AS t ORDER BY 1),
    c.leaf #>> '{decision,reason}', c.leaf #>> '{decision,rule}', c.consent_id, c.request_id, c.attempt,
    coalesce((c.leaf ->> 'count')::bigint, 1)
FROM closed AS c
LEFT JOIN intent AS i ON i.request_id = c.request_id AND i.institution = c.institution AND i.attempt = c.attempt;

GRANT SELECT ON ledger_access TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT SELECT ON ledger_subject TO bashu_gateway;
GRANT INSERT ON ledger_access, ledger_subject TO bashu_sealer;
GRANT INSERT ON denied_subject TO bashu_gateway;
GRANT SELECT, DELETE ON denied_subject TO bashu_sealer;
GRANT SELECT (request_id, institution, attempt, pseudonym, operator_commitment, purpose, targets) ON intent
TO bashu_sealer;
