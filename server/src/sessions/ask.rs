//! What a kernel is asked beside executions. A busy kernel is never made to answer: what is not known at once is empty.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Sessions, store_failed};
use crate::keeper::frames::{Question, Request};
use crate::keeper::read_variables;
use crate::protocol::{Error, ErrorKind, InspectResult, NotebookName, SessionState, SessionVariablesResult};

/// Who types does not wait longer for help.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a free kernel may take to say what variables there are, until the last known ones are shown.
const VARIABLES_PATIENCE: Duration = Duration::from_secs(3);

impl Sessions {
    /// The user's variables: as they are where the kernel is idle, else as they were last.
    pub async fn variables(self: &Arc<Self>, id: &str) -> Result<SessionVariablesResult, Error> {
        self.must_exist(id)?;
        match self.keeper(id).await {
            Ok(keeper) => {
                let asked = tokio::time::timeout(VARIABLES_PATIENCE, keeper.call(Request::Variables {}));
                match asked.await {
                    // A keeper of an earlier build does not know the question.
                    Ok(Err(e)) if e.kind == ErrorKind::Internal => Ok(self.last_known(id)),
                    Ok(answer) => serde_json::from_str(answer?["json"].as_str().unwrap_or_default())
                        .map_err(store_failed),
                    Err(_) => Ok(self.last_known(id)),
                }
            }
            Err(e) if matches!(e.kind, ErrorKind::SessionEnded | ErrorKind::KernelFailed) => {
                Ok(self.last_known(id))
            }
            Err(e) => Err(e),
        }
    }

    fn last_known(&self, id: &str) -> SessionVariablesResult {
        let python = self.get(id).is_ok_and(|s| s.kernel.language.eq_ignore_ascii_case("python"));
        read_variables(&self.folders.variables_file(id)).unwrap_or(SessionVariablesResult {
            variables: Vec::new(),
            supported: python,
            stale: true,
            as_of: None,
        })
    }

    /// What the kernel knows of the name at `cursor`. Nothing is found where it is busy.
    pub async fn inspect(
        self: &Arc<Self>,
        id: &str,
        code: &str,
        cursor: u32,
    ) -> Result<InspectResult, Error> {
        let keeper = self.keeper(id).await?;
        let content = json!({ "code": code, "cursor_pos": cursor, "detail_level": 0 });
        let reply = keeper.call(question("inspect_request", content)).await?;
        let reply = &reply["reply"];
        let found = reply["found"] == true;
        Ok(InspectResult { found, data: if found { reply["data"].clone() } else { json!({}) } })
    }

    /// Asks the kernel that this window has attached to a notebook. `None`: there is none, it is busy, or slow.
    pub async fn help(
        self: &Arc<Self>,
        notebook: &NotebookName,
        message: &str,
        content: Value,
    ) -> Option<Value> {
        let key = self.key(notebook);
        let id = self.live.iter().find_map(|live| {
            let session = &live.session;
            let is_its = |uri: &str| NotebookName::parse(uri).is_ok_and(|name| self.own_key(&name) == key);
            let is_here = session.notebooks.iter().any(|notebook| is_its(&notebook.notebook_uri));
            (is_here && session.state == SessionState::Idle && self.attached.contains(live.key()))
                .then(|| live.key().clone())
        })?;
        self.question(&id, message, content).await
    }

    /// Asks a kernel by its session. `None`: it is busy or slow.
    pub async fn question(self: &Arc<Self>, id: &str, message: &str, content: Value) -> Option<Value> {
        self.question_within(PATIENCE, id, message, content).await
    }

    /// The same for who waits so long: the first answer of a kernel may take seconds. A busy one is not waited for.
    pub async fn question_within(
        self: &Arc<Self>,
        patience: Duration,
        id: &str,
        message: &str,
        content: Value,
    ) -> Option<Value> {
        let keeper = self.joined(id)?;
        let answer = tokio::time::timeout(patience, keeper.call(question(message, content))).await;
        let reply = answer.ok()?.ok()?["reply"].clone();
        // The status of `is_complete_reply` is its answer.
        (reply.is_object() && reply["status"] != "error").then_some(reply)
    }
}

fn question(message: &str, content: Value) -> Request {
    Request::Ask(Question { message: message.into(), content })
}
