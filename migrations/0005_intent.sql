-- An intent is a permit: OPEN while platforms may be asked, RELEASED once the answer's release is durable, else CLOSED.
-- Whoever takes permission away closes the open intents concerned in the same transaction. Codes only, no data.

CREATE TABLE intent (
    request_id uuid NOT NULL,
    institution text NOT NULL,
    attempt bigint NOT NULL CHECK (attempt > 0),
    state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'RELEASED', 'CLOSED')),
    -- Not a foreign key: checking one would lock the consent's row.
    consent_id uuid,
    consent_revision bigint NOT NULL,
    artefact_hash bytea CHECK (octet_length(artefact_hash) = 32),
    pseudonym text NOT NULL,
    operator_commitment text NOT NULL,
    purpose text NOT NULL,
    loan_reference text,
    request_digest bytea NOT NULL CHECK (octet_length(request_digest) = 32),
    admitted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Until when nothing but an act of somebody can take the permission away; consent_end tells why it ends.
    stands_until timestamptz NOT NULL,
    consent_end timestamptz,
    -- uses: 1 where a use was reserved, 0 on repeats and without a consent; counted in the window window_key.
    uses bigint NOT NULL CHECK (uses IN (0, 1)),
    use_ordinal bigint,
    window_key text NOT NULL,
    refunded boolean NOT NULL DEFAULT false,
    -- Carried over the attempts of one request id.
    first_entry_id uuid NOT NULL,
    first_admitted_at timestamptz NOT NULL,
    resends bigint NOT NULL CHECK (resends >= 0),
    paid boolean NOT NULL,
    -- platform/item/STATUS of the last answer to each pair, over all attempts.
    outcomes text [] NOT NULL DEFAULT '{}',
    targets text [] NOT NULL,
    trace text NOT NULL,
    entry_id uuid NOT NULL,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    closed_at timestamptz,
    closed_reason text,
    closing_entry_id uuid,
    PRIMARY KEY (request_id, institution, attempt),
    CONSTRAINT intent_closed_once CHECK ((state = 'OPEN') = (closing_entry_id IS NULL)),
    CONSTRAINT intent_closed_says_why CHECK (state <> 'CLOSED' OR closed_reason IS NOT NULL),
    CONSTRAINT intent_use_numbered CHECK ((uses = 1) = (use_ordinal IS NOT NULL))
);
CREATE INDEX intent_open_by_consent ON intent (consent_id) WHERE state = 'OPEN';
CREATE INDEX intent_open_by_subject ON intent (pseudonym) WHERE state = 'OPEN';
CREATE INDEX intent_open_by_expiry ON intent (expires_at) WHERE state = 'OPEN';
CREATE INDEX intent_open_by_loan ON intent (institution, loan_reference)
WHERE state = 'OPEN' AND loan_reference IS NOT NULL;

GRANT SELECT ON intent TO bashu_gateway, bashu_reader;
GRANT INSERT ON intent TO bashu_gateway;
GRANT UPDATE (
    state, outcomes, refunded, paid, closed_at, closed_reason, closing_entry_id
) ON intent TO bashu_gateway;
