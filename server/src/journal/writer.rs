//! Writing. Rows gather in memory and go out in one transaction; stream text is joined on the way, once, so that all
//! readers get the same pieces.
//!
//! On a full disk nothing blocks: what cannot be written waits, up to a limit; beyond it outputs are dropped, and a `gap`
//! stands in their place when there is room again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::assets::Run;
use super::pruning;
use super::reader::{EXECUTION_COLUMNS, execution_of, files};
use super::rows::{insert_execution, json, ordinal_of, put, put_event};
use super::schema::{self, kind};
use super::{ExecutionRow, Limits, Result};
use crate::paths::FileIdentity;
use crate::protocol::{CellRef, EventBody, ExecutionStatus, Json, Output, StreamName, Time};

/// Stream text of one row at most.
const LONGEST_PIECE: usize = 64 << 10;
/// What one transaction writes at most, and what may wait in memory while the disk is full.
const MOST_AT_ONCE: usize = 1 << 20;

/// Code about to wait for its turn.
#[derive(Clone, Debug)]
pub struct NewExecution {
    pub execution_id: String,
    pub notebook: u32,
    pub cell: Option<CellRef>,
    pub code: String,
    pub origin: String,
    pub stop_on_error: bool,
    pub queued_at: Time,
}

/// A row that is not committed yet.
enum Pending {
    Queue(NewExecution),
    Event {
        execution_id: Option<String>,
        body: EventBody,
    },
    /// An execution is about to be sent to the kernel.
    Sent(String),
    Raw(String),
}

impl Pending {
    /// Whether readers are told of it; what they are not told has the number of the row before it.
    fn is_told(&self) -> bool {
        !matches!(self, Pending::Sent(_) | Pending::Raw(_))
    }

    /// Whether it is something that a kernel put out.
    fn is_output(&self) -> bool {
        match self {
            Pending::Queue(_) | Pending::Sent(_) => false,
            Pending::Raw(_) => true,
            Pending::Event { body, .. } => {
                use EventBody::{ClearOutput, Comm, Output, UpdateDisplay, WidgetCleared, WidgetOutput};
                matches!(body, Output { .. } | UpdateDisplay { .. } | ClearOutput { .. } | Comm { .. })
                    || matches!(body, WidgetOutput { .. } | WidgetCleared { .. })
            }
        }
    }
}

struct Waiting {
    /// How many of the kernel's messages it holds, at most.
    messages: u64,
    /// About how much memory it takes.
    bytes: usize,
    seq: u64,
    at: Time,
    row: Pending,
}

/// The one writer of a session's journal.
pub struct Journal {
    pub(super) dir: PathBuf,
    pub(super) db: Connection,
    /// Those that it has open.
    pub(super) files: [Option<FileIdentity>; 2],
    limits: Limits,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    next_seq: u64,
    /// Up to here all is written.
    committed: u64,
    last_at: Option<Time>,
    /// Streams that are being written, by execution: whether they are in an asset.
    runs: HashMap<i64, Run>,
    /// Dropped while the disk was full: first and last time, messages, and the last one's number.
    dropped: Option<(Time, Time, u64, u64)>,
    /// Whether anything was committed since the limits were looked at, and about how many bytes.
    grown: bool,
    grown_bytes: usize,
    /// Executions that have ended, and whose text was looked through for what was written over.
    examined: BTreeSet<i64>,
}

impl Journal {
    /// Opens or makes the journal in a session's folder.
    pub fn open(dir: &Path, limits: Limits) -> Result<Journal> {
        let db = schema::open_writer(dir)?;
        let last: Option<(u64, i64)> = db
            .query_row("SELECT seq, at FROM events ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
            })
            .optional()?;
        Ok(Journal {
            dir: dir.to_owned(),
            files: files(dir),
            db,
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_seq: last.map_or(0, |l| l.0) + 1,
            committed: last.map_or(0, |l| l.0),
            last_at: last.map(|l| Time(l.1)),
            runs: HashMap::new(),
            dropped: None,
            grown: true,
            grown_bytes: 0,
            examined: BTreeSet::new(),
        })
    }

    /// Gives no number below this one: another journal of the same session may have used those.
    pub fn begin_above(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq + 1);
        self.committed = self.next_seq - 1;
    }

    /// Puts an execution in as pending.
    pub fn queue(&mut self, new: NewExecution) {
        self.push(new.queued_at, new.code.len(), Pending::Queue(new));
    }

    /// Adds what happened. Text that follows text of the same stream is joined to it.
    pub fn append(&mut self, execution_id: Option<&str>, at: Time, body: EventBody) {
        if let EventBody::Output { output: Output::Stream { name, text } } = body {
            return self.append_text(execution_id, at, name, &text);
        }
        let bytes = match &body {
            EventBody::WidgetOutput { output: Output::Stream { text, .. }, .. } => text.len(),
            EventBody::Output {
                output: Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. },
            }
            | EventBody::WidgetOutput {
                output: Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. },
                ..
            }
            | EventBody::UpdateDisplay { data, .. }
            | EventBody::Comm { message: data } => data.text().len(),
            EventBody::Output { output: Output::Error { evalue, traceback, .. } } => {
                evalue.len() + traceback.iter().map(String::len).sum::<usize>()
            }
            _ => 0,
        };
        let execution_id = execution_id.map(str::to_owned);
        self.push(at, bytes, Pending::Event { execution_id, body });
    }

    /// Stream text in pieces that are neither tiny nor huge, wherever the kernel cut it.
    fn append_text(&mut self, execution_id: Option<&str>, at: Time, name: StreamName, mut text: &str) {
        if let Some(Waiting {
            messages, bytes, row: Pending::Event { execution_id: same, body: last }, ..
        }) = self.waiting.back_mut()
            && same.as_deref() == execution_id
            && let EventBody::Output { output: Output::Stream { name: other, text: before } } = last
            && *other == name
        {
            let room = text.floor_char_boundary(LONGEST_PIECE.saturating_sub(before.len()));
            before.push_str(&text[..room]);
            *messages += 1;
            *bytes += room;
            self.waiting_bytes += room;
            text = &text[room..];
        }
        while !text.is_empty() {
            let piece = text.floor_char_boundary(LONGEST_PIECE);
            let output = Output::Stream { name, text: text[..piece].to_owned() };
            let execution_id = execution_id.map(str::to_owned);
            self.push(at, piece, Pending::Event { execution_id, body: EventBody::Output { output } });
            text = &text[piece..];
        }
    }

    /// Notes that an execution goes to the kernel once this is committed: it is never sent twice.
    pub fn sent(&mut self, execution_id: &str) {
        self.wait(
            self.last_seq(),
            self.last_at.unwrap_or(Time(0)),
            0,
            Pending::Sent(execution_id.to_owned()),
        );
    }

    /// Keeps a message that cannot be read, beside the events.
    pub fn append_raw(&mut self, at: Time, channel: &str, raw: &Value) {
        let body = serde_json::json!({ "channel": channel, "message": raw }).to_string();
        // No number of its own: nobody is told of it, and what is told has no holes.
        self.wait(self.last_seq(), at, body.len(), Pending::Raw(body));
    }

    fn push(&mut self, at: Time, bytes: usize, row: Pending) {
        self.wait(self.next_seq, at, bytes, row);
        self.next_seq += 1;
        self.last_at = Some(at);
    }

    fn wait(&mut self, seq: u64, at: Time, bytes: usize, row: Pending) {
        let bytes = bytes + size_of::<Waiting>();
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { messages: 1, bytes, seq, at, row });
    }

    /// Rows that wait for the next commit.
    pub fn pending_rows(&self) -> usize {
        self.waiting.len() + usize::from(self.dropped.is_some())
    }

    /// About how much memory they take.
    pub fn pending_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The last number given, committed or not; 0 where there is none.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// When something was journaled last.
    pub fn last_at(&self) -> Option<Time> {
        self.last_at
    }

    /// Writes all that waits. The number up to which all can be read.
    ///
    /// # Errors
    /// The rest was not written then; it is tried again with the next call.
    pub fn commit(&mut self) -> Result<u64> {
        loop {
            let seq = self.commit_some()?;
            if self.pending_rows() == 0 {
                return Ok(seq);
            }
        }
    }

    /// Writes the first of what waits, up to 1 MiB in one transaction, so that it can be read while the next is written.
    ///
    /// # Errors
    /// Nothing was written then; it is tried again with the next call.
    pub fn commit_some(&mut self) -> Result<u64> {
        let mut bytes = 0;
        let rows = self.waiting.iter().take_while(|waiting| {
            let before = bytes;
            bytes += waiting.bytes;
            // A gap has the number of the last row that it stands for, and rows before it may wait still: all at once.
            before == 0 || bytes <= MOST_AT_ONCE || self.dropped.is_some()
        });
        let rows = rows.count();
        let runs = self.runs.clone();
        match self.write(rows) {
            Ok(()) => {
                let written = self.waiting.drain(..rows).map(|written| written.bytes).sum::<usize>();
                self.waiting_bytes -= written;
                self.grown_bytes += written;
                self.dropped = None;
                self.grown = true;
                // What is not written has the numbers from the first of it on; a raw row has that of the row before it.
                self.committed =
                    self.waiting.iter().find(|w| w.row.is_told()).map_or(self.last_seq(), |w| w.seq - 1);
                Ok(self.committed)
            }
            Err(e) => {
                self.runs = runs;
                if self.waiting_bytes > MOST_AT_ONCE {
                    self.drop_outputs();
                }
                Err(e)
            }
        }
    }

    fn write(&mut self, rows: usize) -> Result<()> {
        let transaction = self.db.transaction()?;
        if let Some((from, to, messages, seq)) = self.dropped {
            let body = EventBody::Gap { from, to, lost_at_most: Some(messages) };
            put_event(&transaction, seq, None, kind::GAP, to, &json(&body), None)?;
        }
        for waiting in self.waiting.iter().take(rows) {
            match &waiting.row {
                Pending::Queue(new) => {
                    let ordinal = insert_execution(&transaction, new)?;
                    let body = EventBody::Queued { code: new.code.clone(), origin: new.origin.clone() };
                    put_event(
                        &transaction,
                        waiting.seq,
                        Some(ordinal),
                        kind::QUEUED,
                        waiting.at,
                        &json(&body),
                        None,
                    )?;
                }
                Pending::Event { execution_id, body } => {
                    let ordinal = match execution_id {
                        Some(id) => ordinal_of(&transaction, id)?,
                        None => None,
                    };
                    put(&transaction, &self.dir, &mut self.runs, (waiting.seq, waiting.at), ordinal, body)?;
                }
                Pending::Sent(execution_id) => {
                    let update = "UPDATE executions SET sent = 1 WHERE execution_id = ?1";
                    transaction.prepare_cached(update)?.execute([execution_id])?;
                }
                Pending::Raw(body) => {
                    let insert = "INSERT INTO raw (after_seq, at, body) VALUES (?1, ?2, ?3)";
                    transaction.prepare_cached(insert)?.execute(params![
                        waiting.seq as i64,
                        waiting.at.0,
                        body
                    ])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Whether anything waits that is no output: how what ran ended, what is to run.
    pub fn has_more_than_outputs(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.row.is_output())
    }

    /// There is no room, on disk or in memory: outputs go, what ran and how it ended stays, behind one gap.
    pub fn drop_outputs(&mut self) {
        self.waiting_bytes = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            if let Pending::Raw(_) = &waiting.row {
                // Nobody was to be told of it.
                continue;
            }
            if waiting.row.is_output() {
                let (from, messages) = self.dropped.map_or((waiting.at, 0), |d| (d.0, d.2));
                self.dropped = Some((from, waiting.at, messages + waiting.messages, waiting.seq));
            } else {
                self.waiting_bytes += waiting.bytes;
                self.waiting.push_back(waiting);
            }
        }
        self.number_anew();
    }

    /// An execution that waits to be written was never asked for. False: it is written.
    pub fn take_back(&mut self, execution_id: &str) -> bool {
        let is_it = |row: &Pending| matches!(row, Pending::Queue(new) if new.execution_id == execution_id);
        if !self.waiting.iter().any(|waiting| is_it(&waiting.row)) {
            return false;
        }
        self.take_out(|row| match row {
            Pending::Queue(new) => new.execution_id == execution_id,
            Pending::Event { execution_id: id, .. } => id.as_deref() == Some(execution_id),
            Pending::Sent(id) => id == execution_id,
            Pending::Raw(_) => false,
        });
        true
    }

    /// It does not go to the kernel yet.
    pub fn unsend(&mut self, execution_id: &str) {
        self.take_out(|row| matches!(row, Pending::Sent(id) if id == execution_id));
    }

    fn take_out(&mut self, is_it: impl Fn(&Pending) -> bool) {
        self.waiting.retain(|waiting| !is_it(&waiting.row));
        self.waiting_bytes = self.waiting.iter().map(|waiting| waiting.bytes).sum();
        self.number_anew();
    }

    /// What is told has no holes in its numbers. Nobody was told of what waits.
    fn number_anew(&mut self) {
        self.next_seq = self.committed + 1;
        if let Some(dropped) = &mut self.dropped {
            dropped.3 = self.next_seq;
            self.next_seq += 1;
        }
        for waiting in &mut self.waiting {
            waiting.seq = if waiting.row.is_told() { self.next_seq } else { self.next_seq - 1 };
            self.next_seq += u64::from(waiting.row.is_told());
        }
    }

    /// The executions that have not ended, in order, with the question that the running one asks.
    pub fn unfinished(&self) -> Result<Vec<ExecutionRow>> {
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS}, ordinal, sent FROM executions
             WHERE status IN ('pending', 'running') ORDER BY ordinal"
        ))?;
        let rows = statement.query_map([], |row| {
            Ok((ExecutionRow { sent: row.get(14)?, ..execution_of(row)? }, row.get::<_, i64>(13)?))
        })?;
        let mut unfinished = Vec::new();
        for row in rows {
            let (mut execution, ordinal) = row?;
            if execution.status == ExecutionStatus::Running {
                let asked: Option<(i64, String)> = self
                    .db
                    .prepare_cached(
                        "SELECT kind, body FROM events WHERE execution = ?1 AND kind IN (6, 7) ORDER BY seq DESC LIMIT 1",
                    )?
                    .query_row([ordinal], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                execution.input = asked
                    .filter(|a| a.0 == kind::INPUT_REQUEST)
                    .and_then(|(_, body)| serde_json::from_str(&body).ok());
            }
            unfinished.push(execution);
        }
        Ok(unfinished)
    }

    /// What widgets said while an execution ran, in order: each message's type, and all of it.
    pub fn comms(&self, execution_id: &str) -> Result<Vec<(String, Json)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT body FROM events WHERE kind = 8 AND execution =
             (SELECT ordinal FROM executions WHERE execution_id = ?1) ORDER BY seq",
        )?;
        let mut rows = statement.query([execution_id])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_str_or_null().ok().flatten().unwrap_or_default();
            // Few are about what is asked here, and some are large.
            if let Ok(EventBody::Comm { message }) = serde_json::from_str(body) {
                let header = message.fields().into_iter().find(|(name, _)| name == "header");
                let header = header.map(|(_, value)| Json::from(value.to_owned())).unwrap_or_default();
                messages.push((header.str("msg_type").unwrap_or_default().into_owned(), message));
            }
        }
        Ok(messages)
    }

    /// Time spent executing over all of the history.
    pub fn busy_milliseconds(&self) -> Result<i64> {
        let sum = "SELECT coalesce(sum(completed_at - started_at), 0) FROM executions WHERE completed_at IS NOT NULL AND started_at IS NOT NULL";
        Ok(self.db.query_row(sum, [], |row| row.get(0))?)
    }

    /// Whether so much was written since the limit was looked at that it is to be looked at soon.
    pub fn has_grown_much(&self) -> bool {
        self.grown_bytes as u64 > (self.limits.max_bytes / 16).max(1 << 20)
    }

    /// Keeps the journal within its limit, and cuts its write-ahead log.
    pub fn enforce_limits(&mut self) -> Result<()> {
        if std::mem::take(&mut self.grown) {
            self.grown_bytes = 0;
            let pruned = pruning::prune(&mut self.db, &self.dir, &self.limits, &mut self.examined)?;
            // What follows a part that is gone begins a file of its own.
            self.runs.retain(|execution, run| {
                let is_gone = |(name, _): &(String, u64)| pruned.assets.contains(name);
                !pruned.folded.contains(execution) && !run.asset.as_ref().is_some_and(is_gone)
            });
        }
        schema::cut_log(&self.db, &self.dir)
    }

    /// Makes the database unable to grow, as a full disk does.
    #[cfg(test)]
    fn pretend_full(&self, full: bool) {
        let pages: i64 = self.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let most = if full { pages } else { 1 << 30 };
        self.db
            .query_row(&format!("PRAGMA max_page_count = {most}"), [], |row| row.get::<_, i64>(0))
            .unwrap();
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
