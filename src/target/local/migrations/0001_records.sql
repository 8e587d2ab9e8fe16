-- One transaction runs this file: the CMDB is there whole or not at all.

-- "DEWP": tells this file from other SQLite databases.
PRAGMA application_id = 1145395024;
PRAGMA user_version = 1;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The file's own random name: another file under the same path has another one.
INSERT INTO meta (name, value) VALUES ('instance', lower(hex(randomblob(16))));

-- Configuration items. Records without `estate` are other people's; they may be added with `class` and `fields` alone.
CREATE TABLE record (
    -- AUTOINCREMENT: the id of a purged record is never given to another one.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    external_id  TEXT,
    estate       TEXT,
    class        TEXT NOT NULL,
    kind         TEXT,
    fields       TEXT NOT NULL DEFAULT '{}' CHECK (json_type(fields) = 'object'),
    retired      INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1)),
    created_at   TEXT,
    updated_at   TEXT,
    delivered_at TEXT,
    native_id    TEXT GENERATED ALWAYS AS (json_extract(fields, '$.native_id')) VIRTUAL,
    account      TEXT GENERATED ALWAYS AS (json_extract(fields, '$.account')) VIRTUAL,
    CHECK (estate IS NULL OR external_id IS NOT NULL)
);
CREATE UNIQUE INDEX record_external_id ON record (external_id) WHERE external_id IS NOT NULL;
-- Azure ids are compared without regard to case.
CREATE INDEX record_stranger ON record (lower(native_id)) WHERE estate IS NULL;
CREATE INDEX record_delivered_at ON record (delivered_at) WHERE estate IS NOT NULL;

CREATE TABLE relation (
    from_id    INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    type       TEXT NOT NULL,
    to_id      INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    attributes TEXT NOT NULL DEFAULT '{}' CHECK (json_type(attributes) = 'object'),
    PRIMARY KEY (from_id, type, to_id)
) WITHOUT ROWID;
CREATE INDEX relation_to ON relation (to_id);

-- Every change that had an effect. Refers to records by id without a foreign key: it outlives them.
CREATE TABLE history (
    id            INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    record_id     INTEGER NOT NULL,
    change        TEXT NOT NULL,
    fields        TEXT NOT NULL DEFAULT '{}',
    relation_type TEXT,
    to_id         INTEGER,
    -- Kept when the record goes, so that its earlier entries can still be named.
    external_id   TEXT
);
CREATE INDEX history_record ON history (record_id);
CREATE INDEX history_purge ON history (record_id, external_id) WHERE change = 'purge';

CREATE VIEW ci AS
SELECT
    id,
    external_id AS key,
    class,
    kind,
    json_extract(fields, '$.provider') AS provider,
    account,
    json_extract(fields, '$.region') AS region,
    native_id,
    json_extract(fields, '$.name') AS name,
    json_extract(fields, '$.state') AS state,
    json_extract(fields, '$.stage') AS stage,
    json_extract(fields, '$.environment') AS environment,
    json_extract(fields, '$.service') AS service,
    json_extract(fields, '$.owner') AS owner,
    json_extract(fields, '$.support_group') AS support_group,
    json_extract(fields, '$.cost_center') AS cost_center,
    json_extract(fields, '$.created_at') AS created_at,
    retired,
    substr(created_at, 1, 19) || 'Z' AS recorded_at,
    substr(updated_at, 1, 19) || 'Z' AS updated_at,
    substr(delivered_at, 1, 19) || 'Z' AS delivered_at,
    estate
FROM record;

CREATE VIEW ci_attribute AS
SELECT
    record.id AS ci_id,
    record.external_id AS key,
    field.key AS name,
    CASE field.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE field.value END AS value
FROM record, json_each(record.fields) AS field;

CREATE VIEW ci_relation AS
SELECT
    relation.from_id,
    source.external_id AS from_key,
    relation.type,
    relation.to_id,
    destination.external_id AS to_key,
    relation.attributes
FROM relation
JOIN record AS source ON source.id = relation.from_id
JOIN record AS destination ON destination.id = relation.to_id;

CREATE VIEW ci_history AS
SELECT
    history.id,
    substr(history.at, 1, 19) || 'Z' AS at,
    history.record_id AS ci_id,
    coalesce(
        (SELECT external_id FROM record WHERE record.id = history.record_id),
        (SELECT external_id FROM history AS gone WHERE gone.record_id = history.record_id AND gone.change = 'purge')
    ) AS key,
    history.change,
    history.fields,
    history.relation_type,
    history.to_id,
    coalesce(
        (SELECT external_id FROM record WHERE record.id = history.to_id),
        (SELECT external_id FROM history AS gone WHERE gone.record_id = history.to_id AND gone.change = 'purge')
    ) AS to_key
FROM history;
