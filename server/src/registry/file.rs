//! The file under the registry: made private from its first moment, checked cheaply, migrated, set aside when broken.
//!
//! The usual opening takes no lock of ours. Whatever changes which file lies at the path (making it, setting a
//! broken one aside) happens under `registry.lock`, so of several processes at once one does it and the others
//! find it done. Connections notice by the inode that the file at the path is another one than theirs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Error, Result};
use crate::protocol::Time;

/// Each step only adds. The format's number is how many of them a file has.
const MIGRATIONS: &[&str] = &[include_str!("schema-1.sql")];
const KNOWN: i64 = MIGRATIONS.len() as i64;
/// What an earlier build need not know of, and so is not refused by it: a keeper outlives upgrades. Their number stands
/// in SQLite's `application_id`.
const ADDITIONS: &[&str] = &[include_str!("additions-1.sql")];
const BUSY: Duration = Duration::from_secs(5);

/// An open connection, and which file it is a connection to.
pub(super) struct Database {
    path: PathBuf,
    pub(super) connection: Connection,
    inode: (u64, u64),
    /// The file was empty when we opened it, and nobody was told yet.
    pub(super) rebuilt: bool,
    /// How often we changed over to another file.
    pub(super) generation: i64,
}

impl Database {
    pub(super) fn open(state_dir: &Path) -> Result<(Database, Vec<String>)> {
        let path = state_dir.join("registry.db");
        if let Ok(database) = Database::ready(&path) {
            return Ok((database, Vec::new()));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(at(&path))?;
        let _guard = lock(&path)?;
        Database::settle(&path)
    }

    /// Makes sure that this is a connection to the file at the path. Another process may have set our file
    /// aside; what we would write there, nobody would read.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if inode(&self.path).is_some_and(|now| now == self.inode) {
            return Ok(());
        }
        tracing::warn!(path = %self.path.display(), "the registry was replaced; opening the new one");
        let folder = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let (fresh, _) = Database::open(&folder)?;
        self.change_over(fresh);
        Ok(())
    }

    /// Sets our file aside, if it still lies at the path, and opens what lies there then.
    pub(super) fn recover(&mut self) -> Result<Vec<String>> {
        let _guard = lock(&self.path)?;
        let mut warnings = Vec::new();
        if inode(&self.path) == Some(self.inode) {
            // Ours is no longer the file at the path when it is closed: see `drop`.
            warnings.push(set_aside(&self.path)?);
        }
        let (fresh, more) = Database::settle(&self.path)?;
        self.change_over(fresh);
        warnings.extend(more);
        Ok(warnings)
    }

    fn change_over(&mut self, mut fresh: Database) {
        fresh.generation = self.generation + 1;
        fresh.rebuilt |= self.rebuilt;
        *self = fresh;
    }

    /// The path without our lock: a healthy file of the present format, or an error of any kind.
    fn ready(path: &Path) -> Result<Database> {
        let before = inode(path);
        let connection = connect(path)?;
        match version(&connection)? {
            KNOWN => {}
            found => return Err(Error::Newer { found, known: KNOWN }),
        }
        if additions(&connection)? < ADDITIONS.len() {
            return Err(gone(path));
        }
        check(&connection)?;
        // The same before and after: the connection is to this file.
        let inode = inode(path).filter(|after| Some(*after) == before).ok_or_else(|| gone(path))?;
        Ok(Database { path: path.to_owned(), connection, inode, rebuilt: false, generation: 0 })
    }

    /// The path with our lock held: whatever lies there becomes a healthy file of the present format.
    fn settle(path: &Path) -> Result<(Database, Vec<String>)> {
        let mut warnings = Vec::new();
        for _ in 0..3 {
            if !path.try_exists().map_err(at(path))? {
                // A log without its database belongs to one that is gone.
                for orphan in companions(path) {
                    let _ = fs::remove_file(orphan);
                }
                create(path)?;
            }
            if is_overwritten(path) {
                warnings.push(set_aside(path)?);
                continue;
            }
            match migrate(path) {
                Ok(rebuilt) => {
                    let mut database = Database::ready(path)?;
                    database.rebuilt = rebuilt;
                    return Ok((database, warnings));
                }
                Err(Error::Corrupt(_)) => warnings.push(set_aside(path)?),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Io { path: path.to_owned(), source: io::Error::other("it is damaged again and again") })
    }
}

impl Drop for Database {
    /// SQLite's last connection removes `registry.db-wal` by name when it closes. Where another file lies at
    /// the path by now, that log is the other's: <https://sqlite.org/howtocorrupt.html#unlink>.
    fn drop(&mut self) {
        if inode(&self.path) != Some(self.inode) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// Whether the file no longer begins as a database does. While processes use it, SQLite calls such a file locked,
/// not damaged. Only asked while this process has no connection to the file: closing a file gives up all locks
/// that its process holds on it, <https://sqlite.org/howtocorrupt.html#posix_close_bug>.
fn is_overwritten(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut found = Vec::new();
    match File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut found)) {
        // A new file is empty; one with a log is not new.
        Ok(0) => companions(path).iter().any(|file| file.exists()),
        Ok(_) => found != MAGIC,
        Err(_) => false,
    }
}

fn connect(path: &Path) -> Result<Connection> {
    // Never SQLITE_OPEN_CREATE: the mode of the file would be the umask's.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| unreachable_file(path, error))?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// SQLite says only "unable to open"; the operating system says why.
fn unreachable_file(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied};
    if !matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied)) {
        return error.into();
    }
    let source = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(_) => io::ErrorKind::PermissionDenied.into(),
        Err(source) => source,
    };
    Error::Io { path: path.to_owned(), source }
}

fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn additions(connection: &Connection) -> Result<usize> {
    let count: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Reads the schema and the first page of every table: what a truncated or overwritten file does not survive,
/// and cheap enough for every start. Damage deeper down shows as [`Error::Corrupt`] when it is met.
fn check(connection: &Connection) -> Result<()> {
    for table in ["sessions", "bindings", "windows", "offers", "dismissals", "events"] {
        let sql = format!("SELECT 1 FROM {table} LIMIT 1");
        match connection.query_row(&sql, [], |_| Ok(())) {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            // "no such table" in a file of the right format: its schema is damaged.
            Err(error @ rusqlite::Error::SqlInputError { .. }) => return Err(Error::Corrupt(error)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Brings the file to the present format. True where it was empty.
fn migrate(path: &Path) -> Result<bool> {
    let mut connection = connect(path)?;
    let before = version(&connection)?;
    if before > KNOWN {
        return Err(Error::Newer { found: before, known: KNOWN });
    }
    if before == 0 {
        // Write-ahead logs need shared memory, which file systems of other hosts do not give.
        let mode = if crate::paths::is_remote(path) { "DELETE" } else { "WAL" };
        connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &MIGRATIONS[before.max(0) as usize..] {
        // A table that is there already, in a file without a format: it is not ours.
        transaction.execute_batch(step).map_err(|error| match error {
            rusqlite::Error::SqliteFailure(ref failure, _)
                if failure.code == rusqlite::ErrorCode::Unknown =>
            {
                Error::Corrupt(error)
            }
            other => other.into(),
        })?;
    }
    let added = additions(&transaction)?;
    for step in ADDITIONS.iter().skip(added) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", added.max(ADDITIONS.len()) as i64)?;
    transaction.pragma_update(None, "user_version", KNOWN)?;
    transaction.commit()?;
    check(&connection)?;
    Ok(before == 0)
}

fn create(path: &Path) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    Ok(())
}

/// Held while which file lies at the path may change. The lock ends with the file, so with the process at the latest.
fn lock(path: &Path) -> Result<File> {
    let path = path.with_file_name("registry.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

/// Renames the file and its log, so that a person can look at them, and says so.
fn set_aside(path: &Path) -> Result<String> {
    let time = Time::now().to_string().replace([':', '-'], "");
    let mut target = with_suffix(path, &format!(".corrupt-{time}"));
    let mut number = 1;
    while target.exists() {
        number += 1;
        target = with_suffix(path, &format!(".corrupt-{time}-{number}"));
    }
    fs::rename(path, &target).map_err(at(path))?;
    for (from, to) in companions(path).into_iter().zip(companions(&target)) {
        let _ = fs::rename(from, to);
    }
    let warning = format!(
        "The registry was damaged. It was set aside as {} and made anew; no kernel and no output is lost.",
        target.display()
    );
    tracing::warn!("{warning}");
    Ok(warning)
}

fn companions(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(path, suffix))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn gone(path: &Path) -> Error {
    Error::Io { path: path.to_owned(), source: io::ErrorKind::NotFound.into() }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Io { path, source },
    }
}
