CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- The session, and the notebook's number within it, by which its present name is found.
    session_id TEXT,
    notebook INTEGER,
    -- The notebook as it was known last; the only names where there is no session.
    key TEXT,
    uri TEXT,
    device INTEGER,
    inode INTEGER,
    -- When the file came to be: inodes are given again.
    born INTEGER,
    title TEXT NOT NULL,
    -- Whether the title is from a turn of a person's; before one spoke it is from the first turn.
    by_user INTEGER NOT NULL,
    turn_count INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    -- Milliseconds from then until it expires, as whoever began it or added to it last has it in the settings.
    lifetime INTEGER NOT NULL,
    -- When one was first seen that expired long ago: the boot, and its milliseconds awake.
    seen_boot TEXT,
    seen_awake INTEGER
);
CREATE INDEX conversations_activity ON conversations (last_activity_at);
CREATE INDEX conversations_key ON conversations (key) WHERE session_id IS NULL;
CREATE INDEX conversations_file ON conversations (device, inode) WHERE session_id IS NULL;

-- Turns may be many megabytes: in a table of its own order, found by an index.
CREATE TABLE turns (
    conversation INTEGER NOT NULL,
    place INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE UNIQUE INDEX turns_place ON turns (conversation, place);
