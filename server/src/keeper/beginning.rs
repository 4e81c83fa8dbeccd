//! How a kernel begins to be kept: started, started anew, or taken over from a keeper that died.

use super::kernel::{self, Greeted, Met, Way};
use super::machine::Job;
use super::run::Keeper;
use crate::journal::{NewExecution, Reader};
use crate::jupyter::{Channel, ConnectionFile, Decoded, Heartbeat};
use crate::process::{self, Identity, Signal, signal_group};
use crate::protocol::{Error, ErrorKind, EventBody, ExecutionStatus, SessionState, Time};
use std::time::Duration;
use tokio::process::Child;

/// How long the kernel may take to answer a heartbeat.
const HEARTBEAT: Duration = Duration::from_millis(1_500);

impl Keeper {
    /// Queues what had succeeded in an earlier session, in its order, before the kernel is there: whoever asked for it may
    /// be gone by then. The first failure makes the rest `aborted`.
    pub(super) fn rebuild(&mut self) {
        let Some(from) = self.record.rebuild_from.take().filter(|_| self.journal.last_seq() == 0) else {
            return;
        };
        let dir = self.folders.session(&from.session_id);
        let rows = Reader::open(&dir).and_then(|reader| reader.succeeded(from.since));
        let mut rows = rows.unwrap_or_else(|e| {
            tracing::error!(from = %from.session_id, "its history cannot be read, and is not rebuilt: {e}");
            Vec::new()
        });
        if let Some(until) = &from.until {
            let last = rows.iter().position(|row| row.execution_id == *until);
            rows.truncate(last.map_or(0, |at| at + 1));
        }
        let (batch, notebook) = (crate::ids::unique(), self.record.notebooks[0].number);
        for row in rows {
            let cell = row.cell().filter(|_| from.notebook == Some(row.notebook));
            let new = NewExecution {
                execution_id: crate::ids::unique(),
                notebook,
                cell,
                code: row.code,
                origin: from.origin.clone(),
                stop_on_error: true,
                queued_at: Time::now(),
            };
            self.enqueue(new, Some(batch.clone()));
        }
        self.settle_up();
    }

    /// Starts the session's kernel, for the first time or anew.
    pub(super) fn start_kernel(&mut self) {
        self.ways = Way::of(&self.record.kernel);
        self.start_the_next_way();
    }

    /// A kernel that ended, or never opened its sockets, before it was ready: another way may be its way.
    pub(super) fn start_the_next_way(&mut self) {
        let Some(way) = self.ways.pop_front() else { return };
        let log = self.folders.kernel_log(&self.record.id);
        self.log_from = std::fs::metadata(&log).map_or(0, |m| m.len());
        self.status_changed = true;
        match kernel::spawn(&self.record, &self.folders, way) {
            Ok((child, identity, connection)) => {
                self.way = way;
                self.record.foreign = false;
                self.record.started_at = Time::now();
                self.watch(identity, Some(child));
                self.save_record();
                let limit = if self.ways.is_empty() { kernel::START_LIMIT } else { kernel::WAY_LIMIT };
                self.greeting = Some(Box::pin(kernel::greet(self.met(connection), limit)));
            }
            Err(e) if e.code.is_some() && !self.ways.is_empty() => self.start_the_next_way(),
            Err(e) => {
                let what = format!("{} could not be started: {}", self.record.kernel.display_name, e.why);
                self.start_failed(what, e.code);
            }
        }
    }

    /// Takes over the kernel that the record names.
    pub(super) fn adopt_kernel(&mut self) {
        let alive = self.record.kernel_process.clone().filter(Identity::is_alive);
        let connection = ConnectionFile::read(&self.folders.connection_file(&self.record.id));
        match (alive, connection) {
            (Some(identity), Ok(connection)) => {
                self.watch(identity, None);
                self.settle_bindings();
                self.save_record();
                self.greeting = Some(Box::pin(kernel::meet_again(self.met(connection))));
            }
            (Some(_), Err(e)) => {
                // The kernel lives and cannot be reached: it is neither ended nor replaced unasked.
                let what = format!("the kernel runs on, but its connection file cannot be read ({e})");
                self.owe_no_more(Err(Error::new(ErrorKind::KernelFailed, what)));
                self.over = true;
            }
            (None, _) => self.kernel_died(None),
        }
    }

    pub(super) fn met(&self, connection: ConnectionFile) -> Met {
        Met {
            connection,
            identity: self.record.id.clone(),
            language: self.record.kernel.language.clone(),
            foreign: self.record.foreign,
            run: self.folders.run(&self.record.id),
        }
    }

    pub(super) fn watch(&mut self, identity: Identity, child: Option<Child>) {
        self.record.kernel_process = Some(identity.clone());
        self.kernel = Some(identity.clone());
        self.death = Some(Box::pin(async move {
            match child {
                Some(mut child) => child.wait().await.ok().and_then(|status| status.code()),
                None => {
                    process::wait_for_death(&identity).await;
                    None
                }
            }
        }));
    }

    pub(super) fn greeted(&mut self, greeted: Result<Greeted, String>) {
        let adopted = self.adopting;
        let greeted = match greeted {
            Ok(greeted) => greeted,
            // It ends for it is to end, which its death will tell.
            Err(_) if self.ending.is_some() => return,
            Err(why) if adopted || self.rejoining => {
                let what = format!("the kernel runs on, but does not answer ({why}): stop it, or try again");
                self.owe_no_more(Err(Error::new(ErrorKind::KernelFailed, what)));
                self.over = true;
                return;
            }
            Err(why) if !self.ways.is_empty() => {
                tracing::info!(way = ?self.way, "the kernel is not spoken with in this way: {why}");
                let connection = ConnectionFile::read(&self.folders.connection_file(&self.record.id));
                if let Ok(connection) = connection
                    && connection.has_sockets()
                {
                    // They are here after all, late: this is its way.
                    self.ways.clear();
                    self.greeting = Some(Box::pin(kernel::greet(self.met(connection), kernel::START_LIMIT)));
                    return;
                }
                // No socket of it is seen: nor would one under a shorter name be.
                self.ways.retain(|way| *way == Way::Tcp);
                match self.kernel.as_ref().map(|kernel| signal_group(kernel, Signal::Kill)) {
                    Some(Err(e)) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                        self.start_failed(why, None)
                    }
                    // Its end is where the next way begins.
                    _ => {}
                }
                return;
            }
            Err(why) => return self.start_failed(why, None),
        };
        let file = self.folders.connection_file(&self.record.id);
        if let Err(e) = greeted.connection.write(&file) {
            // Its adopter asks the kernel.
            tracing::warn!("where the kernel tells its output could not be noted: {e}");
        }
        self.listen_to_heart();
        self.take_sample();
        if std::mem::take(&mut self.rejoining) {
            self.snapshot_lost("the connection to the kernel broke");
            let now = Time::now();
            let from = self.journal.last_at().unwrap_or(now);
            self.journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
            self.channels = Some(greeted.channels);
            greeted.leftovers.into_iter().for_each(|incoming| self.take_message(incoming));
            let effects = self.machine.settle();
            self.carry_out(effects, now);
            self.ask_for_input();
            return;
        }
        kernel::close_sockets_to_others(&self.folders, &self.record.id);
        self.channels = Some(greeted.channels);
        self.state = SessionState::Idle;
        self.status_changed = true;
        match greeted.warning {
            Some(warning) => self.warnings.insert("drops", warning),
            None => self.warnings.remove("drops"),
        };
        let now = Time::now();
        if adopted {
            self.restore(now);
            self.ask_for_input();
        } else {
            self.variables_are_gone();
            if self.way != Way::of(&self.record.kernel)[0] {
                // It need not be found by trying again.
                self.record.kernel.way = Some(self.way);
                self.save_record();
            }
            self.ways.clear();
            // Its sockets and their file were just made.
            self.warnings.remove("swept");
            let effects = self.machine.kernel_ready();
            self.carry_out(effects, now);
        }
        for incoming in greeted.leftovers {
            // What the kernel says while it starts belongs to no execution, and is no output.
            let status = matches!(&incoming.decoded, Decoded::Message(m) if m.msg_type() == "status");
            if adopted || !status {
                self.take_message(incoming);
            }
        }
        self.settle_up();
        self.owe_no_more(Ok(()));
        for (connection, id) in std::mem::take(&mut self.restart_waiters) {
            self.answer_session(connection, id);
        }
    }

    /// After an adoption: the queue as the journal has it, a gap for what nobody heard, and a question whose answer shows
    /// that the kernel is through with what it did before.
    pub(super) fn restore(&mut self, now: Time) {
        self.settle_up();
        // Only now is anything known that could be told of it.
        self.adopting = false;
        self.status_changed = true;
        if std::mem::take(&mut self.joining) {
            let effects = self.machine.restore(None, Vec::new());
            self.carry_out(effects, now);
            self.state = SessionState::Busy;
            // What it printed before we came nobody kept.
            let from = self.record.started_at;
            self.journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
            self.save_record();
            return;
        }
        let unfinished = self.journal.unfinished().unwrap_or_default();
        let from = self.journal.last_at().unwrap_or(self.record.last_activity_at);
        self.journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
        let (mut running, mut waiting) = (None, Vec::new());
        for row in unfinished {
            let job = Job {
                execution_id: row.execution_id.clone(),
                notebook: row.notebook,
                cell: row.cell(),
                code: row.code.clone(),
                stop_on_error: row.stop_on_error,
                batch: None,
            };
            if row.origin == super::machine::OTHER_ORIGIN && row.status == ExecutionStatus::Running {
                let (status, error) = (ExecutionStatus::Lost, None);
                let body = EventBody::finished(status, now, error);
                self.journal.append(Some(&job.execution_id), now, body);
                continue;
            }
            // Once sent it is the kernel's: it may have run unseen, and is not run again.
            match row.status == ExecutionStatus::Running || row.sent {
                true if running.is_none() => running = Some((job, row.started_at, row.input)),
                true => {
                    let status = ExecutionStatus::Lost;
                    let body = EventBody::finished(status, now, None);
                    self.journal.append(Some(&job.execution_id), now, body);
                }
                false => waiting.push(job),
            }
        }
        if let Some((job, ..)) = &running {
            for (kind, message) in self.journal.comms(&job.execution_id).unwrap_or_default() {
                self.machine.heard_of_widget(&kind, &message);
            }
        }
        let effects = self.machine.restore(running, waiting);
        self.carry_out(effects, now);
        self.state = SessionState::Busy;
        let what = format!("The keeper was killed: output between {from} and {now} may be missing.");
        self.record.warnings.retain(|w| !w.starts_with("The keeper was killed"));
        self.record.warnings.push(what);
        self.save_record();
    }

    /// What runs may have asked for a line while nobody listened, or have got one of which nobody wrote down that it was sent:
    /// ipykernel's own state tells.
    fn ask_for_input(&mut self) {
        if self.machine.running.is_some() && kernel::is_python(&self.record.kernel.language) {
            let question = kernel::input_question();
            self.asks_for_input = Some(question.header.msg_id.clone());
            self.outbox.push((Channel::Control, question));
        }
    }

    pub(super) fn listen_to_heart(&mut self) {
        let Ok(connection) = ConnectionFile::read(&self.folders.connection_file(&self.record.id)) else {
            return;
        };
        if let Some((old, _)) = self.heartbeat.take() {
            old.abort();
        }
        let (beats, heard) = tokio::sync::watch::channel(true);
        let mut pace = self.pace.subscribe();
        let listen = tokio::spawn(async move {
            let mut heart = Heartbeat::new(&connection);
            loop {
                let wait = *pace.borrow_and_update();
                // A quiet kernel that is no more is listened to sooner.
                if let Ok(Ok(())) = tokio::time::timeout(wait, pace.changed()).await {
                    continue;
                }
                let beat = heart.beat(HEARTBEAT).await;
                beats.send_if_modified(|known| std::mem::replace(known, beat) != beat);
            }
        });
        self.heartbeat = Some((listen, heard));
    }
}
