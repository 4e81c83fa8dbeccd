-- What a window is said to be, by itself and by others: JSON of the caller's.
ALTER TABLE windows ADD COLUMN about TEXT NOT NULL DEFAULT '{}';
ALTER TABLE windows ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE windows ADD COLUMN reconnect_count INTEGER NOT NULL DEFAULT 0;
-- A window that only others know of has no process of ours.
ALTER TABLE windows ADD COLUMN has_sidecar INTEGER NOT NULL DEFAULT 1;
-- By a clock that stands still while the machine sleeps, of the boot in `boot`.
ALTER TABLE windows ADD COLUMN seen_awake INTEGER;
ALTER TABLE windows ADD COLUMN disconnected_at INTEGER;
-- Its sidecar said goodbye.
ALTER TABLE windows ADD COLUMN has_left INTEGER NOT NULL DEFAULT 0;
-- Of the token that takes it up again: SHA-256, the boot it was issued in, and by a clock that goes on in sleep when.
ALTER TABLE windows ADD COLUMN token TEXT;
ALTER TABLE windows ADD COLUMN used_tokens TEXT NOT NULL DEFAULT '[]';

CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    session_id TEXT,
    window_id TEXT,
    label TEXT,
    detail TEXT
);
CREATE INDEX events_at ON events (at);
