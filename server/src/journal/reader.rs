//! Reading, from any process, while the journal is being written.
//!
//! Writes nothing. A journal that is not there yet reads as empty. What was pruned is told as a gap, and a row that cannot
//! be read is passed over: it hides no other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::assets::read_slice;
use super::large::{self, Bounds};
use super::outputs::{self, Standing, StoredOutput};
use super::schema::{self, kind};
use super::{CellRow, ExecutionRow, Result};
use crate::paths::FileIdentity;
use crate::protocol::limits::{self, json_bytes, left_out};
use crate::protocol::{
    CellRef, EventBody, ExecutionError, ExecutionStatus, Output, StoredEvent, StreamName, Time,
};

pub(super) const EXECUTION_COLUMNS: &str = "execution_id, notebook, cell_id, cell_index, code, execution_count, origin, \
     status, queued_at, started_at, completed_at, error, stop_on_error";

/// How much of what stands in cells is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Most {
    /// Stream text of each cell up to so many bytes, and of the rest what an answer can hold.
    Answer(u64),
    /// All of it, for a file.
    All,
}

impl Most {
    /// Bytes of stream text a cell, and the room for all.
    fn room(self, bounds: Bounds) -> (u64, Option<u64>) {
        match self {
            Most::Answer(bytes_per_cell) => (bytes_per_cell, Some(bounds.answer)),
            Most::All => (u64::MAX, None),
        }
    }
}

/// A journal open for reading; one that is not there yet reads as empty.
pub struct Reader {
    pub(super) dir: PathBuf,
    db: Option<Connection>,
    files: [Option<FileIdentity>; 2],
    pub(super) bounds: Bounds,
}

/// How long a read waits, where it may.
const PATIENT: Duration = Duration::from_secs(5);

impl Reader {
    /// Opens the journal of a session's folder, where a read may wait.
    pub fn open(dir: &Path) -> Result<Reader> {
        Reader::open_for(dir, PATIENT)
    }

    /// The same on a thread that others wait for. Beside a write-ahead log a read waits for nobody but who holds the
    /// journal exclusively, and is not to hold up all else; on file systems that have none it waits for commits.
    pub fn open_at_once(dir: &Path) -> Result<Reader> {
        let waits = if crate::paths::is_remote(dir) { PATIENT } else { Duration::from_millis(250) };
        Reader::open_for(dir, waits)
    }

    fn open_for(dir: &Path, waits: Duration) -> Result<Reader> {
        let db = schema::open_reader(dir, waits)?;
        Ok(Reader { dir: dir.to_owned(), db, files: files(dir), bounds: Bounds::USUAL })
    }

    /// Whether other files lie in its place by now: a damaged one was set aside, or its log was deleted under it.
    pub fn is_replaced(&self) -> bool {
        self.files != files(&self.dir)
    }

    /// Whether there is one yet.
    pub fn exists(&self) -> bool {
        self.db.is_some()
    }

    /// The last number that can be read; 0 where there is none.
    pub fn last_seq(&self) -> Result<u64> {
        let Some(db) = &self.db else { return Ok(0) };
        last_seq(db)
    }

    /// Events after a number, in order, up to about `max_bytes`. What was pruned comes as one `gap`.
    pub fn events(&self, after_seq: u64, max_bytes: usize) -> Result<Vec<StoredEvent>> {
        let Some(db) = &self.db else { return Ok(Vec::new()) };
        let mut statement = db.prepare_cached(
            "SELECT e.seq, e.kind, e.at, e.body, e.asset, e.start, e.length,
                    x.execution_id, x.notebook, x.cell_id, x.cell_index
             FROM events e LEFT JOIN executions x ON x.ordinal = e.execution
             WHERE e.seq > ?1 ORDER BY e.seq",
        )?;
        let mut rows = statement.query([i64::try_from(after_seq).unwrap_or(i64::MAX)])?;
        let (mut events, mut bytes, mut expected) = (Vec::new(), 0, after_seq.saturating_add(1));
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            let (what, at) = (row.get::<_, i64>(1)?, Time(row.get(2)?));
            if seq > expected && what != kind::GAP {
                let body = EventBody::Gap { from: at, to: at, lost_at_most: None };
                events.push(StoredEvent {
                    seq: seq - 1,
                    execution_id: None,
                    notebook: None,
                    cell: None,
                    body,
                });
            }
            expected = seq + 1;
            let Some((body, size)) = self.body(row, seq, what)? else { continue };
            let cell_id: Option<String> = row.get(9)?;
            let cell = match cell_id {
                Some(id) => Some(CellRef { id, index: row.get::<_, Option<u32>>(10)?.unwrap_or(0) }),
                None => None,
            };
            events.push(StoredEvent { seq, execution_id: row.get(7)?, notebook: row.get(8)?, cell, body });
            bytes += size;
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(events)
    }

    /// An event's body, text out of its asset, and what is too large for an answer put aside; `None` where it cannot be
    /// read.
    fn body(&self, row: &Row<'_>, seq: u64, what: i64) -> Result<Option<(EventBody, usize)>> {
        let text = row.get_ref(3)?.as_str_or_null().ok().flatten().unwrap_or_default();
        if let (kind::OUTPUT, Some(asset)) = (what, row.get::<_, Option<String>>(4)?) {
            let (start, length) = (row.get::<_, i64>(5)? as u64, row.get::<_, i64>(6)? as u64);
            let name = if text == "stderr" { StreamName::Stderr } else { StreamName::Stdout };
            let text = read_slice(&self.dir, &asset, start, length).unwrap_or_else(|| left_out(length));
            let size = text.len();
            return Ok(Some((EventBody::Output { output: Output::Stream { name, text } }, size)));
        }
        let size = text.len();
        let body = serde_json::from_str(text).ok();
        Ok(body.map(|body| (large::event(&self.dir, seq, body, self.bounds), size)))
    }

    /// The latest executions, newest first: fewer than asked for where the answer is full, their code and errors cut.
    pub fn executions(&self, limit: usize, notebook: Option<u32>) -> Result<Vec<ExecutionRow>> {
        let Some(db) = &self.db else { return Ok(Vec::new()) };
        let filter = if notebook.is_some() { "WHERE notebook = ?2" } else { "WHERE ?2 IS NULL" };
        let mut statement = db.prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS} FROM executions {filter} ORDER BY ordinal DESC LIMIT ?1"
        ))?;
        let mut rows = statement.query(params![limit as i64, notebook])?;
        let (mut executions, mut room) = (Vec::new(), self.bounds.history());
        while let Some(row) = rows.next()? {
            let mut execution = execution_of(row)?;
            limits::cut_code(&mut execution.code);
            execution.error.iter_mut().for_each(ExecutionError::cut);
            let bytes = json_bytes(&(&execution.code, &execution.error));
            if bytes > room {
                break;
            }
            room -= bytes;
            executions.push(execution);
        }
        Ok(executions)
    }

    /// All executions, in their order, with the moment at which each was queued.
    pub fn execution_ids(&self) -> Result<Vec<(String, Time)>> {
        let Some(db) = &self.db else { return Ok(Vec::new()) };
        let mut statement =
            db.prepare_cached("SELECT execution_id, queued_at FROM executions ORDER BY ordinal")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Time(row.get(1)?))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One execution.
    pub fn execution(&self, execution_id: &str) -> Result<Option<ExecutionRow>> {
        let Some(db) = &self.db else { return Ok(None) };
        let mut statement = db
            .prepare_cached(&format!("SELECT {EXECUTION_COLUMNS} FROM executions WHERE execution_id = ?1"))?;
        Ok(statement.query_row([execution_id], execution_of).optional()?)
    }

    /// The latest execution.
    pub fn last_execution(&self) -> Result<Option<ExecutionRow>> {
        Ok(self.executions(1, None)?.pop())
    }

    /// What began since that time and succeeded, in its order.
    pub fn succeeded(&self, since: Time) -> Result<Vec<ExecutionRow>> {
        let Some(db) = &self.db else { return Ok(Vec::new()) };
        let mut statement = db.prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS} FROM executions WHERE status = 'ok' AND started_at >= ?1 ORDER BY ordinal"
        ))?;
        let rows = statement.query_map([since.0], execution_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether anything did.
    pub fn has_succeeded(&self, since: Time) -> Result<bool> {
        let Some(db) = &self.db else { return Ok(false) };
        let mut statement = db.prepare_cached(
            "SELECT 1 FROM executions WHERE status = 'ok' AND started_at >= ?1 ORDER BY ordinal DESC LIMIT 1",
        )?;
        Ok(statement.exists([since.0])?)
    }

    /// Of each cell the execution that began last: the cell's id, and the code as it ran.
    pub fn executed_cells(&self, notebook: Option<u32>) -> Result<Vec<(String, String)>> {
        let Some(db) = &self.db else { return Ok(Vec::new()) };
        let mut statement = db.prepare_cached(
            "SELECT c.cell_id, x.code FROM cells c JOIN executions x ON x.ordinal = c.execution
             WHERE ?1 IS NULL OR c.notebook = ?1",
        )?;
        let rows = statement.query_map([notebook], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What one execution put out, as it stands, and where all of it is when it was cut; `None` of an unknown one.
    pub fn outputs(&self, execution_id: &str, most: Most) -> Result<Option<Standing>> {
        let Some(db) = &self.db else { return Ok(None) };
        let moment = db.unchecked_transaction()?;
        let row = moment
            .prepare_cached("SELECT ordinal, pruned FROM executions WHERE execution_id = ?1")?
            .query_row([execution_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((ordinal, pruned)) = row else { return Ok(None) };
        let stored = StoredOutput { dir: &self.dir, db: &moment, ordinal, pruned };
        let (per_cell, mut room) = most.room(self.bounds);
        outputs::fold_execution(&stored, execution_id, per_cell, &mut room, self.bounds).map(Some)
    }

    /// For each cell its latest execution that began, outputs as they stand, and the last number that they hold: all of
    /// one moment. `execution`: of that one alone.
    pub fn cell_outputs(
        &self,
        notebook: Option<u32>,
        execution: Option<&str>,
        most: Most,
    ) -> Result<(u64, Vec<CellRow>)> {
        let Some(db) = &self.db else { return Ok((0, Vec::new())) };
        let moment = db.unchecked_transaction()?;
        let last = last_seq(&moment)?;
        let mut statement = moment.prepare_cached(
            "SELECT c.notebook, c.cell_id, x.cell_index, x.execution_id, x.execution_count, x.status, x.started_at,
                    x.completed_at, x.ordinal, x.pruned
             FROM cells c JOIN executions x ON x.ordinal = c.execution
             WHERE (?1 IS NULL OR c.notebook = ?1) AND (?2 IS NULL OR x.execution_id = ?2)
             ORDER BY c.notebook, x.cell_index, x.ordinal",
        )?;
        let (per_cell, mut room) = most.room(self.bounds);
        // Looked for where all must be there: it goes through the whole journal.
        let lost = if matches!(most, Most::All) { gaps(&moment)? } else { Vec::new() };
        let mut rows = statement.query(params![notebook, execution])?;
        let mut cells = Vec::new();
        while let Some(row) = rows.next()? {
            let ordinal: i64 = row.get(8)?;
            let execution_id: String = row.get(3)?;
            let stored = StoredOutput { dir: &self.dir, db: &moment, ordinal, pruned: row.get(9)? };
            let standing = outputs::fold_execution(&stored, &execution_id, per_cell, &mut room, self.bounds)?;
            let span = if lost.is_empty() { 0..=0 } else { span_of(&moment, ordinal)? };
            cells.push(CellRow {
                notebook: row.get(0)?,
                cell_id: row.get(1)?,
                cell_index: row.get(2)?,
                execution_id,
                execution_count: row.get(4)?,
                status: status(row, 5)?,
                started_at: row.get::<_, Option<i64>>(6)?.map(Time),
                completed_at: row.get::<_, Option<i64>>(7)?.map(Time),
                outputs: standing.outputs,
                truncated: standing.truncated,
                left_out: standing.left_out,
                is_incomplete: standing.is_incomplete || lost.iter().any(|seq| span.contains(seq)),
            });
        }
        Ok((last, cells))
    }
}

/// Where output may be missing. What limits removed has a moment, not a time: what lost outputs by it says so itself.
fn gaps(db: &Connection) -> Result<Vec<u64>> {
    let mut statement = db.prepare_cached("SELECT seq, body FROM events WHERE kind = ?1")?;
    let mut rows = statement.query([kind::GAP])?;
    let mut gaps = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_str_or_null().ok().flatten().unwrap_or_default();
        let is_of_limit = matches!(
            serde_json::from_str(body),
            Ok(EventBody::Gap { from, to, lost_at_most: None }) if from == to
        );
        if !is_of_limit {
            gaps.push(row.get::<_, i64>(0)? as u64);
        }
    }
    Ok(gaps)
}

/// From the first row of an execution to its last.
fn span_of(db: &Connection, ordinal: i64) -> Result<std::ops::RangeInclusive<u64>> {
    let mut statement = db.prepare_cached("SELECT min(seq), max(seq) FROM events WHERE execution = ?1")?;
    let (first, last): (Option<i64>, Option<i64>) =
        statement.query_row([ordinal], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(first.unwrap_or(0) as u64..=last.unwrap_or(0) as u64)
}

fn last_seq(db: &Connection) -> Result<u64> {
    let last: Option<i64> =
        db.prepare_cached("SELECT max(seq) FROM events")?.query_row([], |row| row.get(0))?;
    Ok(last.unwrap_or(0) as u64)
}

fn status(row: &Row<'_>, at: usize) -> rusqlite::Result<ExecutionStatus> {
    let word: String = row.get(at)?;
    Ok(ExecutionStatus::parse(&word).unwrap_or(ExecutionStatus::Lost))
}

/// The database and its log.
pub(super) fn files(dir: &Path) -> [Option<FileIdentity>; 2] {
    let database = schema::path(dir);
    [crate::paths::file_identity(&database), crate::paths::file_identity(&database.with_extension("db-wal"))]
}

pub(super) fn execution_of(row: &Row<'_>) -> rusqlite::Result<ExecutionRow> {
    Ok(ExecutionRow {
        execution_id: row.get(0)?,
        notebook: row.get(1)?,
        cell_id: row.get(2)?,
        cell_index: row.get(3)?,
        code: row.get(4)?,
        execution_count: row.get(5)?,
        origin: row.get(6)?,
        status: status(row, 7)?,
        queued_at: Time(row.get(8)?),
        started_at: row.get::<_, Option<i64>>(9)?.map(Time),
        completed_at: row.get::<_, Option<i64>>(10)?.map(Time),
        error: row.get::<_, Option<String>>(11)?.and_then(|text| serde_json::from_str(&text).ok()),
        stop_on_error: row.get(12)?,
        sent: false,
        input: None,
    })
}
