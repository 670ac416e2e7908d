-- What officers and subjects did about holds: who placed one and why, who proposed to lift it, who lifted it.
-- Admissions decide on subject_hold and consent.held_count alone and never read this, so no officer waits for a query.

CREATE TABLE hold_record (
    hold_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('HOLD', 'FREEZE')),
    -- One of the two; a pseudonym's hold stands in subject_hold under the same id.
    consent_id uuid,
    pseudonym text,
    display text NOT NULL,
    reason text NOT NULL CHECK (length(reason) <= 2000),
    placed_by text NOT NULL,
    -- Staff number; of a freeze the commitment of the natural person who acted.
    placed_operator text NOT NULL,
    placed_at timestamptz NOT NULL,
    lift_reason text CHECK (length(lift_reason) <= 2000),
    lift_proposed_by text,
    lift_proposed_operator text,
    lift_proposed_at timestamptz,
    lifted_by text,
    lifted_operator text,
    lifted_reason text CHECK (length(lifted_reason) <= 2000),
    lifted_at timestamptz,
    CONSTRAINT hold_record_on_one CHECK ((consent_id IS NULL) <> (pseudonym IS NULL)),
    CONSTRAINT hold_record_proposed_whole CHECK (
        num_nulls(lift_reason, lift_proposed_by, lift_proposed_operator, lift_proposed_at) IN (0, 4)
    ),
    CONSTRAINT hold_record_lifted_whole CHECK (
        num_nulls(lifted_by, lifted_operator, lifted_reason, lifted_at) IN (0, 4)
    ),
    -- Compliance's holds take two officers to lift, a subject's freeze only the subject.
    CONSTRAINT hold_record_lifted_by_two CHECK (
        lifted_at IS NULL OR kind = 'FREEZE'
        OR coalesce(lift_proposed_by <> lifted_by AND lift_proposed_operator <> lifted_operator, false)
    )
);
CREATE INDEX hold_record_standing ON hold_record (hold_id) WHERE lifted_at IS NULL;

GRANT SELECT ON hold_record TO bashu_gateway, bashu_reader;
GRANT INSERT ON hold_record TO bashu_gateway;
GRANT UPDATE (
    lift_reason, lift_proposed_by, lift_proposed_operator, lift_proposed_at, lifted_by, lifted_operator,
    lifted_reason, lifted_at
) ON hold_record TO bashu_gateway;
