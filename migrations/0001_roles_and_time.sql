-- The floor every later migration stands on: nothing is public, and one clock decides.
-- Roles and their limits are made before (database/roles.sql), by a superuser; this file needs none.

REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS bashu;
GRANT USAGE ON SCHEMA bashu TO bashu_gateway, bashu_sealer, bashu_reader;

-- A new function may be called by nobody until a migration grants it. (Triggers need no such grant.)
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT SELECT ON bashu_migration TO bashu_gateway, bashu_sealer, bashu_reader;

-- How far this database's clock stands from the machine's. Zero, but in tests: only the owner can change it.
CREATE TABLE bashu_time_shift (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    shift interval NOT NULL DEFAULT interval '0'
);
INSERT INTO bashu_time_shift DEFAULT VALUES;
GRANT SELECT ON bashu_time_shift TO bashu_gateway, bashu_sealer, bashu_reader;

-- Expiry, windows and limits are decided by this clock and no other. VOLATILE: it moves within a transaction.
-- Against an index compare with (SELECT bashu_now()), which is evaluated once.
CREATE FUNCTION bashu_now() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT s.shift FROM bashu.bashu_time_shift AS s WHERE s.one);
END $$;
GRANT EXECUTE ON FUNCTION bashu_now() TO bashu_gateway, bashu_sealer, bashu_reader;
