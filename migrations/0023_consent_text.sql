-- Texts of notices (告知书) and purposes, as people are shown them: immutable, found by their SHA-256.

CREATE TABLE consent_text (
    institution text NOT NULL CHECK (length(institution) <= 64),
    notice_id text NOT NULL CHECK (length(notice_id) BETWEEN 1 AND 64),
    version text NOT NULL CHECK (length(version) BETWEEN 1 AND 32),
    lang text NOT NULL CHECK (length(lang) BETWEEN 2 AND 35),
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    body text NOT NULL,
    registered_at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    PRIMARY KEY (institution, notice_id, version, lang),
    CONSTRAINT consent_text_is_what_its_hash_says CHECK (sha256 = sha256(convert_to(body, 'UTF8')))
);
CREATE INDEX consent_text_by_hash ON consent_text (sha256, registered_at);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_text
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE consent_text ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT, INSERT ON consent_text TO bashu_gateway;
GRANT SELECT ON consent_text TO bashu_reader;
