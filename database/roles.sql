-- The roles of a Bashu database, their limits and their rights to connect. Run by a superuser in the database itself,
-- which bashu_owner owns; may be run again. Passwords are set elsewhere and never stand in a file of the repository.
--   bashu_owner    migrations alone; never the login of a running process
--   bashu_gateway  the gateway's workers and sweeper
--   bashu_sealer   the ledger's sealer
--   bashu_reader   reports and checks; reads only

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['bashu_owner', 'bashu_gateway', 'bashu_sealer', 'bashu_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        END IF;
        EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', role_name);
        EXECUTE format('ALTER ROLE %I SET search_path = bashu', role_name);
        -- No answer without evidence: a commit that returned is on disk, and on the synchronous standby's.
        EXECUTE format('ALTER ROLE %I SET synchronous_commit = on', role_name);
        EXECUTE format('ALTER ROLE %I SET timezone = %L', role_name, 'UTC');
    END LOOP;

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO bashu_gateway, bashu_sealer, bashu_reader', current_database());
END $$;

-- A query has at most 60 s, its statements far less; a lock held longer than this is a stuck transaction.
ALTER ROLE bashu_gateway SET statement_timeout = '10s';
ALTER ROLE bashu_gateway SET lock_timeout = '2s';
ALTER ROLE bashu_gateway SET idle_in_transaction_session_timeout = '10s';

ALTER ROLE bashu_sealer SET statement_timeout = '30s';
ALTER ROLE bashu_sealer SET lock_timeout = '5s';
ALTER ROLE bashu_sealer SET idle_in_transaction_session_timeout = '30s';

ALTER ROLE bashu_reader SET statement_timeout = '60s';
ALTER ROLE bashu_reader SET lock_timeout = '2s';
ALTER ROLE bashu_reader SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE bashu_reader SET default_transaction_read_only = on;
