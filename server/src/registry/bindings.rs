//! Which notebook belongs to which session: one live session a notebook, and a history that follows its names.
//!
//! A session's notebooks are numbered within it. An index allows one live binding a key, so whoever commits first
//! has it. Ended sessions keep their last bindings; when a notebook is migrated, the ended bindings of the same
//! lineage (the same notebook, not merely the same path) get the new key in the same transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{self, Id};
use super::{Error, Registry, Result};
pub use crate::paths::FileIdentity;

/// One notebook of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub session_id: String,
    /// The notebook's number within the session, by which the journal names it.
    pub number: u32,
    /// `NotebookName::key`: the path, or what stands for it in an untitled notebook.
    pub key: String,
    pub uri: String,
    pub file: Option<FileIdentity>,
    /// Whether it holds the notebook: no other live binding can have the key.
    pub live: bool,
    /// It shared the session's kernel and let go: known for the history alone. Kept as an inode 0 without a device.
    pub given_up: bool,
}

const COLUMNS: &str = "session_id, number, key, uri, device, inode, live, born";
/// Known for the history alone. A living session that lost its path to another follows its own file still.
const PAST: &str = "live = 0 AND (session_id NOT IN (SELECT id FROM sessions WHERE live = 1)
                    OR (device IS NULL AND inode = 0))";

impl Registry {
    /// All notebooks of a session, by number; those that let go of it too.
    pub fn bindings(&self, session_id: &str) -> Result<Vec<Binding>> {
        self.list("WHERE session_id = ?1 ORDER BY number", params![session_id])
    }

    /// The live bindings of all sessions.
    pub fn live_bindings(&self) -> Result<Vec<Binding>> {
        self.list("WHERE live = 1 ORDER BY +session_id, number", params![])
    }

    /// Who holds this notebook now.
    pub fn binding_by_key(&self, key: &str) -> Result<Option<Binding>> {
        Ok(self.list("WHERE key = ?1 AND live = 1", params![key])?.pop())
    }

    /// The living sessions whose notebook was this file, whatever its name, and whether or not they hold it.
    pub fn bindings_by_file(&self, file: FileIdentity) -> Result<Vec<Binding>> {
        // Those that hold none are few: found by their sessions, the others by the index of files.
        self.list(
            "WHERE device = ?1 AND inode = ?2 AND born IS ?3 AND live = 1
             UNION
             SELECT session_id, number, key, uri, device, inode, bindings.live, born
             FROM sessions JOIN bindings ON bindings.session_id = sessions.id
             WHERE sessions.live = 1 AND bindings.live = 0 AND device = ?1 AND inode = ?2 AND born IS ?3
             ORDER BY session_id, number",
            params![file.device as i64, file.inode as i64, file.born],
        )
    }

    /// The sessions whose notebook this is, or was when they ended or gave it up, each with its number in them.
    pub fn sessions_of_notebook(&self, key: &str) -> Result<Vec<(String, u32)>> {
        let bindings = self.list("WHERE key = ?1 ORDER BY live DESC, place DESC", params![key])?;
        Ok(bindings.into_iter().map(|binding| (binding.session_id, binding.number)).collect())
    }

    /// Binds a session's notebook to another path; its history goes along. [`Error::Moved`] where it is no
    /// longer at `expected_key`, [`Error::Taken`] where another live one has the new key and is not among
    /// `release`, the bindings that give up their slot in the same moment. Gives the binding as it was.
    pub fn rebind(
        &self,
        session_id: &str,
        number: u32,
        expected_key: Option<&str>,
        new: &Binding,
        release: &[(String, u32)],
    ) -> Result<Binding> {
        self.write(|transaction| {
            let (old, lineage) = find(transaction, session_id, number)?.ok_or_else(|| Error::Missing {
                what: format!("notebook {number} of the session {session_id}"),
            })?;
            if expected_key.is_some_and(|expected| expected != old.key) {
                return Err(Error::Moved { key: old.key, uri: old.uri });
            }
            for (id, other) in release {
                give_up(transaction, id, *other)?;
            }
            check_free(transaction, new, session_id, number)?;
            // One that had let its notebook go does not take that one's history along.
            let lineage = if old.given_up { lineage_at(transaction, &new.key)? } else { lineage };
            if new.key != old.key && !old.given_up {
                transaction
                    .prepare_cached(
                        "UPDATE bindings SET key = ?3, uri = ?4 WHERE lineage = ?1 AND key = ?2 AND live = 0",
                    )?
                    .execute(params![lineage, old.key, new.key, new.uri])?;
            }
            // A file that has moved on meanwhile is still the same: it is found again by what it was.
            let file = new.file.or(old.file);
            let binding = Binding { session_id: session_id.to_owned(), number, file, ..new.clone() };
            store(transaction, &binding, lineage)?;
            Ok(old)
        })
    }

    /// Gives a session one more notebook, or writes one anew; [`Error::Taken`] where another session has it and it is
    /// not among `release`.
    pub fn add_binding(&self, binding: &Binding, release: &[(String, u32)]) -> Result<()> {
        self.write(|transaction| {
            for (id, number) in release {
                give_up(transaction, id, *number)?;
            }
            claim(transaction, binding)
        })
    }

    /// Takes a notebook from those who hold it: they are known for the history alone from then on. [`Error::Taken`] where
    /// yet another session has it.
    pub fn take_over(&self, binding: &Binding, from: &[(String, u32)]) -> Result<()> {
        self.write(|transaction| {
            for (id, number) in from {
                transaction
                    .prepare_cached(
                        "UPDATE bindings SET live = 0, device = NULL, inode = 0, born = NULL
                         WHERE session_id = ?1 AND number = ?2 AND live = 1 AND key = ?3",
                    )?
                    .execute(params![id, number, binding.key])?;
            }
            claim(transaction, binding)
        })
    }

    /// Forgets a binding, as if it had never been.
    pub fn remove_binding(&self, session_id: &str, number: u32) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM bindings WHERE session_id = ?1 AND number = ?2")?
                .execute(params![session_id, number])?;
            Ok(())
        })
    }

    /// The session lets go of a notebook, which stays known as one it had.
    pub fn release_binding(&self, session_id: &str, number: u32) -> Result<()> {
        self.write(|transaction| give_up(transaction, session_id, number))
    }

    /// The notebook's file is another one by now: it was saved by writing a new file in the old one's place.
    pub fn set_file_identity(&self, session_id: &str, number: u32, file: FileIdentity) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE bindings SET device = ?3, inode = ?4, born = ?5 WHERE session_id = ?1 AND number = ?2",
                )?
                .execute(params![session_id, number, file.device as i64, file.inode as i64, file.born])?;
            Ok(())
        })
    }

    /// The file that a notebook was is another session's by now.
    pub fn forget_file_identity(&self, session_id: &str, number: u32) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE bindings SET device = NULL, inode = NULL, born = NULL
                     WHERE session_id = ?1 AND number = ?2",
                )?
                .execute(params![session_id, number])?;
            Ok(())
        })
    }

    /// The names at or below a path that only ended sessions know.
    pub fn ended_keys_below(&self, path: &str) -> Result<Vec<String>> {
        let below = |end: &str| format!("{path}{end}");
        self.read(|connection| {
            // "0" comes after "/": all that begins with the folder's name, out of the index.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT DISTINCT key FROM bindings AS b WHERE (key = ?1 OR (key > ?2 AND key < ?3)) AND {PAST}
                 AND NOT EXISTS (SELECT 1 FROM bindings WHERE key = b.key AND live = 1)",
            ))?;
            let rows = statement.query_map(params![path, below("/"), below("0")], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The names that only ended sessions know, and under which a notebook was this file.
    pub fn ended_keys_of(&self, file: FileIdentity) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT DISTINCT key FROM bindings AS b WHERE device = ?1 AND inode = ?2 AND born IS ?3 AND {PAST}
                 AND NOT EXISTS (SELECT 1 FROM bindings WHERE key = b.key AND live = 1)",
            ))?;
            let found = params![file.device as i64, file.inode as i64, file.born];
            let rows = statement.query_map(found, |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A notebook that only ended sessions know has another name: its history goes along.
    pub fn rename_ended(&self, from_key: &str, to_key: &str, to_uri: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(&format!("UPDATE bindings SET key = ?2, uri = ?3 WHERE key = ?1 AND {PAST}"))?
                .execute([from_key, to_key, to_uri])?;
            Ok(())
        })
    }

    /// What only ended sessions know is this file now.
    pub fn set_ended_file(&self, key: &str, file: FileIdentity) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(&format!(
                    "UPDATE bindings SET device = ?2, inode = ?3, born = ?4
                     WHERE key = ?1 AND device IS NOT NULL AND {PAST}",
                ))?
                .execute(params![key, file.device as i64, file.inode as i64, file.born])?;
            Ok(())
        })
    }

    fn list(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Binding>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM bindings {filter}"))?;
            rows::all(statement.query_map(values, binding_of)?)
        })
    }
}

/// Writes a binding; a live one only where no other has its key.
pub(super) fn claim(connection: &Connection, binding: &Binding) -> Result<()> {
    check_free(connection, binding, &binding.session_id, binding.number)?;
    let lineage = match find(connection, &binding.session_id, binding.number)? {
        Some((old, lineage)) if old.key == binding.key => lineage,
        _ => lineage_at(connection, &binding.key)?,
    };
    store(connection, binding, lineage)
}

/// The session gives up all its notebooks.
pub(super) fn release_all(connection: &Connection, session_id: &str) -> Result<()> {
    connection.prepare_cached("UPDATE bindings SET live = 0 WHERE session_id = ?1")?.execute([session_id])?;
    Ok(())
}

fn give_up(connection: &Connection, session_id: &str, number: u32) -> Result<()> {
    connection
        .prepare_cached("UPDATE bindings SET live = 0 WHERE session_id = ?1 AND number = ?2")?
        .execute(params![session_id, number])?;
    Ok(())
}

fn check_free(connection: &Connection, wanted: &Binding, session_id: &str, number: u32) -> Result<()> {
    if !wanted.live {
        return Ok(());
    }
    let holder: Option<String> = connection
        .prepare_cached(
            "SELECT session_id FROM bindings
             WHERE key = ?1 AND live = 1 AND NOT (session_id = ?2 AND number = ?3)",
        )?
        .query_row(params![wanted.key, session_id, number], |row| row.get(0))
        .optional()?;
    match holder {
        Some(session_id) if crate::ids::is_id(&session_id) => Err(Error::Taken { session_id }),
        // No session of ours keeps a notebook from others.
        Some(session_id) => release_all(connection, &session_id),
        None => Ok(()),
    }
}

fn find(connection: &Connection, session_id: &str, number: u32) -> Result<Option<(Binding, i64)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, lineage FROM bindings WHERE session_id = ?1 AND number = ?2"
    ))?;
    rows::one(statement.query_row(params![session_id, number], |row| Ok((binding_of(row)?, row.get(8)?))))
}

/// The notebook that lies at this key now or did last; a new one where none ever did.
fn lineage_at(connection: &Connection, key: &str) -> Result<i64> {
    let known = connection
        .prepare_cached("SELECT lineage FROM bindings WHERE key = ?1 ORDER BY live DESC, place DESC LIMIT 1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match known {
        Some(lineage) => Ok(lineage),
        None => Ok(connection
            .prepare_cached("SELECT coalesce(max(lineage), 0) + 1 FROM bindings")?
            .query_row([], |row| row.get(0))?),
    }
}

fn store(connection: &Connection, binding: &Binding, lineage: i64) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO bindings (session_id, number, key, uri, device, inode, live, lineage, born)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (session_id, number) DO UPDATE SET key = ?3, uri = ?4, device = ?5, inode = ?6,
                live = ?7, lineage = ?8, born = ?9",
        )?
        .execute(params![
            binding.session_id,
            binding.number,
            binding.key,
            binding.uri,
            binding.file.map(|file| file.device as i64),
            binding.file.map(|file| file.inode as i64).or(binding.given_up.then_some(0)),
            binding.live,
            lineage,
            binding.file.and_then(|file| file.born),
        ])?;
    Ok(())
}

/// A file's identity out of its columns. SQLite has signed numbers only; the bits are what counts.
pub(super) fn file_of(device: Option<i64>, inode: Option<i64>, born: Option<i64>) -> Option<FileIdentity> {
    let (device, inode) = device.zip(inode)?;
    Some(FileIdentity { device: device as u64, inode: inode as u64, born })
}

fn binding_of(row: &Row<'_>) -> rusqlite::Result<Binding> {
    let device: Option<i64> = row.get(4)?;
    let inode: Option<i64> = row.get(5)?;
    let born: Option<i64> = row.get(7)?;
    Ok(Binding {
        session_id: row.get::<_, Id>(0)?.0,
        number: row.get(1)?,
        key: row.get(2)?,
        uri: row.get(3)?,
        file: file_of(device, inode, born),
        live: row.get(6)?,
        given_up: device.is_none() && inode == Some(0),
    })
}
