-- What was taken away never returns, whoever holds the gateway's login: permission withdrawn, an intent closed,
-- a hold placed, a loan closed. Against mistakes and a stolen login; the ledger's chain shows what an owner did.
-- The conditions stand in WHEN, so that a use of a consent calls no function.

CREATE FUNCTION refuse_way_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table %: what was taken away never returns', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER no_way_back BEFORE UPDATE ON consent FOR EACH ROW
WHEN (
    (old.revoked_at IS NOT NULL AND new.revoked_at IS DISTINCT FROM old.revoked_at)
    OR (old.superseded_by IS NOT NULL AND new.superseded_by IS DISTINCT FROM old.superseded_by)
    OR (old.ended_by_loan IS NOT NULL AND coalesce(new.ended_by_loan > old.ended_by_loan, true))
    OR new.version <= old.version OR new.revision < old.revision OR new.last_use < old.last_use
)
EXECUTE FUNCTION refuse_way_back();

CREATE TRIGGER no_way_back BEFORE UPDATE ON intent FOR EACH ROW
WHEN (old.state <> 'OPEN')
EXECUTE FUNCTION refuse_way_back();

CREATE TRIGGER no_way_back BEFORE UPDATE ON subject_hold FOR EACH ROW
WHEN (
    (new.hold_id, new.pseudonym, new.kind, new.commitments, new.entry_id, new.placed_at)
    IS DISTINCT FROM (old.hold_id, old.pseudonym, old.kind, old.commitments, old.entry_id, old.placed_at)
    OR old.lifted_at IS NOT NULL
)
EXECUTE FUNCTION refuse_way_back();

CREATE TRIGGER no_way_back BEFORE UPDATE ON loan FOR EACH ROW
WHEN (old.closed_at IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();

CREATE TRIGGER no_way_back BEFORE UPDATE ON participant_certificate FOR EACH ROW
WHEN (old.revoked_at IS NOT NULL AND new.revoked_at IS DISTINCT FROM old.revoked_at)
EXECUTE FUNCTION refuse_way_back();

-- Numbers and times of entries are the database's to give.
REVOKE INSERT ON ledger_entry FROM bashu_gateway;
GRANT INSERT (entry_id, body, leaf_hash) ON ledger_entry TO bashu_gateway;
