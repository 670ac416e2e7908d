-- The paper behind a letter that a lender signed itself (LENDER_ATTESTED): asked for by compliance, due in 5 working
-- days. While an institution's paper is late, every such letter of it carries one hold of this clock's.

CREATE TABLE evidence_request (
    consent_id uuid PRIMARY KEY,
    institution text NOT NULL CHECK (length(institution) <= 64),
    requested_by text NOT NULL,
    requested_operator text NOT NULL,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL CHECK (due_at > requested_at),
    entry_id uuid NOT NULL,
    received_at timestamptz,
    -- Entry of the event; the paper is sealed beside it.
    received_entry_id uuid,
    CONSTRAINT evidence_request_received_whole CHECK (num_nulls(received_at, received_entry_id) IN (0, 2))
);
CREATE INDEX evidence_request_open ON evidence_request (due_at) WHERE received_at IS NULL;

CREATE TABLE evidence_hold (
    consent_id uuid NOT NULL,
    institution text NOT NULL,
    placed_at timestamptz NOT NULL,
    lifted_at timestamptz
);
CREATE UNIQUE INDEX evidence_hold_standing ON evidence_hold (consent_id) WHERE lifted_at IS NULL;

CREATE TRIGGER no_way_back BEFORE UPDATE ON evidence_request FOR EACH ROW
WHEN (old.received_at IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();
CREATE TRIGGER no_way_back BEFORE UPDATE ON evidence_hold FOR EACH ROW
WHEN (old.lifted_at IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT, INSERT, UPDATE (received_at, received_entry_id) ON evidence_request TO bashu_gateway;
GRANT SELECT, INSERT, UPDATE (lifted_at) ON evidence_hold TO bashu_gateway;
GRANT SELECT (consent_id, institution, requested_at, due_at, received_at) ON evidence_request TO bashu_reader;
GRANT SELECT ON evidence_hold TO bashu_reader;
