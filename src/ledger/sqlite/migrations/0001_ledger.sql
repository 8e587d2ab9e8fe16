-- Times are microseconds since the epoch, digests 16 bytes, JSON is text as it was written. Words are those of the model.

-- One row: the ledger's name, and the counter that tells one commit of the estate from the next.
CREATE TABLE meta (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    estate  TEXT    NOT NULL,
    version INTEGER NOT NULL
) STRICT;

-- One row: the last fence drawn. Apart from meta, so that drawing one does not wait for a commit (PostgreSQL).
CREATE TABLE sequence (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    fence INTEGER NOT NULL
) STRICT;

-- Keys are long and stand in many rows: everything else names them by number. Also holds ends of edges that were never seen themselves.
CREATE TABLE known_key (
    id  INTEGER PRIMARY KEY,
    key TEXT    NOT NULL UNIQUE
) STRICT;

-- `native_digest` and `name_digest` are for searching: names may be longer than an index entry.
CREATE TABLE resource (
    key_id            INTEGER PRIMARY KEY,
    kind              TEXT    NOT NULL,
    native_digest     BLOB    NOT NULL,
    name_digest       BLOB,
    digest            BLOB    NOT NULL,
    fence             INTEGER NOT NULL,
    news_fence        INTEGER NOT NULL,
    first_seen        INTEGER NOT NULL,
    last_seen         INTEGER NOT NULL,
    missing           INTEGER NOT NULL,
    disposition       TEXT    NOT NULL,
    disposition_since INTEGER NOT NULL,
    stage             TEXT    NOT NULL,
    stage_since       INTEGER NOT NULL,
    end_at            INTEGER,
    end_cause         TEXT,
    life_since        INTEGER NOT NULL,
    state_since       INTEGER NOT NULL,
    flag              TEXT,
    recovered         INTEGER NOT NULL,
    payload           TEXT    NOT NULL
) STRICT;
CREATE INDEX resource_native ON resource (native_digest);
CREATE INDEX resource_name ON resource (name_digest) WHERE name_digest IS NOT NULL;

CREATE TABLE edge (
    from_id    INTEGER NOT NULL,
    relation   TEXT    NOT NULL,
    to_id      INTEGER NOT NULL,
    attributes TEXT    NOT NULL,
    derived    INTEGER NOT NULL,
    extra      TEXT    NOT NULL,
    fence      INTEGER NOT NULL,
    PRIMARY KEY (from_id, relation, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_to ON edge (to_id);

CREATE TABLE scope (
    provider       TEXT    NOT NULL,
    account        TEXT    NOT NULL,
    region         TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    receipt        TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    fence          INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    complete_at    INTEGER,
    complete_fence INTEGER NOT NULL,
    accepted       TEXT,
    retire         INTEGER NOT NULL,
    emptied        INTEGER NOT NULL,
    PRIMARY KEY (provider, account, region, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    id     INTEGER PRIMARY KEY,
    key_id INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    fence  INTEGER NOT NULL,
    run    TEXT,
    entry  TEXT    NOT NULL,
    cause  TEXT    NOT NULL,
    fields TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_key ON journal (key_id, id);
CREATE INDEX journal_at ON journal (at);

CREATE TABLE target (
    name         TEXT    PRIMARY KEY,
    kind         TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    instance     TEXT,
    estate       TEXT,
    paused       INTEGER NOT NULL,
    recover      INTEGER NOT NULL,
    delivered_at INTEGER,
    verified_at  INTEGER,
    succeeded_at INTEGER
) STRICT;

-- Rows stay when a lease is given back, so that tokens only grow.
CREATE TABLE lease (
    target  TEXT    PRIMARY KEY,
    token   INTEGER NOT NULL,
    holder  TEXT    NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE record (
    target       TEXT    NOT NULL,
    key_id       INTEGER NOT NULL,
    record       TEXT,
    class        TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    revision     INTEGER NOT NULL,
    basis        BLOB,
    created_at   INTEGER,
    retired_at   INTEGER,
    delivered_at INTEGER,
    refused      BLOB,
    attempts     INTEGER NOT NULL,
    next_try_at  INTEGER,
    error        TEXT,
    contributed  INTEGER NOT NULL,
    -- The external id on the record, where that is not the row's key yet.
    carries      TEXT,
    PRIMARY KEY (target, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_key ON record (key_id);

-- Apart from record: a plan reads every record, but the fields of few.
CREATE TABLE record_fields (
    target TEXT    NOT NULL,
    key_id INTEGER NOT NULL,
    fields TEXT    NOT NULL,
    PRIMARY KEY (target, key_id)
) STRICT;

CREATE TABLE record_edge (
    target       TEXT    NOT NULL,
    from_id      INTEGER NOT NULL,
    relation     TEXT    NOT NULL,
    to_id        INTEGER NOT NULL,
    basis        BLOB,
    created_at   INTEGER,
    delivered_at INTEGER,
    state        TEXT    NOT NULL,
    revision     INTEGER NOT NULL,
    refused      BLOB,
    attempts     INTEGER NOT NULL,
    next_try_at  INTEGER,
    error        TEXT,
    PRIMARY KEY (target, from_id, relation, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_edge_to ON record_edge (target, to_id);

-- A batch that was sent. `changes` is a list; what was answered while others were not is `null` in it.
CREATE TABLE in_flight (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    target  TEXT    NOT NULL,
    run     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    whole   INTEGER NOT NULL,
    changes TEXT    NOT NULL
) STRICT;
CREATE INDEX in_flight_target ON in_flight (target, id);

CREATE TABLE tally (
    target    TEXT    NOT NULL,
    change    TEXT    NOT NULL,
    change_id BLOB    NOT NULL,
    kind      TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (target, change, change_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_at ON tally (target, at);

CREATE TABLE verdict (
    target    TEXT    NOT NULL,
    change_id BLOB    NOT NULL,
    verdict   TEXT    NOT NULL,
    fence     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (target, change_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
    target  TEXT    NOT NULL,
    hold_id BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    -- People said no: it is not asked about, and kept so that they can take that back.
    rejected INTEGER NOT NULL,
    PRIMARY KEY (target, hold_id)
) STRICT;

CREATE TABLE run (
    -- In the order of their beginnings on the real clock, which `started_at` need not follow.
    id          INTEGER PRIMARY KEY,
    run         TEXT    NOT NULL UNIQUE,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    outcome     TEXT,
    counts      TEXT    NOT NULL,
    report      TEXT
) STRICT;
CREATE INDEX run_started ON run (started_at);
