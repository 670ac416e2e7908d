-- What a lender asks a borrower for: a bundle of drafts with one signing. Its state is a function of the row and the
-- time: DENIED or GRANTED once decided, else LAPSED from expires_at, else REQUESTED.

CREATE TABLE consent_bundle (
    bundle_id uuid PRIMARY KEY,
    institution text NOT NULL CHECK (length(institution) <= 64),
    pseudonym text NOT NULL CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    -- The subject under every authority's key, so that its agent and the artefacts can be told to be about it.
    commitments text [] NOT NULL,
    -- Drafts as JSON: purposes, platforms, items, limits; nothing about anybody.
    drafts text NOT NULL,
    notice_sha256 bytea NOT NULL CHECK (octet_length(notice_sha256) = 32),
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > requested_at),
    granted boolean,
    consent_ids uuid [],
    -- Commitment of the natural person who decided.
    decided_by text,
    decided_at timestamptz,
    CONSTRAINT consent_bundle_decided_whole CHECK (num_nulls(granted, consent_ids, decided_at) IN (0, 3)),
    CONSTRAINT consent_bundle_decided_in_time CHECK (decided_at IS NULL OR decided_at < expires_at),
    CONSTRAINT consent_bundle_grants_something CHECK (granted IS NULL OR granted = (cardinality(consent_ids) > 0))
);

CREATE TRIGGER no_way_back BEFORE UPDATE ON consent_bundle FOR EACH ROW
WHEN (old.decided_at IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT, INSERT, UPDATE (granted, consent_ids, decided_by, decided_at) ON consent_bundle TO bashu_gateway;
GRANT SELECT (bundle_id, institution, requested_at, expires_at, granted, consent_ids, decided_at) ON consent_bundle
TO bashu_reader;
