-- How many queries the gateway's operator allows an institution, over all workers; 0 is no limit. What was taken of a day
-- is counted in platform_quota under platform_id '' (the gateway itself), as quotas of platforms are.

ALTER TABLE institution
ADD COLUMN queries_per_day bigint NOT NULL DEFAULT 0 CHECK (queries_per_day >= 0),
ADD COLUMN queries_per_second bigint NOT NULL DEFAULT 0 CHECK (queries_per_second >= 0);
GRANT UPDATE (queries_per_day, queries_per_second) ON institution TO bashu_gateway;

-- Until when each institution's queries are spoken for at its rate, at most a second ahead. Workers take blocks.
CREATE TABLE query_rate (
    institution text PRIMARY KEY,
    taken_until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE (taken_until) ON query_rate TO bashu_gateway;
GRANT SELECT ON query_rate TO bashu_reader;
