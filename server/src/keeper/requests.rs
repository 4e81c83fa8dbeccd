//! What faces ask of the keeper. Each request is answered once; what changes the journal is answered after its commit.

use serde_json::{Value, json};

use super::clients::FromClient;
use super::frames::{Answer, CURRENT_VERSION, Execute, MIN_VERSION, Request};
use super::kernel;
use super::run::Keeper;
use super::writing::{Line, Promise, cannot_run};
use crate::journal::NewExecution;
use crate::jupyter::Channel;
use crate::process::{Signal, signal_group};
use crate::protocol::{AttachedWindow, Error, ErrorKind, SessionState, Time};
use crate::registry;

impl Keeper {
    /// One request, or the end of a connection.
    pub(super) fn take(&mut self, from: FromClient) {
        self.stirs += 1;
        match from {
            FromClient::Closed { connection } => self.status_changed |= self.clients.closed(connection),
            FromClient::Request { connection, frame } => {
                self.take_in_turn(connection, frame.id, frame.request);
            }
        }
    }

    pub(super) fn handle(&mut self, connection: u64, id: u64, request: Request) -> Result<(), Error> {
        match request {
            Request::Hello { min, current } => {
                let version = current.min(CURRENT_VERSION);
                if version < min.max(MIN_VERSION) {
                    let what = format!(
                        "this keeper speaks versions {MIN_VERSION} to {CURRENT_VERSION} of its socket"
                    );
                    return Err(Error::new(ErrorKind::Internal, what));
                }
                let ok =
                    json!({ "version": version, "sessionId": self.record.id, "pid": std::process::id() });
                self.answer(connection, id, ok);
            }
            Request::Status {} => {
                let ok = json!({ "session": self.session(), "lastSeq": self.journal.last_seq() });
                self.answer(connection, id, ok);
            }
            Request::Stop {} => self.end_kernel(false, connection, id),
            Request::Attach { window_id, folder, agent } => {
                self.not_idle();
                if !agent
                    && std::mem::take(&mut self.record.agent)
                    && let Err(e) = self.record_changed()
                {
                    // Nobody is kept from a kernel because of a mark.
                    tracing::warn!("that a person has it could not be noted: {e}");
                }
                self.clients
                    .attach(connection, Some(AttachedWindow { window_id, folder, this_window: false }));
                self.changed(connection, id);
            }
            Request::Detach {} => {
                self.not_idle();
                self.clients.attach(connection, None);
                self.changed(connection, id);
            }
            Request::Execute(execute) => self.execute(connection, id, execute)?,
            Request::Cancel { execution_id } => {
                let now = Time::now();
                if let Some(effect) = self.machine.abort_waiting(&execution_id, now) {
                    self.carry_out(vec![effect], now);
                } else if self.machine.running.as_ref().is_some_and(|r| r.job.execution_id == execution_id) {
                    self.interrupt()?;
                }
                self.answer(connection, id, json!({}));
            }
            Request::ReplyInput { execution_id, value } => {
                let prompt = self.machine.take_input(&execution_id).ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotWaiting,
                        format!("execution {execution_id} asks for no input now"),
                    )
                    .with("executionId", execution_id.clone())
                })?;
                self.status_changed = true;
                self.lines.push(Line { connection, id, execution_id, prompt, value });
            }
            Request::Interrupt {} => {
                self.interrupt()?;
                self.answer_session(connection, id);
            }
            Request::Restart {} => {
                // Looked at before anything ends.
                self.record.kernel.find_again(self.record.notebooks[0].path.as_deref())?;
                self.end_kernel(true, connection, id);
            }
            Request::Label { label } => {
                self.record.label = label;
                self.record_changed()?;
                self.changed(connection, id);
            }
            Request::Pin { pinned } => {
                self.record.pinned = pinned;
                self.not_idle();
                self.record_changed()?;
                self.changed(connection, id);
            }
            Request::Migrate(migrate) => {
                self.migrate(migrate)?;
                self.changed(connection, id);
            }
            Request::Share(share) => {
                self.share(share)?;
                self.changed(connection, id);
            }
            Request::Unshare { number } => {
                self.unshare(number)?;
                self.changed(connection, id);
            }
            Request::Take { from } => {
                self.take_notebook(&from)?;
                self.changed(connection, id);
            }
            Request::LetGo { number, expected_key, label } => {
                self.let_go(number, &expected_key, label)?;
                self.changed(connection, id);
            }
            Request::Ask(question) => self.ask(connection, id, question),
            Request::Variables {} => self.variables(connection, id),
            Request::SaveSnapshot { name, on_stop } => self.save_snapshot(connection, id, name, on_stop)?,
            Request::RestoreSnapshot { file, details } => {
                self.restore_snapshot(connection, id, &file, &details)?;
            }
            Request::Watch { visible } => {
                self.clients.watch(connection, visible);
                if visible {
                    self.take_sample();
                }
                self.answer(connection, id, json!({}));
            }
            Request::StopIdleAfter { milliseconds } => {
                if self.record.stop_idle_after != milliseconds {
                    self.record.stop_idle_after = milliseconds;
                    self.not_idle();
                    self.status_changed = true;
                    self.record_changed()?;
                }
                self.answer(connection, id, json!({}));
            }
            Request::Unknown => return Err(super::client::too_old(&self.record.id)),
        }
        Ok(())
    }

    fn execute(&mut self, connection: u64, id: u64, execute: Execute) -> Result<(), Error> {
        if self.ending.is_some() && self.state != SessionState::Restarting {
            return Err(Error::new(ErrorKind::SessionEnded, "the session is being stopped"));
        }
        if self.record.notebook(execute.notebook).is_none() {
            return Err(Error::new(ErrorKind::InvalidParams, "the session has no such notebook")
                .with("field", "notebookUri"));
        }
        if self.disk_full {
            self.tick_disk();
        }
        if self.disk_full {
            return Err(cannot_run());
        }
        let execution_id = crate::ids::unique();
        let new = NewExecution {
            execution_id: execution_id.clone(),
            notebook: execute.notebook,
            cell: execute.cell,
            code: execute.code,
            origin: execute.origin,
            stop_on_error: execute.stop_on_error,
            queued_at: Time::now(),
        };
        self.enqueue(new, execute.batch);
        self.promises.push(Promise { connection, id, execution_id });
        Ok(())
    }

    fn interrupt(&mut self) -> Result<(), Error> {
        if matches!(self.state, SessionState::Starting | SessionState::Restarting) {
            // Nothing runs yet, and a kernel that is interrupted while it starts ends.
            return Ok(());
        }
        if self.record.kernel.interrupt_by_message {
            self.outbox.push((Channel::Control, kernel::interrupt_request()));
            return Ok(());
        }
        let Some(kernel) = &self.kernel else { return Ok(()) };
        signal_group(kernel, Signal::Interrupt).map_err(|e| {
            Error::new(ErrorKind::KernelFailed, format!("the kernel could not be interrupted: {e}"))
        })
    }

    fn record_changed(&mut self) -> Result<(), Error> {
        let failed =
            |e: &dyn std::fmt::Display| Error::new(ErrorKind::StoreFailed, format!("not stored: {e}"));
        self.record.write(&self.folders).map_err(|e| failed(&e))?;
        match super::record::open_registry(&self.folders) {
            Ok(registry) => self.put_row(&registry),
            Err(registry::Error::Busy) => self.registry.is_behind = true,
            Err(e) => return Err(failed(&e)),
        }
        Ok(())
    }

    fn changed(&mut self, connection: u64, id: u64) {
        self.status_changed = true;
        self.answer_session(connection, id);
    }

    /// Answers with the session as it is.
    pub(super) fn answer_session(&mut self, connection: u64, id: u64) {
        let ok = json!({ "session": self.session() });
        self.answer(connection, id, ok);
    }

    pub(super) fn answer(&mut self, connection: u64, id: u64, ok: Value) {
        self.answers.push((connection, Answer::Ok { id, ok }));
    }
}
