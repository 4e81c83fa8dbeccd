//! How a database file comes to lie at its path: made aside, filled, and renamed into place, so that nobody ever looks
//! into half of one, and whoever is killed on the way leaves nothing that counts.
//!
//! Filling takes no lock: of several that find the file missing, each makes one, and the first one's is taken. A lock
//! beside the file (`registry.lock`) is held for a few system calls alone, while which file lies at the path changes:
//! a damaged one is set aside, a new one is renamed into place, and a log that outlived its database goes before that. Who
//! cannot have it soon (its holder may be frozen) goes on with what it made for itself, which can be read and not written.
//!
//! A damaged file is set aside before anything is read to fill the new one. So what was written into the old one is
//! either among what the new one is filled with, or its writer finds the file gone and writes once more (`file.rs`).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::file::{Fill, Open, Schema, inode};
use super::{Error, Result};
use crate::protocol::Time;

/// How long the lock beside the file is waited for.
const LOCK_WAITS: Duration = Duration::from_millis(150);
const LOCK_AGAIN: Duration = Duration::from_millis(2);
/// How long what is done at an opening waits for another process.
const OPENING_WAITS: Duration = Duration::from_millis(100);

/// What lies at a path.
enum Found {
    Whole(Open),
    /// Of an earlier build, or half filled by one. With a connection where it can be looked at as it is.
    Earlier(Option<Open>),
    Damaged,
    Missing,
}

/// Opens the file at the path; where it is missing, damaged or not whole, it becomes a whole one of the present format.
pub(super) fn open(
    schema: &'static Schema,
    path: &Path,
    fill: &Fill,
    warnings: &mut Vec<String>,
) -> Result<Open> {
    for _ in 0..5 {
        let damaged = inode(path);
        let found = match look(schema, path)? {
            Found::Whole(open) => return Ok(open),
            Found::Earlier(open) => match complete(schema, path, fill) {
                // It will be completed by whoever comes when nobody keeps it.
                Err(Error::Busy) => return open.ok_or(Error::Busy),
                Err(Error::Corrupt(_)) => Found::Damaged,
                done => {
                    done?;
                    continue;
                }
            },
            found => found,
        };
        if let (Found::Damaged, Some(damaged)) = (&found, damaged) {
            // An earlier build makes its file in place, with the lock: it may be whole by now.
            let is_damaged = || !matches!(look(schema, path), Ok(Found::Whole(_) | Found::Earlier(Some(_))));
            match set_aside(schema, path, damaged, is_damaged) {
                Err(Error::Busy) => return stand_in(schema, Aside::make(schema, path, fill)?),
                said => warnings.extend(said?),
            }
        }
        let aside = match Aside::make(schema, path, fill) {
            Ok(aside) => aside,
            // Another process has made one meanwhile, and removed all that were begun.
            Err(_) if !is_missing(path) => continue,
            Err(e) => return Err(e),
        };
        match put_in_place(path, &aside) {
            Err(Error::Busy) => return stand_in(schema, aside),
            done => done?,
        }
    }
    Err(Error::Io { path: path.to_owned(), source: io::Error::other("it is damaged again and again") })
}

/// Sets the file aside, unless another lies at the path by now, or it is no longer damaged. Gives a sentence for the user.
pub(super) fn set_aside(
    schema: &'static Schema,
    path: &Path,
    damaged: (u64, u64),
    is_damaged: impl FnOnce() -> bool,
) -> Result<Option<String>> {
    let _guard = lock(path)?;
    if inode(path) != Some(damaged) || !is_damaged() {
        return Ok(None);
    }
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
    Ok(Some(warning))
}

/// A file that is being made beside the path, and is gone with this unless it was renamed into place.
struct Aside(PathBuf);

impl Aside {
    fn make(schema: &Schema, path: &Path, fill: &Fill) -> Result<Aside> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(path))?;
        let aside = Aside(with_suffix(path, &format!("{BEGUN}{}", crate::ids::unique())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside.0);
        drop(file.map_err(at(&aside.0))?);
        complete(schema, &aside.0, fill)?;
        // It is renamed into place without its log, which is folded in when the last connection closes.
        match companions(&aside.0).iter().any(|file| file.exists()) {
            true => Err(at(path)(io::Error::other("its log cannot be folded in"))),
            false => Ok(aside),
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        for file in companions(&self.0).iter().chain([&self.0]) {
            let _ = fs::remove_file(file);
        }
    }
}

/// What the names of such files have after that of the path.
const BEGUN: &str = ".new-";

/// Renames a new file into place, unless another process was faster.
fn put_in_place(path: &Path, aside: &Aside) -> Result<()> {
    let _guard = lock(path)?;
    if !is_missing(path) {
        return Ok(());
    }
    // A log without its database belongs to one that is gone.
    for orphan in companions(path) {
        let _ = fs::remove_file(orphan);
    }
    fs::rename(&aside.0, path).map_err(at(path))?;
    // Those of others come too late, and those of who was killed nobody else removes.
    let begun = with_suffix(path, BEGUN);
    let begun = begun.file_name().unwrap_or_default().as_encoded_bytes();
    for entry in path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(begun) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// What was made goes without its name, and stands in for the file at the path.
fn stand_in(schema: &Schema, aside: Aside) -> Result<Open> {
    tracing::warn!(path = %aside.0.display(), "the lock is kept: for now this can only be looked at");
    let inode = inode(&aside.0).ok_or_else(|| gone(&aside.0))?;
    let connection = connect(schema, &aside.0)?;
    check(schema, &connection)?;
    Ok(Open { connection, path: aside.0.clone(), inode, stands_in: Some(Instant::now()) })
}

/// Whether there is nothing at the path: no file, or an empty one that no log belongs to.
fn is_missing(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => {
            found.is_file() && found.len() == 0 && !companions(path).iter().any(|file| file.exists())
        }
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}

fn look(schema: &Schema, path: &Path) -> Result<Found> {
    if is_missing(path) {
        return Ok(Found::Missing);
    }
    let before = inode(path);
    if fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0) {
        // A new file has no log.
        return Ok(Found::Damaged);
    }
    let looked = connect(schema, path).and_then(|connection| {
        let version = version(&connection)?;
        let is_present = version == schema.known() && additions(&connection)? >= schema.additions.len();
        let checked = if version == schema.known() { check(schema, &connection) } else { Ok(()) };
        Ok((connection, version, is_present, checked))
    });
    match looked {
        Ok((_, version, ..)) if version > schema.known() => {
            Err(Error::Newer { file: schema.file, found: version, known: schema.known() })
        }
        Ok((connection, found, is_present, checked)) => {
            // The same before and after: the connection is to this file.
            let Some(inode) = inode(path).filter(|after| Some(*after) == before) else {
                return Ok(Found::Missing);
            };
            let open = Open { connection, path: path.to_owned(), inode, stands_in: None };
            match (is_present, checked) {
                (true, Ok(())) => Ok(Found::Whole(open)),
                (false, Ok(())) => Ok(Found::Earlier((found == schema.known()).then_some(open))),
                (true, Err(Error::Corrupt(_))) => Ok(Found::Damaged),
                // What an earlier one lacks is added.
                (false, Err(Error::Corrupt(_))) => Ok(Found::Earlier(None)),
                (_, Err(e)) => Err(e),
            }
        }
        Err(Error::Corrupt(_)) => Ok(Found::Damaged),
        Err(Error::Busy) if is_overwritten(path) => Ok(Found::Damaged),
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
        Err(e) => Err(e),
    }
}

/// Whether the file no longer begins as a database does. While processes use it, SQLite calls such a file locked,
/// not damaged. Only asked while this process has no connection to the file: closing a file gives up all locks
/// that its process holds on it, <https://sqlite.org/howtocorrupt.html#posix_close_bug>.
fn is_overwritten(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut found = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut found));
    read.is_ok() && found != MAGIC
}

fn connect(schema: &Schema, path: &Path) -> Result<Connection> {
    // Never SQLITE_OPEN_CREATE: the mode of the file would be the umask's.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| unreachable_file(path, error))?;
    connection.busy_timeout(OPENING_WAITS)?;
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
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Brings a file to the present format and enters what it lacks, in one transaction: whoever is killed in it has done
/// nothing.
fn complete(schema: &Schema, path: &Path, fill: &Fill) -> Result<()> {
    let mut connection = connect(schema, path)?;
    let before = version(&connection)?;
    if before == 0 {
        // Write-ahead logs need shared memory, which file systems of other hosts do not give.
        let mode = if crate::paths::is_remote(path) { "DELETE" } else { "WAL" };
        connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &schema.migrations[before.clamp(0, schema.known()) as usize..] {
        // Where a table is there already, in a file without a format, it is not ours, and damaged as ours.
        transaction.execute_batch(step)?;
    }
    let added = additions(&transaction)?;
    for step in schema.additions.iter().skip(added) {
        transaction.execute_batch(step)?;
    }
    fill(&transaction)?;
    transaction.pragma_update(None, "application_id", added.max(schema.additions.len()) as i64)?;
    transaction.pragma_update(None, "user_version", schema.known())?;
    transaction.commit()?;
    check(schema, &connection)
}

/// Held while which file lies at the path changes. The lock ends with the file, so with the process at the latest.
/// [`Error::Busy`]: whoever has it is frozen, for all that can be known.
fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(at(&path))?;
    let deadline = Instant::now() + LOCK_WAITS;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(at(&path)(e)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Err(Error::Busy),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_AGAIN),
        }
    }
}

fn companions(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(path, suffix))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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
