//! What waits for its commit, in the order that nothing may break: the journal first, then what is told, answered, and sent to
//! the kernel.
//!
//! Where the journal cannot be written nothing leaves: what was asked for just now is refused, what waits to be sent to the
//! kernel waits on. So that small things can be written on a full disk all the same (how an execution ended, that a session
//! was stopped), the session's folder has a file in reserve, which goes then.

use std::io;
use std::path::Path;

use super::frames::Answer;
use super::run::Keeper;
use super::{kernel, machine::Effect};
use crate::jupyter::Channel;
use crate::protocol::{Error, ErrorKind, EventBody, InputPrompt, Time};

/// Bytes in reserve: a few pages of the journal and the registry, and `session.json`.
const RESERVE: u64 = 512 << 10;

/// An execution that was asked for: answered once it is in the journal, or refused.
pub(super) struct Promise {
    pub connection: u64,
    pub id: u64,
    pub execution_id: String,
}

/// A line for an execution that asks for one. It counts once it was sent.
pub(super) struct Line {
    pub connection: u64,
    pub id: u64,
    pub execution_id: String,
    pub prompt: InputPrompt,
    pub value: String,
}

impl Keeper {
    /// Whether somebody waits for the next commit.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.answers.is_empty()
            || !self.promises.is_empty()
            || !self.outbox.is_empty()
            || !self.lines.is_empty()
    }

    /// Settles all where somebody waits for it, else as much as one transaction takes: of a huge message the first part
    /// can be read while the next is written.
    pub(super) fn settle_some(&mut self) {
        if self.is_waited_for() || !self.is_behind() {
            return self.settle_up();
        }
        match self.journal.commit_some() {
            Ok(seq) => self.committed = seq,
            Err(e) => self.cannot_write(e),
        }
        self.note_events();
        let committed = self.committed;
        self.clients.publish(|p| p.committed = committed);
    }

    /// Commits, then tells: the order that nothing may break.
    pub(super) fn settle_up(&mut self) {
        self.urgent = false;
        if self.journal.pending_rows() > 0 {
            match self.journal.commit() {
                Ok(seq) => self.committed = seq,
                Err(e) => self.cannot_write(e),
            }
        }
        self.note_events();
        for Promise { connection, id, execution_id } in std::mem::take(&mut self.promises) {
            self.answer(connection, id, serde_json::json!({ "executionId": execution_id }));
        }
        for (connection, answer) in std::mem::take(&mut self.answers) {
            self.clients.reply(connection, &answer);
        }
        if std::mem::take(&mut self.resample) {
            self.take_sample();
        }
        let status = std::mem::take(&mut self.status_changed).then(|| {
            let status = Answer::Status { status: Box::new(self.session()) };
            super::frames::encode(&status).unwrap_or_default()
        });
        let committed = self.committed;
        self.clients.publish(|p| {
            p.committed = committed;
            if let Some(status) = status {
                p.status_version += 1;
                p.status = status.into();
            }
        });
    }

    /// Once, before anybody is told a number of the journal's: should it be lost, the next one begins above all of them.
    fn note_events(&mut self) {
        if self.committed > 0 && !self.record.has_events {
            self.record.has_events = true;
            self.save_record();
        }
    }

    /// The journal could not be written. What leaves with the commit does not leave; what is small is tried once more with
    /// the room in reserve.
    fn cannot_write(&mut self, e: crate::journal::Error) {
        tracing::error!("the journal cannot be written: {e}");
        let what = if e.is_full() { "The disk is full" } else { "The journal cannot be written" };
        let what =
            format!("{what}: nothing more is run, and output may be lost, until that is mended ({e}).");
        self.status_changed |= !self.disk_full;
        self.warnings.insert("disk", what);
        self.disk_full = true;
        for promise in std::mem::take(&mut self.promises) {
            self.take_back(promise);
        }
        // What was to be run is run when it can be noted that it was.
        self.outbox.retain(|(_, message)| {
            let is_execution = self.machine.unsend(&message.header.msg_id);
            if is_execution {
                self.journal.unsend(&message.header.msg_id);
            }
            !is_execution
        });
        self.machine.pause();
        self.set_state();
        if !e.is_for_want_of_room() || !self.journal.has_more_than_outputs() {
            return;
        }
        release(&self.folders.reserve(&self.record.id));
        let again = self.journal.commit().or_else(|_| {
            self.journal.drop_outputs();
            self.journal.commit()
        });
        match again {
            Ok(seq) => self.committed = seq,
            Err(e) => tracing::error!("not even what is small can be written: {e}"),
        }
    }

    /// An execution that is not in the journal was never asked for.
    fn take_back(&mut self, promise: Promise) {
        let Promise { connection, id, execution_id } = promise;
        if !self.journal.take_back(&execution_id) {
            // It was written with the first of what waited: it is asked for, and waits.
            return self.answer(connection, id, serde_json::json!({ "executionId": execution_id }));
        }
        self.machine.take_back(&execution_id);
        self.outbox.retain(|(_, message)| message.header.msg_id != execution_id);
        self.answers.push((connection, Answer::Failed { id, error: cannot_run().into() }));
    }

    /// From time to time: whether there is room again. What waited goes on then.
    pub(super) fn tick_disk(&mut self) {
        if self.unrecorded {
            self.record_the_end();
        }
        if self.warnings.contains_key("record") {
            self.save_record();
        }
        if !self.disk_full || self.journal.pending_rows() > 0 && self.journal.commit().is_err() {
            return;
        }
        self.committed = self.journal.last_seq();
        if let Err(e) = reserve(&self.folders.reserve(&self.record.id)) {
            return tracing::debug!("there is no room for a reserve yet: {e}");
        }
        self.disk_full = false;
        self.warnings.remove("disk");
        self.status_changed = true;
        let effects = self.machine.go_on();
        self.carry_out(effects, Time::now());
    }

    pub(super) async fn send_outbox(&mut self) {
        if self.rejoining {
            return; // What is to be sent waits for the channels.
        }
        for (channel, message) in std::mem::take(&mut self.outbox) {
            let Some(channels) = self.channels.as_mut() else { continue };
            if let Err(e) = channels.send(channel, &message).await {
                tracing::error!("a message did not reach the kernel: {e}");
            }
        }
        for line in std::mem::take(&mut self.lines) {
            self.send_line(line).await;
        }
    }

    /// A line that is noted as answered, and not sent, would leave the kernel waiting for ever: so it is sent first.
    async fn send_line(&mut self, line: Line) {
        let message = kernel::input_reply(&line.value);
        let sent = match self.channels.as_mut() {
            Some(channels) => channels.send(Channel::Stdin, &message).await.map_err(|e| e.to_string()),
            None => Err("the kernel is not connected".into()),
        };
        let Line { connection, id, execution_id, prompt, .. } = line;
        match sent {
            Ok(()) => {
                // What the kernel's state told before is over.
                self.asks_for_input = None;
                let body = EventBody::InputReplied {};
                let effect = Effect::Journal { execution_id: Some(execution_id), body };
                self.carry_out(vec![effect], Time::now());
                self.answer(connection, id, serde_json::json!({}));
            }
            Err(why) => {
                self.machine.asks_again(&execution_id, prompt);
                let what = format!("the line was not sent ({why}): try again");
                let error = Error::new(ErrorKind::KernelFailed, what).with("executionId", execution_id);
                self.answers.push((connection, Answer::Failed { id, error: error.into() }));
            }
        }
        self.urgent = true;
    }

    /// Writes `session.json`; a failure is a warning, for the keeper itself is the truth while it lives.
    pub(super) fn save_record(&mut self) {
        let mut written = self.record.write(&self.folders);
        if let Err(e) = &written {
            release(&self.folders.reserve(&self.record.id));
            // Until there is a reserve again.
            self.disk_full |= matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            written = self.record.write(&self.folders);
        }
        match written {
            Ok(()) => self.status_changed |= self.warnings.remove("record").is_some(),
            Err(e) => {
                tracing::error!("session.json cannot be written: {e}");
                self.warnings.insert("record", format!("session.json cannot be written: {e}"));
            }
        }
    }
}

/// The refusal of what could not be journaled.
pub(super) fn cannot_run() -> Error {
    let what = "the journal cannot be written (is the disk full?): nothing was run, because its output would be lost";
    Error::new(ErrorKind::StoreFailed, what)
}

/// Sets room aside.
pub(super) fn reserve(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|found| found.len() >= RESERVE) {
        return Ok(());
    }
    let file = crate::paths::open_private(path)?;
    let filled = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE);
    let filled = filled.map_err(io::Error::from).or_else(|e| match e.kind() {
        // Not every file system can; all can write.
        io::ErrorKind::Unsupported => std::fs::write(path, vec![1; RESERVE as usize]),
        _ => Err(e),
    });
    if filled.is_err() {
        release(path);
    }
    filled
}

/// Gives it back to the disk.
pub fn release(path: &Path) {
    let _ = std::fs::remove_file(path);
}
