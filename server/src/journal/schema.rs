//! The file: its tables, its settings, and how it is opened.
//!
//! Later formats only add. A newer file is refused and left untouched; a damaged one is said to be so. The file is
//! private from its creation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Error, Result};

/// The format that this build writes; later ones only add.
const KNOWN: i64 = 2;
/// How long a write waits for others that use the file.
const WRITER_WAITS: Duration = Duration::from_secs(5);
/// Bytes that the write-ahead log may keep of the disk once all of it is in the file.
const LONGEST_LOG: u32 = 8 << 20;

const TABLES: &str = "
CREATE TABLE executions (
    ordinal INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    notebook INTEGER NOT NULL,
    cell_id TEXT,
    cell_index INTEGER,
    code TEXT NOT NULL,
    origin TEXT NOT NULL,
    stop_on_error INTEGER NOT NULL,
    status TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    execution_count INTEGER,
    error TEXT,
    pruned INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX unfinished ON executions (ordinal) WHERE status IN ('pending', 'running');
CREATE INDEX by_notebook ON executions (notebook, ordinal);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    execution INTEGER,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT,
    display_id TEXT,
    asset TEXT,
    start INTEGER,
    length INTEGER
);
CREATE INDEX by_execution ON events (execution, seq) WHERE execution IS NOT NULL;
CREATE INDEX by_display ON events (display_id, seq) WHERE display_id IS NOT NULL;
CREATE TABLE cells (
    notebook INTEGER NOT NULL,
    cell_id TEXT NOT NULL,
    execution INTEGER NOT NULL,
    PRIMARY KEY (notebook, cell_id)
) WITHOUT ROWID;
CREATE TABLE raw (
    id INTEGER PRIMARY KEY,
    after_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
);
PRAGMA user_version = 2;
";

/// From format 1, which did not know whether an execution had been sent to the kernel.
const FROM_1: &str =
    "ALTER TABLE executions ADD COLUMN sent INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 2;";

/// What a row of `events` is. The numbers are on disk.
pub(super) mod kind {
    pub const QUEUED: i64 = 1;
    pub const STARTED: i64 = 2;
    pub const OUTPUT: i64 = 3;
    pub const CLEAR: i64 = 4;
    pub const UPDATE: i64 = 5;
    pub const INPUT_REQUEST: i64 = 6;
    pub const INPUT_REPLIED: i64 = 7;
    pub const COMM: i64 = 8;
    pub const FINISHED: i64 = 9;
    pub const GAP: i64 = 10;
    pub const WIDGET: i64 = 11;
    pub const NEXT_INPUT: i64 = 12;
}

/// The journal's file in a session's folder.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Opens it for writing, and makes it where it is missing: private from its creation.
pub(super) fn open_writer(dir: &Path) -> Result<Connection> {
    let path = path(dir);
    crate::paths::open_private(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(WRITER_WAITS)?;
    let prepare = || -> rusqlite::Result<()> {
        db.pragma_update(None, "page_size", 16_384)?;
        // Of a new file: what pruning frees can be given back to the disk.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        // Write-ahead logs need shared memory, which file systems of other hosts do not give.
        let mode = if crate::paths::is_remote(&path) { "DELETE" } else { "WAL" };
        db.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "cache_size", -256)?;
        // With what is written after a flood the log is cut back; where nothing is, by `cut_log`.
        db.pragma_update(None, "journal_size_limit", LONGEST_LOG)
    };
    prepare().map_err(|e| named(e, &path))?;
    match version(&db, &path)? {
        0 => db.execute_batch(&format!("BEGIN; {TABLES} COMMIT;")).map_err(|e| named(e, &path))?,
        1 => db.execute_batch(&format!("BEGIN; {FROM_1} COMMIT;")).map_err(|e| named(e, &path))?,
        KNOWN => {}
        found => return Err(Error::Newer { path, found, known: KNOWN }),
    }
    Ok(db)
}

/// Cuts the write-ahead log where it is longer than it may stay. Who reads in it just now is not waited for.
pub(super) fn cut_log(db: &Connection, dir: &Path) -> Result<()> {
    let log = path(dir).with_extension("db-wal");
    if std::fs::metadata(log).is_ok_and(|log| log.len() > LONGEST_LOG.into()) {
        db.busy_timeout(Duration::ZERO)?;
        let cut = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        db.busy_timeout(WRITER_WAITS)?;
        cut?;
    }
    Ok(())
}

/// Opens it for reading. `None`: there is none yet. `waits`: how long a read waits for who holds it exclusively.
pub(super) fn open_reader(dir: &Path, waits: Duration) -> Result<Option<Connection>> {
    let path = path(dir);
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { path, source }),
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
    }
    // A reader of a WAL file takes part in its shared memory: it opens for writing, and writes no row.
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|_| Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY))
        .map_err(|e| named(e, &path))?;
    db.busy_timeout(waits)?;
    db.pragma_update(None, "query_only", true).map_err(|e| named(e, &path))?;
    match version(&db, &path)? {
        0 => Ok(None),
        1..=KNOWN => Ok(Some(db)),
        found => Err(Error::Newer { path, found, known: KNOWN }),
    }
}

fn version(db: &Connection, path: &Path) -> Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| named(e, path))
}

fn named(error: rusqlite::Error, path: &Path) -> Error {
    match Error::from(error) {
        Error::Corrupt { why, .. } => Error::Corrupt { path: path.to_owned(), why },
        other => other,
    }
}
