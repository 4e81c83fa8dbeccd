//! After a kernel's death: what is asked, and a kernel anew with what had succeeded in the old one.

use std::sync::Arc;

use super::question::NewOffer;
use super::start::Start;
use super::{Sessions, store_failed};
use crate::journal::Reader;
use crate::keeper::RebuildFrom;
use crate::protocol::{Error, Execution, NotebookName, Rebuild, Session};

impl Sessions {
    /// The question about a notebook whose kernel is gone.
    pub(super) fn recovery(
        &self,
        notebook: NotebookName,
        session: Session,
        kernel_name: Option<&str>,
    ) -> NewOffer {
        let last = self.last_begun(&session.id);
        let reader = Reader::open_at_once(&self.folders.session(&session.id));
        let can_rebuild = reader.and_then(|reader| reader.has_succeeded(session.started_at)).unwrap_or(false);
        let is_python = super::snapshots::is_python(&session);
        let can_restore = is_python && self.snapshots_of(&notebook).is_ok_and(|found| !found.is_empty());
        NewOffer::recover(notebook, session, kernel_name, last.as_ref(), can_restore, can_rebuild)
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
        let from = RebuildFrom {
            session_id: old.id.clone(),
            since: old.started_at,
            notebook: self.number_of(&old.id, notebook).ok(),
            origin: self.window_id(),
            until: None,
        };
        let kernel_name = kernel_name.unwrap_or(&old.kernel.name).to_owned();
        // Queued by its keeper, before the kernel is there: nothing of it is lost should this process end meanwhile.
        let start = Start { kernel_name, rebuild_from: Some(from), ..Start::default() };
        let session = self.start(notebook, start).await?;
        let rows = self.reader(&session.id)?.execution_ids().map_err(store_failed)?;
        let execution_ids: Vec<String> = rows.into_iter().map(|(id, _)| id).collect();
        tracing::info!(session = %session.id, from = %old.id, executions = execution_ids.len(), "rebuilding");
        Ok((session, Rebuild { execution_ids }))
    }

    /// What a session's kernel ran last, under its notebook's present name.
    pub(super) fn last_begun(&self, id: &str) -> Option<Execution> {
        let rows = Reader::open_at_once(&self.folders.session(id)).ok()?.executions(1_000, None).ok()?;
        let row = rows.into_iter().find(|row| row.started_at.is_some())?;
        Some(self.execution_of(id, &self.names(id), row))
    }
}
