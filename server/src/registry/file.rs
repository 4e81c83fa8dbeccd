//! The file under the registry, and the one under the conversations: made private from its first moment, checked
//! cheaply, migrated, set aside when broken.
//!
//! The usual opening takes no lock of ours. Whatever changes which file lies at the path (making it, setting a
//! broken one aside) happens under a lock beside it (`registry.lock`), so of several processes at once one does it
//! and the others find it done. Connections notice by the inode that the file at the path is another one than theirs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{Error, Result};
use crate::protocol::Time;

/// What one database is.
pub(super) struct Schema {
    /// Its name in the state folder.
    pub(super) file: &'static str,
    /// Each step only adds. The format's number is how many of them a file has.
    pub(super) migrations: &'static [&'static str],
    /// What an earlier build need not know of, and so is not refused by it: a keeper outlives upgrades. Their number
    /// stands in SQLite's `application_id`.
    pub(super) additions: &'static [&'static str],
    /// All its tables.
    pub(super) tables: &'static [&'static str],
    /// SQLite's `synchronous`: whether a power cut may take what was committed last.
    pub(super) synchronous: &'static str,
    /// What a person calls it, and what they are told of its loss.
    pub(super) name: &'static str,
    pub(super) loss: &'static str,
}

impl Schema {
    fn known(&self) -> i64 {
        self.migrations.len() as i64
    }

    fn newer(&self, found: i64) -> Error {
        Error::Newer { file: self.file, found, known: self.known() }
    }
}

const BUSY: Duration = Duration::from_secs(5);

/// An open connection, and which file it is a connection to.
pub(super) struct Database {
    schema: &'static Schema,
    path: PathBuf,
    pub(super) connection: Connection,
    inode: (u64, u64),
    /// The file was empty when we opened it, and nobody was told yet.
    pub(super) rebuilt: bool,
    /// How often we changed over to another file.
    pub(super) generation: i64,
}

impl Database {
    pub(super) fn open(schema: &'static Schema, state_dir: &Path) -> Result<(Database, Vec<String>)> {
        let path = state_dir.join(schema.file);
        if let Ok(database) = Database::ready(schema, &path) {
            return Ok((database, Vec::new()));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(at(&path))?;
        let _guard = lock(&path)?;
        Database::settle(schema, &path)
    }

    /// One look at the file at the path.
    pub(super) fn read<T>(&mut self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.refresh()?;
        look(&self.connection)
    }

    /// One transaction that writes. It takes its turn at the beginning (`BEGIN IMMEDIATE`), so what `change`
    /// reads cannot be overtaken before it writes.
    pub(super) fn write<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.refresh()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// A number that differs whenever anything was committed since, by this process or another.
    pub(super) fn change_counter(&mut self) -> Result<i64> {
        self.refresh()?;
        let others: i64 = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        let ours = self.connection.total_changes() as i64;
        Ok((self.generation << 40) + others + ours)
    }

    /// Makes sure that this is a connection to the file at the path. Another process may have set our file
    /// aside; what we would write there, nobody would read.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if inode(&self.path).is_some_and(|now| now == self.inode) {
            return Ok(());
        }
        tracing::warn!(path = %self.path.display(), "the database was replaced; opening the new one");
        let folder = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let (fresh, _) = Database::open(self.schema, &folder)?;
        self.change_over(fresh);
        Ok(())
    }

    /// Sets our file aside, if it still lies at the path, and opens what lies there then.
    pub(super) fn recover(&mut self) -> Result<Vec<String>> {
        let _guard = lock(&self.path)?;
        let mut warnings = Vec::new();
        if inode(&self.path) == Some(self.inode) {
            // Ours is no longer the file at the path when it is closed: see `drop`.
            warnings.push(set_aside(self.schema, &self.path)?);
        }
        let (fresh, more) = Database::settle(self.schema, &self.path)?;
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
    fn ready(schema: &'static Schema, path: &Path) -> Result<Database> {
        let before = inode(path);
        let connection = connect(schema, path)?;
        match version(&connection)? {
            found if found == schema.known() => {}
            found => return Err(schema.newer(found)),
        }
        if additions(&connection)? < schema.additions.len() {
            return Err(gone(path));
        }
        check(schema, &connection)?;
        // The same before and after: the connection is to this file.
        let inode = inode(path).filter(|after| Some(*after) == before).ok_or_else(|| gone(path))?;
        Ok(Database { schema, path: path.to_owned(), connection, inode, rebuilt: false, generation: 0 })
    }

    /// The path with our lock held: whatever lies there becomes a healthy file of the present format.
    fn settle(schema: &'static Schema, path: &Path) -> Result<(Database, Vec<String>)> {
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
                warnings.push(set_aside(schema, path)?);
                continue;
            }
            match migrate(schema, path) {
                Ok(rebuilt) => {
                    let mut database = Database::ready(schema, path)?;
                    database.rebuilt = rebuilt;
                    return Ok((database, warnings));
                }
                Err(Error::Corrupt(_)) => warnings.push(set_aside(schema, path)?),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Io { path: path.to_owned(), source: io::Error::other("it is damaged again and again") })
    }
}

impl Drop for Database {
    /// SQLite's last connection removes the log by name when it closes. Where another file lies at
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

fn connect(schema: &Schema, path: &Path) -> Result<Connection> {
    // Never SQLITE_OPEN_CREATE: the mode of the file would be the umask's.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| unreachable_file(path, error))?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", schema.synchronous)?;
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
fn check(schema: &Schema, connection: &Connection) -> Result<()> {
    for table in schema.tables {
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
fn migrate(schema: &Schema, path: &Path) -> Result<bool> {
    let mut connection = connect(schema, path)?;
    let before = version(&connection)?;
    if before > schema.known() {
        return Err(schema.newer(before));
    }
    if before == 0 {
        // Write-ahead logs need shared memory, which file systems of other hosts do not give.
        let mode = if crate::paths::is_remote(path) { "DELETE" } else { "WAL" };
        connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &schema.migrations[before.max(0) as usize..] {
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
    for step in schema.additions.iter().skip(added) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", added.max(schema.additions.len()) as i64)?;
    transaction.pragma_update(None, "user_version", schema.known())?;
    transaction.commit()?;
    check(schema, &connection)?;
    Ok(before == 0)
}

fn create(path: &Path) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    Ok(())
}

/// Held while which file lies at the path may change. The lock ends with the file, so with the process at the latest.
fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

/// Renames the file and its log, so that a person can look at them, and says so.
fn set_aside(schema: &Schema, path: &Path) -> Result<String> {
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
        "{} was damaged. It was set aside as {} and made anew; {}.",
        schema.name,
        target.display(),
        schema.loss
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
