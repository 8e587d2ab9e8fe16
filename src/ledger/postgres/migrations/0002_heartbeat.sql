-- When a record's heartbeat was last sent: no delivery, so apart from `delivered_at`.
ALTER TABLE record ADD COLUMN beat_at BIGINT;

-- When a sync last stood at the target, however it ended: heartbeats are paced by the time between two of them.
ALTER TABLE target ADD COLUMN met_at BIGINT;
