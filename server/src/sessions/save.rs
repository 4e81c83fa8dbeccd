//! Writing journaled outputs into the `.ipynb`: for notebooks that no editor shows.
//!
//! Atomic, and only into cells whose source still is what ran; refused where an editor has unsaved edits of it.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use super::notebook_file::{NotebookFile, cell_id, text};
use super::{Sessions, invalid, store_failed};
use crate::journal::{Most, Reader};
use crate::paths::FileIdentity;
use crate::protocol::{Error, ErrorKind, ExecutionStatus, NotebookName, Output};

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
    /// Writes the outputs and counts of a notebook's latest session into its file, whole streams, atomically, and only
    /// into cells whose source still is what ran.
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
        let cells = self.read_beside(&id, read).await?;
        let mut report = SaveReport { notebook_path: key, ..SaveReport::default() };
        let in_file = file.json["cells"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
        for (ran, code) in cells {
            let found =
                in_file.iter_mut().enumerate().find(|(index, cell)| cell_id(cell, *index) == ran.cell_id);
            let skip = match &found {
                None => Some("the cell is gone"),
                Some((_, cell)) if text(&cell["source"]).trim() != code.trim() => {
                    Some("its source is not what ran")
                }
                Some(_) => None,
            };
            if let Some(reason) = skip {
                report.skipped.push(Skipped { cell_id: ran.cell_id, reason: reason.into() });
            } else if let Some((_, cell)) = found {
                let finished = ran.status == ExecutionStatus::Ok || ran.execution_count.is_some();
                cell["execution_count"] = if finished { json!(ran.execution_count) } else { Value::Null };
                cell["outputs"] = ran.outputs.into_iter().map(nbformat).collect();
                report.written += 1;
            }
        }
        let before = crate::paths::file_identity(&path);
        let failed = |e| io::Error::other(format!("it could not be written: {e}"));
        beside(move || file.write(&path).map_err(failed)).await?;
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

/// An output as nbformat 4 has it on disk: no `displayId`, text as lists of lines.
fn nbformat(output: Output) -> Value {
    let mut value = serde_json::to_value(output).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("displayId");
        if let Some(Value::String(text)) = fields.get("text").cloned() {
            fields.insert("text".into(), lines(&text));
        }
        if let Some(data) = fields.get_mut("data").and_then(Value::as_object_mut) {
            for (mime, value) in data.iter_mut() {
                let is_text =
                    mime.starts_with("text/") || mime == "image/svg+xml" || mime == "application/javascript";
                if let (true, Value::String(text)) = (is_text, &value) {
                    *value = lines(text);
                }
            }
        }
    }
    value
}

fn lines(text: &str) -> Value {
    text.split_inclusive('\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::StreamName;

    #[test]
    fn outputs_are_written_as_jupyter_writes_them() {
        let stream = Output::Stream { name: StreamName::Stdout, text: "a\nb".into() };
        assert_eq!(
            nbformat(stream),
            json!({"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]})
        );
        let data = json!({"text/plain": "x\ny", "image/png": "AA\n", "application/json": "k"});
        let display = Output::DisplayData {
            data: data.into(),
            metadata: json!({}).into(),
            display_id: Some("d".into()),
        };
        let expect = json!({"text/plain": ["x\n", "y"], "image/png": "AA\n", "application/json": "k"});
        let got = nbformat(display);
        assert_eq!(got["data"], expect);
        assert!(got.get("displayId").is_none());
    }
}
