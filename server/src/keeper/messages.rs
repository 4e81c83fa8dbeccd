//! Messages from the kernel: taken in batches, understood by the machine, put into the journal.
//!
//! Nothing that came is dropped: what means nothing to us, or cannot be read, is kept as it is. Leaves out what messages
//! mean (`machine.rs`).

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::kernel;
use super::machine::{Effect, From, Incoming, Job, OTHER_ORIGIN};
use super::run::{Keeper, next_message};
use crate::journal::NewExecution;
use crate::jupyter::{self, Channel, Channels, ConnectionFile, Decoded, Message, Shown};
use crate::protocol::{EventBody, SessionState, Time};

/// Rows that are committed at once at most.
pub(super) const BATCH_ROWS: usize = 256;
/// Bytes of them: a cell can print faster than anybody reads.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// How long a row waits for more at most.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// The iopub socket keeps a buffer as large as the largest message: after one of these it is exchanged.
const HUGE_MESSAGE: usize = 8 << 20;

impl Keeper {
    /// Journals everything that is ready to be read, in batches.
    pub(super) fn take_messages(&mut self, first: jupyter::Incoming) {
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(incoming) = next {
            self.take_message(incoming);
            let enough =
                self.journal.pending_rows() >= BATCH_ROWS || self.journal.pending_bytes() >= BATCH_BYTES;
            if enough || begun.elapsed() > BATCH_TIME {
                break;
            }
            // A channel that breaks says so again when it is awaited.
            next = self.channels.as_mut().and_then(Channels::try_recv).and_then(Result::ok);
        }
    }

    /// What the kernel still said before it died.
    pub(super) async fn last_messages(&mut self) {
        let wait = Duration::from_millis(60);
        while let Ok(Ok(incoming)) = tokio::time::timeout(wait, next_message(&mut self.channels)).await {
            self.take_message(incoming);
            if self.journal.pending_rows() >= BATCH_ROWS {
                self.settle_up();
            }
        }
    }

    pub(super) fn take_message(&mut self, incoming: jupyter::Incoming) {
        let now = Time::now();
        let channel = incoming.channel;
        if incoming.size > HUGE_MESSAGE {
            self.huge_at = Some(Instant::now());
        }
        let mut message = match incoming.decoded {
            Decoded::Message(message) => message,
            Decoded::Unreadable(unreadable) => {
                tracing::warn!(
                    ?channel,
                    "a message that cannot be read is kept as it is: {}",
                    unreadable.reason
                );
                self.journal.append_raw(now, &channel_name(channel), &unreadable.raw);
                return;
            }
        };
        let parent = message.parent_header.as_ref().map_or("", |parent| &parent.msg_id);
        if self.asks_for_input.as_deref() == Some(parent) {
            if channel == Channel::Control {
                self.asks_for_input = None;
                let effects = self.machine.waits_for(jupyter::input_of(&message.content), now);
                self.carry_out(effects, now);
            }
            return;
        }
        if channel == Channel::Stdin {
            self.asks_for_input = None;
        }
        let is_of_question = self.questions.concerns(parent);
        // Our questions show nothing. ipykernel has what a thread shows come from the latest request on shell, whoever asked;
        // it belongs to the latest execution.
        let is_shown = is_of_question && channel == Channel::Iopub && shows(&message.header.msg_type);
        let instead = is_shown.then(|| self.machine.latest.clone().unwrap_or_default());
        if is_of_question && !is_shown {
            if channel == Channel::Shell {
                let parent = parent.to_owned();
                self.answered(&parent, &message.content);
            } else if message.content["execution_state"] == "idle" {
                let parent = parent.to_owned();
                self.snapshot_is_over(&parent);
            }
            return;
        }
        let from = match incoming.channel {
            Channel::Iopub => From::Iopub,
            Channel::Shell => From::Shell,
            Channel::Control => From::Control,
            Channel::Stdin => From::Stdin,
        };
        let envelope =
            if message.header.msg_type.starts_with("comm_") { envelope_of(&message) } else { Value::Null };
        let mut read = Incoming {
            from,
            kind: &message.header.msg_type,
            parent: instead
                .as_deref()
                .or(message.parent_header.as_ref().map(|parent| parent.msg_id.as_str()))
                .unwrap_or_default(),
            session: message.parent_header.as_ref().map_or("", |parent| &parent.session),
            own_session: kernel::CLIENT,
            content: &mut message.content,
            shown: message.shown.take(),
            envelope,
        };
        let was_busy = self.machine.is_busy();
        let effects = self.machine.message(&mut read, now);
        // Of an adopted kernel that was idle all along nothing but this is to be told.
        self.status_changed |= was_busy != self.machine.is_busy();
        let left = read.shown.take();
        if effects.contains(&Effect::Raw) {
            let mut raw = envelope_of(&message);
            if let Some(Shown::Bundle { data, metadata }) = left {
                message.content["data"] = data.value();
                message.content["metadata"] = metadata.value();
            }
            raw["content"] = message.content;
            self.journal.append_raw(now, &channel_name(channel), &raw);
        }
        self.carry_out(effects, now);
    }

    /// Carries out what the machine decided.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, now: Time) {
        for effect in effects {
            match effect {
                Effect::Journal { execution_id, body } => {
                    if !matches!(
                        body,
                        EventBody::Output { .. }
                            | EventBody::UpdateDisplay { .. }
                            | EventBody::WidgetOutput { .. }
                    ) {
                        self.status_changed = true;
                    }
                    // What it ran has most likely ended with it.
                    if matches!(body, EventBody::Finished { .. }) {
                        self.variables_may_differ();
                    }
                    self.resample |= matches!(body, EventBody::Finished { .. }) && self.sample.runs.is_some();
                    self.record.last_activity_at = now;
                    self.urgent |=
                        matches!(body, EventBody::Finished { .. } | EventBody::InputRequest { .. });
                    self.journal.append(execution_id.as_deref(), now, body);
                }
                Effect::Raw => {}
                Effect::Send(job) => {
                    self.status_changed = true;
                    self.journal.sent(&job.execution_id);
                    self.outbox.push((Channel::Shell, kernel::execute_request(&job.execution_id, &job.code)));
                }
                Effect::Probe => {
                    let probe = kernel::kernel_info_request();
                    self.machine.probed(probe.header.msg_id.clone());
                    self.outbox.push((Channel::Shell, probe));
                }
                Effect::Other { execution_id, code } => {
                    self.status_changed = true;
                    let (notebook, origin) = (self.record.notebooks[0].number, OTHER_ORIGIN.to_owned());
                    let (cell, stop_on_error, queued_at) = (None, false, now);
                    self.journal.queue(NewExecution {
                        execution_id: execution_id.clone(),
                        notebook,
                        cell,
                        code,
                        origin,
                        stop_on_error,
                        queued_at,
                    });
                    self.journal.sent(&execution_id);
                }
                Effect::Busy(milliseconds) => self.record.busy_seconds += milliseconds as f64 / 1000.0,
            }
        }
        self.set_state();
    }

    /// Whether the kernel is at something may be otherwise by now.
    pub(super) fn set_state(&mut self) {
        self.state = match self.state {
            SessionState::Idle | SessionState::Busy if self.machine.is_busy() => SessionState::Busy,
            SessionState::Idle | SessionState::Busy => SessionState::Idle,
            other => other,
        };
    }

    /// Puts an execution into journal and queue.
    pub(super) fn enqueue(&mut self, new: NewExecution, batch: Option<String>) {
        let now = new.queued_at;
        let job = Job {
            execution_id: new.execution_id.clone(),
            notebook: new.notebook,
            cell: new.cell.clone(),
            code: new.code.clone(),
            stop_on_error: new.stop_on_error,
            batch,
        };
        self.journal.queue(new);
        self.status_changed = true;
        let effects = self.machine.enqueue(job, now);
        self.carry_out(effects, now);
    }

    /// Gives the memory of huge messages back, once there were none for a moment: of a burst each would have to be read
    /// twice.
    pub(super) async fn exchange_iopub(&mut self) {
        self.huge_at = None;
        let Some(channels) = self.channels.as_mut().filter(|channels| !channels.is_exchanging_iopub()) else {
            return;
        };
        if let Err(e) = channels.exchange_iopub(&kernel::kernel_info_request()).await {
            tracing::warn!("the iopub socket could not be exchanged: {e}");
        }
    }

    /// A channel is of no use any more. Either the kernel dies, which its process will show, or all are made anew.
    pub(super) fn channels_broke(&mut self, why: &jupyter::Error) {
        tracing::warn!("{why}");
        self.channels = None;
        let Ok(connection) = ConnectionFile::read(&self.folders.connection_file(&self.record.id)) else {
            return;
        };
        self.rejoining = true;
        let met = self.met(connection);
        self.greeting = Some(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            kernel::meet_again(met).await
        }));
    }
}

fn channel_name(channel: Channel) -> String {
    format!("{channel:?}").to_lowercase()
}

/// A message without its content, as the journal keeps it: buffers in base64.
fn envelope_of(message: &Message) -> Value {
    let buffers: Vec<String> = message.buffers.iter().map(|bytes| BASE64_STANDARD.encode(bytes)).collect();
    json!({
        "header": message.header, "parent_header": message.parent_header, "metadata": message.metadata,
        "buffers": buffers,
    })
}

/// Whether messages of this type change what stands in a cell, and are not text: that ipykernel gives to the right request.
fn shows(kind: &str) -> bool {
    matches!(kind, "display_data" | "update_display_data" | "clear_output") || kind.starts_with("comm_")
}
