//! Running code, answering its questions, and taking it back.
//!
//! Code is on its way to the keeper before anything is awaited, which keeps the order of requests.

use std::sync::Arc;

use super::{Sessions, check_length, invalid};
use crate::keeper::Reply;
use crate::keeper::frames::{Execute, Request};
use crate::protocol::limits::NAME;
use crate::protocol::{AGENT, Error, ErrorKind, ExecuteParams, Execution, NotebookName};

/// Code that is on its way to the keeper.
pub enum Submitted {
    Sent(Reply),
    /// The session is not joined yet: to be sent once it is.
    Later(Box<Execute>),
}

impl Sessions {
    /// Sends code to the keeper, without an `.await`: requests run in the order of these calls.
    pub fn submit(self: &Arc<Self>, asked: ExecuteParams) -> Result<Submitted, Error> {
        let number = match &asked.notebook_uri {
            None => self.first_number(&asked.session_id),
            Some(uri) => {
                let name = NotebookName::parse(uri).map_err(|e| invalid("notebookUri", e))?;
                self.number_of(&asked.session_id, &name)?
            }
        };
        check_length("cell.id", asked.cell.as_ref().map(|cell| cell.id.as_str()), NAME)?;
        check_length("batch", asked.batch.as_deref(), NAME)?;
        let execute = Execute {
            code: asked.code,
            notebook: number,
            cell: asked.cell,
            origin: if asked.agent == Some(true) { AGENT.into() } else { self.window_id() },
            stop_on_error: asked.stop_on_error.unwrap_or(true),
            batch: asked.batch,
        };
        Ok(match self.joined(&asked.session_id) {
            Some(client) => Submitted::Sent(client.send(Request::Execute(execute))),
            None => Submitted::Later(Box::new(execute)),
        })
    }

    /// The execution's id, once it is pending in the journal.
    pub async fn submitted(self: &Arc<Self>, session_id: &str, sent: Submitted) -> Result<String, Error> {
        let answer = match sent {
            Submitted::Sent(reply) => reply.get().await?,
            Submitted::Later(execute) => {
                self.keeper(session_id).await?.call(Request::Execute(*execute)).await?
            }
        };
        answer["executionId"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the keeper's answer names no execution"))
    }

    /// Takes back what waits, interrupts what runs.
    pub async fn cancel(self: &Arc<Self>, session_id: &str, execution_id: &str) -> Result<Execution, Error> {
        let before = self.execution(session_id, execution_id)?;
        if before.status.is_final() {
            return Ok(before);
        }
        let client = self.keeper(session_id).await?;
        client.call(Request::Cancel { execution_id: execution_id.into() }).await?;
        // An interrupt takes as long as the kernel takes to notice: what is told is what is so by then, soon.
        let mut position = self.position(session_id).subscribe();
        let settled = tokio::time::timeout(std::time::Duration::from_secs(2), async {
            loop {
                let now = self.execution(session_id, execution_id)?;
                if now.status.is_final() || position.changed().await.is_err() {
                    return Ok(now);
                }
            }
        });
        settled.await.unwrap_or_else(|_| self.execution(session_id, execution_id))
    }

    /// Gives the kernel the line that it waits for.
    pub async fn reply_input(
        self: &Arc<Self>,
        session_id: &str,
        execution_id: &str,
        value: &str,
    ) -> Result<(), Error> {
        let client = self.keeper(session_id).await?;
        let request = Request::ReplyInput { execution_id: execution_id.into(), value: value.into() };
        client.call(request).await.map(|_| ())
    }

    /// The notebook that is meant where none is named.
    pub(super) fn first_number(&self, session_id: &str) -> u32 {
        self.bound(session_id).first().map_or(1, |binding| binding.number)
    }

    pub(super) fn number_of(&self, session_id: &str, name: &NotebookName) -> Result<u32, Error> {
        let key = self.key(name);
        let bindings = self.registry().bindings(session_id).map_err(super::store_failed)?;
        let found = bindings.iter().find(|b| b.key == key || (name.path.is_none() && b.uri == name.uri));
        if let Some(binding) = found {
            return Ok(binding.number);
        }
        if bindings.is_empty() {
            return Err(super::not_found(session_id));
        }
        Err(invalid("notebookUri", format!("session {session_id} is not bound to {}", name.file_name())))
    }
}
