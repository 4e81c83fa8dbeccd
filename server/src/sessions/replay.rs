//! Undo: a fresh kernel in which a notebook's history runs again up to one execution, while the old kernel stays.
//!
//! The fresh session begins without the notebook, and takes it over once its kernel is ready: one transaction of the
//! registry, made by its keeper. So whoever is killed, and whatever fails, one of the two has the notebook. The old one is
//! told afterwards; its record says then that it lives on without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Sessions, invalid, store_failed};
use crate::keeper::frames::Request;
use crate::keeper::{BoundNotebook, RebuildFrom, Record, take_lock};
use crate::protocol::{Error, ErrorKind, ExecutionStatus, NotebookName, Rebuild, Session, Time};
use crate::registry::{self, Binding};

/// How long the keeper of a session that could not be started may take to be gone.
const KEEPER_LEAVES: Duration = Duration::from_secs(5);

impl Sessions {
    /// `keeper/replayTo`: queues in a fresh kernel what had succeeded in a session, in its order, up to that execution. It
    /// has the execution's notebook from then on, and the kernel that had it lives on without.
    ///
    /// # Errors
    /// `SessionNotFound`; `InvalidParams` where the execution did not succeed, or ran before the kernel was restarted;
    /// `ForeignHost` where another host's session has the notebook; `KernelFailed` and `LimitReached`: nothing has changed then.
    pub async fn replay_to(
        self: &Arc<Self>,
        id: &str,
        execution_id: &str,
    ) -> Result<(Session, Rebuild), Error> {
        let execution = self.execution(id, execution_id)?;
        let old = self.record(id)?;
        let since = self.get(id)?.started_at;
        if execution.status != ExecutionStatus::Ok {
            let what = "only an execution that succeeded can be replayed to: choose one before or after it";
            return Err(invalid("executionId", what));
        }
        if execution.started_at.is_none_or(|at| at < since) {
            let what =
                "it ran before the kernel was last started, and was not in its memory: choose a later one";
            return Err(invalid("executionId", what));
        }
        if old.host != crate::process::host() {
            let what = format!("session {id} is {}'s: replay it there", old.host);
            return Err(Error::new(ErrorKind::ForeignHost, what).with("host", old.host));
        }
        let notebook = NotebookName::parse(&execution.notebook_uri).map_err(|e| invalid("executionId", e))?;
        let from = RebuildFrom {
            session_id: id.to_owned(),
            since,
            notebook: self.number_of(id, &notebook).ok(),
            origin: self.window_id(),
            until: Some(execution_id.to_owned()),
        };
        if let Some(holder) = self.holder_here(&notebook)?
            && let Ok(keeper) = self.keeper(&holder.session_id).await
        {
            keeper.must_know(&let_go(&notebook, &holder))?;
        }
        let fresh = self.start_replay(&notebook, &old, from).await?;
        let before = self.holder_here(&notebook);
        let taken = match &before {
            Ok(holder) => self.take_over(&notebook, holder.as_ref(), &fresh.id).await,
            Err(e) => Err(e.clone()),
        };
        let session = match taken {
            Ok(session) => session,
            Err(e) => {
                // It has done nothing that anybody could miss.
                self.forget(&fresh.id).await;
                if let Ok(Some(holder)) = &before {
                    self.give_back(holder).await;
                }
                return Err(e);
            }
        };
        let rows = self.reader(&session.id)?.execution_ids().map_err(store_failed)?.into_iter();
        let execution_ids: Vec<String> =
            rows.take_while(|(_, queued_at)| *queued_at <= fresh.started_at).map(|(id, _)| id).collect();
        tracing::info!(session = %session.id, from = %id, executions = execution_ids.len(), "replaying");
        Ok((session, Rebuild { execution_ids }))
    }

    /// Who has the notebook.
    ///
    /// # Errors
    /// `ForeignHost`: it is taken from nobody who cannot be told.
    fn holder_here(&self, notebook: &NotebookName) -> Result<Option<Binding>, Error> {
        let holder = self.registry().binding_by_key(&self.key(notebook)).map_err(store_failed)?;
        let known = holder.as_ref().map(|holder| self.known(&holder.session_id));
        match known {
            Some(Err(e)) if e.kind == ErrorKind::ForeignHost => Err(e),
            _ => Ok(holder),
        }
    }

    /// A kernel like the old one, in a session that has the notebook's name and not the notebook.
    async fn start_replay(
        self: &Arc<Self>,
        notebook: &NotebookName,
        old: &Record,
        from: RebuildFrom,
    ) -> Result<Session, Error> {
        let id = crate::ids::session();
        let mut bound = BoundNotebook::new(1, notebook, &self.window_id());
        bound.let_go = true;
        let mut kernel = old.kernel.clone();
        kernel.find_again(notebook.path.as_deref())?;
        let mut record = Record::new(id.clone(), bound, kernel, Time::now());
        record.agent = self.this_window().is_agent;
        record.label = Some(record.notebooks[0].replayed());
        record.rebuild_from = Some(from);
        record.journal_max_bytes = self.settings().journal_max_bytes;
        let lock = take_lock(&self.folders, &id).map_err(store_failed)?;
        let Some(lock) = lock else { return Err(store_failed("a new session's lock is held already")) };
        self.reserve(&record).await.map_err(|e| match e {
            registry::Error::Limit { live } => super::start::too_many(live),
            other => store_failed(other),
        })?;
        let launched = self.launch_recorded(&record, lock, None).await;
        if launched.is_err() {
            self.forget(&id).await;
        }
        launched
    }

    /// The fresh session takes the notebook from whoever has it, who lives on.
    async fn take_over(
        self: &Arc<Self>,
        notebook: &NotebookName,
        holder: Option<&Binding>,
        id: &str,
    ) -> Result<Session, Error> {
        let from = holder.iter().map(|holder| (holder.session_id.clone(), holder.number)).collect();
        let taken = match self.keeper(id).await {
            Ok(fresh) => fresh.call_session(Request::Take { from }).await,
            Err(e) => Err(e),
        };
        let session = match taken {
            Ok(session) => session,
            Err(e) => self.took_unheard(notebook, id).await.ok_or(e)?,
        };
        self.take_file(id, notebook);
        if let Some(holder) = holder
            && let Err(e) = self.tell_holder(notebook, holder).await
        {
            // The registry knows, and the fresh session's record.
            tracing::warn!(session = %holder.session_id, "not told that its notebook is another's: {e}");
        }
        self.review_offers();
        self.ring();
        Ok(self.present(session))
    }

    /// Its keeper did not say that it took the notebook, for it died; the next one goes by the registry.
    async fn took_unheard(self: &Arc<Self>, notebook: &NotebookName, id: &str) -> Option<Session> {
        let key = self.key(notebook);
        let has_it = || {
            let holder = self.registry().binding_by_key(&key).ok().flatten();
            holder.is_some_and(|holder| holder.session_id == id)
        };
        let deadline = Instant::now() + KEEPER_LEAVES;
        while has_it() && Instant::now() < deadline {
            if let Ok(keeper) = self.keeper(id).await
                && let Ok(session) = keeper.call_session(Request::Status {}).await
            {
                return Some(session);
            }
            // The end of the connection is heard at any moment.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// What was taken from a session for one that is gone is its own again.
    async fn give_back(self: &Arc<Self>, holder: &Binding) {
        let taken = self.registry().binding_by_key(&holder.key).is_ok_and(|now| now.is_none());
        let is_its = |record: &Record| {
            record.notebook(holder.number).is_some_and(|its| its.key == holder.key && !its.let_go)
        };
        let lives = self.known(&holder.session_id).is_ok();
        if !taken || !lives || !self.record(&holder.session_id).is_ok_and(|record| is_its(&record)) {
            return;
        }
        if let Err(e) = self.write(|registry| registry.add_binding(holder, &[])).await {
            tracing::warn!(session = %holder.session_id, "its notebook could not be given back: {e}");
        }
        self.note_displaced();
        self.review_offers();
        self.ring();
    }

    async fn tell_holder(self: &Arc<Self>, notebook: &NotebookName, holder: &Binding) -> Result<(), Error> {
        let keeper = self.keeper(&holder.session_id).await?;
        keeper.call_session(let_go(notebook, holder)).await?;
        self.note_displaced();
        self.leave_unshown(&holder.session_id).await
    }

    /// This window lets a session go that has none of the notebooks which it shows.
    async fn leave_unshown(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let held = self.bound(id).into_iter().filter(|binding| binding.live);
        let open = self.this_window().open;
        if held.into_iter().any(|binding| open.contains(&binding.key)) {
            return Ok(());
        }
        self.detach(id, None).await
    }

    /// Notebooks that this window shows with a kernel from which another window replayed them, and their kernels now.
    pub(super) fn replayed_elsewhere(self: &Arc<Self>, open: &[String]) -> Vec<(NotebookName, String)> {
        let mut found = Vec::new();
        for key in open {
            let holder = self.registry().binding_by_key(key).ok().flatten();
            let Some(holder) = holder.filter(|holder| !self.attached.contains(&holder.session_id)) else {
                continue;
            };
            let replaced = self.record(&holder.session_id).ok().and_then(|record| record.replaces);
            let Some(old) = replaced.filter(|old| self.attached.contains(old)) else { continue };
            let Ok(notebook) = NotebookName::parse(&holder.uri) else { continue };
            found.push((notebook, holder.session_id));
            let sessions = self.clone();
            tokio::spawn(async move { sessions.leave_unshown(&old).await });
        }
        found
    }

    /// A session that never was anybody's: as if it had not been started.
    async fn forget(self: &Arc<Self>, id: &str) {
        // Its keeper may have died and left the kernel, or be frozen: as with any session that is stopped.
        if let Err(e) = self.stop_unsaved(id).await {
            tracing::debug!(session = id, "what was not to be is not stopped: {e}");
        }
        let deadline = Instant::now() + KEEPER_LEAVES;
        let lock = loop {
            match take_lock(&self.folders, id) {
                Ok(None) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                other => break other.ok().flatten(),
            }
        };
        let is_over = match self.record(id) {
            Ok(record) => !self.has_kernel(&record),
            Err(e) => e.kind == ErrorKind::SessionNotFound,
        };
        if lock.is_none() || !is_over {
            // Listed, so that it can be stopped.
            return tracing::warn!(session = id, "its kernel runs on, without a notebook");
        }
        let _ = std::fs::remove_dir_all(self.folders.session(id));
        let _ = self.write(|registry| registry.remove_session(id)).await;
        let _ = std::fs::remove_dir_all(self.folders.run(id));
        self.ring();
    }
}

fn let_go(notebook: &NotebookName, holder: &Binding) -> Request {
    let label = format!("{} before replay", notebook.file_name());
    Request::LetGo { number: holder.number, expected_key: holder.key.clone(), label }
}
