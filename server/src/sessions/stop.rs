//! What ends, interrupts, restarts and names sessions: each at a person's word.
//!
//! Nothing here is done by a timer, a closed window or a lost connection.

use std::sync::Arc;
use std::time::Duration;

use super::{Sessions, store_failed};
use crate::keeper::Record;
use crate::keeper::frames::Request;
use crate::process::{Identity, Signal, signal_group, wait_for_death};
use crate::protocol::{EndReason, Error, ErrorKind, Session, SessionState};

/// How long a kernel that was signalled may take to end.
const END: Duration = Duration::from_secs(1);

impl Sessions {
    /// Stops a session's kernel: asked, then terminated, then killed. Ended already: the same answer.
    pub async fn stop(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        self.save_before_stop(id).await;
        self.stop_unsaved(id).await
    }

    /// The same, whatever the setting says of snapshots.
    pub(super) async fn stop_unsaved(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let stopped = match self.keeper(id).await {
            Ok(client) => client.call_session(Request::Stop {}).await,
            Err(e) => Err(e),
        };
        match stopped {
            Err(e) if e.kind == ErrorKind::SessionEnded => self.ended_session(id),
            Ok(session) => Ok(self.present(session)),
            // Its end was told before the answer.
            Err(_) if self.record(id).is_ok_and(|r| r.ended_at.is_some()) => self.ended_session(id),
            Err(e) if matches!(e.kind, ErrorKind::KernelFailed | ErrorKind::StoreFailed) => {
                self.stop_without_keeper(id, e).await
            }
            Err(e) => Err(e),
        }
    }

    /// The keeper is frozen, or it is dead and what another one would need is gone: the kernel is ended all the same, for a
    /// person said so. Only processes that still are those of the record are signalled.
    async fn stop_without_keeper(self: &Arc<Self>, id: &str, why: Error) -> Result<Session, Error> {
        let record = self.record(id)?;
        let Some(kernel) = record.kernel_process.filter(Identity::is_alive) else { return Err(why) };
        tracing::warn!(session = id, pid = kernel.pid, "stopped without its keeper: {why}");
        for signal in [Signal::Terminate, Signal::Kill] {
            if let Err(e) = signal_group(&kernel, signal)
                && kernel.is_alive()
            {
                let what = format!("process {} could not be ended: {e}", kernel.pid);
                return Err(Error::new(ErrorKind::KernelFailed, what).with("sessionId", id));
            }
            if tokio::time::timeout(END, wait_for_death(&kernel)).await.is_ok() {
                break;
            }
        }
        if kernel.is_alive() {
            return Err(why);
        }
        if let Some(keeper) = record.keeper.filter(Identity::is_alive) {
            // It would only end, too.
            let _ = crate::process::kill(&keeper);
            let _ = tokio::time::timeout(END, wait_for_death(&keeper)).await;
        }
        {
            let _one_at_a_time = self.joining.lock().await;
            self.settle_dead(id).await?;
        }
        let mut record = self.record(id)?;
        if record.ended_at.is_none() {
            return Err(why);
        }
        record.end_reason = Some(EndReason::Stopped);
        record.write(&self.folders).map_err(store_failed)?;
        self.write(|registry| registry.put_session(&record.row())).await.map_err(store_failed)?;
        let session = record.to_session(SessionState::Ended);
        self.attached.remove(id);
        self.emit(super::Event::Ended(session.clone()));
        self.review_offers();
        self.ring();
        Ok(session)
    }

    /// Stops all sessions of this host; the number of those that were live.
    pub async fn stop_all(self: &Arc<Self>) -> Result<u32, Error> {
        self.refresh(false).await?;
        let mut tasks = Vec::new();
        for id in self.live_ids() {
            let sessions = self.clone();
            tasks.push(tokio::spawn(async move { sessions.stop(&id).await.map(|_| ()) }));
        }
        let mut stopped = 0;
        let mut failure = None;
        for task in tasks {
            match task.await {
                Ok(Ok(())) => stopped += 1,
                Ok(Err(e)) => failure = Some(e),
                Err(e) => failure = Some(Error::new(ErrorKind::Internal, e.to_string())),
            }
        }
        failure.map_or(Ok(stopped), Err)
    }

    /// Interrupts what runs.
    pub async fn interrupt(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let session = self.keeper(id).await?.call_session(Request::Interrupt {}).await?;
        Ok(self.present(session))
    }

    /// Replaces the kernel under the same session; starts one where it has ended.
    pub async fn restart(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let restarted = match self.keeper(id).await {
            Ok(client) => client.call_session(Request::Restart {}).await,
            Err(e) => Err(e),
        };
        match restarted {
            Ok(session) => Ok(self.present(session)),
            Err(e) if e.kind == ErrorKind::SessionEnded => self.start_again(id).await,
            // Somebody else had just stopped it, and its keeper was leaving.
            Err(e)
                if e.data.contains_key("keeperGone")
                    && self.record(id).is_ok_and(|r| r.ended_at.is_some()) =>
            {
                self.start_again(id).await
            }
            Err(e) => Err(e),
        }
    }

    /// Gives a session a name; an empty one: derived from the notebook's again. Ended ones too.
    pub async fn label(self: &Arc<Self>, id: &str, label: &str) -> Result<Session, Error> {
        let label = super::label(Some(label));
        match self.keeper(id).await {
            Ok(client) => Ok(self.present(client.call_session(Request::Label { label }).await?)),
            Err(e) if e.kind == ErrorKind::SessionEnded => {
                let mut record = self.record(id)?;
                record.label = label;
                record.write(&self.folders).map_err(store_failed)?;
                self.write(|registry| registry.put_session(&record.row())).await.map_err(store_failed)?;
                self.ring();
                Ok(record.to_session(SessionState::Ended))
            }
            Err(e) => Err(e),
        }
    }

    /// Pins a session, or lets it go.
    pub async fn pin(self: &Arc<Self>, id: &str, pinned: bool) -> Result<Session, Error> {
        let session = self.keeper(id).await?.call_session(Request::Pin { pinned }).await?;
        Ok(self.present(session))
    }

    fn ended_session(&self, id: &str) -> Result<Session, Error> {
        let record: Record = self.record(id)?;
        Ok(record.to_session(SessionState::Ended))
    }
}
