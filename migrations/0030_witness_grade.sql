-- What admissions last made of the witnesses' age, so that each change is told once however many gateways look. The row
-- is the lock of whoever tells.
CREATE TABLE ledger_witness_grade (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    grade text NOT NULL DEFAULT 'FRESH',
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO ledger_witness_grade DEFAULT VALUES;
GRANT SELECT ON ledger_witness_grade TO bashu_gateway, bashu_reader;
GRANT UPDATE (grade, changed_at) ON ledger_witness_grade TO bashu_gateway;
