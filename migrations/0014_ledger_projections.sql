-- Three more projections of the sealer; they can be rebuilt from the entries:
-- the consents that a hold, a freeze or a loan's closing touches, so that an export of one consent has those too;
-- the consents whose accesses their subject allowed to be counted (act COUNT_ENQUIRIES, rule R79);
-- and entries by their own time, so that a day or a month is found without reading the whole log.

CREATE TABLE ledger_touched (
    consent_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    PRIMARY KEY (consent_id, leaf_index)
);

CREATE TABLE ledger_countable (
    consent_id uuid PRIMARY KEY
);

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX ledger_search_ts ON ledger_search (ts);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX ledger_search_type ON ledger_search (type, leaf_index);

INSERT INTO ledger_touched (consent_id, leaf_index)
SELECT DISTINCT touched.id::uuid, s.leaf_index
FROM ledger_search AS s
INNER JOIN ledger_leaf AS l ON l.leaf_index = s.leaf_index
INNER JOIN ledger_entry AS e ON e.seq = l.seq
CROSS JOIN LATERAL jsonb_array_elements_text(
    coalesce(convert_from(e.body, 'UTF8')::jsonb #> '{affects,consents}', '[]')
) AS touched (id)
WHERE s.type IN ('HOLD_PLACED', 'HOLD_LIFTED', 'FILE_FROZEN', 'FILE_THAWED', 'LOAN_EVENT');

INSERT INTO ledger_countable (consent_id)
SELECT DISTINCT s.consent_id
FROM ledger_search AS s
INNER JOIN ledger_leaf AS l ON l.leaf_index = s.leaf_index
INNER JOIN ledger_entry AS e ON e.seq = l.seq
WHERE
    s.type = 'CONSENT_REGISTERED' AND s.consent_id IS NOT NULL
    AND convert_from(e.body, 'UTF8')::jsonb #> '{scope,acts}' ? 'COUNT_ENQUIRIES';

GRANT SELECT ON ledger_touched, ledger_countable TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT INSERT ON ledger_touched, ledger_countable TO bashu_sealer;
