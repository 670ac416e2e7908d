-- Disputes (异议) and statements of subjects. What people wrote is sealed beside the entry; here are codes and days.

CREATE TABLE dispute (
    dispute_id uuid PRIMARY KEY,
    pseudonym text NOT NULL CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    -- SHA-256 of item, subject and natural key: the gateway keeps no record.
    record_id text NOT NULL CHECK (record_id ~ '^[0-9a-f]{64}$'),
    platform_id text NOT NULL CHECK (platform_id ~ '^[a-z][a-z0-9_-]{0,63}$'),
    data_item text NOT NULL CHECK (data_item ~ '^([a-z][a-z0-9_]{0,63})?$'),
    institution text NOT NULL,
    opened_by text NOT NULL CHECK (opened_by IN ('SUBJECT', 'LENDER', 'COMPLIANCE')),
    channel text NOT NULL CHECK (channel IN ('INTERFACE', 'LETTER')),
    seen_in_release boolean NOT NULL,
    state text NOT NULL DEFAULT 'RECEIVED' CHECK (state IN ('RECEIVED', 'FORWARDED', 'CHECKED', 'ANSWERED')),
    outcome text CHECK (outcome IN ('1', '2', '3', '4', '5', 'UNVERIFIABLE')),
    platform_reference text CHECK (platform_reference ~ '^[A-Za-z0-9_-]{1,64}$'),
    entry_id uuid NOT NULL,
    explanation_entry_id uuid,
    answer_entry_id uuid,
    received_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    forwarded_at timestamptz,
    checked_at timestamptz,
    answered_at timestamptz,
    -- When the platform is spoken to next, and how often in vain.
    next_try_at timestamptz NOT NULL,
    tries bigint NOT NULL DEFAULT 0,
    CONSTRAINT dispute_outcome_once_checked CHECK ((outcome IS NULL) = (checked_at IS NULL)),
    CONSTRAINT dispute_in_order CHECK (
        (forwarded_at IS NOT NULL OR state = 'RECEIVED')
        AND (checked_at IS NOT NULL OR state IN ('RECEIVED', 'FORWARDED'))
        AND ((answered_at IS NOT NULL) = (state = 'ANSWERED'))
    )
);
-- One dispute at a time on one record at one platform.
CREATE UNIQUE INDEX dispute_standing ON dispute (pseudonym, record_id, platform_id) WHERE state <> 'ANSWERED';
CREATE INDEX dispute_of_subject ON dispute (pseudonym);
CREATE INDEX dispute_to_talk ON dispute (next_try_at) WHERE channel = 'INTERFACE' AND state IN ('RECEIVED', 'FORWARDED');

CREATE TRIGGER no_way_back BEFORE UPDATE ON dispute FOR EACH ROW
WHEN (
    old.state = 'ANSWERED'
    OR (old.checked_at IS NOT NULL AND (new.checked_at, new.outcome) IS DISTINCT FROM (old.checked_at, old.outcome))
    OR (old.forwarded_at IS NOT NULL AND new.forwarded_at IS DISTINCT FROM old.forwarded_at)
)
EXECUTE FUNCTION refuse_way_back();

CREATE TABLE subject_statement (
    statement_id uuid PRIMARY KEY,
    pseudonym text NOT NULL CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    -- Empty: about the whole file.
    record_id text NOT NULL CHECK (record_id ~ '^([0-9a-f]{64})?$'),
    entry_id uuid NOT NULL,
    added_at timestamptz NOT NULL
);
CREATE INDEX statement_of_subject ON subject_statement (pseudonym);

CREATE TABLE correction (
    correction_id uuid PRIMARY KEY,
    institution text NOT NULL,
    dispute_id uuid NOT NULL,
    request_ids uuid [] NOT NULL CHECK (cardinality(request_ids) > 0),
    CONSTRAINT correction_once UNIQUE (dispute_id, institution)
);
CREATE INDEX correction_of_institution ON correction (institution, correction_id);

GRANT SELECT, INSERT ON dispute, subject_statement, correction TO bashu_gateway;
GRANT UPDATE (
    state, outcome, platform_reference, explanation_entry_id, answer_entry_id, forwarded_at, checked_at, answered_at,
    next_try_at, tries
) ON dispute TO bashu_gateway;
GRANT SELECT (dispute_id, platform_id, state, outcome, received_at, due_at, answered_at) ON dispute TO bashu_reader;
