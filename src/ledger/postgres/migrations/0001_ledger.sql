-- The same tables as in SQLite. Times are microseconds since the epoch, digests 16 bytes, JSON is text as it was written. Words are those of the model.

-- One row: the ledger's name, and the counter that tells one commit of the estate from the next.
CREATE TABLE meta (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    estate  TEXT    NOT NULL,
    version BIGINT  NOT NULL
);

-- One row: the last fence drawn. Apart from meta, so that drawing one does not wait for a commit (PostgreSQL).
CREATE TABLE sequence (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    fence BIGINT  NOT NULL
);

-- Keys are long and stand in many rows: everything else names them by number. Also holds ends of edges that were never seen themselves.
CREATE TABLE known_key (
    id  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    -- Unique by a hash index: a B-tree takes no entry above 2704 bytes, a key may have 4096.
    EXCLUDE USING hash (key WITH =)
);

-- `native_digest` and `name_digest` are for searching: names may be longer than an index entry.
CREATE TABLE resource (
    key_id            BIGINT PRIMARY KEY,
    kind              TEXT    NOT NULL,
    native_digest     BYTEA   NOT NULL,
    name_digest       BYTEA,
    digest            BYTEA   NOT NULL,
    fence             BIGINT  NOT NULL,
    news_fence        BIGINT  NOT NULL,
    first_seen        BIGINT  NOT NULL,
    last_seen         BIGINT  NOT NULL,
    missing           BIGINT  NOT NULL,
    disposition       TEXT    NOT NULL,
    disposition_since BIGINT  NOT NULL,
    stage             TEXT    NOT NULL,
    stage_since       BIGINT  NOT NULL,
    end_at            BIGINT,
    end_cause         TEXT,
    life_since        BIGINT  NOT NULL,
    state_since       BIGINT  NOT NULL,
    flag              TEXT,
    recovered         BIGINT  NOT NULL,
    payload           TEXT    NOT NULL
);
CREATE INDEX resource_native ON resource (native_digest);
CREATE INDEX resource_name ON resource (name_digest) WHERE name_digest IS NOT NULL;

CREATE TABLE edge (
    from_id    BIGINT  NOT NULL,
    relation   TEXT    NOT NULL,
    to_id      BIGINT  NOT NULL,
    attributes TEXT    NOT NULL,
    derived    BIGINT  NOT NULL,
    extra      TEXT    NOT NULL,
    fence      BIGINT  NOT NULL,
    PRIMARY KEY (from_id, relation, to_id)
);
CREATE INDEX edge_to ON edge (to_id);

CREATE TABLE scope (
    provider       TEXT    NOT NULL,
    account        TEXT    NOT NULL,
    region         TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    receipt        TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    fence          BIGINT  NOT NULL,
    at             BIGINT  NOT NULL,
    complete_at    BIGINT,
    complete_fence BIGINT  NOT NULL,
    accepted       TEXT,
    retire         BIGINT NOT NULL,
    emptied        BIGINT NOT NULL,
    PRIMARY KEY (provider, account, region, kind)
);

CREATE TABLE journal (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id BIGINT  NOT NULL,
    at     BIGINT  NOT NULL,
    fence  BIGINT  NOT NULL,
    run    TEXT,
    entry  TEXT    NOT NULL,
    cause  TEXT    NOT NULL,
    fields TEXT    NOT NULL
);
CREATE INDEX journal_key ON journal (key_id, id);
CREATE INDEX journal_at ON journal (at);

CREATE TABLE target (
    name         TEXT    PRIMARY KEY,
    kind         TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    instance     TEXT,
    estate       TEXT,
    paused       BIGINT  NOT NULL,
    recover      BIGINT  NOT NULL,
    delivered_at BIGINT,
    verified_at  BIGINT,
    succeeded_at BIGINT
);

-- Rows stay when a lease is given back, so that tokens only grow.
CREATE TABLE lease (
    target  TEXT    PRIMARY KEY,
    token   BIGINT  NOT NULL,
    holder  TEXT    NOT NULL,
    expires BIGINT  NOT NULL
);

CREATE TABLE record (
    target       TEXT    NOT NULL,
    key_id       BIGINT  NOT NULL,
    record       TEXT,
    class        TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    revision     BIGINT  NOT NULL,
    basis        BYTEA,
    created_at   BIGINT,
    retired_at   BIGINT,
    delivered_at BIGINT,
    refused      BYTEA,
    attempts     BIGINT  NOT NULL,
    next_try_at  BIGINT,
    error        TEXT,
    contributed  BIGINT  NOT NULL,
    -- The external id on the record, where that is not the row's key yet.
    carries      TEXT,
    PRIMARY KEY (target, key_id)
);
CREATE INDEX record_key ON record (key_id);

-- Apart from record: a plan reads every record, but the fields of few.
CREATE TABLE record_fields (
    target TEXT    NOT NULL,
    key_id BIGINT  NOT NULL,
    fields TEXT    NOT NULL,
    PRIMARY KEY (target, key_id)
);

CREATE TABLE record_edge (
    target       TEXT    NOT NULL,
    from_id      BIGINT  NOT NULL,
    relation     TEXT    NOT NULL,
    to_id        BIGINT  NOT NULL,
    basis        BYTEA,
    created_at   BIGINT,
    delivered_at BIGINT,
    state        TEXT    NOT NULL,
    revision     BIGINT  NOT NULL,
    refused      BYTEA,
    attempts     BIGINT  NOT NULL,
    next_try_at  BIGINT,
    error        TEXT,
    PRIMARY KEY (target, from_id, relation, to_id)
);
CREATE INDEX record_edge_to ON record_edge (target, to_id);

-- A batch that was sent. `changes` is a list; what was answered while others were not is `null` in it.
CREATE TABLE in_flight (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target  TEXT    NOT NULL,
    run     TEXT    NOT NULL,
    at      BIGINT  NOT NULL,
    size    BIGINT  NOT NULL,
    whole   BIGINT  NOT NULL,
    changes TEXT    NOT NULL
);
CREATE INDEX in_flight_target ON in_flight (target, id);

CREATE TABLE tally (
    target    TEXT    NOT NULL,
    change    TEXT    NOT NULL,
    change_id BYTEA   NOT NULL,
    kind      TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    at        BIGINT  NOT NULL,
    PRIMARY KEY (target, change, change_id)
);
CREATE INDEX tally_at ON tally (target, at);

CREATE TABLE verdict (
    target    TEXT    NOT NULL,
    change_id BYTEA   NOT NULL,
    verdict   TEXT    NOT NULL,
    fence     BIGINT  NOT NULL,
    at        BIGINT  NOT NULL,
    PRIMARY KEY (target, change_id)
);

CREATE TABLE hold (
    target  TEXT    NOT NULL,
    hold_id BYTEA   NOT NULL,
    at      BIGINT  NOT NULL,
    body    TEXT    NOT NULL,
    -- People said no: it is not asked about, and kept so that they can take that back.
    rejected BIGINT NOT NULL,
    PRIMARY KEY (target, hold_id)
);

CREATE TABLE run (
    -- In the order of their beginnings on the real clock, which `started_at` need not follow.
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run         TEXT    NOT NULL UNIQUE,
    started_at  BIGINT  NOT NULL,
    finished_at BIGINT,
    outcome     TEXT,
    counts      TEXT    NOT NULL,
    report      TEXT
);
CREATE INDEX run_started ON run (started_at);
