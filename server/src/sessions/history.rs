//! What ran, and what it put out: read from the journals, whether their keepers live or not.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Sessions, invalid, not_found, store_failed};
use crate::journal::{ExecutionRow, Most, Reader};
use crate::protocol::limits::json_bytes;
use crate::protocol::{
    CellOutputs, CellOutputsResult, Error, ErrorKind, Execution, NotebookName, Output, Truncated,
};

/// Notebook URIs by the number that journal rows have.
pub(super) type Names = HashMap<u32, String>;

impl Sessions {
    /// The present names of a session's notebooks.
    pub(super) fn names(&self, session_id: &str) -> Names {
        let bindings = self.registry().bindings(session_id).unwrap_or_default();
        bindings.iter().map(|binding| (binding.number, self.uri_here(binding))).collect()
    }

    /// A session's executions, newest first.
    pub fn session_history(&self, session_id: &str, limit: u32) -> Result<Vec<Execution>, Error> {
        self.must_exist(session_id)?;
        let names = self.names(session_id);
        let rows = self.reader(session_id)?.executions(limit as usize, None).map_err(store_failed)?;
        Ok(rows.into_iter().map(|row| self.execution_of(session_id, &names, row)).collect())
    }

    /// A notebook's executions over all its sessions, whatever it was called when they ran: those that were asked for last
    /// come first, and those of one session in its own order, however the clock was set meanwhile.
    pub fn notebook_history(&self, notebook: &NotebookName, limit: u32) -> Result<Vec<Execution>, Error> {
        let mut executions = Vec::new();
        let mut unreadable = None;
        for (id, number) in self.sessions_with(notebook)? {
            let names = self.names(&id);
            let read = self
                .reader(&id)
                .and_then(|reader| reader.executions(limit as usize, Some(number)).map_err(store_failed));
            let rows = match read {
                Ok(rows) => rows,
                Err(e) => {
                    // A damaged journal hides its own part alone.
                    tracing::warn!(session = %id, "its history cannot be read: {e}");
                    unreadable = Some(e);
                    continue;
                }
            };
            let own = rows.into_iter().map(|row| self.execution_of(&id, &names, row)).collect();
            executions = merged(executions, own);
            executions.truncate(fitting(&executions).min(limit as usize));
        }
        if let Some(e) = unreadable.filter(|_| executions.is_empty()) {
            return Err(e);
        }
        Ok(executions)
    }

    /// The sessions that have a notebook, or had it when they ended, each with its number in them.
    pub(super) fn sessions_with(&self, notebook: &NotebookName) -> Result<Vec<(String, u32)>, Error> {
        let key = self.key(notebook);
        let mut sessions = self.registry().sessions_of_notebook(&key).map_err(store_failed)?;
        if sessions.is_empty() {
            // Renamed while nobody looked: what has ended goes along, what lives is known by its file.
            self.note_history(notebook);
            sessions = self.registry().sessions_of_notebook(&key).map_err(store_failed)?;
            let file = notebook.path.as_deref().and_then(crate::paths::file_identity);
            let known = file.map(|file| self.registry().bindings_by_file(file).unwrap_or_default());
            let moved = known.into_iter().flatten().filter(|binding| !self.is_there(binding));
            sessions.extend(moved.map(|binding| (binding.session_id, binding.number)));
        }
        Ok(sessions)
    }

    /// One execution.
    pub fn execution(&self, session_id: &str, execution_id: &str) -> Result<Execution, Error> {
        self.must_exist(session_id)?;
        let row =
            self.reader(session_id)?.execution(execution_id).map_err(store_failed)?.ok_or_else(|| {
                let shown: String = execution_id.chars().take(40).collect();
                let what = format!("session {session_id} has no execution \"{shown}\"");
                Error::new(ErrorKind::SessionNotFound, what).with("executionId", shown)
            })?;
        Ok(self.execution_of(session_id, &self.names(session_id), row))
    }

    pub(super) fn execution_of(&self, session_id: &str, names: &Names, row: ExecutionRow) -> Execution {
        let mut execution = Execution {
            execution_id: row.execution_id,
            session_id: session_id.to_owned(),
            notebook_uri: names.get(&row.notebook).cloned().unwrap_or_default(),
            cell_id: row.cell_id,
            cell_index: row.cell_index,
            code: row.code,
            execution_count: row.execution_count,
            origin: row.origin,
            status: row.status,
            queued_at: row.queued_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            error: row.error,
        };
        execution.cut();
        execution
    }

    /// For each cell its latest execution that began, outputs as they stand. Reads off this thread: it may be much.
    pub async fn cell_outputs(
        self: &Arc<Self>,
        session_id: &str,
        notebook: Option<&NotebookName>,
        max_bytes_per_cell: u64,
    ) -> Result<CellOutputsResult, Error> {
        self.cell_outputs_of(session_id, notebook, None, max_bytes_per_cell).await
    }

    /// The same; where an execution is named, of its cell alone, with all the room that an answer has.
    pub async fn cell_outputs_of(
        self: &Arc<Self>,
        session_id: &str,
        notebook: Option<&NotebookName>,
        execution_id: Option<&str>,
        max_bytes_per_cell: u64,
    ) -> Result<CellOutputsResult, Error> {
        self.must_exist(session_id)?;
        let number = notebook.map(|name| self.number_of(session_id, name)).transpose()?;
        let names = self.names(session_id);
        let dir = self.folders.session(session_id);
        let execution = execution_id.map(str::to_owned);
        let most = Most::Answer(max_bytes_per_cell);
        let read = move || Reader::open(&dir)?.cell_outputs(number, execution.as_deref(), most);
        let (last_seq, rows) = self.read_beside(session_id, read).await?;
        let cells = rows.into_iter().map(|row| CellOutputs {
            notebook_uri: names.get(&row.notebook).cloned().unwrap_or_default(),
            cell_id: row.cell_id,
            cell_index: row.cell_index,
            execution_id: row.execution_id,
            execution_count: row.execution_count,
            status: row.status,
            started_at: row.started_at,
            completed_at: row.completed_at,
            outputs: row.outputs,
            truncated: row.truncated.map(truncated_at),
            left_out: (row.left_out > 0).then_some(row.left_out),
        });
        Ok(CellOutputsResult { last_seq, cells: cells.collect() })
    }

    /// One execution, and its outputs as they stand; where stream text beyond that many bytes, or what no answer can hold,
    /// was cut, all of it.
    pub async fn execution_outputs(
        self: &Arc<Self>,
        session_id: &str,
        execution_id: &str,
        max_bytes: u64,
    ) -> Result<(Execution, Vec<Output>, Option<Truncated>), Error> {
        let execution = self.execution(session_id, execution_id)?;
        let (dir, id) = (self.folders.session(session_id), execution.execution_id.clone());
        let read = move || Reader::open(&dir)?.outputs(&id, Most::Answer(max_bytes));
        let standing = self.read_beside(session_id, read).await?.unwrap_or_default();
        Ok((execution, standing.outputs, standing.truncated.map(truncated_at)))
    }

    /// Reads of a journal what may be much, on a thread beside. Of one session two at most at once: whatever its cells
    /// hold, it never has all threads to itself.
    pub(super) async fn read_beside<T: Send + 'static>(
        &self,
        session_id: &str,
        read: impl FnOnce() -> Result<T, crate::journal::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.reading.retain(|_, turns| Arc::strong_count(turns) > 1);
        let turns =
            self.reading.entry(session_id.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(2))).clone();
        let internal = |e: String| Error::new(ErrorKind::Internal, e);
        let turn = turns.acquire_owned().await.map_err(|e| internal(e.to_string()))?;
        // A read whose asker has gone still has its thread.
        let read = tokio::task::spawn_blocking(move || (read(), turn).0).await;
        read.map_err(|e| internal(e.to_string()))?.map_err(store_failed)
    }

    pub(super) fn reader(&self, session_id: &str) -> Result<Reader, Error> {
        Reader::open_at_once(&self.folders.session(session_id)).map_err(store_failed)
    }

    /// Checks that a session is known, live or ended.
    pub fn must_exist(&self, session_id: &str) -> Result<(), Error> {
        let known = self.live.contains_key(session_id)
            || self.registry().session(session_id).map_err(store_failed)?.is_some();
        if known { Ok(()) } else { Err(not_found(session_id)) }
    }

    /// A limit as requests have it.
    pub fn limit(limit: Option<u32>) -> Result<u32, Error> {
        match limit {
            Some(0) => Err(invalid("limit", "at least 1")),
            Some(limit) => Ok(limit.min(100_000)),
            None => Ok(50),
        }
    }
}

/// Two histories as one, newest first; each keeps its own order.
fn merged(some: Vec<Execution>, others: Vec<Execution>) -> Vec<Execution> {
    let (mut some, mut others) = (some.into_iter().peekable(), others.into_iter().peekable());
    std::iter::from_fn(|| match (some.peek(), others.peek()) {
        (Some(one), Some(other)) if one.queued_at < other.queued_at => others.next(),
        (None, _) => others.next(),
        _ => some.next(),
    })
    .collect()
}

/// How many of the executions an answer can hold: of many sessions as of one.
fn fitting(executions: &[Execution]) -> usize {
    let mut room = crate::journal::HISTORY;
    let mut fits = |execution: &&Execution| {
        let bytes = json_bytes(&(&execution.code, &execution.error));
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    };
    executions.iter().take_while(&mut fits).count()
}

fn truncated_at((total_bytes, path): (u64, std::path::PathBuf)) -> Truncated {
    Truncated { total_bytes, asset_uri: NotebookName::from_any_path(&path).uri }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ExecutionStatus, Time};

    fn executions(text: &str) -> Vec<Execution> {
        let execution = |word: &str| {
            let at: i64 = word[1..].parse().unwrap();
            Execution {
                execution_id: word.to_owned(),
                session_id: word[..1].to_owned(),
                notebook_uri: String::new(),
                cell_id: None,
                cell_index: None,
                code: String::new(),
                execution_count: None,
                origin: String::new(),
                status: ExecutionStatus::Ok,
                queued_at: Time(at),
                started_at: None,
                completed_at: None,
                error: None,
            }
        };
        text.split_whitespace().map(execution).collect()
    }

    #[test]
    fn two_histories_are_one_and_each_keeps_its_order() {
        let check = |some: &str, others: &str, expect: &str| {
            let ids: Vec<String> = merged(executions(some), executions(others))
                .into_iter()
                .map(|one| one.execution_id)
                .collect();
            assert_eq!(ids.join(" "), expect);
        };
        check("", "", "");
        check("a3 a1", "", "a3 a1");
        check("a5 a3 a1", "b4 b2", "a5 b4 a3 b2 a1");
        check("a2 a2", "b2", "a2 a2 b2");
        // The clock was set back between a9 and a4, which ran later.
        check("a4 a9 a1", "b6 b3", "b6 a4 a9 b3 a1");
    }
}
