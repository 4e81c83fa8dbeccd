//! The sessions of the registry: who they are, whether they live, and when they last did something.

use rusqlite::{Connection, Row, params};

use super::bindings::{claim, release_all};
use super::rows::{self, Id};
use super::{Binding, Error, Registry, Result};
use crate::protocol::Time;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub id: String,
    /// The host and the boot of it that the session runs on: elsewhere it is only listed.
    pub host: String,
    pub boot: String,
    pub live: bool,
    /// The caller's own record, as JSON.
    pub document: String,
    pub created_at: Time,
    pub last_activity_at: Time,
    pub ended_at: Option<Time>,
}

const COLUMNS: &str = "id, host, boot, live, document, created_at, last_activity_at, ended_at";

impl Registry {
    /// The same unless `most` sessions live already: [`Error::Limit`].
    pub fn reserve_within(&self, most: u32, session: &SessionRow, bindings: &[Binding]) -> Result<()> {
        self.write(|transaction| {
            let count = "SELECT COUNT(*) FROM sessions WHERE live = 1";
            let live: u32 = transaction.prepare_cached(count)?.query_row([], |row| row.get(0))?;
            if live >= most {
                return Err(Error::Limit { live });
            }
            put(transaction, session)?;
            bindings.iter().try_for_each(|binding| claim(transaction, binding))
        })
    }

    /// Enters a session and takes its notebooks, or neither: [`Error::Taken`] names who has one of them.
    pub fn reserve(&self, session: &SessionRow, bindings: &[Binding]) -> Result<()> {
        self.write(|transaction| {
            put(transaction, session)?;
            bindings.iter().try_for_each(|binding| claim(transaction, binding))
        })
    }

    /// An ended session lives again and takes its notebooks back, as [`Registry::reserve`] does.
    pub fn revive_session(&self, session: &SessionRow, bindings: &[Binding]) -> Result<()> {
        self.reserve(session, bindings)
    }

    /// Writes the session's row, whether it is known or not. Its notebooks stay as they are.
    pub fn put_session(&self, session: &SessionRow) -> Result<()> {
        self.write(|transaction| put(transaction, session))
    }

    pub fn session(&self, id: &str) -> Result<Option<SessionRow>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1"))?;
            rows::one(statement.query_row([id], session_of))
        })
    }

    /// Newest activity first.
    pub fn sessions(&self, include_ended: bool) -> Result<Vec<SessionRow>> {
        let filter = if include_ended { "" } else { "WHERE live = 1" };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM sessions {filter} ORDER BY last_activity_at DESC, id"
            ))?;
            rows::all(statement.query_map([], session_of)?)
        })
    }

    /// The session has ended: it gives up its notebooks, which stay known as its last ones.
    pub fn end_session(&self, id: &str, ended_at: Time, document: &str) -> Result<()> {
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE sessions SET live = 0, ended_at = ?2, document = ?3 WHERE id = ?1")?
                .execute(params![id, ended_at.0, document])?;
            if changed == 0 {
                return Err(Error::Missing { what: format!("the session {id}") });
            }
            release_all(transaction, id)
        })
    }

    /// Forgets the session and its notebooks. False where it was unknown.
    pub fn remove_session(&self, id: &str) -> Result<bool> {
        self.write(|transaction| {
            transaction.prepare_cached("DELETE FROM bindings WHERE session_id = ?1")?.execute([id])?;
            Ok(transaction.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id])? > 0)
        })
    }
}

/// Enters the sessions that are not known yet, each with its notebooks; one that another session has is known for the
/// history alone.
pub(super) fn enter(connection: &Connection, sessions: Vec<(SessionRow, Vec<Binding>)>) -> Result<()> {
    for (session, bindings) in sessions {
        if connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?.exists([&session.id])? {
            continue;
        }
        put(connection, &session)?;
        for binding in bindings {
            match claim(connection, &binding) {
                Err(Error::Taken { session_id }) => {
                    // Two records with one notebook: the kernel is listed all the same.
                    tracing::warn!(session = %session.id, other = %session_id, "another session has its notebook");
                    claim(connection, &Binding { live: false, given_up: true, file: None, ..binding })?;
                }
                done => done?,
            }
        }
    }
    Ok(())
}

fn put(connection: &Connection, session: &SessionRow) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, host, boot, live, document, created_at, last_activity_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET host = ?2, boot = ?3, live = ?4, document = ?5, created_at = ?6,
                last_activity_at = ?7, ended_at = ?8",
        )?
        .execute(params![
            session.id,
            session.host,
            session.boot,
            session.live,
            session.document,
            session.created_at.0,
            session.last_activity_at.0,
            session.ended_at.map(|time| time.0),
        ])?;
    Ok(())
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        id: row.get::<_, Id>(0)?.0,
        host: row.get(1)?,
        boot: row.get(2)?,
        live: row.get(3)?,
        document: row.get(4)?,
        created_at: Time(row.get(5)?),
        last_activity_at: Time(row.get(6)?),
        ended_at: row.get::<_, Option<i64>>(7)?.map(Time),
    })
}
