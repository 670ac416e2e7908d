-- Consents: the facts a decision rests on, one narrow row each; the signed bytes; every event of their lives;
-- holds and freezes on subjects; loans. State is computed from facts and time and stored nowhere.

CREATE TABLE consent (
    consent_id uuid PRIMARY KEY,
    -- Rises with every change of the row, uses too: an admission that decided on another version is decided again.
    version bigint NOT NULL DEFAULT 1,
    institution text NOT NULL,
    authority text NOT NULL,
    authority_kid text NOT NULL,
    artefact_hash bytea NOT NULL CHECK (octet_length(artefact_hash) = 32),
    subject_kind text NOT NULL CHECK (subject_kind IN ('enterprise', 'person')),
    id_type text NOT NULL,
    commitment text NOT NULL CHECK (commitment ~ '^[0-9a-f]{64}$'),
    commitment_kid text NOT NULL,
    subject_display text NOT NULL,
    purpose text NOT NULL,
    ends_with_loan boolean NOT NULL,
    plus_days bigint NOT NULL CHECK (plus_days BETWEEN 0 AND 90),
    nbf timestamptz NOT NULL,
    exp timestamptz NOT NULL,
    max_uses bigint NOT NULL CHECK (max_uses > 0),
    -- Uses reserved and not given back; last_use is the ordinal of the latest, never given twice.
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    last_use bigint NOT NULL DEFAULT 0 CHECK (last_use >= used),
    window_key text NOT NULL DEFAULT '',
    window_used bigint NOT NULL DEFAULT 0 CHECK (window_used >= 0),
    last_use_at timestamptz,
    revision bigint NOT NULL CHECK (revision > 0),
    -- Leaf hash of the ledger entry of that revision.
    last_event bytea NOT NULL CHECK (octet_length(last_event) = 32),
    registered_at timestamptz NOT NULL,
    revoked_at timestamptz,
    held_count bigint NOT NULL DEFAULT 0 CHECK (held_count >= 0),
    superseded_by uuid,
    ended_by_loan timestamptz,
    paused_at timestamptz,
    CONSTRAINT consent_window CHECK (nbf < exp),
    CONSTRAINT consent_never_overspent CHECK (used <= max_uses)
) WITH (fillfactor = 70);
-- No index holds a column that changes: a use is then a heap-only update.
CREATE INDEX consent_by_commitment ON consent (commitment);
CREATE INDEX consent_by_institution ON consent (institution, consent_id);

-- The bytes as received. Apart from the row above, so that neither a decision nor a use touches them.
CREATE TABLE consent_artefact (
    consent_id uuid PRIMARY KEY,
    artefact bytea NOT NULL CHECK (octet_length(artefact) BETWEEN 1 AND 32768)
);
ALTER TABLE consent_artefact ALTER COLUMN artefact SET STORAGE EXTERNAL;

CREATE TABLE consent_event (
    consent_id uuid NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    from_state text NOT NULL,
    to_state text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL CHECK (actor IN ('SUBJECT', 'AUTHORITY', 'LENDER', 'COMPLIANCE', 'SYSTEM')),
    at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    previous bytea CHECK (octet_length(previous) = 32),
    PRIMARY KEY (consent_id, revision),
    CONSTRAINT consent_event_chained CHECK ((revision = 1) = (previous IS NULL))
);

-- Holds (by compliance) and freezes (by the subject) on everything about a subject. Admissions only read it; who
-- writes takes LOCK TABLE ... IN ACCESS EXCLUSIVE MODE first, or an admission that read before would slip through.
CREATE TABLE subject_hold (
    hold_id uuid PRIMARY KEY,
    pseudonym text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('HOLD', 'FREEZE')),
    reason text NOT NULL,
    -- The subject's commitment under every authority's key, so that consents registered later find it.
    commitments text [] NOT NULL,
    entry_id uuid NOT NULL,
    placed_at timestamptz NOT NULL,
    lifted_at timestamptz,
    lifted_entry_id uuid
);
CREATE INDEX subject_hold_standing ON subject_hold (pseudonym) WHERE lifted_at IS NULL;
-- Not partial: with nothing but its predicate to offer it would still be taken for look-ups by pseudonym.
CREATE INDEX subject_hold_commitments ON subject_hold USING gin (commitments);

CREATE TABLE loan (
    institution text NOT NULL,
    loan_reference text NOT NULL CHECK (length(loan_reference) BETWEEN 1 AND 64),
    application_reference text NOT NULL CHECK (length(application_reference) <= 64),
    pseudonym text NOT NULL,
    commitments text [] NOT NULL,
    opened_on date NOT NULL,
    due_on date NOT NULL,
    registered_at timestamptz NOT NULL,
    closed_at timestamptz,
    close_reason text CHECK (close_reason IN ('SETTLED', 'TRANSFERRED', 'WRITTEN_OFF', 'NOT_DRAWN')),
    PRIMARY KEY (institution, loan_reference),
    CONSTRAINT loan_dates CHECK (due_on >= opened_on),
    CONSTRAINT loan_closed_for_a_reason CHECK ((closed_at IS NULL) = (close_reason IS NULL))
);
CREATE INDEX loan_by_subject ON loan (institution, pseudonym);

GRANT SELECT ON consent, consent_artefact, consent_event, subject_hold, loan TO bashu_gateway, bashu_reader;
GRANT SELECT ON consent, consent_event TO bashu_sealer;
GRANT INSERT ON consent, consent_artefact, consent_event, subject_hold, loan TO bashu_gateway;
GRANT UPDATE (
    version, used, last_use, window_key, window_used, last_use_at, revision, last_event, revoked_at, held_count,
    superseded_by, ended_by_loan, paused_at
) ON consent TO bashu_gateway;
-- On the whole table: PostgreSQL asks for it before LOCK TABLE ... ACCESS EXCLUSIVE.
GRANT UPDATE ON subject_hold TO bashu_gateway;
GRANT UPDATE (closed_at, close_reason) ON loan TO bashu_gateway;
