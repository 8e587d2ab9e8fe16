-- What full reads made of a delivered edge that the target did not show: NULL, `once` or `rests`.
ALTER TABLE record_edge ADD COLUMN missed TEXT;
