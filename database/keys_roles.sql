-- The role of the key database, its limits and its right to connect. Run by a superuser in that database itself, which
-- bashu_owner owns; may be run again. The other logins cannot connect there, this one nowhere else.
--   bashu_keeper   the gateway's workers, for data keys of sealed details alone

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bashu_keeper') THEN
        CREATE ROLE bashu_keeper LOGIN;
    END IF;
    ALTER ROLE bashu_keeper NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO bashu_keeper', current_database());
END $$;

ALTER ROLE bashu_keeper SET search_path = bashu;
ALTER ROLE bashu_keeper SET synchronous_commit = on;
ALTER ROLE bashu_keeper SET timezone = 'UTC';
ALTER ROLE bashu_keeper SET statement_timeout = '5s';
ALTER ROLE bashu_keeper SET lock_timeout = '2s';
ALTER ROLE bashu_keeper SET idle_in_transaction_session_timeout = '10s';
