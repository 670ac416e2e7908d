-- The operator's policy limits (admission check 11). A change is a whole new version; nothing of an older one changes or
-- goes, so that every decision can be explained by the version that its intent names. Version 0 stands for no table.

CREATE TABLE policy_version (
    version bigint PRIMARY KEY CHECK (version > 0),
    set_by text NOT NULL,
    set_operator text NOT NULL,
    set_at timestamptz NOT NULL,
    -- SHA-256 of the table's canonical JSON, which stands in the POLICY_CHANGE entry too.
    table_sha256 bytea NOT NULL CHECK (octet_length(table_sha256) = 32),
    entry_id uuid NOT NULL
);

CREATE TABLE policy_rule (
    version bigint NOT NULL REFERENCES policy_version (version),
    rule_id text NOT NULL CHECK (rule_id ~ '^[A-Z][A-Z0-9_]{0,39}$' AND rule_id <> 'MINOR'),
    -- An empty selector stands for every value.
    purpose text NOT NULL,
    data_item text NOT NULL,
    subject_kind text NOT NULL CHECK (subject_kind IN ('', 'enterprise', 'person')),
    institution_kind text NOT NULL,
    effect text NOT NULL CHECK (effect IN ('DENY', 'LOOKBACK', 'ALLOW')),
    lookback_days bigint CHECK (lookback_days BETWEEN 0 AND 36600),
    -- The one index: with another, admissions planned on the empty table might read every version through it.
    PRIMARY KEY (version, rule_id),
    CONSTRAINT policy_rule_limits_what_it_says CHECK ((effect = 'LOOKBACK') = (lookback_days IS NOT NULL))
);

CREATE TRIGGER no_way_back BEFORE UPDATE OR DELETE ON policy_version FOR EACH ROW
EXECUTE FUNCTION refuse_way_back();
CREATE TRIGGER no_way_back BEFORE UPDATE OR DELETE ON policy_rule FOR EACH ROW
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT, INSERT ON policy_version, policy_rule TO bashu_gateway;
GRANT SELECT ON policy_version, policy_rule TO bashu_reader;

-- What the question was decided by; 0: no table, or before there was one.
ALTER TABLE intent ADD COLUMN policy_version bigint NOT NULL DEFAULT 0;
