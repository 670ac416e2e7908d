-- Prepare a PostgreSQL server (15 or later) for Bashu. Once, as a superuser:
--   psql -d postgres -v ON_ERROR_STOP=1 -f deploy/roles.sql
-- It makes the roles, the databases bashu and bashu_keys, and asks for the five passwords (sent as SCRAM verifiers, never in clear).
-- Then: bashu-gateway migrate, with bashu_owner's DSN. Workers connect directly, without a transaction pooler.
SET password_encryption = 'scram-sha-256';
SELECT 'CREATE ROLE bashu_owner LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bashu_owner') \gexec
SELECT 'CREATE DATABASE bashu OWNER bashu_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8'''
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'bashu') \gexec
\connect bashu
\ir ../database/roles.sql
\password bashu_owner
\password bashu_gateway
\password bashu_sealer
\password bashu_reader
-- Data keys of sealed details: a database of its own, better on another server; its backups are kept for days.
SELECT 'CREATE DATABASE bashu_keys OWNER bashu_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8'''
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'bashu_keys') \gexec
\connect bashu_keys
\ir ../database/keys_roles.sql
\password bashu_keeper
