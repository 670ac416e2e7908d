-- What was taken of each day's quota (Asia/Shanghai): of a platform's own for this gateway (holder ''), or of what a
-- platform grants one lender. Workers take blocks, so a call takes no lock; a block that a killed worker held lapses.

CREATE TABLE platform_quota (
    platform_id text NOT NULL,
    holder text NOT NULL,
    day date NOT NULL,
    taken bigint NOT NULL CHECK (taken >= 0),
    -- The block that the last statement took; only that statement reads it.
    block bigint NOT NULL,
    PRIMARY KEY (platform_id, holder, day)
);

GRANT SELECT, INSERT, UPDATE (taken, block) ON platform_quota TO bashu_gateway;
GRANT SELECT ON platform_quota TO bashu_reader;
