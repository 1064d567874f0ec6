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

-- What came after the snapshot, in order.
CREATE TABLE change (
    sequence INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document (id),
    peer TEXT NOT NULL,
    bytes BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX change_of_document ON change (document, sequence);

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
