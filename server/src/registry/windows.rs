//! The editor windows of the registry: what they are, which notebooks they show, and which of them are there.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Registry, Result};
use crate::protocol::Time;

/// One editor window: with a sidecar known by its process, else as others say that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub id: String,
    /// The sidecar's; 0 where there is none.
    pub pid: u32,
    /// When the process started, as the system counts it: with `boot` it tells a PID from its reuse.
    pub start: u64,
    pub boot: String,
    pub host: String,
    /// The sidecar's own record (folders, editor, …), as JSON.
    pub document: String,
    /// The keys of the notebooks that it shows.
    pub open_notebooks: Vec<String>,
    pub last_seen: Time,
    /// What it is said to be, as JSON. Anybody may change it.
    pub about: String,
    pub started_at: Time,
    pub reconnect_count: u32,
    pub has_sidecar: bool,
    /// When its sidecar was there last, in milliseconds of a clock that stands still in sleep.
    pub seen_awake: Option<i64>,
    pub disconnected_at: Option<Time>,
    /// Its sidecar said goodbye.
    pub has_left: bool,
    /// What is known of the token that takes it up again, as JSON.
    pub token: Option<String>,
    /// The fingerprints of those that were used, the latest last.
    pub used_tokens: Vec<String>,
}

const COLUMNS: &str = "id, pid, start, boot, host, document, open_notebooks, last_seen, about, started_at, \
    reconnect_count, has_sidecar, seen_awake, disconnected_at, has_left, token, used_tokens";

impl Registry {
    /// A window's sidecar says that it is there. A known window stays what it is said to be; true where it was
    /// unknown, or known as gone.
    pub fn put_window(&self, window: &Window) -> Result<bool> {
        self.write(|transaction| {
            let before = find(transaction, &window.id)?;
            let is_news = before.as_ref().is_none_or(|before| before.disconnected_at.is_some());
            let row = match before {
                None => window.clone(),
                Some(before) => Window {
                    about: before.about,
                    started_at: before.started_at,
                    reconnect_count: before.reconnect_count,
                    token: before.token,
                    used_tokens: before.used_tokens,
                    ..window.clone()
                },
            };
            put(transaction, &row)?;
            Ok(is_news)
        })
    }

    /// Changes one window, in one transaction; `None` where it is unknown.
    pub fn change_window<T>(&self, id: &str, mut change: impl FnMut(&mut Window) -> T) -> Result<Option<T>> {
        self.write(|transaction| {
            let Some(mut window) = find(transaction, id)? else { return Ok(None) };
            let answer = change(&mut window);
            put(transaction, &window)?;
            Ok(Some(answer))
        })
    }

    /// Adds a window that only others know of, or changes the one that `is_it` finds; the row as it is then.
    pub fn add_window(
        &self,
        new: &Window,
        is_it: impl Fn(&Window) -> bool,
        mut change: impl FnMut(&mut Window),
    ) -> Result<Window> {
        self.write(|transaction| {
            let mut row = all(transaction)?.into_iter().find(&is_it).unwrap_or_else(|| new.clone());
            change(&mut row);
            put(transaction, &row)?;
            Ok(row)
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
        self.read(all)
    }

    pub fn window(&self, id: &str) -> Result<Option<Window>> {
        self.read(|connection| find(connection, id))
    }

    /// False where it was unknown.
    pub fn remove_window(&self, id: &str) -> Result<bool> {
        self.write(|transaction| {
            Ok(transaction.prepare_cached("DELETE FROM windows WHERE id = ?1")?.execute([id])? > 0)
        })
    }
}

fn all(connection: &Connection) -> Result<Vec<Window>> {
    let sql = format!("SELECT {COLUMNS} FROM windows ORDER BY last_seen DESC, id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], window_of)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn find(connection: &Connection, id: &str) -> Result<Option<Window>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM windows WHERE id = ?1"))?;
    Ok(statement.query_row([id], window_of).optional()?)
}

fn put(transaction: &Transaction<'_>, window: &Window) -> Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO windows ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    );
    transaction.prepare_cached(&sql)?.execute(params![
        window.id,
        window.pid,
        window.start as i64,
        window.boot,
        window.host,
        window.document,
        to_json(&window.open_notebooks),
        window.last_seen.0,
        window.about,
        window.started_at.0,
        window.reconnect_count,
        window.has_sidecar,
        window.seen_awake,
        window.disconnected_at.map(|time| time.0),
        window.has_left,
        window.token,
        to_json(&window.used_tokens),
    ])?;
    Ok(())
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
        about: row.get(8)?,
        started_at: Time(row.get(9)?),
        reconnect_count: row.get(10)?,
        has_sidecar: row.get(11)?,
        seen_awake: row.get(12)?,
        disconnected_at: row.get::<_, Option<i64>>(13)?.map(Time),
        has_left: row.get(14)?,
        token: row.get(15)?,
        used_tokens: from_json(&row.get::<_, String>(16)?),
    })
}
