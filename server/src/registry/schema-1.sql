CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    live INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX sessions_live ON sessions (last_activity_at DESC, id) WHERE live = 1;
CREATE INDEX sessions_all ON sessions (last_activity_at DESC, id);

-- A lineage is one notebook through all its names: what migrates takes the ended sessions of its lineage along.
CREATE TABLE bindings (
    place INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    uri TEXT NOT NULL,
    device INTEGER,
    inode INTEGER,
    -- When the file came to be: inodes are given again.
    born INTEGER,
    live INTEGER NOT NULL,
    lineage INTEGER NOT NULL,
    UNIQUE (session_id, number)
);
CREATE UNIQUE INDEX bindings_one_live ON bindings (key) WHERE live = 1;
CREATE INDEX bindings_key ON bindings (key);
CREATE INDEX bindings_lineage ON bindings (lineage);
CREATE INDEX bindings_file ON bindings (device, inode) WHERE live = 1;

CREATE TABLE windows (
    id TEXT NOT NULL PRIMARY KEY,
    pid INTEGER NOT NULL,
    start INTEGER NOT NULL,
    boot TEXT NOT NULL,
    host TEXT NOT NULL,
    document TEXT NOT NULL,
    open_notebooks TEXT NOT NULL,
    last_seen INTEGER NOT NULL
);

CREATE TABLE offers (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    notebook_key TEXT NOT NULL UNIQUE,
    session_ids TEXT NOT NULL,
    window_id TEXT,
    document TEXT NOT NULL,
    raised_at INTEGER NOT NULL
);

CREATE TABLE dismissals (
    notebook_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    move TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (notebook_key, kind, move)
) WITHOUT ROWID;
