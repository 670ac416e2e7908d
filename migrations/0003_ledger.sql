-- The ledger: entries as appended, the queue of those not yet in the tree, the tree in tiles, signed checkpoints.
-- Against mistakes these tables refuse UPDATE, DELETE and TRUNCATE by right and by trigger;
-- against an owner stand the tree, the high-water mark outside the database, and the witnesses.

CREATE SEQUENCE ledger_entry_seq AS bigint CACHE 1;

CREATE TABLE ledger_entry (
    seq bigint PRIMARY KEY DEFAULT nextval('ledger_entry_seq'),
    entry_id uuid NOT NULL,
    body bytea NOT NULL CHECK (octet_length(body) BETWEEN 2 AND 65536),
    leaf_hash bytea NOT NULL CONSTRAINT ledger_entry_leaf_hash CHECK (leaf_hash = sha256('\x00'::bytea || body)),
    appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- UUIDv7: new keys land on the right edge of the index, so it stays in cache however large it grows.
    CONSTRAINT ledger_entry_id_unique UNIQUE (entry_id)
);
ALTER SEQUENCE ledger_entry_seq OWNED BY ledger_entry.seq;

CREATE TABLE ledger_pending (
    seq bigint PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE ledger_leaf (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    seq bigint NOT NULL,
    CONSTRAINT ledger_leaf_seq_unique UNIQUE (seq)
);

-- C2SP tlog-tiles: up to 256 hashes a tile; level 0 holds leaf hashes, level n roots of full tiles of level n - 1.
CREATE TABLE ledger_tile (
    level bigint NOT NULL CHECK (level BETWEEN 0 AND 7),
    tile_index bigint NOT NULL CHECK (tile_index >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) % 32 = 0 AND octet_length(hashes) BETWEEN 32 AND 8192),
    PRIMARY KEY (level, tile_index)
);
-- Hashes do not compress.
ALTER TABLE ledger_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE ledger_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);
INSERT INTO ledger_head (size, root) VALUES (0, sha256(''::bytea));

CREATE TABLE ledger_checkpoint (
    size bigint PRIMARY KEY CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What reviewers search by; written by the sealer, never by a query, and can be rebuilt from the entries.
CREATE TABLE ledger_search (
    leaf_index bigint PRIMARY KEY,
    type text NOT NULL,
    consent_id uuid,
    institution text,
    request_id uuid,
    attempt bigint,
    ts timestamptz NOT NULL
);
CREATE INDEX ledger_search_consent ON ledger_search (consent_id, leaf_index) WHERE consent_id IS NOT NULL;
CREATE INDEX ledger_search_institution ON ledger_search (institution, leaf_index) WHERE institution IS NOT NULL;
CREATE INDEX ledger_search_request ON ledger_search (request_id, leaf_index) WHERE request_id IS NOT NULL;

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION ledger_tile_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.level <> OLD.level OR NEW.tile_index <> OLD.tile_index
        OR substring(NEW.hashes FROM 1 FOR octet_length(OLD.hashes)) IS DISTINCT FROM OLD.hashes THEN
        RAISE EXCEPTION 'tile %/% only grows', OLD.level, OLD.tile_index USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION ledger_head_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root) THEN
        RAISE EXCEPTION 'the tree only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger_tile
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE ON ledger_tile
    FOR EACH ROW EXECUTE FUNCTION ledger_tile_only_grows();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger_head
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE ON ledger_head
    FOR EACH ROW EXECUTE FUNCTION ledger_head_only_grows();
-- A queue shortened by TRUNCATE would lose entries; a sealer takes them out one by one.
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON ledger_pending
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_leaf ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_checkpoint ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_tile ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_tile ENABLE ALWAYS TRIGGER only_grows;
ALTER TABLE ledger_head ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_head ENABLE ALWAYS TRIGGER only_grows;
ALTER TABLE ledger_pending ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT ON ledger_entry, ledger_pending, ledger_leaf, ledger_tile, ledger_head, ledger_checkpoint, ledger_search
    TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT INSERT ON ledger_entry, ledger_pending TO bashu_gateway;
GRANT USAGE ON SEQUENCE ledger_entry_seq TO bashu_gateway;
GRANT DELETE ON ledger_pending TO bashu_sealer;
GRANT INSERT ON ledger_leaf, ledger_checkpoint, ledger_search TO bashu_sealer;
GRANT INSERT, UPDATE ON ledger_tile TO bashu_sealer;
GRANT UPDATE ON ledger_head TO bashu_sealer;
