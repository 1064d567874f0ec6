-- A hub's documents on PostgreSQL, version 1, in a schema of its own.
--
-- Every key of the large tables begins with the space, and nothing refers to them: they can be made
-- anew with PARTITION BY HASH (space), keys, indexes and statements as they are (docs/hub-database.md).
-- There are no foreign keys: nothing is ever removed that another row names, and each would cost a
-- look-up and a lock for every change. Names have the collation "C": they are ordered by their bytes.
CREATE TABLE meta (
    version integer NOT NULL DEFAULT 1,
    -- Added to transaction ids, so that the feed goes on where a restored database goes on.
    ahead bigint NOT NULL DEFAULT 0
);
INSERT INTO meta DEFAULT VALUES;

CREATE TABLE space (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

-- The figures of a space are the sums over its slots. A worker writes to one slot, so workers that
-- write to the same space seldom wait for each other.
CREATE TABLE figure (
    space bigint NOT NULL,
    slot smallint NOT NULL,
    documents bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL DEFAULT 0,
    gateways bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (space, slot)
) WITH (fillfactor = 50);

-- version: how many changes it ever had. snapshot: the version that its snapshot holds, or 0.
-- changed: the transaction of its last change, the first part of its place in the feed.
CREATE TABLE document (
    space bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 100),
    version bigint NOT NULL,
    snapshot bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL,
    changed bigint NOT NULL,
    fingerprint bytea NOT NULL DEFAULT '',
    PRIMARY KEY (space, name)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX document_feed ON document (changed, id);
CREATE INDEX document_space_feed ON document (space, changed, id);

-- The row of the version document.snapshot holds the snapshot, those behind it a change each.
CREATE TABLE change (
    space bigint NOT NULL,
    document bigint NOT NULL,
    version bigint NOT NULL,
    peer text NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (space, document, version)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE gateway (
    space bigint NOT NULL,
    peer text COLLATE "C" NOT NULL,
    wants text[] NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (space, peer)
) WITH (fillfactor = 80);

CREATE TABLE revocation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space bigint NOT NULL,
    digest bytea NOT NULL,
    bytes bytea NOT NULL,
    UNIQUE (space, digest)
);

-- The newest changes that were refused, for inspection.
CREATE TABLE refusal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    space text NOT NULL,
    document text NOT NULL,
    peer text NOT NULL,
    code integer NOT NULL,
    reason text NOT NULL,
    bytes bytea NOT NULL
);
