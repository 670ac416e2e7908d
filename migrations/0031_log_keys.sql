-- The keys that sign for the log, one row a step: which sign now, and which signed a tree of any size, follows from
-- the rows in their order. No row: the key of the settings signs, as from the beginning. Each row is written in the
-- transaction of its KEY_EVENT entry.

CREATE TABLE log_key_event (
    number bigint PRIMARY KEY CHECK (number > 0),
    vkey text NOT NULL CHECK (octet_length(vkey) BETWEEN 50 AND 400),
    step text NOT NULL CHECK (step IN ('FIRST', 'ADDED', 'OVERLAP', 'RETIRED', 'COMPROMISED')),
    at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    CONSTRAINT log_key_event_step_once UNIQUE (vkey, step),
    CONSTRAINT log_key_event_entry_unique UNIQUE (entry_id)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_key_event
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE log_key_event ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT ON log_key_event TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT INSERT ON log_key_event TO bashu_gateway;
