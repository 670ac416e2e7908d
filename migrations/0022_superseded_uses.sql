-- Uses spent under the consents that this one supersedes: part of used, but numbered there (last_use starts at 0).
ALTER TABLE consent ADD COLUMN carried bigint NOT NULL DEFAULT 0;
-- The wider rule below takes its place.
-- squawk-ignore ban-drop-constraint
ALTER TABLE consent DROP CONSTRAINT consent_check;
-- Not validated: what stands satisfied the narrower rule that this one replaces.
ALTER TABLE consent ADD CONSTRAINT consent_uses_numbered CHECK (carried >= 0 AND last_use + carried >= used) NOT VALID;
