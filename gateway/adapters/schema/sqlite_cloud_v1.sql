-- A hub's documents in one file, version 1. Names are compared by bytes (BINARY collation).
-- There is one writer at a time, so the figures of a space are kept in its row.
CREATE TABLE space (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    documents INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    gateways INTEGER NOT NULL DEFAULT 0
) STRICT;

-- version: how many changes it ever had. snapshot: the version that its snapshot holds, or 0.
-- changed: its place in the feed, a number that grows with every change of any document.
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space (id),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    snapshot INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    fingerprint BLOB NOT NULL DEFAULT x'',
    changed INTEGER NOT NULL UNIQUE,
    UNIQUE (space, name)
) STRICT;

CREATE INDEX document_feed ON document (space, changed);

-- The row of the version document.snapshot holds the snapshot, those behind it a change each.
CREATE TABLE change (
    document INTEGER NOT NULL REFERENCES document (id),
    version INTEGER NOT NULL,
    peer TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (document, version)
) STRICT;

-- wants: a JSON array of collections.
CREATE TABLE gateway (
    space INTEGER NOT NULL REFERENCES space (id),
    peer TEXT NOT NULL,
    wants TEXT NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (space, peer)
) STRICT;

CREATE TABLE revocation (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space (id),
    bytes BLOB NOT NULL,
    UNIQUE (space, bytes)
) STRICT;

-- The newest changes that were refused, for inspection.
CREATE TABLE refusal (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    space TEXT NOT NULL,
    document TEXT NOT NULL,
    peer TEXT NOT NULL,
    code INTEGER NOT NULL,
    reason TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
