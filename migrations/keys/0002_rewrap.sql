-- A data key may be wrapped anew, by another wrapping key: rotating that one must not mean erasing everybody.
DROP TRIGGER no_way_back ON data_key;
CREATE TRIGGER no_way_back BEFORE UPDATE ON data_key FOR EACH ROW
WHEN (
    old.destroyed_at IS NOT NULL
    OR (new.key_id, new.owner, new.made_at) IS DISTINCT FROM (old.key_id, old.owner, old.made_at)
    OR (
        new.destroyed_at IS NULL
        AND (new.wrapped IS DISTINCT FROM old.wrapped) <> (new.wrapping_kid IS DISTINCT FROM old.wrapping_kid)
    )
)
EXECUTE FUNCTION data_key_refuse_way_back();
GRANT UPDATE (wrapping_kid) ON data_key TO bashu_keeper;
