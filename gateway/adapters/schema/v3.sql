-- Version 3: for how many seconds the first change above the mark had waited when that was written.
ALTER TABLE outbox ADD COLUMN waited INTEGER NOT NULL DEFAULT 0;
