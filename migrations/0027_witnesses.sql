-- Outside witnesses (C2SP tlog-witness): their cosignatures, how each one stands, and the last checkpoint that a quorum
-- of them cosigned. Nothing here is evidence by itself: every cosignature is checked against the witness's own key.

-- `line` is the note signature line without its line feed, `cosigned_at` the witness's own time inside it.
CREATE TABLE ledger_cosignature (
    size bigint NOT NULL CHECK (size >= 0),
    witness text NOT NULL,
    line text NOT NULL CHECK (octet_length(line) BETWEEN 1 AND 1000),
    cosigned_at timestamptz NOT NULL,
    PRIMARY KEY (size, witness)
);

-- `size`: the tree it is known to have cosigned. `recorded`: the state that the log's entries last told of.
CREATE TABLE ledger_witness (
    witness text PRIMARY KEY,
    size bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
    state text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cosigned_at timestamptz,
    recorded text
);

-- The row appears when witnesses are first asked: from then on the age of `quorum_at` counts. `asker` is the one sealer
-- that asks, until `asks_until`; another takes over when it went silent.
CREATE TABLE ledger_witnessed (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint CHECK (size >= 0),
    quorum_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    asker uuid NOT NULL,
    asks_until timestamptz NOT NULL
) WITH (fillfactor = 10);

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger_cosignature
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER no_way_back BEFORE UPDATE ON ledger_cosignature FOR EACH ROW
WHEN (new.size <> old.size OR new.witness <> old.witness OR new.cosigned_at < old.cosigned_at)
EXECUTE FUNCTION refuse_way_back();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger_witnessed
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER no_way_back BEFORE UPDATE ON ledger_witnessed FOR EACH ROW
WHEN (new.size < old.size OR (old.size IS NOT NULL AND new.size IS NULL) OR new.quorum_at < old.quorum_at)
EXECUTE FUNCTION refuse_way_back();
ALTER TABLE ledger_cosignature ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_cosignature ENABLE ALWAYS TRIGGER no_way_back;
ALTER TABLE ledger_witnessed ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger_witnessed ENABLE ALWAYS TRIGGER no_way_back;

GRANT SELECT ON ledger_cosignature, ledger_witness, ledger_witnessed TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT INSERT, UPDATE (line, cosigned_at) ON ledger_cosignature TO bashu_sealer;
GRANT INSERT, UPDATE (size, state, changed_at, cosigned_at) ON ledger_witness TO bashu_sealer;
GRANT INSERT, UPDATE (size, quorum_at, asker, asks_until) ON ledger_witnessed TO bashu_sealer;
GRANT UPDATE (recorded) ON ledger_witness TO bashu_gateway;
