//! Conversations: what was said, turn by turn, and which session and notebook it belongs to.
//!
//! They are nobody's index, so they have a file of their own, `conversations.db`, that the registry's loss does not
//! touch. A commit waits for the disk. Whether a session lives, and so whether a conversation may expire, is the
//! caller's to know; so is the present name of a session's notebook.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::file::{Database, Schema};
use super::patience::Patience;
use super::{Error, FileIdentity, Result, rows};
use crate::protocol::{Role, Time, Turn};

static SCHEMA: Schema = Schema {
    file: "conversations.db",
    migrations: &[include_str!("conversations-1.sql")],
    additions: &[],
    tables: &["conversations", "turns"],
    // What was answered outlives a power cut, too.
    synchronous: "FULL",
    name: "The conversations' database",
    loss: "no kernel and no output is lost, and what can be saved of the conversations is in that file",
};

/// One process's access to the conversations. It can be shared between threads; calls take turns.
pub struct Conversations {
    database: Mutex<Database>,
    patience: Patience,
}

/// What a conversation belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    pub session_id: Option<String>,
    /// The notebook's number within the session.
    pub notebook: Option<u32>,
    /// `NotebookName::key` and the URI, as they were known last.
    pub key: Option<String>,
    pub uri: Option<String>,
    pub file: Option<FileIdentity>,
}

/// A moment by a clock that nobody sets: milliseconds awake of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub boot: String,
    pub awake: i64,
}

/// On what terms a conversation begins.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub now: Time,
    /// For how long it is kept; `None`: nobody says.
    pub lifetime: Option<Duration>,
    /// How many there may be.
    pub most: u32,
}

/// A conversation without its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    pub id: String,
    pub subject: Subject,
    pub title: String,
    pub turn_count: u32,
    pub started_at: Time,
    pub last_activity_at: Time,
    /// For how long after that it is kept.
    pub lifetime: Duration,
    /// When it was first seen to have expired long ago.
    pub seen: Option<Seen>,
}

const COLUMNS: &str =
    "id, session_id, notebook, key, uri, device, inode, born, title, turn_count, started_at,
                       last_activity_at, lifetime, seen_boot, seen_awake";
/// Where nobody says how long one is kept.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// A title's length in characters.
const TITLE: usize = 80;

impl Conversations {
    /// Opens the conversations of this state folder. A broken file is set aside beside it; a newer one is refused and left
    /// as it is.
    pub fn open(state_dir: &Path) -> Result<Conversations> {
        let database = Mutex::new(Database::open(&SCHEMA, state_dir, Arc::new(|_| Ok(())))?);
        Ok(Conversations { database, patience: Patience::default() })
    }

    /// See [`super::Registry::take_warnings`].
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    /// See [`super::Registry::patiently`].
    pub async fn patiently<T>(&self, act: impl FnMut(&Conversations) -> Result<T>) -> Result<T> {
        self.patience.wait(self, Conversations::change_counter, act).await
    }

    /// Whether there is a file to open: who only looks need not make one.
    pub fn exist(state_dir: &Path) -> bool {
        state_dir.join(SCHEMA.file).exists()
    }

    /// A number that differs whenever anything was committed since, by this process or another.
    pub fn change_counter(&self) -> Result<i64> {
        self.lock().change_counter()
    }

    /// Adds a turn, and gives how many there are then; `None` where there is no such conversation. Its lifetime stays where
    /// none is given.
    pub fn append(&self, id: &str, turn: &Turn, lifetime: Option<Duration>) -> Result<Option<u32>> {
        self.lock().write(|transaction| {
            let Some((number, count)) = find(transaction, id)? else { return Ok(None) };
            keep_for(transaction, number, lifetime)?;
            add(transaction, number, count, turn).map(Some)
        })
    }

    /// Begins a conversation with these turns, unless there are as many as may be: [`Error::TooMany`]. `None`
    /// where another process has begun it meanwhile.
    pub fn begin(&self, id: &str, subject: &Subject, turns: &[Turn], terms: &Terms) -> Result<Option<u32>> {
        self.lock().write(|transaction| {
            if find(transaction, id)?.is_some() {
                return Ok(None);
            }
            let (number, mut count) = (make(transaction, id, subject, turns, terms)?, 0);
            for turn in turns {
                count = add(transaction, number, count, turn)?;
            }
            touch(transaction, number, terms.now)?;
            Ok(Some(count))
        })
    }

    /// Copies the first turns of a conversation into a new one; `None` where there is no such conversation, or it has
    /// fewer turns. It is kept for as long as that one, where nothing else is said.
    pub fn branch(&self, id: &str, turns: u32, new: &str, terms: &Terms) -> Result<Option<()>> {
        self.lock().write(|transaction| {
            let Some((from, count)) = find(transaction, id)? else { return Ok(None) };
            let Some(row) = row(transaction, id)?.filter(|_| (1..=count).contains(&turns)) else {
                return Ok(None);
            };
            let first = read_turns(transaction, from, "AND place <= ?2 ORDER BY place LIMIT ?2", turns)?;
            let terms = Terms { lifetime: terms.lifetime.or(Some(row.lifetime)), ..*terms };
            let number = make(transaction, new, &row.subject, &first, &terms)?;
            for (at, turn) in (0..).zip(&first) {
                add(transaction, number, at, turn)?;
            }
            touch(transaction, number, terms.now)?;
            Ok(Some(()))
        })
    }

    pub fn conversation(&self, id: &str) -> Result<Option<ConversationRow>> {
        self.lock().read(|connection| row(connection, id))
    }

    /// The latest activity first.
    pub fn conversations(&self) -> Result<Vec<ConversationRow>> {
        self.list("ORDER BY last_activity_at DESC, number DESC", params![])
    }

    /// Those whose lifetime after the last activity is over, and those that were seen to have expired once.
    pub fn inactive(&self, now: Time) -> Result<Vec<ConversationRow>> {
        self.list("WHERE last_activity_at + lifetime < ?1 OR seen_boot IS NOT NULL", params![now.0])
    }

    /// Remembers when it was seen to have expired long ago, or that it has not.
    pub fn set_seen(&self, id: &str, seen: Option<&Seen>) -> Result<()> {
        let sql = "UPDATE conversations SET seen_boot = ?2, seen_awake = ?3 WHERE id = ?1";
        self.lock().write(|transaction| {
            let (boot, awake) = (seen.map(|seen| &seen.boot), seen.map(|seen| seen.awake));
            transaction.prepare_cached(sql)?.execute(params![id, boot, awake])?;
            Ok(())
        })
    }

    /// One that has expired makes way for another of its id: it gets a new one. Nothing happens where it had activity
    /// since it was read.
    pub fn make_way(&self, row: &ConversationRow, id: &str) -> Result<()> {
        let sql =
            "UPDATE conversations SET id = ?3 WHERE id = ?1 AND last_activity_at = ?2 AND turn_count = ?4";
        self.lock().write(|transaction| {
            let of = params![row.id, row.last_activity_at.0, id, row.turn_count];
            transaction.prepare_cached(sql)?.execute(of)?;
            Ok(())
        })
    }

    /// The latest turns of a conversation, oldest first, and how many it has in all.
    pub fn turns(&self, id: &str, most: u32) -> Result<Option<(u32, Vec<Turn>)>> {
        self.lock().read(|connection| {
            // One moment for both.
            let moment = connection.unchecked_transaction()?;
            let Some((number, count)) = find(&moment, id)? else { return Ok(None) };
            let mut turns = read_turns(&moment, number, "ORDER BY place DESC LIMIT ?2", most)?;
            turns.reverse();
            Ok(Some((count, turns)))
        })
    }

    /// Forgets a conversation. False where there was none, or where its lifetime is not over at `inactive`.
    pub fn remove(&self, id: &str, inactive: Option<Time>) -> Result<bool> {
        self.lock().write(|transaction| {
            let limit = inactive.map_or(i64::MAX, |now| now.0);
            let sql = "SELECT number FROM conversations WHERE id = ?1 AND last_activity_at + lifetime < ?2";
            let found: Option<i64> = transaction
                .prepare_cached(sql)?
                .query_row(params![id, limit], |row| row.get(0))
                .optional()?;
            let Some(number) = found else { return Ok(false) };
            transaction.prepare_cached("DELETE FROM turns WHERE conversation = ?1")?.execute([number])?;
            transaction.prepare_cached("DELETE FROM conversations WHERE number = ?1")?.execute([number])?;
            Ok(true)
        })
    }

    /// What conversations belong to, each once.
    pub fn subjects(&self) -> Result<HashSet<Subject>> {
        Ok(self.list("", params![])?.into_iter().map(|row| row.subject).collect())
    }

    /// The names of notebooks at or below a path, of conversations that have no session.
    pub fn keys_below(&self, path: &str) -> Result<Vec<String>> {
        // "0" comes after "/": all that begins with the folder's name, out of the index.
        let (from, to) = (format!("{path}/"), format!("{path}0"));
        self.keys_where("(key = ?1 OR (key > ?2 AND key < ?3))", params![path, from, to])
    }

    /// The names under which a notebook was this file, of conversations that have no session.
    pub fn keys_of(&self, file: FileIdentity) -> Result<Vec<String>> {
        let values = params![file.device as i64, file.inode as i64, file.born];
        self.keys_where("device = ?1 AND inode = ?2 AND born IS ?3", values)
    }

    /// The conversations of a notebook that have no session belong to this from now on. It costs no more than a look where
    /// there are none.
    pub fn rebind(&self, key: &str, subject: &Subject) -> Result<()> {
        let filter = "WHERE session_id IS NULL AND key = ?1";
        if self.list(filter, params![key])?.iter().all(|row| row.subject == *subject) {
            return Ok(());
        }
        self.lock()
            .write(|transaction| bind(transaction, "session_id IS NULL AND key = ?8", subject, &[&key]))
    }

    /// The conversations of one notebook of a session belong to this from now on.
    pub fn rebind_session(&self, session_id: &str, notebook: u32, subject: &Subject) -> Result<()> {
        self.outlive(session_id, notebook, subject, None)
    }

    /// The same; their lifetimes begin with the session's end, where that was after their last activity.
    pub fn outlive(
        &self,
        session_id: &str,
        notebook: u32,
        subject: &Subject,
        ended_at: Option<Time>,
    ) -> Result<()> {
        let of: [&dyn rusqlite::ToSql; 2] = [&session_id, &notebook];
        self.lock().write(|transaction| {
            if let Some(at) = ended_at {
                let sql = "UPDATE conversations SET last_activity_at = max(last_activity_at, ?3)
                           WHERE session_id = ?1 AND notebook = ?2";
                transaction.prepare_cached(sql)?.execute(params![session_id, notebook, at.0])?;
            }
            bind(transaction, "session_id = ?8 AND notebook = ?9", subject, &of)
        })
    }

    fn list(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<ConversationRow>> {
        self.lock().read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM conversations {filter}"))?;
            rows::legible(statement.query_map(values, row_of)?)
        })
    }

    fn keys_where(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<String>> {
        self.lock().read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT DISTINCT key FROM conversations WHERE session_id IS NULL AND {filter}"
            ))?;
            let rows = statement.query_map(values, |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A panic under the lock leaves at worst a transaction that SQLite rolls back: the lock stays usable.
    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of what was said first, in one line; of what a person said, where one did.
fn title(turns: &[Turn]) -> (String, bool) {
    let user = turns.iter().find(|turn| turn.role == Role::User);
    let first = user.or(turns.first()).map_or("", |turn| turn.content.trim_start());
    (first.lines().next().unwrap_or_default().trim_end().chars().take(TITLE).collect(), user.is_some())
}

fn find(connection: &Connection, id: &str) -> Result<Option<(i64, u32)>> {
    let sql = "SELECT number, turn_count FROM conversations WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn row(connection: &Connection, id: &str) -> Result<Option<ConversationRow>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM conversations WHERE id = ?1"))?;
    statement.query_row([id], row_of).optional().map_err(|error| match error {
        malformed if rows::is_malformed(&malformed) => Error::Sqlite(malformed),
        other => other.into(),
    })
}

/// Enters a conversation; its turns are added then.
fn make(
    transaction: &Transaction<'_>,
    id: &str,
    subject: &Subject,
    turns: &[Turn],
    terms: &Terms,
) -> Result<i64> {
    let count = "SELECT COUNT(*) FROM conversations";
    let live: u32 = transaction.prepare_cached(count)?.query_row([], |row| row.get(0))?;
    if live >= terms.most {
        return Err(Error::TooMany { live });
    }
    let (title, by_user) = title(turns);
    let started_at = turns.first().map_or(terms.now, |turn| turn.at);
    let lifetime = milliseconds(terms.lifetime.unwrap_or(LIFETIME));
    transaction
        .prepare_cached(
            "INSERT INTO conversations (id, title, by_user, turn_count, started_at, last_activity_at, lifetime)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
        )?
        .execute(params![id, title, by_user, started_at.0, terms.now.0, lifetime])?;
    let number = transaction.last_insert_rowid();
    bind(transaction, "number = ?8", subject, &[&number])?;
    Ok(number)
}

/// Adds a turn after the `count` that are there.
fn add(transaction: &Transaction<'_>, number: i64, count: u32, turn: &Turn) -> Result<u32> {
    let sql = "INSERT INTO turns (conversation, place, role, content, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let place = count + 1;
    transaction.prepare_cached(sql)?.execute(params![
        number,
        place,
        word(turn.role),
        turn.content,
        turn.at.0
    ])?;
    let sql = "UPDATE conversations SET turn_count = ?2, last_activity_at = ?3 WHERE number = ?1";
    transaction.prepare_cached(sql)?.execute(params![number, place, turn.at.0])?;
    if let (title, true) = title(std::slice::from_ref(turn)) {
        let sql = "UPDATE conversations SET title = ?2, by_user = 1 WHERE number = ?1 AND by_user = 0";
        transaction.prepare_cached(sql)?.execute(params![number, title])?;
    }
    Ok(place)
}

/// Turns of another time, which are taken in now, keep a conversation as long as new ones do.
fn touch(transaction: &Transaction<'_>, number: i64, now: Time) -> Result<()> {
    let sql = "UPDATE conversations SET last_activity_at = ?2 WHERE number = ?1";
    transaction.prepare_cached(sql)?.execute(params![number, now.0])?;
    Ok(())
}

/// It is kept for so long from now on; as before where that is not said.
fn keep_for(transaction: &Transaction<'_>, number: i64, lifetime: Option<Duration>) -> Result<()> {
    if let Some(lifetime) = lifetime {
        let sql = "UPDATE conversations SET lifetime = ?2 WHERE number = ?1";
        transaction.prepare_cached(sql)?.execute([number, milliseconds(lifetime)])?;
    }
    Ok(())
}

fn milliseconds(lifetime: Duration) -> i64 {
    i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 4)
}

fn bind(
    transaction: &Transaction<'_>,
    filter: &str,
    subject: &Subject,
    of: &[&dyn rusqlite::ToSql],
) -> Result<()> {
    let Subject { session_id, notebook, key, uri, file } = subject;
    let (device, inode) = (file.map(|file| file.device as i64), file.map(|file| file.inode as i64));
    let born = file.and_then(|file| file.born);
    let mut values: Vec<&dyn rusqlite::ToSql> = vec![session_id, notebook, key, uri, &device, &inode, &born];
    values.extend(of);
    transaction
        .prepare_cached(&format!(
            "UPDATE conversations SET session_id = ?1, notebook = ?2, key = ?3, uri = ?4, device = ?5, inode = ?6,
                born = ?7 WHERE {filter}"
        ))?
        .execute(values.as_slice())?;
    Ok(())
}

fn read_turns(connection: &Connection, number: i64, which: &str, most: u32) -> Result<Vec<Turn>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT role, content, at FROM turns WHERE conversation = ?1 {which}"))?;
    let rows = statement.query_map(params![number, most], |row| {
        let word: String = row.get(0)?;
        let role = ROLES.into_iter().find(|role| self::word(*role) == word).unwrap_or(Role::System);
        Ok(Turn { role, content: row.get(1)?, at: Time(row.get(2)?) })
    })?;
    rows::legible(rows)
}

const ROLES: [Role; 4] = [Role::User, Role::Assistant, Role::System, Role::Tool];

fn word(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Tool => "tool",
    }
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    let (device, inode, born) = (row.get(5)?, row.get(6)?, row.get(7)?);
    Ok(ConversationRow {
        id: row.get(0)?,
        subject: Subject {
            session_id: row.get::<_, Option<String>>(1)?.filter(|id| crate::ids::is_id(id)),
            notebook: row.get(2)?,
            key: row.get(3)?,
            uri: row.get(4)?,
            file: super::bindings::file_of(device, inode, born),
        },
        title: row.get(8)?,
        turn_count: row.get(9)?,
        started_at: Time(row.get(10)?),
        last_activity_at: Time(row.get(11)?),
        lifetime: Duration::from_millis(row.get::<_, i64>(12)?.max(0) as u64),
        seen: row.get::<_, Option<String>>(13)?.zip(row.get(14)?).map(|(boot, awake)| Seen { boot, awake }),
    })
}
