-- Version 2: the log is the outbox of the cloud as well. One row at most, none until the store
-- relays for the first time: no change up to ``mark`` waits; while ``away`` is 1, none at all.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mark INTEGER NOT NULL,
    away INTEGER NOT NULL
) STRICT;
