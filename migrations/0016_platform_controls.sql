-- What a platform's operator decides: which lender it admits to what (two persons), and what it stops (one).

-- The new one allows all that the old one did and MAINTENANCE: rows that are there need no check.
-- squawk-ignore ban-drop-constraint
ALTER TABLE platform DROP CONSTRAINT platform_state_check;
ALTER TABLE platform ADD CONSTRAINT platform_state_known
CHECK (state IN ('RUNNING', 'DRAINING', 'MAINTENANCE', 'STOPPED')) NOT VALID;

-- A stop takes nothing of what two persons granted: it stands beside it, and goes without them.
ALTER TABLE platform_access ADD COLUMN stopped_at timestamptz;

-- The first person's wish, until a second person wishes the same.
CREATE TABLE platform_access_proposal (
    platform_id text NOT NULL,
    institution text NOT NULL,
    data_items text [] NOT NULL,
    purposes text [] NOT NULL,
    export_policy text NOT NULL CHECK (export_policy IN ('VALUES', 'DERIVED', 'VERIFY_ONLY')),
    daily_quota bigint NOT NULL CHECK (daily_quota >= 0),
    valid_to date,
    proposed_by text NOT NULL,
    proposed_operator text NOT NULL,
    proposed_at timestamptz NOT NULL,
    decided_at timestamptz,
    PRIMARY KEY (platform_id, institution)
);

GRANT SELECT ON platform_access_proposal TO bashu_gateway, bashu_reader;
GRANT INSERT ON platform_access_proposal TO bashu_gateway;
GRANT UPDATE (
    data_items, purposes, export_policy, daily_quota, valid_to, proposed_by, proposed_operator, proposed_at, decided_at
) ON platform_access_proposal TO bashu_gateway;
GRANT UPDATE (stopped_at) ON platform_access TO bashu_gateway;
