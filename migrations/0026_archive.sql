-- Old leaves in an archive outside the database. A copy changes nothing here; entries whose rows the owner then takes
-- out, by ledger_prune alone, are named in this table, or their absence would look like tampering.

CREATE TABLE ledger_pruned (
    to_index bigint PRIMARY KEY CHECK (to_index > 0 AND to_index % 256 = 0),
    -- Root of the tree of the first to_index leaves, as the archive that was checked has it.
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    pruned_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_pruned
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE ledger_pruned ENABLE ALWAYS TRIGGER append_only;
GRANT SELECT ON ledger_pruned TO bashu_gateway, bashu_sealer, bashu_reader;

-- The first leaf in [first, last) that a standing preservation covers (征信业管理条例 Art. 33): accesses to a preserved
-- subject, their whole queries, the consents these rest on and what touches those; else everything of the institution
-- (empty: of all) within the period.
CREATE FUNCTION ledger_first_preserved(first bigint, last bigint)
RETURNS TABLE (leaf_index bigint, preservation_id uuid) LANGUAGE sql STABLE AS $$
WITH standing AS MATERIALIZED (SELECT * FROM preservation WHERE released_at IS NULL),
seen AS MATERIALIZED (
    SELECT p.preservation_id, s.leaf_index, a.request_id, a.institution, a.consent_id
    FROM standing AS p
    JOIN ledger_subject AS s ON s.pseudonym = p.pseudonym
    JOIN ledger_access AS a ON a.leaf_index = s.leaf_index),
given AS MATERIALIZED (
    SELECT preservation_id, consent_id FROM seen WHERE consent_id IS NOT NULL
    UNION SELECT p.preservation_id, unnest(b.consent_ids) FROM standing AS p
        JOIN consent_bundle AS b ON b.pseudonym = p.pseudonym
    UNION SELECT p.preservation_id, c.consent_id FROM standing AS p
        JOIN loan AS l ON l.pseudonym = p.pseudonym JOIN consent AS c ON c.commitment = ANY(l.commitments)),
covered AS (
    SELECT preservation_id, leaf_index FROM seen
    UNION ALL SELECT x.preservation_id, s.leaf_index FROM seen AS x
        JOIN ledger_search AS s ON s.request_id = x.request_id AND s.institution = x.institution
    UNION ALL SELECT x.preservation_id, s.leaf_index FROM given AS x
        JOIN ledger_search AS s ON s.consent_id = x.consent_id
    UNION ALL SELECT x.preservation_id, t.leaf_index FROM given AS x
        JOIN ledger_touched AS t ON t.consent_id = x.consent_id
    UNION ALL SELECT p.preservation_id, s.leaf_index FROM standing AS p
        JOIN ledger_search AS s ON (p.institution = '' OR s.institution = p.institution)
            AND s.ts >= coalesce(p.since, '-infinity') AND s.ts < coalesce(p.before, 'infinity')
    WHERE p.pseudonym IS NULL)
SELECT c.leaf_index, c.preservation_id FROM covered AS c
WHERE c.leaf_index >= first AND c.leaf_index < last ORDER BY c.leaf_index, c.preservation_id LIMIT 1
$$;
REVOKE EXECUTE ON FUNCTION ledger_first_preserved (bigint, bigint) FROM public;
GRANT EXECUTE ON FUNCTION ledger_first_preserved (bigint, bigint) TO bashu_gateway;

-- Takes the rows of archived entries out: the owner's step (docs/archive.md), refused to every role that runs. Leaves,
-- tiles, checkpoints and projections stay. Admissions wait for its lock, so it is done in steps, in a quiet hour.
CREATE FUNCTION ledger_prune(upto bigint, archived_root bytea, keep interval)
RETURNS bigint LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
    done bigint := coalesce((SELECT max(to_index) FROM ledger_pruned), 0);
    kept record;
    gone bigint;
BEGIN
    IF keep < interval '3 years' THEN
        RAISE EXCEPTION 'entries are kept for 3 years at least (网络数据安全管理条例 Art. 12)';
    END IF;
    IF upto <= done OR upto > (SELECT max(size) FROM ledger_checkpoint) THEN
        RAISE EXCEPTION 'not between % leaves, which are out already, and the last signed checkpoint', done;
    END IF;
    IF EXISTS (SELECT 1 FROM ledger_search
               WHERE leaf_index >= done AND leaf_index < upto AND ts > bashu_now() - keep) THEN
        RAISE EXCEPTION 'there are entries below % younger than what is to be kept', upto;
    END IF;
    -- Nothing becomes preserved meanwhile.
    LOCK TABLE preservation IN SHARE MODE;
    SELECT * INTO kept FROM ledger_first_preserved(0, upto);
    IF FOUND THEN
        RAISE EXCEPTION 'leaf % is preserved by % (征信业管理条例 Art. 33)', kept.leaf_index, kept.preservation_id;
    END IF;
    ALTER TABLE ledger_entry DISABLE TRIGGER append_only;
    DELETE FROM ledger_entry AS e USING ledger_leaf AS l
    WHERE l.seq = e.seq AND l.leaf_index >= done AND l.leaf_index < upto;
    GET DIAGNOSTICS gone = ROW_COUNT;
    ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER append_only;
    IF gone <> upto - done THEN
        RAISE EXCEPTION '% entries are here of % leaves: run fsck first', gone, upto - done;
    END IF;
    INSERT INTO ledger_pruned (to_index, root) VALUES (upto, archived_root);
    RETURN gone;
END $$;
REVOKE EXECUTE ON FUNCTION ledger_prune (bigint, bytea, interval) FROM public;
