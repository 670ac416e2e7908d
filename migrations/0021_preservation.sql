-- Preserved records (封存, 征信业管理条例 Art. 33): while one of these stands, nothing in its scope is erased.

CREATE TABLE preservation (
    preservation_id uuid PRIMARY KEY,
    -- The scope: a subject, or the queries of an institution (empty: of all) within a period, half-open.
    pseudonym text CHECK (pseudonym ~ '^[0-9a-f]{64}$'),
    institution text NOT NULL CHECK (length(institution) <= 64),
    since timestamptz,
    before timestamptz,
    by_regulator boolean NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    released_at timestamptz,
    release_entry_id uuid,
    CONSTRAINT preservation_has_a_scope CHECK (
        pseudonym IS NOT NULL OR institution <> '' OR since IS NOT NULL OR before IS NOT NULL
    ),
    CONSTRAINT preservation_released_whole CHECK (num_nulls(released_at, release_entry_id) IN (0, 2))
);
CREATE INDEX preservation_standing ON preservation (preservation_id) WHERE released_at IS NULL;

CREATE TRIGGER no_way_back BEFORE UPDATE ON preservation FOR EACH ROW
WHEN (old.released_at IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();

GRANT SELECT, INSERT, UPDATE (released_at, release_entry_id) ON preservation TO bashu_gateway;
GRANT SELECT (preservation_id, institution, since, before, by_regulator, placed_at, released_at) ON preservation
TO bashu_reader;
