//! The editor windows of the registry, and which notebooks they show.

use rusqlite::{Connection, Row, params};

use super::{Registry, Result};
use crate::protocol::Time;

/// One editor window, known by its sidecar's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub id: String,
    pub pid: u32,
    /// When the process started, as the system counts it: with `boot` it tells a PID from its reuse.
    pub start: u64,
    pub boot: String,
    pub host: String,
    /// The caller's own record (folders, editor, …), as JSON.
    pub document: String,
    /// The keys of the notebooks that it shows.
    pub open_notebooks: Vec<String>,
    pub last_seen: Time,
}

impl Registry {
    /// Writes the window's row, whether it is known or not.
    pub fn put_window(&self, window: &Window) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO windows (id, pid, start, boot, host, document, open_notebooks, last_seen)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (id) DO UPDATE SET pid = ?2, start = ?3, boot = ?4, host = ?5,
                        document = ?6, open_notebooks = ?7, last_seen = ?8",
                )?
                .execute(params![
                    window.id,
                    window.pid,
                    window.start as i64,
                    window.boot,
                    window.host,
                    window.document,
                    to_json(&window.open_notebooks),
                    window.last_seen.0,
                ])?;
            Ok(())
        })
    }

    /// Another process is that window from now on. False: it is not the one that was read any more.
    pub fn succeed_window(&self, old: &Window, pid: u32, start: u64) -> Result<bool> {
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE windows SET pid = ?4, start = ?5 WHERE id = ?1 AND pid = ?2 AND start = ?3",
                )?
                .execute(params![old.id, old.pid, old.start as i64, pid, start as i64])?;
            Ok(changed > 0)
        })
    }

    /// All windows, those last seen first.
    pub fn windows(&self) -> Result<Vec<Window>> {
        self.read(|connection: &Connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, pid, start, boot, host, document, open_notebooks, last_seen FROM windows
                 ORDER BY last_seen DESC, id",
            )?;
            let rows = statement.query_map([], window_of)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// False where it was unknown.
    pub fn remove_window(&self, id: &str) -> Result<bool> {
        self.write(|transaction| {
            Ok(transaction.prepare_cached("DELETE FROM windows WHERE id = ?1")?.execute([id])? > 0)
        })
    }

    /// Which notebooks the window shows now, and that it was seen. False where the window is unknown.
    pub fn set_open_notebooks(&self, id: &str, keys: &[String], seen: Time) -> Result<bool> {
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE windows SET open_notebooks = ?2, last_seen = ?3 WHERE id = ?1")?
                .execute(params![id, to_json(keys), seen.0])?;
            Ok(changed > 0)
        })
    }
}

/// A list of texts, as it is stored.
pub(super) fn to_json(texts: &[String]) -> String {
    serde_json::Value::from(texts.to_vec()).to_string()
}

/// What is not a list of texts reads as an empty one: the rest of the row is still good.
pub(super) fn from_json(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

fn window_of(row: &Row<'_>) -> rusqlite::Result<Window> {
    Ok(Window {
        id: row.get(0)?,
        pid: row.get(1)?,
        start: row.get::<_, i64>(2)? as u64,
        boot: row.get(3)?,
        host: row.get(4)?,
        document: row.get(5)?,
        open_notebooks: from_json(&row.get::<_, String>(6)?),
        last_seen: Time(row.get(7)?),
    })
}
