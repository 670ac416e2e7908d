-- Own reports of each subject, numbered within the calendar year (Asia/Shanghai): the first two are free (条例 Art. 17).
CREATE TABLE own_report (
    pseudonym text NOT NULL CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    year bigint NOT NULL CHECK (year BETWEEN 2000 AND 9999),
    ordinal bigint NOT NULL CHECK (ordinal > 0),
    request_id uuid NOT NULL,
    released_at timestamptz NOT NULL,
    PRIMARY KEY (pseudonym, year, ordinal),
    -- A repeat of one request is the same report.
    CONSTRAINT own_report_once UNIQUE (pseudonym, request_id)
);
GRANT SELECT, INSERT ON own_report TO bashu_gateway;
