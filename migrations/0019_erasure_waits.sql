-- A retention period that began anew since an erasure was asked for (another query, loan, dispute, consent) puts it off:
-- its day may move on, never nearer. Commitments, so that consents given since are found.
ALTER TABLE erasure ADD COLUMN commitments text [] NOT NULL DEFAULT '{}';
DROP TRIGGER no_way_back ON erasure;
CREATE TRIGGER no_way_back BEFORE UPDATE ON erasure FOR EACH ROW
WHEN (
    (new.erasure_id, new.pseudonym, new.key_ids, new.entry_id, new.requested_at, new.commitments)
    IS DISTINCT FROM (old.erasure_id, old.pseudonym, old.key_ids, old.entry_id, old.requested_at, old.commitments)
    OR new.due_at < old.due_at
    OR (old.erased_at IS NOT NULL AND (new.erased_at, new.due_at) IS DISTINCT FROM (old.erased_at, old.due_at))
    OR (old.keys_destroyed_at IS NOT NULL AND new.keys_destroyed_at IS DISTINCT FROM old.keys_destroyed_at)
)
EXECUTE FUNCTION refuse_way_back();
GRANT UPDATE (due_at) ON erasure TO bashu_gateway;
