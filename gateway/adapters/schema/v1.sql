-- The store, version 1. Rows are ordered by sequence number, never by time.
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- One snapshot a document: a Yjs v1 update that holds everything up to its sequence number.
CREATE TABLE snapshot (
    document INTEGER PRIMARY KEY REFERENCES document (id),
    sequence INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- What came after the snapshots, in order. There is no index by document: each commit would
-- write a page of it for every document it touches. The process keeps that in memory.
CREATE TABLE change (
    sequence INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document (id),
    peer TEXT NOT NULL,
    bytes BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- Updates that were refused, the newest of them, for inspection. The digest is their checksum.
CREATE TABLE quarantine (
    sequence INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    document TEXT NOT NULL,
    peer TEXT NOT NULL,
    code INTEGER NOT NULL,
    reason TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
