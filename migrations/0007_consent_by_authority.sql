-- bashu: no transaction
-- An authority lists what it signed.
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS consent_by_authority ON consent (authority, consent_id);
