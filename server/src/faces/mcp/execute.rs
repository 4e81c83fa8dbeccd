//! Running code for an agent, and what the kernel knows of its variables.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::{Execute, Inspect, Target};
use super::bounds;
use super::calls::Call;
use super::server::{Answer, Server, answer, notebook};
use crate::protocol::{CellRef, Error, ErrorKind, EventBody, ExecuteParams, Session, SessionState};
use crate::sessions::{Feed, NotebookCode};

/// How long a call waits, unless it says otherwise.
const PATIENCE: f64 = 60.0;
/// And at most: a day.
const LONGEST: f64 = 86_400.0;

/// Why nobody waits any more.
enum Waited {
    Ended,
    TimedOut,
    TakenBack,
    /// The code asks for a line; the prompt.
    AsksForInput(String),
    SessionEnded,
}

impl Server {
    pub(super) async fn execute_code(&self, asked: Execute, call: &Call<'_>) -> Answer {
        let patience = asked.timeout_s.unwrap_or(PATIENCE);
        if !(0.0..=LONGEST).contains(&patience) {
            let what = format!("timeout_s: from 0 to {LONGEST} seconds");
            return Err(Error::new(ErrorKind::InvalidParams, what).with("field", "timeout_s"));
        }
        let turn = self.order.lock().await;
        let id = self.target(asked.notebook_path.as_deref(), asked.session_id.as_deref()).await?;
        let session = self.sessions.get(&id)?;
        // Which of several notebooks; one that was renamed is bound under its old name.
        let named = asked.notebook_path.as_deref().map(|path| notebook("notebook_path", path)).transpose()?;
        let bound = named
            .as_ref()
            .and_then(|name| session.notebooks.iter().find(|n| n.notebook_path == name.path_text()));
        let on_disk = named.as_ref().and_then(|name| name.path_text()).or(session.notebook_path.clone());
        let cell = cell_of(on_disk.as_deref(), &asked).await?;
        let (feed, _) = self.sessions.feed(&id, None)?;
        let submitted = self.sessions.submit(ExecuteParams {
            session_id: id.clone(),
            code: asked.code,
            notebook_uri: bound.map(|bound| bound.notebook_uri.clone()),
            cell,
            // What waits behind it may be the user's.
            stop_on_error: Some(false),
            batch: None,
            agent: Some(true),
        })?;
        drop(turn);
        let execution_id = self.sessions.submitted(&id, submitted).await?;
        let waited = tokio::select! {
            ended = wait(feed, &execution_id) => ended?,
            () = tokio::time::sleep(Duration::from_secs_f64(patience)) => Waited::TimedOut,
            () = call.taken_back() => Waited::TakenBack,
        };
        let note = match waited {
            Waited::Ended => None,
            Waited::TakenBack => {
                // Of all that the kernel has to do this alone.
                self.sessions.cancel(&id, &execution_id).await?;
                Some("[The call was cancelled: this code was interrupted, or not begun.]".to_owned())
            }
            Waited::TimedOut => Some(format!(
                "[It still runs after {patience} s, and goes on. get_outputs with execution_id {execution_id} has the rest.]"
            )),
            Waited::AsksForInput(prompt) => Some(format!(
                "[It waits for a line of input ({:?}), which only the user can type, in the notebook. It goes on then; \
                 get_outputs with execution_id {execution_id} has the rest.]",
                bounds::short(&prompt)
            )),
            Waited::SessionEnded => Some("[The kernel ended before the code did.]".to_owned()),
        };
        self.outputs_of(&id, &execution_id, note.as_deref()).await
    }

    pub(super) async fn list_variables(&self, asked: Target) -> Answer {
        let id = self.target(asked.notebook_path.as_deref(), asked.session_id.as_deref()).await?;
        let found = self.sessions.variables(&id).await?;
        let note = if !found.supported {
            Some("variables are known of Python kernels alone".to_owned())
        } else if found.stale {
            Some(format!("{}: these are the last known variables", why_not_asked(&self.sessions.get(&id)?)))
        } else {
            None
        };
        answer(&json!({
            "session_id": id, "variables": found.variables, "stale": found.stale, "as_of": found.as_of,
            "supported": found.supported, "note": note,
        }))
    }

    pub(super) async fn inspect_variable(&self, asked: Inspect) -> Answer {
        let id = self.target(asked.notebook_path.as_deref(), asked.session_id.as_deref()).await?;
        let cursor = asked.name.chars().count().try_into().unwrap_or(u32::MAX);
        let before = self.sessions.get(&id)?;
        let found = self.sessions.inspect(&id, &asked.name, cursor).await?;
        let text = found.data["text/plain"].as_str().map(super::outputs::plain);
        let is_busy = before.state != SessionState::Idle && !found.found;
        let note = match (found.found, is_busy) {
            (true, _) => Value::Null,
            (false, true) => format!("{}: it was not asked", why_not_asked(&before)).into(),
            (false, false) => format!("the kernel knows nothing of {:?}", asked.name).into(),
        };
        answer(
            &json!({ "session_id": id, "name": asked.name, "found": found.found, "text": text, "note": note }),
        )
    }
}

/// Why a kernel does not answer questions.
fn why_not_asked(session: &Session) -> String {
    match (session.state, &session.current_execution) {
        (SessionState::Ended, _) => "the kernel has ended".into(),
        (SessionState::Busy, Some(at)) => {
            let since = at.started_at.map(|time| format!(" since {time}")).unwrap_or_default();
            format!("the kernel is busy{since}")
        }
        (SessionState::Idle, _) => "the kernel does not answer".into(),
        _ => "the kernel is busy".into(),
    }
}

/// Follows an execution to its end.
async fn wait(mut feed: Feed, execution_id: &str) -> Result<Waited, Error> {
    loop {
        let Some(events) = feed.next().await? else { return Ok(Waited::SessionEnded) };
        for event in events.into_iter().filter(|event| event.execution_id.as_deref() == Some(execution_id)) {
            match event.event {
                EventBody::Finished { .. } => return Ok(Waited::Ended),
                EventBody::InputRequest { prompt, .. } => return Ok(Waited::AsksForInput(prompt)),
                _ => {}
            }
        }
    }
}

/// The cell that code is of: the named one, else the only one of the saved notebook that has this source.
async fn cell_of(path: Option<&str>, asked: &Execute) -> Result<Option<CellRef>, Error> {
    let read = match path.map(std::path::PathBuf::from) {
        Some(path) => {
            tokio::task::spawn_blocking(move || NotebookCode::read(&path).ok()).await.ok().flatten()
        }
        None => None,
    };
    let cells = match (read, &asked.cell_id) {
        (Some(file), _) => file.cells,
        (_, None) => return Ok(None),
        (_, Some(id)) => return Err(no_cell(id)),
    };
    if let Some(id) = &asked.cell_id {
        let cell = cells.into_iter().find(|cell| cell.id == *id).ok_or_else(|| no_cell(id))?;
        return Ok(Some(CellRef { id: cell.id, index: cell.index }));
    }
    let mut same = cells.into_iter().filter(|cell| cell.source.trim() == asked.code.trim());
    let only = same.next().filter(|cell| !cell.source.trim().is_empty() && same.next().is_none());
    Ok(only.map(|cell| CellRef { id: cell.id, index: cell.index }))
}

fn no_cell(id: &str) -> Error {
    let shown: String = bounds::short(id).chars().take(60).collect();
    let what = format!("cell_id: the saved notebook has no code cell \"{shown}\"");
    Error::new(ErrorKind::InvalidParams, what).with("field", "cell_id")
}
