//! What becomes of a session whose keeper is dead: adopted where its kernel lives, ended where it does not.
//!
//! Whoever gets the session's lock does it, so of two that notice at once one acts. A held lock means that somebody lives
//! or acts; a free one is still confirmed by processes, because lock files can be swept away.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Sessions, store_failed};
use crate::journal::{Journal, Limits};
use crate::jupyter::{ConnectionFile, Transport};
use crate::keeper::{KeeperClient, Purpose, Record, launch, take_lock};
use crate::paths::Folders;
use crate::process::Identity;
use crate::protocol::{EndReason, Error, EventBody, ExecutionStatus, Time};

/// A killed keeper's socket may close before its lock is free, and one that starts listens a moment after it is locked.
const TRY_AGAIN: Duration = Duration::from_millis(20);
const TRIES: u32 = 25;
/// Milliseconds that clocks may differ by, and that a kernel may take to open its sockets.
const SLACK: i64 = 60_000;

impl Sessions {
    /// Settles a session whose keeper's socket refuses.
    pub(super) async fn settle_dead(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        if !self.folders.session(id).exists() && self.row_is_old(id)? {
            // Reserved by a face that was killed before it wrote anything.
            self.write(|registry| registry.remove_session(id)).await.map_err(store_failed)?;
            self.live.remove(id);
            return Ok(());
        }
        for _ in 0..TRIES {
            if self.settle_now(id).await? {
                return Ok(());
            }
            tokio::time::sleep(TRY_AGAIN).await;
            if let Ok((client, events)) = KeeperClient::connect(&self.folders.socket(id), id).await {
                return self.follow(id, client, events).await;
            }
        }
        self.remember(id, true);
        Ok(())
    }

    /// Settles it if nobody else is at it. False: its keeper is starting, ending, dying, or adopted by somebody else, so
    /// that soon it answers or its lock is free.
    async fn settle_now(self: &Arc<Self>, id: &str) -> Result<bool, Error> {
        let Some(lock) = take_lock(&self.folders, id).map_err(store_failed)? else { return Ok(false) };
        let mut record = self.record(id)?;
        if record.ended_at.is_some() {
            crate::keeper::remove_sockets(&self.folders, &record);
            return self.end_in_registry(&record).await.map(|()| true);
        }
        if record.keeper.as_ref().is_some_and(Identity::is_alive) {
            // Dying; or its lock file was swept away, and it will make it anew.
            return Ok(false);
        }
        let alive = record.kernel_process.as_ref().is_some_and(Identity::is_alive);
        if !alive && let Some(found) = self.started_unrecorded(&record) {
            tracing::info!(session = id, pid = found.pid, "a kernel that its keeper could not record");
            record.kernel_process = Some(found);
            record.write(&self.folders).map_err(store_failed)?;
        }
        if record.kernel_process.as_ref().is_some_and(Identity::is_alive) {
            tracing::info!(session = id, "adopting the kernel of a dead keeper");
            // Only where the record had to be taken from the registry: a full disk must not stand in the way.
            if Record::read(&self.folders, id).is_err() {
                record.write(&self.folders).map_err(store_failed)?;
            }
            if let Err(e) = launch(&self.program, &self.folders, id, Purpose::Adopt, lock).await {
                // It was dying, and the new keeper found it dead.
                let record = self.record(id)?;
                return if record.ended_at.is_some() {
                    self.end_in_registry(&record).await.map(|()| true)
                } else {
                    Err(e)
                };
            }
            return self.join(id).await.map(|()| true);
        }
        crate::keeper::release(&self.folders.reserve(id));
        let now = Time::now();
        crate::keeper::remove_sockets(&self.folders, &record);
        // Its keeper did not come to that.
        let _ = std::fs::remove_file(self.folders.socket(id));
        if let Some(at) = close_journal(&self.folders, id, now) {
            record.last_activity_at = record.last_activity_at.max(at);
        }
        if let Some(kernel) = record.kernel_process.as_ref().filter(|_| !record.foreign) {
            crate::process::end_what_is_left(kernel, Some(record.last_activity_at)).await;
        }
        record.ended_at = Some(now);
        record.end_reason = Some(EndReason::Lost);
        record.write(&self.folders).map_err(store_failed)?;
        self.end_in_registry(&record).await.map(|()| true)
    }

    /// Whether a kernel of the session lives, recorded or not.
    pub(super) fn has_kernel(&self, record: &Record) -> bool {
        let recorded = record.kernel_process.as_ref().is_some_and(Identity::is_alive);
        recorded || self.started_unrecorded(record).is_some()
    }

    /// A kernel whose keeper was killed between starting it and writing down its PID.
    fn started_unrecorded(&self, record: &Record) -> Option<Identity> {
        if record.boot != crate::process::boot_id() {
            return None;
        }
        let file = self.folders.connection_file(&record.id);
        let command = record.kernel.command(&file);
        let arguments = command.get(1..)?;
        let names_it = arguments.iter().any(|argument| argument.contains(&*file.to_string_lossy()));
        let found = names_it.then(|| crate::process::leader_started_with(arguments)).flatten()?;
        is_its_kernel(&found, record, &file).then_some(found)
    }

    async fn end_in_registry(&self, record: &Record) -> Result<(), Error> {
        self.write(|registry| record.end_in(registry)).await.map_err(store_failed)?;
        self.note(record.end_event());
        self.live.remove(&record.id);
        self.ring();
        Ok(())
    }

    /// Whether a reservation is older than any face needs to write the session's folder.
    fn row_is_old(&self, id: &str) -> Result<bool, Error> {
        let row = self.registry().session(id).map_err(store_failed)?;
        Ok(row.is_none_or(|row| Time::now().since(row.created_at).abs() > 10_000))
    }
}

/// A process says of itself what it likes: a kernel began with its session, and it, or what it started, listens on its sockets.
/// One that has just begun has none yet; those of ports tell nobody whose they are.
fn is_its_kernel(found: &Identity, record: &Record, file: &Path) -> bool {
    let began = crate::process::started_at(found);
    if began.0 < record.created_at.0 - SLACK {
        return false;
    }
    let Ok(connection) = ConnectionFile::read(file) else { return false };
    if connection.transport == Transport::Tcp {
        return true;
    }
    match listener(&connection.socket_path(connection.shell_port)) {
        Some(pid) => crate::process::descends(pid, found.pid),
        None => Time::now().since(began) < SLACK,
    }
}

/// Which process listens on a socket.
fn listener(socket: &Path) -> Option<u32> {
    let stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_nonblocking(true).ok()?;
    let peer = tokio::net::UnixStream::from_std(stream).ok()?.peer_cred().ok()?;
    peer.pid()?.try_into().ok()
}

/// Ends in the journal what no kernel will end any more. When something happened last before.
fn close_journal(folders: &Folders, id: &str, now: Time) -> Option<Time> {
    let closed = Journal::open(&folders.session(id), Limits::default()).and_then(|mut journal| {
        let last_at = journal.last_at();
        let unfinished = journal.unfinished()?;
        if let Some(from) = last_at {
            // What the kernel said after its keeper's death nobody heard.
            journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
        }
        for row in unfinished {
            let running = row.status == ExecutionStatus::Running;
            let status = if running { ExecutionStatus::Lost } else { ExecutionStatus::Aborted };
            let body = EventBody::finished(status, now, None);
            journal.append(Some(&row.execution_id), now, body);
        }
        journal.commit()?;
        Ok(last_at)
    });
    closed.unwrap_or_else(|e| {
        tracing::warn!(session = id, "its journal could not be closed: {e}");
        None
    })
}
