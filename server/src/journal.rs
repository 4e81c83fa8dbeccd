//! A session's own journal: executions and everything that they put out, in order, in one SQLite file.
//!
//! One process writes it (the keeper, or who holds its lock), any number read it meanwhile. A row has its sequence number
//! before anybody is told of it, and a number is never used twice. What is missing is said by a `gap`, never passed over.
//! It knows no kernels and no paths: rows name notebooks by their number within the session.

mod assets;
mod fold;
mod large;
mod outputs;
mod pruning;
mod reader;
mod removed;
mod rows;
mod schema;
mod writer;

use std::path::PathBuf;

use crate::protocol::{CellRef, ExecutionError, ExecutionStatus, InputPrompt, Output, Time};

pub use assets::{sizes, sweep_assets};
/// What the code and the errors of a history may take in an answer, in bytes of JSON.
pub const HISTORY: u64 = large::Bounds::USUAL.history();

pub use outputs::Standing;
pub use reader::{Most, Reader};
pub use writer::{Journal, NewExecution};

/// What every call gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a journal did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A later version of ours has changed the file. It is left untouched.
    #[error("the journal {path} has format {found}, and this Kernel Keeper knows {known}: update it")]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// The file is no journal, or a damaged one.
    #[error("the journal {path} is damaged: {why}")]
    Corrupt { path: PathBuf, why: String },
    #[error("the disk is full")]
    Full,
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the journal failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl Error {
    /// Whether it will do again when there is room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether what is small may be written where room was given back: a full disk, a quota, a limit of file sizes. SQLite
    /// tells the latter two as a failed write.
    pub fn is_for_want_of_room(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded};
        match self {
            Self::Io { source, .. } if matches!(source.kind(), FileTooLarge | QuotaExceeded) => true,
            Self::Sqlite(error) => error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE),
            _ => self.is_full(),
        }
    }

    /// Whether the file is damaged, and not only out of reach.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether a newer version wrote the file.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::Corrupt { path: PathBuf::from("journal.db"), why: error.to_string() }
            }
            _ => Error::Sqlite(error),
        }
    }
}

/// How large a journal may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Database and assets; beyond, the oldest outputs go.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bytes: 1 << 30 }
    }
}

/// An execution as the journal has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRow {
    pub execution_id: String,
    pub notebook: u32,
    pub cell_id: Option<String>,
    pub cell_index: Option<u32>,
    pub code: String,
    pub execution_count: Option<u32>,
    pub origin: String,
    pub status: ExecutionStatus,
    pub queued_at: Time,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    pub error: Option<ExecutionError>,
    pub stop_on_error: bool,
    /// It may have reached the kernel; known of unfinished ones only.
    pub sent: bool,
    /// What it asks the user for; known of unfinished ones only.
    pub input: Option<InputPrompt>,
}

impl ExecutionRow {
    /// The cell that it was run from.
    pub fn cell(&self) -> Option<CellRef> {
        self.cell_id.clone().map(|id| CellRef { id, index: self.cell_index.unwrap_or(0) })
    }
}

/// A cell's latest execution that began, with its outputs as they stand.
#[derive(Clone, Debug, PartialEq)]
pub struct CellRow {
    pub notebook: u32,
    pub cell_id: String,
    pub cell_index: Option<u32>,
    pub execution_id: String,
    pub execution_count: Option<u32>,
    pub status: ExecutionStatus,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    pub outputs: Vec<Output>,
    /// The bytes of what was cut, and the file that has them all.
    pub truncated: Option<(u64, PathBuf)>,
    /// How many outputs are left out because the answer is full.
    pub left_out: u64,
    /// Some of its output was removed to keep the journal's limit, or may be missing.
    pub is_incomplete: bool,
}
