-- Each hour's TALLY entries: how far they have counted, and where each institution's last one ended. One row is the
-- lock: whichever gateway takes it writes the hour's tallies, the others find the hour done.

CREATE TABLE tally_clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    hour timestamptz NOT NULL,
    to_index bigint NOT NULL DEFAULT 0 CHECK (to_index >= 0)
);
INSERT INTO tally_clock (hour) VALUES (date_trunc('hour', bashu_now()));

CREATE TABLE tally_mark (
    institution text PRIMARY KEY,
    to_index bigint NOT NULL CHECK (to_index > 0)
);

CREATE TRIGGER no_way_back BEFORE UPDATE ON tally_clock FOR EACH ROW
WHEN (new.hour <= old.hour OR new.to_index < old.to_index)
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT ON tally_clock, tally_mark TO bashu_gateway, bashu_reader;
GRANT UPDATE (hour, to_index) ON tally_clock TO bashu_gateway;
GRANT INSERT, UPDATE (to_index) ON tally_mark TO bashu_gateway;
