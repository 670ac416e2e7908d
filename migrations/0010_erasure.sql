-- Erasures that subjects asked for, and wishes of a first officer that wait for a second.

CREATE TABLE erasure (
    erasure_id uuid PRIMARY KEY,
    pseudonym text NOT NULL CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    -- The data keys to destroy: one for each name under which something may be sealed about the subject.
    key_ids uuid [] NOT NULL CHECK (cardinality(key_ids) > 0),
    entry_id uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    -- End of the retention period; until then the subject's details are RESTRICTED.
    due_at timestamptz NOT NULL,
    erased_at timestamptz,
    decided_by text CHECK (decided_by IN ('RETENTION_OVER', 'TWO_OFFICERS')),
    backups_lapse_on date,
    -- The entry is durable first, the keys go after; a row without this is carried on with.
    keys_destroyed_at timestamptz,
    CONSTRAINT erasure_done_whole CHECK (num_nulls(erased_at, decided_by, backups_lapse_on) IN (0, 3)),
    CONSTRAINT erasure_not_before_its_time CHECK (
        erased_at IS NULL OR decided_by = 'TWO_OFFICERS' OR erased_at >= due_at
    ),
    CONSTRAINT erasure_keys_after_entry CHECK (keys_destroyed_at IS NULL OR erased_at IS NOT NULL)
);
CREATE UNIQUE INDEX erasure_standing ON erasure (pseudonym) WHERE erased_at IS NULL;
CREATE INDEX erasure_by_subject ON erasure (pseudonym, requested_at);
CREATE INDEX erasure_due ON erasure (due_at) WHERE erased_at IS NULL;
CREATE INDEX erasure_undestroyed ON erasure (erasure_id) WHERE erased_at IS NOT NULL AND keys_destroyed_at IS NULL;
CREATE INDEX erasure_restricts ON erasure USING gin (key_ids);

CREATE TRIGGER no_way_back BEFORE UPDATE ON erasure FOR EACH ROW
WHEN (
    (new.erasure_id, new.pseudonym, new.key_ids, new.entry_id, new.requested_at, new.due_at)
    IS DISTINCT FROM (old.erasure_id, old.pseudonym, old.key_ids, old.entry_id, old.requested_at, old.due_at)
    OR (old.erased_at IS NOT NULL AND new.erased_at IS DISTINCT FROM old.erased_at)
    OR (old.keys_destroyed_at IS NOT NULL AND new.keys_destroyed_at IS DISTINCT FROM old.keys_destroyed_at)
)
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT, INSERT ON erasure TO bashu_gateway;
GRANT UPDATE (erased_at, decided_by, backups_lapse_on, keys_destroyed_at) ON erasure TO bashu_gateway;
GRANT SELECT (erasure_id, requested_at, due_at, erased_at, decided_by, backups_lapse_on, keys_destroyed_at) ON erasure
TO bashu_reader;

CREATE TABLE officer_wish (
    action text NOT NULL CHECK (action ~ '^[A-Z_]{1,32}$'),
    object text NOT NULL CHECK (length(object) BETWEEN 1 AND 128),
    participant text NOT NULL,
    operator text NOT NULL,
    wished_at timestamptz NOT NULL,
    PRIMARY KEY (action, object)
);
GRANT SELECT, INSERT, DELETE, UPDATE (participant, operator, wished_at) ON officer_wish TO bashu_gateway;

-- When the credit relation of a subject ended, whoever it was with.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX loan_of_subject ON loan (pseudonym);
