-- What was written when a hold was placed or its lifting proposed is sealed from now on; these say under which id.
-- The columns of text stay, empty, for the rows written before.
ALTER TABLE hold_record ADD COLUMN detail_id uuid;
ALTER TABLE hold_record ADD COLUMN lift_detail_id uuid;
GRANT UPDATE (lift_detail_id) ON hold_record TO bashu_gateway;
