//! What can go wrong with the registry or the conversations, sorted by what a caller can do about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a database did not do what was asked. Nothing was written in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A later version of ours has changed the file. It is left untouched.
    #[error(
        "{file} has format {found} and this version of kernel-keeper knows {known}: update kernel-keeper"
    )]
    Newer { file: &'static str, found: i64, known: i64 },
    /// Another live session holds the notebook.
    #[error("the notebook has the live session {session_id}")]
    Taken { session_id: String },
    /// As many live sessions as there may be.
    #[error("{live} sessions live already")]
    Limit { live: u32 },
    /// As many conversations as there may be.
    #[error("{live} conversations are kept already")]
    TooMany { live: u32 },
    /// The session is bound to another notebook than expected.
    #[error("the session is bound to {key} by now")]
    Moved { key: String, uri: String },
    /// There is no such session, or the session has no notebook of that number.
    #[error("the registry does not know {what}")]
    Missing { what: String },
    /// The file is damaged: see `recover`.
    #[error("the database is damaged: {0}")]
    Corrupt(rusqlite::Error),
    /// No room on the disk.
    #[error("the disk is full: nothing can be written")]
    Full,
    /// The file cannot be reached: its permissions, or its disk.
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// Anything else; among it that other processes kept the file for longer than five seconds.
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(error),
            Some(ErrorCode::DiskFull) => Error::Full,
            _ => Error::Sqlite(error),
        }
    }
}
