-- How far the database's clock was when it was last sound, and whether it is: an entry CLOCK_ANOMALY tells each change.
-- Any gateway may look; whoever takes the row tells it, once (number).

CREATE TABLE clock_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'SOUND' CHECK (state IN ('SOUND', 'BACK', 'AHEAD')),
    number bigint NOT NULL DEFAULT 0
);
INSERT INTO clock_mark (at) VALUES (clock_timestamp());

CREATE TRIGGER no_way_back BEFORE UPDATE ON clock_mark FOR EACH ROW
WHEN (new.number < old.number OR (new.number = old.number AND (new.at < old.at OR new.state <> old.state)))
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT ON clock_mark TO bashu_gateway, bashu_reader;
GRANT UPDATE (at, state, number) ON clock_mark TO bashu_gateway;
