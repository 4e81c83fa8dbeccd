//! Writing journaled outputs into the `.ipynb`: for notebooks that no editor shows.
//!
//! Only into cells whose source still is what ran; refused where an editor has unsaved edits of it. Leaves out how a file's
//! text is edited (`notebook_edit.rs`) and how it is replaced (`replace.rs`).

use std::io;
use std::sync::Arc;

use super::notebook_edit::{FileCell, NotebookFile};
use super::notebook_file::normal;
use super::replace::replace;
use super::{Sessions, invalid, store_failed};
use crate::journal::{CellRow, Most, Reader};
use crate::paths::FileIdentity;
use crate::protocol::{Error, ErrorKind, ExecutionStatus, NotebookName};

/// What was written, and what was not.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaveReport {
    pub notebook_path: String,
    /// Cells whose outputs are in the file now.
    pub written: u32,
    pub skipped: Vec<Skipped>,
}

/// A cell whose outputs were left out.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    pub cell_id: String,
    pub reason: String,
}

impl Sessions {
    /// Writes the outputs and counts of a notebook's latest session into its file, whole streams, at once, and only into
    /// cells whose source still is what ran. All else in the file stays byte for byte, and no cell gets less than it has.
    ///
    /// # Errors
    /// `InvalidParams` where the file cannot be read or written, or a window has it open with edits that are not saved;
    /// `SessionNotFound` where nothing was ever kept for it.
    pub async fn save(self: &Arc<Self>, notebook: &NotebookName) -> Result<SaveReport, Error> {
        let path = notebook
            .path
            .as_deref()
            .ok_or_else(|| invalid("notebook", "an untitled notebook has no file"))?;
        let key = self.key(notebook);
        if self.living_windows().iter().any(|window| window.unsaved.contains(&key)) {
            let what = format!("{key} is open in an editor with edits that are not saved: save it there");
            return Err(invalid("notebook", what));
        }
        let sessions = self.sessions_with(notebook)?;
        let newest =
            sessions.into_iter().max_by_key(|(id, _)| self.record(id).map(|r| r.started_at.0).unwrap_or(0));
        let Some((id, number)) = newest else {
            return Err(Error::new(
                ErrorKind::SessionNotFound,
                format!("no session was ever kept for {key}"),
            ));
        };
        let (path, dir) = (path.to_owned(), self.folders.session(&id));
        // Off this thread: the notebook may be large, and what is written into it.
        let (mut file, path) = beside(move || Ok((NotebookFile::read(&path)?, path))).await?;
        let read = move || {
            let reader = Reader::open(&dir)?;
            let (_, cells) = reader.cell_outputs(Some(number), None, Most::All)?;
            let with_code = cells.into_iter().map(|cell| {
                let code = reader.execution(&cell.execution_id)?.map(|row| row.code).unwrap_or_default();
                Ok::<_, crate::journal::Error>((cell, code))
            });
            with_code.collect::<Result<Vec<_>, _>>()
        };
        let ran = self.read_beside(&id, read).await?;
        let mut report = SaveReport { notebook_path: key, ..SaveReport::default() };
        let mut taken = vec![false; file.cells.len()];
        for (ran, code) in ran {
            match target(&file.cells, &taken, &ran, &code) {
                Ok(at) => {
                    taken[at] = true;
                    let finished = ran.status == ExecutionStatus::Ok || ran.execution_count.is_some();
                    file.set(at, &ran.outputs, ran.execution_count.filter(|_| finished));
                    report.written += 1;
                }
                Err(reason) => report.skipped.push(Skipped { cell_id: ran.cell_id, reason: reason.into() }),
            }
        }
        let before = crate::paths::file_identity(&path);
        let write = move || {
            let old = file.as_read();
            let Some(new) = file.edited() else { return Ok(()) };
            let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
            replace(&path, &old, &new).map_err(named)
        };
        beside(write).await?;
        self.wrote_anew(notebook, before);
        Ok(report)
    }

    /// A notebook that we wrote anew is the same notebook: whoever knew its file knows the new one, whatever it holds. So a
    /// rename in the next moment is known for one.
    fn wrote_anew(&self, notebook: &NotebookName, before: Option<FileIdentity>) {
        let Some(now) = notebook.path.as_deref().and_then(crate::paths::file_identity) else { return };
        let known = before.map(|before| self.registry().bindings_by_file(before).unwrap_or_default());
        let own = self.registry().binding_by_key(&self.key(notebook)).ok().flatten();
        for binding in known.into_iter().flatten().chain(own) {
            let _ = self.registry().set_file_identity(&binding.session_id, binding.number, now);
        }
        self.note_history(notebook);
    }
}

/// What takes time with the notebook's file, on a thread beside.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await.map_err(store_failed)?;
    done.map_err(|e| invalid("notebook", e.to_string()))
}

/// The cell of the file that an execution is of, or why there is none. By its id where that is one cell's alone; cells without
/// one, or with that of another, are known by their source and, of several, by their place.
fn target(cells: &[FileCell], taken: &[bool], ran: &CellRow, code: &str) -> Result<usize, &'static str> {
    let is_own =
        |cell: &FileCell| cell.id.is_some() && cells.iter().filter(|other| other.id == cell.id).count() == 1;
    let has_code = |cell: &FileCell| normal(&cell.source) == normal(code);
    let by_id = cells.iter().position(|cell| cell.id.as_ref() == Some(&ran.cell_id) && is_own(cell));
    let found = match by_id {
        Some(at) if has_code(&cells[at]) => at,
        Some(_) => return Err("the cell has other code now than what ran"),
        None => {
            let could_be = |at: &usize| !is_own(&cells[*at]) && !taken[*at] && has_code(&cells[*at]);
            let has_id = |at: &usize| cells[*at].id.as_ref() == Some(&ran.cell_id);
            let is_there = |at: &usize| Some(cells[*at].index as u32) == ran.cell_index;
            let all: Vec<usize> = (0..cells.len()).filter(could_be).collect();
            let named: Vec<usize> = all.iter().copied().filter(has_id).collect();
            let all = if named.is_empty() { all } else { named };
            match (all.iter().copied().find(is_there), all.as_slice()) {
                (Some(at), _) | (None, &[at]) => at,
                (None, []) if cells.iter().any(|cell| cell.id.as_ref() == Some(&ran.cell_id)) => {
                    return Err("no cell with this id has the code that ran");
                }
                (None, []) if ran.cell_id.starts_with('#') => return Err("no cell has the code that ran"),
                (None, []) => return Err("no cell has this id"),
                (None, _) => {
                    return Err("several cells have the code that ran, and none the place where it ran");
                }
            }
        }
    };
    if ran.is_incomplete && cells[found].has_outputs {
        return Err("some of its output is missing in the journal: the file keeps what it has");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::notebook_edit::tests::notebook;

    /// Which cell of a file, made of ids and sources, an execution goes to.
    fn check(cells: &[(&str, &str)], ran: (&str, u32, &str), expect: Result<usize, &str>) {
        let (id, index, code) = ran;
        let file = notebook(cells);
        let row = CellRow {
            notebook: 1,
            cell_id: id.into(),
            cell_index: Some(index),
            execution_id: "e".into(),
            execution_count: None,
            status: ExecutionStatus::Ok,
            started_at: None,
            completed_at: None,
            outputs: Vec::new(),
            truncated: None,
            left_out: 0,
            is_incomplete: false,
        };
        let found = target(&file.cells, &vec![false; cells.len()], &row, code);
        match (found, expect) {
            (Ok(at), Ok(expected)) => assert_eq!(at, expected, "{cells:?} {ran:?}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{cells:?} {ran:?}: {why}"),
            (found, _) => panic!("{cells:?} {ran:?}: {found:?}"),
        }
    }

    #[test]
    fn outputs_go_to_the_cell_that_ran() {
        let own = [("a", "1"), ("b", "2")];
        check(&own, ("b", 0, "2"), Ok(1));
        check(&own, ("b", 1, "1"), Err("other code"));
        check(&own, ("c", 1, "2"), Err("this id"));
        check(&own, ("#1", 1, "2"), Err("no cell has the code"));
        let doubled = [("a", "1"), ("a", "2"), ("a", "2"), ("b", "3")];
        check(&doubled, ("a", 0, "1"), Ok(0));
        check(&doubled, ("a", 3, "1"), Ok(0));
        check(&doubled, ("a", 2, "2"), Ok(2));
        check(&doubled, ("#1", 1, "2"), Ok(1));
        check(&doubled, ("#3", 3, "2"), Err("several"));
        check(&doubled, ("a", 3, "3"), Err("no cell with this id"));
        let none = [("", "1"), ("", "2"), ("", "1"), ("", "4")];
        check(&none, ("#1", 1, "2"), Ok(1));
        check(&none, ("#0", 0, "2"), Ok(1));
        check(&none, ("#2", 2, "1"), Ok(2));
        check(&none, ("#1", 1, "1"), Err("several"));
        check(&none, ("cell-3", 3, "4"), Ok(3));
    }
}
