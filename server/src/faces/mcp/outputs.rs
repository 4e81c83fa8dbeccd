//! What code put out, as an agent reads it: text without colours, images as images. What is long is cut, with a note and a
//! link to all of it.

use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde_json::{Value, json};

use super::arguments::Outputs;
use super::bounds;
use super::resources::outputs_uri;
use super::server::{Answer, Server, notebook};
use crate::protocol::{Error, ErrorKind, Execution, ExecutionStatus, Json, Output};
use crate::sessions::plain::{cut, unordered};

/// Characters of text in one answer; the middle of what is longer is left out.
const TEXT: usize = 20_000;
/// Characters of images in one answer, as base64.
const PIXELS: usize = 4 << 20;
/// Bytes of stream text that are read for an answer.
const READ: u64 = 256 << 10;
/// Kinds of images that agents are shown.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Outputs on their way into an answer.
pub struct Blocks {
    pub content: Vec<ContentBlock>,
    left: usize,
    pixels: usize,
    is_cut: bool,
}

impl Blocks {
    pub fn new() -> Blocks {
        Blocks { content: Vec::new(), left: TEXT, pixels: PIXELS, is_cut: false }
    }

    /// Adds an execution's outputs.
    pub fn put(&mut self, outputs: &[Output]) {
        let mut text = String::new();
        for output in outputs {
            match output {
                Output::Stream { text: more, .. } => text += &plain(more),
                Output::Error { ename, evalue, traceback } => {
                    let whole = plain(&traceback.join("\n"));
                    let shown =
                        if whole.trim().is_empty() { plain(&format!("{ename}: {evalue}")) } else { whole };
                    end_line(&mut text);
                    text += &shown;
                    text.push('\n');
                }
                Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => {
                    end_line(&mut text);
                    match IMAGES.iter().find_map(|mime| data.str(mime).map(|image| (*mime, image))) {
                        Some((mime, image)) if image.len() <= self.pixels => {
                            self.pixels -= image.len();
                            self.text(std::mem::take(&mut text));
                            let image: String = image.split_whitespace().collect();
                            self.content.push(ContentBlock::image(image, mime));
                        }
                        Some((mime, image)) => {
                            self.is_cut = true;
                            text += &format!("[{mime} of {} bytes, left out]\n", image.len() / 4 * 3);
                        }
                        None => {
                            text += &bundle(data);
                            text.push('\n');
                        }
                    }
                }
            }
        }
        self.text(text);
    }

    /// Adds text, cut in its middle where there is too much.
    pub fn text(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        let count = text.chars().count();
        self.is_cut |= count > self.left;
        self.content.push(ContentBlock::text(cut(&text, self.left)));
        self.left = self.left.saturating_sub(count);
    }

    /// Where anything was cut: says so, and links to all of it.
    pub fn link(&mut self, session_id: &str, execution_id: &str, was_cut: bool) {
        if std::mem::take(&mut self.is_cut) || was_cut {
            let uri = outputs_uri(session_id, execution_id);
            self.content
                .push(ContentBlock::text(format!("[The output is longer. All of it is the resource {uri}]")));
            let link = Resource::new(uri, "all outputs").with_mime_type("application/json");
            self.content.push(ContentBlock::resource_link(link));
        }
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// A MIME bundle in words: what was made for reading first.
fn bundle(data: &Json) -> String {
    let fields = data.fields();
    for mime in ["text/markdown", "text/plain", "application/json", "text/html", "text/latex"] {
        match fields.iter().find(|(field, _)| field == mime).map(|(_, value)| value.get()) {
            None | Some("null") => {}
            Some(raw) => match data.str(mime) {
                Some(text) => return plain(&text),
                None => {
                    let value = serde_json::from_str(raw).unwrap_or_else(|_| Value::from(raw));
                    return plain(&bounds::plain(&value).to_string());
                }
            },
        }
    }
    let kinds: Vec<&str> = fields.iter().map(|(mime, _)| &**mime).collect();
    plain(&format!("<{}>", kinds.join(", ")))
}

/// Text without colours and other orders to a terminal; of a line that was written over, what stands.
pub(super) fn plain(text: &str) -> String {
    let text = unordered(text);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() != Some(&'\n') => {
                let line = plain.rfind('\n').map_or(0, |at| at + 1);
                plain.truncate(line);
            }
            '\r' => {}
            _ => plain.push(c),
        }
    }
    plain
}

/// What becomes of an execution in an answer.
pub fn summary(execution: &Execution) -> Value {
    json!({
        "execution_id": execution.execution_id,
        "session_id": execution.session_id,
        "status": execution.status,
        "execution_count": execution.execution_count,
        "cell_index": execution.cell_index,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "error": execution.error.as_ref().map(|e| format!("{}: {}", e.ename, e.evalue)),
    })
}

impl Server {
    /// The answer of an execution that has ended, or that was asked for.
    pub(super) async fn outputs_of(
        &self,
        session_id: &str,
        execution_id: &str,
        note: Option<&str>,
    ) -> Answer {
        let (execution, outputs, truncated) =
            self.sessions.execution_outputs(session_id, execution_id, READ).await?;
        let mut blocks = Blocks::new();
        blocks.put(&outputs);
        let was_cut = truncated.is_some();
        blocks.link(session_id, execution_id, was_cut);
        if let Some(note) = note {
            blocks.content.push(ContentBlock::text(note));
        }
        let status = execution.status;
        if blocks.content.is_empty() {
            blocks.content.push(ContentBlock::text(nothing(status)));
        }
        let is_bad =
            matches!(status, ExecutionStatus::Error | ExecutionStatus::Aborted | ExecutionStatus::Lost);
        let mut result = if is_bad {
            CallToolResult::error(blocks.content)
        } else {
            CallToolResult::success(blocks.content)
        };
        let mut body = summary(&execution);
        body["note"] = note.into();
        result.structured_content = Some(bounds::bounded(&body));
        Ok(result)
    }

    pub(super) async fn get_outputs(&self, asked: Outputs) -> Answer {
        let id = self.with_journal(asked.notebook_path.as_deref(), asked.session_id.as_deref()).await?;
        let session = self.sessions.get(&id)?;
        let busy = session.current_execution.as_ref().map(|at| at.execution_id.clone());
        let still = |execution_id: &str| {
            (busy.as_deref() == Some(execution_id)).then_some("[It still runs: this is what came so far.]")
        };
        if let Some(execution_id) = &asked.execution_id {
            return self.outputs_of(&id, execution_id, still(execution_id)).await;
        }
        let name = asked.notebook_path.as_deref().map(|path| notebook("notebook_path", path)).transpose()?;
        // Under the name that it was found by: a file that was renamed is bound under its old one.
        let name = name.filter(|name| session.notebooks.iter().any(|n| n.notebook_path == name.path_text()));
        let cells = self.sessions.cell_outputs(&id, name.as_ref(), READ).await?.cells;
        if let Some(index) = asked.cell_index {
            let Some(cell) = cells.iter().rev().find(|cell| cell.cell_index == Some(index)) else {
                let what = format!("cell_index: no execution of cell {index} is known");
                return Err(Error::new(ErrorKind::InvalidParams, what).with("field", "cell_index"));
            };
            return self.outputs_of(&id, &cell.execution_id, still(&cell.execution_id)).await;
        }
        let mut blocks = Blocks::new();
        let mut listed = Vec::new();
        for cell in &cells {
            let place = cell.cell_index.map_or("a cell".to_owned(), |index| format!("cell {index}"));
            let count = cell.execution_count.map(|count| format!(" [{count}]")).unwrap_or_default();
            blocks.content.push(ContentBlock::text(format!("{place}{count}: {}", cell.status.as_str())));
            blocks.put(&cell.outputs);
            blocks.link(&id, &cell.execution_id, cell.truncated.is_some());
            listed.push(json!({
                "cell_index": cell.cell_index, "cell_id": cell.cell_id, "execution_id": cell.execution_id,
                "execution_count": cell.execution_count, "status": cell.status, "completed_at": cell.completed_at,
            }));
        }
        if cells.is_empty() {
            blocks
                .content
                .push(ContentBlock::text("[No cell of it was run. Code without a cell is in the history.]"));
        }
        let mut result = CallToolResult::success(blocks.content);
        let body = json!({ "session_id": id, "status": session.state, "cells": listed });
        result.structured_content = Some(bounds::bounded(&body));
        Ok(result)
    }

    /// The session whose journal is meant: that of a notebook may have ended.
    async fn with_journal(&self, path: Option<&str>, id: Option<&str>) -> Result<String, Error> {
        let failure = match self.target(path, id).await {
            Err(e) if e.kind == ErrorKind::SessionEnded => e,
            found => return found,
        };
        let Some(path) = path else { return Err(failure) };
        let latest = self.sessions.notebook_history(&notebook("notebook_path", path)?, 1)?.pop();
        latest.map(|execution| execution.session_id).ok_or(failure)
    }
}

fn nothing(status: ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::Ok => "[It put out nothing.]",
        ExecutionStatus::Pending => "[It waits for its turn.]",
        ExecutionStatus::Running => "[It runs, and has put out nothing yet.]",
        ExecutionStatus::Aborted => "[It was not run.]",
        ExecutionStatus::Error => "[It failed, and put out nothing.]",
        ExecutionStatus::Lost => "[Kernel or keeper died while it ran: how it ended is not known.]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_it_stands_without_colours() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\r\nnext"), "red\nnext");
        assert_eq!(plain("0 %\r50 %\r100 %\n"), "100 %\n");
        assert_eq!(plain("a\n1\r2"), "a\n2");
    }

    #[test]
    fn what_is_long_is_cut_once_and_said() {
        let mut blocks = Blocks::new();
        let text = "é".repeat(TEXT + 10);
        blocks.put(&[Output::Stream { name: crate::protocol::StreamName::Stdout, text }]);
        blocks.link("s", "e", false);
        let shown = blocks.content[0].as_text().expect("text").text.clone();
        assert!(shown.contains("[… 10 characters left out …]"), "{}", &shown[..40]);
        assert!(
            blocks.content[1].as_text().is_some_and(|t| t.text.contains("kernel://sessions/s/outputs/e"))
        );
        assert!(blocks.content[2].as_resource_link().is_some());
    }
}
