-- What people wrote and what law wants kept, sealed (AES-256-GCM), beside the leaf that holds its digest.
-- The keys are in another database; this table alone, or a backup of it, opens nothing.

CREATE TABLE sealed_detail (
    entry_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[A-Z_]{1,32}$'),
    key_id uuid NOT NULL,
    -- Version, nonce, ciphertext with tag; its SHA-256 is the entry's detail_sha256 (or stands in another detail's).
    sealed bytea NOT NULL CHECK (octet_length(sealed) BETWEEN 29 AND 11534336),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (entry_id, kind)
);
ALTER TABLE sealed_detail ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX sealed_detail_by_key ON sealed_detail (key_id);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_detail
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE sealed_detail ENABLE ALWAYS TRIGGER append_only;

-- Not to the sealer, nor to reports: whoever has no key needs no ciphertext.
GRANT SELECT, INSERT (entry_id, kind, key_id, sealed) ON sealed_detail TO bashu_gateway;
GRANT SELECT (entry_id, kind, key_id, sealed_at) ON sealed_detail TO bashu_reader;
