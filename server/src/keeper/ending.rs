//! How a kernel ends, asked or not, and what becomes of the session.
//!
//! Asked: `shutdown_request`, after two seconds SIGTERM, after five SIGKILL, each to a process that is still the one we
//! started. Only a stop, an exit or a death ends a session; nothing else in this program does.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::frames::Answer;
use super::kernel;
use super::run::Keeper;
use crate::jupyter::{Channel, ConnectionFile};
use crate::process::{Signal, signal_group};
use crate::protocol::{EndReason, Error, ErrorKind, ExecutionStatus, SessionState, Time};

const TERMINATE_AFTER: Duration = Duration::from_secs(2);
const KILL_AFTER: Duration = Duration::from_secs(3);
/// What was killed is gone by then, or is not ours to end.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// A kernel that was asked to end.
pub(super) struct Ending {
    restart: bool,
    /// What comes next, and when.
    next_step: Option<Signal>,
    pub next: Instant,
    /// Who waits: connection and request.
    waiters: Vec<(u64, u64)>,
}

impl Keeper {
    /// Asks the kernel to end. A stop wins over a restart that is under way.
    pub(super) fn end_kernel(&mut self, restart: bool, connection: u64, id: u64) {
        let waiter = (connection, id);
        if self.state == SessionState::Ended {
            return self.answer_session(connection, id);
        }
        if let Some(ending) = &mut self.ending {
            ending.restart &= restart;
            ending.waiters.push(waiter);
            return;
        }
        self.state = if restart { SessionState::Restarting } else { self.state };
        self.status_changed = true;
        if restart {
            let now = Time::now();
            let effects = self.machine.restarting(now);
            self.carry_out(effects, now);
        }
        let reachable = self.channels.is_some();
        let (next_step, wait) =
            if reachable { (Signal::Terminate, TERMINATE_AFTER) } else { (Signal::Kill, Duration::ZERO) };
        if reachable {
            self.outbox.push((Channel::Control, kernel::shutdown_request(restart)));
        }
        self.ending = Some(Ending {
            restart,
            next_step: Some(next_step),
            next: Instant::now() + wait,
            waiters: vec![waiter],
        });
        if self.kernel.is_none() {
            self.kernel_died(None);
        }
    }

    /// The kernel did not end in time: the next, harder step.
    pub(super) fn press_on(&mut self) {
        let (Some(ending), Some(kernel)) = (&mut self.ending, &self.kernel) else { return };
        let Some(step) = ending.next_step.take() else {
            let what = format!("process {} does not end, not even when it is killed", kernel.pid);
            return self.ending_refused(what);
        };
        tracing::info!(pid = kernel.pid, ?step, "the kernel did not end when asked");
        let sent = signal_group(kernel, step);
        let pid = kernel.pid;
        if step == Signal::Terminate {
            ending.next_step = Some(Signal::Kill);
            ending.next = Instant::now() + KILL_AFTER;
        } else {
            ending.next = Instant::now() + GIVE_UP_AFTER;
        }
        match sent {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                let what = format!(
                    "the system does not let us end process {pid}, which is another user's: end it yourself"
                );
                self.ending_refused(what);
            }
            Err(e) => tracing::warn!("the kernel could not be signalled: {e}"),
            Ok(()) => {}
        }
    }

    /// The kernel cannot be ended. Who waits for that is told; the session goes on.
    fn ending_refused(&mut self, what: String) {
        tracing::warn!("{what}");
        let Some(ending) = self.ending.take() else { return };
        let error = Error::new(ErrorKind::KernelFailed, what).with("sessionId", self.record.id.clone());
        for (connection, id) in ending.waiters {
            self.answers.push((connection, Answer::Failed { id, error: error.clone().into() }));
        }
        self.status_changed = true;
        if self.state == SessionState::Restarting {
            self.state = SessionState::Idle;
            let mut effects = self.machine.kernel_ready();
            effects.extend(self.machine.settle());
            self.carry_out(effects, Time::now());
        }
    }

    /// What the kernel had started ends with it, however it ended. Another program's kernel may have left it on purpose.
    pub(super) async fn end_what_is_left(&self) {
        if let Some(kernel) = self.kernel.as_ref().filter(|_| !self.record.foreign) {
            crate::process::end_what_is_left(kernel, None).await;
        }
    }

    /// The same of a kernel that ended before we came.
    pub(super) async fn end_what_was_left(&self) {
        let kernel = self.record.kernel_process.as_ref().filter(|kernel| !kernel.is_alive());
        if let Some(kernel) = kernel.filter(|_| !self.record.foreign) {
            crate::process::end_what_is_left(kernel, Some(self.record.last_activity_at)).await;
        }
    }

    /// The kernel's process is gone.
    pub(super) fn kernel_died(&mut self, code: Option<i32>) {
        self.death = None;
        self.greeting = None;
        self.kernel = None;
        self.rejoining = false;
        self.outbox.clear();
        self.asks_for_input = None;
        for line in std::mem::take(&mut self.lines) {
            let error = Error::new(ErrorKind::NotWaiting, "the kernel ended before it got the line");
            self.answers.push((line.connection, Answer::Failed { id: line.id, error: error.into() }));
        }
        self.forget_questions();
        let now = Time::now();
        let ending = self.ending.take();
        let asked = ending.is_some();
        let was_adopting = std::mem::take(&mut self.adopting);
        let was_starting = !was_adopting
            && (self.state == SessionState::Starting || self.state == SessionState::Restarting && !asked);
        if was_adopting {
            // What the journal still has as running or pending ends with the kernel.
            self.restore(now);
        }
        let running = if asked { ExecutionStatus::Aborted } else { ExecutionStatus::Lost };
        let exiting = self.machine.exiting;
        let effects = match &ending {
            Some(ending) if ending.restart => {
                let mut effects = self.machine.kernel_replaced(running, now);
                if was_adopting {
                    // It waited for the kernel that was.
                    effects.extend(self.machine.restarting(now));
                }
                effects
            }
            _ => self.machine.kernel_gone(running, now),
        };
        let lost = self.channels.take().and_then(|mut channels| channels.missing_at_last());
        self.tell_lost(lost, now);
        self.carry_out(effects, now);
        if let Some(ending) = ending {
            if ending.restart {
                self.state = SessionState::Restarting;
                self.restart_waiters.extend(ending.waiters);
                return self.start_kernel();
            }
            self.end_session(EndReason::Stopped);
            let what = format!("{} was stopped before it was ready", self.record.kernel.display_name);
            self.owe_no_more(Err(
                Error::new(ErrorKind::KernelFailed, what).with("sessionId", self.record.id.clone())
            ));
            for (connection, id) in ending.waiters {
                if self.unrecorded {
                    let what = "the kernel has ended, but that cannot be written (is the disk full?): as soon as it can be, it is";
                    let error =
                        Error::new(ErrorKind::StoreFailed, what).with("sessionId", self.record.id.clone());
                    self.answers.push((connection, Answer::Failed { id, error: error.into() }));
                } else {
                    self.answer_session(connection, id);
                }
            }
            return;
        }
        if was_starting {
            let file = self.folders.connection_file(&self.record.id);
            let connection = ConnectionFile::read(&file);
            // One that had come so far is spoken with in the right way.
            let has_sockets = connection.as_ref().is_ok_and(ConnectionFile::has_sockets);
            connection.iter().for_each(ConnectionFile::remove_sockets);
            if !self.ways.is_empty() && !has_sockets {
                return self.start_the_next_way();
            }
            let what = match code {
                Some(code) => {
                    format!("{} ended with code {code} while starting", self.record.kernel.display_name)
                }
                None => format!("{} was killed while starting", self.record.kernel.display_name),
            };
            return self.start_failed(what, code);
        }
        if was_adopting {
            self.end_session(EndReason::Lost);
            let what = "the kernel ended before it could be adopted";
            return self.owe_no_more(Err(Error::new(ErrorKind::KernelFailed, what)));
        }
        self.end_session(if code == Some(0) || exiting { EndReason::Exited } else { EndReason::Crashed });
    }

    /// The kernel never answered. A session without any history is as if it had never been; another one ends.
    pub(super) fn start_failed(&mut self, what: String, code: Option<i32>) {
        let tail = self.stderr_tail();
        let mut message = what;
        if let Some(last) = tail.lines().last() {
            message.push_str(": ");
            message.push_str(last);
        }
        if let Some(kernel) = &self.kernel
            && let Err(e) = signal_group(kernel, Signal::Kill)
            && e.kind() == std::io::ErrorKind::PermissionDenied
        {
            // As with sudo in the kernelspec: its sockets are another user's, too.
            let pid = kernel.pid;
            message.push_str(&format!(
                " (process {pid} is another user's: end it yourself. Ports may do where sockets do not: have the kernelspec's \
                 metadata say {{\"kernel_keeper\": {{\"transport\": \"tcp\"}}}})"
            ));
        }
        let error = Error::new(ErrorKind::KernelFailed, message)
            .with("sessionId", self.record.id.clone())
            .with("exitCode", json!(code))
            .with("stderrTail", tail);
        for (connection, id) in std::mem::take(&mut self.restart_waiters) {
            self.answers.push((connection, Answer::Failed { id, error: error.clone().into() }));
        }
        let never_was = self.journal.last_seq() == 0 && self.journal.pending_rows() == 0;
        self.end_session(EndReason::Crashed);
        if never_was {
            let registry = super::record::open_registry(&self.folders);
            let removed = registry
                .map_err(|e| e.to_string())
                .and_then(|registry| registry.remove_session(&self.record.id).map_err(|e| e.to_string()));
            if let Err(e) = removed {
                tracing::warn!("a session that never began could not be removed: {e}");
            }
            let _ = std::fs::remove_dir_all(self.folders.session(&self.record.id));
            let _ = crate::paths::ring(&self.folders.bell());
        }
        self.owe_no_more(Err(error));
    }

    /// What the kernel wrote to its own standard error since this start.
    fn stderr_tail(&self) -> String {
        let log = self.folders.kernel_log(&self.record.id);
        let length = std::fs::metadata(&log).map_or(0, |m| m.len());
        // Shorter than it was, it was cut back since.
        let written = length.checked_sub(self.log_from).unwrap_or(length);
        super::spawn::tail(&log, written.min(4_000))
    }

    /// Ends the session: record, registry, bell, and the last status. The lock goes with the process.
    fn end_session(&mut self, reason: EndReason) {
        tracing::info!(session = %self.record.id, ?reason, "the session ended");
        let now = Time::now();
        // Waited for a kernel that did not come.
        let effects = self.machine.kernel_gone(ExecutionStatus::Lost, now);
        self.carry_out(effects, now);
        self.settle_up();
        kernel::remove_sockets(&self.folders, &self.record);
        self.state = SessionState::Ended;
        self.record.ended_at = Some(now);
        self.record.end_reason = Some(reason);
        // What was set aside was for this.
        super::writing::release(&self.folders.reserve(&self.record.id));
        self.record_the_end();
        // Told once it is on record: who hears of it finds it there.
        self.status_changed = true;
    }

    /// The session is over once its end is on record: else whoever looks next would take it for lost.
    pub(super) fn record_the_end(&mut self) {
        self.unrecorded = self.record.write(&self.folders).is_err();
        if self.unrecorded {
            return tracing::error!(session = %self.record.id, "its end cannot be written yet");
        }
        self.over = true;
        self.tell_end();
        let _ = crate::paths::ring(&self.folders.bell());
    }
}
