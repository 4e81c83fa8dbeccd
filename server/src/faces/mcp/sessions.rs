//! The tools about sessions: finding, listing, starting, ending, attaching.

use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::*;
use super::server::{Answer, Server, answer, notebook};
use crate::protocol::{
    AttachSessionParams, CurrentExecution, Error, ErrorKind, Execution, Session, SessionState, Time,
};
use crate::sessions::{Sessions, Start};

/// A session as agents see it.
#[derive(Serialize)]
struct Record<'a> {
    session_id: &'a str,
    kernel_id: &'a str,
    label: &'a str,
    notebook_path: Option<&'a str>,
    /// All of them, where the kernel is shared.
    notebook_paths: Vec<&'a str>,
    notebook_exists: bool,
    kernel_name: &'a str,
    language: &'a str,
    pid: Option<u32>,
    start_time: Time,
    last_activity: Time,
    status: SessionState,
    responding: bool,
    running: Option<Running<'a>>,
    queued: u32,
    memory_bytes: Option<u64>,
    /// A window of the user has it.
    open_in_window: bool,
    started_by_agent: bool,
    end_time: Option<Time>,
    end_reason: Option<crate::protocol::EndReason>,
    warnings: &'a [String],
}

/// What a kernel is at.
#[derive(Serialize)]
struct Running<'a> {
    execution_id: &'a str,
    cell_index: Option<u32>,
    since: Option<Time>,
    /// It waits for a line that only a person can type.
    waits_for_input: bool,
}

impl<'a> Record<'a> {
    fn of(session: &'a Session) -> Record<'a> {
        let running = |at: &'a CurrentExecution| Running {
            execution_id: &at.execution_id,
            cell_index: at.cell_index,
            since: at.started_at,
            waits_for_input: at.input.is_some(),
        };
        Record {
            session_id: &session.id,
            kernel_id: &session.id,
            label: &session.label,
            notebook_path: session.notebook_path.as_deref(),
            notebook_paths: session.notebooks.iter().filter_map(|n| n.notebook_path.as_deref()).collect(),
            notebook_exists: session.notebook_exists,
            kernel_name: &session.kernel.name,
            language: &session.kernel.language,
            pid: session.pid,
            start_time: session.started_at,
            last_activity: session.last_activity_at,
            status: session.state,
            responding: session.responding,
            running: session.current_execution.as_ref().map(running),
            queued: session.queued,
            memory_bytes: session.memory_bytes,
            open_in_window: session.has_window(),
            started_by_agent: session.agent,
            end_time: session.ended_at,
            end_reason: session.end_reason,
            warnings: &session.warnings,
        }
    }
}

/// The refusal of what would take away from the user what is open.
fn not_allowed(session: &Session, done: &str) -> Error {
    let what = format!(
        "{} is open in a window of the user and was not {done}: ask the user to do it, or to allow it by the setting \
         kernelKeeper.agents.mayStopOpenKernels",
        session.label
    );
    Error::new(ErrorKind::Refused, what).with("sessionId", session.id.as_str())
}

impl Server {
    /// The session that is meant: that of a notebook must live.
    pub(super) async fn target(&self, path: Option<&str>, id: Option<&str>) -> Result<String, Error> {
        let path = match (path, id) {
            (None, Some(id)) => {
                self.sessions.must_exist(id)?;
                return Ok(id.to_owned());
            }
            (Some(path), None) => path,
            _ => {
                let what = "notebook_path: exactly one of notebook_path and session_id is needed";
                return Err(Error::new(ErrorKind::InvalidParams, what).with("field", "notebook_path"));
            }
        };
        let name = notebook("notebook_path", path)?;
        let found = self.sessions.find_active(&name).await?;
        found.session.map(|session| session.id).ok_or_else(|| {
            let what = format!("{} has no running kernel: start_session starts one", name.file_name());
            Error::new(ErrorKind::SessionEnded, what).with("notebookPath", path)
        })
    }

    pub(super) async fn find_active_session(&self, asked: Notebook) -> Answer {
        let name = notebook("notebook_path", &asked.notebook_path)?;
        let found = self.sessions.find_active(&name).await?;
        let mut body = json!({
            "found": found.found, "session_id": null, "kernel_id": null, "pid": null, "start_time": null, "status": null,
            "match": found.r#match,
        });
        if let Some(Value::Object(record)) = found.session.as_ref().map(record) {
            body.as_object_mut().expect("an object").extend(record);
        }
        let candidate =
            |of: &crate::protocol::Candidate| json!({ "session": record(&of.session), "score": of.score });
        body["candidates"] = found.candidates.iter().map(candidate).collect();
        answer(&body)
    }

    pub(super) async fn list_all_sessions(&self, asked: ListSessions) -> Answer {
        let all = self.sessions.list(asked.include_ended == Some(true)).await?;
        answer(&all.iter().map(Record::of).collect::<Vec<_>>())
    }

    pub(super) async fn attach_session(&self, asked: Attach) -> Answer {
        let target = notebook("target_notebook_path", &asked.target_notebook_path)?;
        let source = self.sessions.get(&self.sessions.by_pid(asked.source_pid)?)?;
        let is_own = source.notebooks.iter().any(|n| n.notebook_path == target.path_text());
        // Of one that was renamed nothing is taken away.
        if !is_own && self.sessions.is_shown(&source, true) && !self.may_stop_open {
            return Err(not_allowed(&source, "given to another notebook"));
        }
        let attach = AttachSessionParams {
            target_notebook_uri: target.uri,
            source_pid: Some(asked.source_pid),
            session_id: None,
            expected_notebook_uri: None,
            replace: None,
            share: None,
        };
        let done = self.sessions.attach(&attach).await?;
        answer(&json!({
            "success": true, "old_path": done.old_path, "new_path": done.new_path, "session": record(&done.session),
        }))
    }

    pub(super) fn get_execution_history(&self, asked: History) -> Answer {
        let name = notebook("notebook_path", &asked.notebook_path)?;
        let executions = self.sessions.notebook_history(&name, Sessions::limit(asked.limit)?)?;
        answer(&executions.iter().map(past).collect::<Vec<_>>())
    }

    pub(super) async fn start_session(&self, asked: StartSession) -> Answer {
        let name = notebook("notebook_path", &asked.notebook_path)?;
        let kernel_name = match asked.kernel_name {
            Some(kernel_name) => kernel_name,
            None => self.sessions.kernel_for(&name).await?,
        };
        let session = self.sessions.start(&name, Start { kernel_name, ..Start::default() }).await?;
        answer(&record(&session))
    }

    pub(super) async fn interrupt_session(&self, asked: Target) -> Answer {
        let id = self.free_of_windows(&asked, "interrupted").await?;
        answer(&record(&self.sessions.interrupt(&id).await?))
    }

    pub(super) async fn restart_session(&self, asked: Target) -> Answer {
        let id = self.free_of_windows(&asked, "restarted").await?;
        answer(&record(&self.sessions.restart(&id).await?))
    }

    pub(super) async fn stop_session(&self, asked: Target) -> Answer {
        let id = self.free_of_windows(&asked, "stopped").await?;
        answer(&record(&self.sessions.stop(&id).await?))
    }

    /// The session that is meant, where an agent may take something away from it.
    async fn free_of_windows(&self, asked: &Target, done: &str) -> Result<String, Error> {
        let id = self.target(asked.notebook_path.as_deref(), asked.session_id.as_deref()).await?;
        let session = self.sessions.get(&id)?;
        if !self.sessions.is_open(&session) || self.may_stop_open || session.state == SessionState::Ended {
            return Ok(id);
        }
        Err(not_allowed(&session, done))
    }

    pub(super) async fn reconnect_session(&self, asked: Reconnect) -> Answer {
        self.sessions.must_exist(&asked.session_id)?;
        let taken = self.sessions.reconnect(&asked.token).await?;
        let session = self.sessions.attach_window(&asked.session_id).await?;
        answer(&json!({
            "success": true, "window_id": taken.window.window_id, "reconnect_count": taken.reconnect_count,
            "session": record(&session),
        }))
    }
}

fn record(session: &Session) -> Value {
    serde_json::to_value(Record::of(session)).unwrap_or_default()
}

/// An execution of the history.
fn past(execution: &Execution) -> Value {
    json!({
        "cell_index": execution.cell_index,
        "status": execution.status,
        "completed_at": execution.completed_at,
        "error": execution.error.as_ref().map(|e| format!("{}: {}", e.ename, e.evalue)),
        "code": execution.code,
        "execution_id": execution.execution_id,
        "session_id": execution.session_id,
        "cell_id": execution.cell_id,
        "execution_count": execution.execution_count,
        "started_at": execution.started_at,
        "origin": execution.origin,
    })
}
