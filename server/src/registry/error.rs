//! What can go wrong with the registry or the conversations, sorted by what a caller can do about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::rows::is_malformed;

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
    /// The file is damaged. It was set aside, or will be by whoever opens it next.
    #[error("the database is damaged: {0}")]
    Corrupt(rusqlite::Error),
    /// Another process keeps the file, or its lock. It may do so for a moment, or be frozen.
    #[error(
        "another process keeps the database locked: try again; if that lasts, a kernel-keeper may have been \
         suspended (state T in ps): continue or end it"
    )]
    Busy,
    /// No room on the disk.
    #[error("the disk is full: nothing can be written")]
    Full,
    /// The file cannot be reached: its permissions, or its disk.
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// Anything else.
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
            Some(ErrorCode::DiskFull) => Error::Full,
            // All statements are ours and fit the schema: a table is missing, or a row is not what was written.
            Some(ErrorCode::Unknown) => Error::Corrupt(error),
            _ if matches!(error, rusqlite::Error::SqlInputError { .. }) => Error::Corrupt(error),
            _ if is_malformed(&error) => Error::Corrupt(error),
            _ => Error::Sqlite(error),
        }
    }
}
