-- The registry: who may ask, sign, operate and answer. Every change raises registry_version, so that workers,
-- which keep the registry in memory, notice within a second. Nothing is deleted here: what ended has an end.

CREATE TABLE registry_version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 10);
INSERT INTO registry_version DEFAULT VALUES;

CREATE TABLE institution (
    institution text PRIMARY KEY CHECK (institution ~ '^[A-Za-z0-9_.@-]{1,64}$'),
    institution_kind text NOT NULL DEFAULT ''
    CHECK (institution_kind IN ('', 'bank', 'micro_lender', 'guarantee', 'leasing', 'factoring', 'amc')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    registered_at timestamptz NOT NULL DEFAULT bashu_now()
);

CREATE TABLE participant (
    participant_id text PRIMARY KEY CHECK (participant_id ~ '^[A-Za-z0-9_.@-]{1,64}$'),
    institution text NOT NULL REFERENCES institution (institution),
    role text NOT NULL CHECK (role IN (
        'LENDER', 'LENDER_ADMIN', 'SUBJECT_AGENT', 'CONSENT_AUTHORITY', 'PLATFORM_OPERATOR', 'GATEWAY_ADMIN',
        'COMPLIANCE', 'AUDITOR', 'REGULATOR'
    )),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    platform_ids text [] NOT NULL DEFAULT '{}',
    suspended_at timestamptz,
    suspended_reason text,
    valid_to timestamptz,
    registered_at timestamptz NOT NULL DEFAULT bashu_now(),
    -- A regulator is an auditor with an end date.
    CONSTRAINT participant_regulator_has_end CHECK (role <> 'REGULATOR' OR valid_to IS NOT NULL),
    CONSTRAINT participant_only_operators_have_platforms
    CHECK (role = 'PLATFORM_OPERATOR' OR cardinality(platform_ids) = 0)
);
CREATE INDEX participant_by_institution ON participant (institution);

CREATE TABLE participant_key (
    kid text PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_.@-]{1,64}$'),
    participant_id text NOT NULL REFERENCES participant (participant_id),
    alg text NOT NULL CHECK (alg IN ('ES256', 'EdDSA')),
    jwk text NOT NULL,
    -- RFC 7638: a key given up for compromise cannot come back under another kid.
    thumbprint text NOT NULL,
    valid_from timestamptz NOT NULL DEFAULT bashu_now(),
    valid_to timestamptz,
    revoked_at timestamptz,
    compromised_at timestamptz,
    succeeds text REFERENCES participant_key (kid),
    CONSTRAINT participant_key_thumbprint_unique UNIQUE (thumbprint),
    CONSTRAINT participant_key_window CHECK (valid_to IS NULL OR valid_to >= valid_from),
    CONSTRAINT participant_key_compromised_is_revoked CHECK (compromised_at IS NULL OR revoked_at IS NOT NULL)
);
CREATE INDEX participant_key_by_participant ON participant_key (participant_id);

-- x5t#S256 (RFC 8705 section 3.1): a certificate belongs to one participant.
CREATE TABLE participant_certificate (
    thumbprint text PRIMARY KEY CHECK (thumbprint ~ '^[A-Za-z0-9_-]{43}$'),
    participant_id text NOT NULL REFERENCES participant (participant_id),
    registered_at timestamptz NOT NULL DEFAULT bashu_now(),
    revoked_at timestamptz
);
CREATE INDEX participant_certificate_by_participant ON participant_certificate (participant_id);

CREATE TABLE staff (
    institution text NOT NULL REFERENCES institution (institution),
    staff_number text NOT NULL CHECK (length(staff_number) BETWEEN 1 AND 64),
    sealed_name bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('query', 'dispute', 'batch')),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to IS NULL OR valid_to >= valid_from),
    registered_by text NOT NULL REFERENCES participant (participant_id),
    registered_at timestamptz NOT NULL DEFAULT bashu_now(),
    PRIMARY KEY (institution, staff_number)
);

CREATE TABLE platform (
    platform_id text PRIMARY KEY CHECK (platform_id ~ '^[a-z][a-z0-9_-]{0,63}$'),
    region text NOT NULL CHECK (region ~ '^[0-9]{6}$'),
    platform_kind text NOT NULL CHECK (platform_kind IN ('PUBLIC_FINANCING_PLATFORM', 'REGIONAL_CREDIT_PLATFORM')),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    agreement_id text NOT NULL CHECK (agreement_id <> ''),
    pia_id text NOT NULL CHECK (pia_id <> ''),
    state text NOT NULL DEFAULT 'RUNNING' CHECK (state IN ('RUNNING', 'DRAINING', 'STOPPED'))
);
-- Rule R45 (国办发〔2024〕15号): one 融资信用服务平台 a region; a 地方征信平台 beside it is normal.
CREATE UNIQUE INDEX platform_one_public_financing_a_region ON platform (region)
WHERE platform_kind = 'PUBLIC_FINANCING_PLATFORM' AND state <> 'STOPPED';

CREATE TABLE licence (
    owner_kind text NOT NULL CHECK (owner_kind IN ('INSTITUTION', 'PLATFORM')),
    owner_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'PERSONAL_CREDIT_LICENCE', 'ENTERPRISE_CREDIT_FILING', 'RATING_FILING', 'PUBLIC_FINANCING_PLATFORM',
        'FINANCIAL_LICENCE'
    )),
    number text NOT NULL CHECK (length(number) BETWEEN 1 AND 100),
    authority text NOT NULL CHECK (length(authority) BETWEEN 1 AND 200),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to IS NULL OR valid_to >= valid_from),
    PRIMARY KEY (owner_kind, owner_id, kind, number)
);

-- Which lender a platform admits to what; no row, no item: nothing.
CREATE TABLE platform_access (
    platform_id text NOT NULL REFERENCES platform (platform_id),
    institution text NOT NULL REFERENCES institution (institution),
    data_items text [] NOT NULL DEFAULT '{}',
    purposes text [] NOT NULL DEFAULT '{}',
    export_policy text NOT NULL CHECK (export_policy IN ('VALUES', 'DERIVED', 'VERIFY_ONLY')),
    daily_quota bigint NOT NULL CHECK (daily_quota >= 0),
    valid_to date,
    confirmed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (platform_id, institution)
);
CREATE INDEX platform_access_by_institution ON platform_access (institution);

-- A compliance officer's wish to suspend or restore a participant, waiting for a second officer.
CREATE TABLE suspension_proposal (
    participant_id text PRIMARY KEY REFERENCES participant (participant_id),
    suspended boolean NOT NULL,
    reason text NOT NULL,
    proposed_by text NOT NULL REFERENCES participant (participant_id),
    proposed_operator text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT bashu_now(),
    decided_at timestamptz
);

-- SECURITY DEFINER: who may change a registry table need not have a right on the counter.
CREATE FUNCTION registry_changed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = bashu, pg_temp AS $$
BEGIN
    UPDATE registry_version SET version = version + 1;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION registry_changed() FROM PUBLIC;

CREATE FUNCTION participant_key_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.kid, NEW.participant_id, NEW.alg, NEW.jwk, NEW.thumbprint, NEW.valid_from)
        IS DISTINCT FROM (OLD.kid, OLD.participant_id, OLD.alg, OLD.jwk, OLD.thumbprint, OLD.valid_from)
        OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
        OR (OLD.compromised_at IS NOT NULL AND NEW.compromised_at IS DISTINCT FROM OLD.compromised_at) THEN
        RAISE EXCEPTION 'a registered key never changes and a revoked one never returns'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stays BEFORE UPDATE ON participant_key FOR EACH ROW EXECUTE FUNCTION participant_key_stays();

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON institution
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON participant
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON participant_key
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON participant_certificate
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON staff
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON platform
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON licence
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON platform_access
FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();

GRANT SELECT ON registry_version, institution, participant, participant_key, participant_certificate, platform,
licence, platform_access TO bashu_gateway, bashu_sealer, bashu_reader;
GRANT SELECT ON staff, suspension_proposal TO bashu_gateway;
-- The sealed name is for the gateway alone.
GRANT SELECT (institution, staff_number, kind, valid_from, valid_to, registered_by, registered_at) ON staff
TO bashu_reader;
GRANT INSERT ON institution, participant, participant_key, participant_certificate, staff, platform, licence,
platform_access, suspension_proposal TO bashu_gateway;
GRANT UPDATE (suspended_at, suspended_reason, valid_to, platform_ids) ON participant TO bashu_gateway;
GRANT UPDATE (valid_to, revoked_at, compromised_at) ON participant_key TO bashu_gateway;
GRANT UPDATE (revoked_at) ON participant_certificate TO bashu_gateway;
GRANT UPDATE (sealed_name, kind, valid_from, valid_to, registered_by, registered_at) ON staff TO bashu_gateway;
GRANT UPDATE (name_zh, name_en, agreement_id, pia_id, state) ON platform TO bashu_gateway;
GRANT UPDATE (authority, valid_from, valid_to) ON licence TO bashu_gateway;
GRANT UPDATE (data_items, purposes, export_policy, daily_quota, valid_to, confirmed) ON platform_access
TO bashu_gateway;
GRANT UPDATE (suspended, reason, proposed_by, proposed_operator, proposed_at, decided_at) ON suspension_proposal
TO bashu_gateway;
