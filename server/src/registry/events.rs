//! What happened lately: windows that came and went, sessions that began and ended. For people who look; nothing is
//! decided by it.

use rusqlite::params;

use super::{Registry, Result};
use crate::protocol::Time;

/// So many are kept at most, whatever their age.
const MOST: i64 = 10_000;

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub at: Time,
    pub kind: String,
    pub session_id: Option<String>,
    pub window_id: Option<String>,
    /// What people call the session, or the window's folder.
    pub label: Option<String>,
    pub detail: Option<String>,
}

impl Registry {
    pub fn note(&self, event: &Event) -> Result<()> {
        self.write(|transaction| {
            let sql = "INSERT INTO events (at, kind, session_id, window_id, label, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let Event { at, kind, session_id, window_id, label, detail } = event;
            transaction.prepare_cached(sql)?.execute(params![
                at.0, kind, session_id, window_id, label, detail
            ])?;
            Ok(())
        })
    }

    /// The latest, newest first.
    pub fn events(&self, most: u32) -> Result<Vec<Event>> {
        self.read(|connection| {
            let sql = "SELECT at, kind, session_id, window_id, label, detail FROM events ORDER BY place DESC LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([most], |row| {
                Ok(Event {
                    at: Time(row.get(0)?),
                    kind: row.get(1)?,
                    session_id: row.get::<_, Option<String>>(2)?.filter(|id| crate::ids::is_id(id)),
                    window_id: row.get(3)?,
                    label: row.get(4)?,
                    detail: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// How many of each kind happened since.
    pub fn event_counts(&self, since: Time) -> Result<std::collections::BTreeMap<String, u32>> {
        self.read(|connection| {
            let sql = "SELECT kind, COUNT(*) FROM events WHERE at >= ?1 GROUP BY kind";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([since.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Forgets what happened before, and what is too much.
    pub fn forget_events(&self, before: Time) -> Result<()> {
        self.write(|transaction| {
            let sql = "DELETE FROM events WHERE at < ?1 OR place <= (SELECT MAX(place) FROM events) - ?2";
            transaction.prepare_cached(sql)?.execute(params![before.0, MOST])?;
            Ok(())
        })
    }
}
