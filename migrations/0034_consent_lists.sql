-- What a lender asked for and what it owes, in the order of time: its bundles, and paper behind its letters.
-- Both tables are small: locking them while their indexes are built is a matter of moments.

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX consent_bundle_by_institution ON consent_bundle (institution, requested_at, bundle_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX evidence_request_by_institution ON evidence_request (institution, due_at, consent_id);
