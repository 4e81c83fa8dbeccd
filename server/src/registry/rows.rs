//! Rows as they are read. A session's id names folders, and anybody who can write the file can write any text: it is checked
//! here, where rows become values, so that no use can forget it. A row whose id is none is passed over, and said so.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use super::{Error, Result};
use crate::ids::is_id;

/// An id out of its column.
pub(super) struct Id(pub(super) String);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no id")]
struct NoId(String);

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Id> {
        let text = value.as_str()?;
        match is_id(text) {
            true => Ok(Id(text.to_owned())),
            false => Err(FromSqlError::other(NoId(text.chars().take(80).collect()))),
        }
    }
}

/// The rows that can be used.
pub(super) fn all<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> Result<Vec<T>> {
    rows.filter_map(|row| one(row).transpose()).collect()
}

/// One row; `None` where there is none that can be used.
pub(super) fn one<T>(row: rusqlite::Result<T>) -> Result<Option<T>> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(rusqlite::Error::FromSqlConversionFailure(_, _, why)) if why.is::<NoId>() => {
            tracing::warn!("a row is passed over: {why}");
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

/// Whether a row has what was never written into it.
pub(super) fn is_malformed(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..))
}

/// The rows of a database that is no index of anything: one that is malformed is passed over and stays, for what is set
/// aside because of it nobody could make anew.
pub(super) fn legible<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> Result<Vec<T>> {
    let rows = rows.filter_map(|row| match row {
        Err(e) if is_malformed(&e) => {
            tracing::warn!("a row cannot be read and is passed over: {e}");
            None
        }
        row => Some(row),
    });
    rows.map(|row| row.map_err(Error::from)).collect()
}

/// The ids among texts.
pub(super) fn ids(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().filter(|text| is_id(text)).collect()
}
