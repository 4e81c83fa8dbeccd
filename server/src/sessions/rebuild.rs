//! After a kernel's death: what is asked, and a kernel anew with what had succeeded in the old one.

use std::sync::Arc;

use super::question::NewOffer;
use super::start::Start;
use super::{Sessions, store_failed};
use crate::journal::Reader;
use crate::keeper::frames::{Execute, Request};
use crate::protocol::{CellRef, Error, Execution, NotebookName, Rebuild, Session};

impl Sessions {
    /// The question about a notebook whose kernel is gone.
    pub(super) fn recovery(
        &self,
        notebook: NotebookName,
        session: Session,
        kernel_name: Option<&str>,
    ) -> NewOffer {
        let last = self.last_begun(&session.id);
        let reader = Reader::open(&self.folders.session(&session.id));
        let can_rebuild = reader.and_then(|reader| reader.has_succeeded(session.started_at)).unwrap_or(false);
        NewOffer::recover(notebook, session, kernel_name, last.as_ref(), can_rebuild)
    }

    /// Starts a kernel and queues what had succeeded in the old one, in the order in which it ran, code as it was then.
    /// It stops at the first failure. What another notebook ran that shared the kernel is run, too, as code without a
    /// cell. What ran before the old kernel was restarted was not in its memory, and is left out.
    pub(super) async fn rebuild(
        self: &Arc<Self>,
        notebook: &NotebookName,
        old: &Session,
        kernel_name: Option<&str>,
    ) -> Result<(Session, Rebuild), Error> {
        let own = self.number_of(&old.id, notebook).ok();
        let rows = self.reader(&old.id)?.succeeded(old.started_at).map_err(store_failed)?;
        let kernel_name = kernel_name.unwrap_or(&old.kernel.name).to_owned();
        let session = self.start(notebook, Start { kernel_name, ..Start::default() }).await?;
        let client = self.keeper(&session.id).await?;
        let batch = crate::ids::unique();
        let asked: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let cell = row.cell_id.filter(|_| own == Some(row.notebook));
                client.send(Request::Execute(Execute {
                    code: row.code,
                    notebook: self.first_number(&session.id),
                    cell: cell.map(|id| CellRef { id, index: row.cell_index.unwrap_or(0) }),
                    origin: self.window_id(),
                    stop_on_error: true,
                    batch: Some(batch.clone()),
                }))
            })
            .collect();
        let mut execution_ids = Vec::with_capacity(asked.len());
        for reply in asked {
            let answer = reply.get().await?;
            execution_ids.extend(answer["executionId"].as_str().map(str::to_owned));
        }
        tracing::info!(session = %session.id, from = %old.id, executions = execution_ids.len(), "rebuilding");
        Ok((session, Rebuild { execution_ids }))
    }

    /// What a session's kernel ran last, under its notebook's present name.
    pub(super) fn last_begun(&self, id: &str) -> Option<Execution> {
        let rows = Reader::open(&self.folders.session(id)).ok()?.executions(1_000, None).ok()?;
        let row = rows.into_iter().find(|row| row.started_at.is_some())?;
        Some(self.execution_of(id, &self.names(id), row))
    }
}
