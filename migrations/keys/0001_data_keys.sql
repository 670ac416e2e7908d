-- Data keys of sealed details, in a database of their own: a backup of the ledger's database opens nothing, and this
-- one's backups are kept for days, not years. A key is wrapped by one that PostgreSQL never sees.
-- Roles and who may connect are made before (database/keys_roles.sql), by a superuser.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA bashu TO bashu_keeper;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What was destroyed keeps its row without the key, so that it is known to be gone and not merely missing.
CREATE TABLE data_key (
    key_id uuid PRIMARY KEY,
    -- Keyed hash of whom the details are about; nothing in the ledger's database equals it.
    owner text NOT NULL CHECK (owner ~ '^[0-9a-f]{64}$'),
    wrapping_kid text NOT NULL CHECK (wrapping_kid ~ '^[0-9a-f]{16}$'),
    wrapped bytea CHECK (octet_length(wrapped) = 61),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    CONSTRAINT data_key_destroyed_is_gone CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
    -- The version of a row that still held the key leaves the disk with the next vacuum: do not let it wait.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1);
CREATE UNIQUE INDEX data_key_living ON data_key (owner) WHERE destroyed_at IS NULL;

CREATE FUNCTION data_key_refuse_way_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a destroyed key never returns' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER no_way_back BEFORE UPDATE ON data_key FOR EACH ROW
WHEN (
    old.destroyed_at IS NOT NULL
    OR (new.key_id, new.owner, new.made_at) IS DISTINCT FROM (old.key_id, old.owner, old.made_at)
    OR (new.destroyed_at IS NULL AND new.wrapped IS DISTINCT FROM old.wrapped)
)
EXECUTE FUNCTION data_key_refuse_way_back();

GRANT SELECT, INSERT (key_id, owner, wrapping_kid, wrapped), UPDATE (wrapped, destroyed_at) ON data_key
TO bashu_keeper;
