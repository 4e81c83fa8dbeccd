//! The file under the registry, and the one under the conversations: opened when it is needed, watched for being
//! replaced, mended where it is damaged, and never waited for longer than a thread that serves others can afford.
//!
//! The usual opening takes no lock of ours. A connection notices by the inode that the file at the path is another one
//! than its own, before it is used and after each commit: what was written into a file that nobody will read is written
//! once more. How a file comes to lie at the path is told in `making.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{Error, Result, making};

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
    pub(super) fn known(&self) -> i64 {
        self.migrations.len() as i64
    }
}

/// What a new file is filled with before anybody sees it, and an incomplete one with what it lacks.
pub(super) type Fill = Arc<dyn Fn(&Transaction<'_>) -> Result<()> + Send + Sync>;

/// How long one attempt to write waits for another process on the caller's thread.
const WRITE_WAITS: Duration = Duration::from_millis(50);
/// The same for a look. Beside a write-ahead log it waits for nobody; on file systems that have none, for a commit.
const READ_WAITS: Duration = Duration::from_millis(250);
/// How long a stand-in serves before the path is tried again.
const STANDS_IN: Duration = Duration::from_secs(2);
/// A file can be found damaged or replaced at any time, but not again and again.
const TRIES: usize = 3;

/// One process's access to one database.
pub(super) struct Database {
    schema: &'static Schema,
    path: PathBuf,
    fill: Fill,
    open: Option<Open>,
    /// How often we changed over to another file.
    generation: i64,
    /// Somebody kept the file locked when it was to be written last: who may be frozen is not waited for again.
    is_kept: bool,
    /// Sentences for the user, of what was repaired.
    pub(super) warnings: Vec<String>,
}

/// A connection, and which file it is a connection to.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) inode: (u64, u64),
    /// It stands in, for reading alone, for a file that cannot be made while somebody keeps the lock: since then.
    pub(super) stands_in: Option<Instant>,
}

impl Database {
    /// Opens the file in a state folder, which is made where it is missing.
    pub(super) fn open(schema: &'static Schema, state_dir: &Path, fill: Fill) -> Result<Database> {
        let mut database = Database {
            schema,
            path: state_dir.join(schema.file),
            fill,
            open: None,
            generation: 0,
            is_kept: false,
            warnings: Vec::new(),
        };
        database.connection()?;
        Ok(database)
    }

    /// One look at the file at the path.
    pub(super) fn read<T>(&mut self, mut look: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        let mut tries = 1..TRIES;
        loop {
            let connection = self.connection()?;
            connection.busy_timeout(READ_WAITS)?;
            match look(connection) {
                // SQLite calls a file locked that was overwritten while it is used: it is opened anew to be looked at.
                Err(e @ (Error::Busy | Error::Corrupt(_))) if tries.next().is_some() => self.mend(e)?,
                Err(e @ Error::Sqlite(_)) if !self.is_current() && tries.next().is_some() => self.mend(e)?,
                done => return done,
            }
        }
    }

    /// One transaction that writes. It takes its turn at the beginning (`BEGIN IMMEDIATE`), so what `change` reads cannot
    /// be overtaken before it writes. Where the file was replaced meanwhile, `change` is made once more in the new one.
    pub(super) fn write<T>(&mut self, mut change: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut tries = 1..TRIES;
        loop {
            match self.attempt(&mut change) {
                Ok(_) if !self.is_current() && tries.next().is_some() => {}
                Err(e @ Error::Corrupt(_)) if tries.next().is_some() => self.mend(e)?,
                Err(Error::Sqlite(_) | Error::Full) if !self.is_current() && tries.next().is_some() => {}
                done => return done,
            }
        }
    }

    fn attempt<T>(&mut self, change: &mut impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let wait = if self.is_kept { Duration::ZERO } else { WRITE_WAITS };
        self.connection()?;
        let Some(open) = self.open.as_mut().filter(|open| open.stands_in.is_none()) else {
            return Err(Error::Busy);
        };
        open.connection.busy_timeout(wait)?;
        let begun = open.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = begun.map_err(Error::from).and_then(|transaction| {
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        self.is_kept = matches!(done, Err(Error::Busy));
        done
    }

    /// A number that differs whenever anything was committed since, by this process or another.
    pub(super) fn change_counter(&mut self) -> Result<i64> {
        let numbers = self.read(|connection| {
            let others: i64 = connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
            Ok(others + connection.total_changes() as i64)
        })?;
        Ok((self.generation << 40) + numbers)
    }

    pub(super) fn was_replaced(&self) -> bool {
        self.generation > 1
    }

    /// A connection to the file at the path. Another process may have set ours aside; what we would write there, nobody
    /// would read.
    fn connection(&mut self) -> Result<&Connection> {
        if !self.is_current() {
            if self.open.take().is_some() {
                tracing::warn!(path = %self.path.display(), "the database was replaced; opening the new one");
            }
            let open = making::open(self.schema, &self.path, &self.fill, &mut self.warnings)?;
            self.generation += 1;
            self.open = Some(open);
        }
        self.open.as_ref().map(|open| &open.connection).ok_or(Error::Busy)
    }

    fn is_current(&self) -> bool {
        self.open.as_ref().is_some_and(|open| match open.stands_in {
            Some(since) => since.elapsed() < STANDS_IN,
            None => inode(&self.path) == Some(open.inode),
        })
    }

    /// A statement failed: where the file is to blame, it is set aside, and one that is whole takes its place. Whatever
    /// was found, the next statement meets a file that was opened anew.
    fn mend(&mut self, error: Error) -> Result<()> {
        let open = self.open.take().filter(|open| open.stands_in.is_none());
        if let (Error::Corrupt(why), Some(open)) = (&error, &open) {
            tracing::warn!(path = %self.path.display(), "the database is damaged: {why}");
            // While it is open, no other file can have its inode.
            self.warnings.extend(making::set_aside(self.schema, &self.path, open.inode, || true)?);
        }
        // Closed before the file at the path is looked at.
        drop(open);
        self.connection().map(drop)
    }
}

impl Drop for Open {
    /// SQLite's last connection removes the log by name when it closes. Where another file lies at
    /// the path by now, that log is the other's: <https://sqlite.org/howtocorrupt.html#unlink>.
    fn drop(&mut self) {
        if inode(&self.path) != Some(self.inode) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

pub(super) fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
