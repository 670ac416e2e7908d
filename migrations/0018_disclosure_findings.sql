-- What platforms sent that they should not have: kinds and counts a day, never which values. For the platform's operator.

CREATE TABLE disclosure_finding (
    platform_id text NOT NULL,
    data_item text NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (platform_id, day, data_item, kind)
);

GRANT SELECT, INSERT ON disclosure_finding TO bashu_gateway;
GRANT SELECT ON disclosure_finding TO bashu_reader;
GRANT UPDATE (count, last_seen) ON disclosure_finding TO bashu_gateway;
