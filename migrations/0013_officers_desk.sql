-- Samples that officers drew, so that each can be drawn again and its verdicts found.

CREATE TABLE review_sample (
    sample_id uuid PRIMARY KEY,
    seed text NOT NULL CHECK (length(seed) BETWEEN 1 AND 64),
    size bigint NOT NULL CHECK (size BETWEEN 1 AND 500),
    institution text NOT NULL,
    since timestamptz,
    before timestamptz,
    -- The frame ends here: leaves with smaller indexes alone, so that the same draw gives the same sample later.
    to_index bigint NOT NULL CHECK (to_index >= 0),
    frame_size bigint NOT NULL CHECK (frame_size >= 0),
    drawn_by text NOT NULL,
    drawn_at timestamptz NOT NULL
);

CREATE TABLE review_sample_item (
    sample_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('ACCESS', 'LETTER')),
    verdict text CHECK (verdict ~ '^[A-Z_]{1,32}$'),
    verdict_entry_id uuid,
    decided_at timestamptz,
    PRIMARY KEY (sample_id, entry_id),
    CONSTRAINT review_sample_item_decided_whole CHECK (num_nulls(verdict, verdict_entry_id, decided_at) IN (0, 3))
);

GRANT SELECT, INSERT ON review_sample, review_sample_item TO bashu_gateway;
GRANT UPDATE (verdict, verdict_entry_id, decided_at) ON review_sample_item TO bashu_gateway;
GRANT SELECT ON review_sample, review_sample_item TO bashu_reader;

-- A verdict stands: who thinks otherwise draws another sample.
CREATE TRIGGER no_way_back BEFORE UPDATE ON review_sample_item FOR EACH ROW
WHEN (old.verdict IS NOT NULL)
EXECUTE FUNCTION refuse_way_back();
