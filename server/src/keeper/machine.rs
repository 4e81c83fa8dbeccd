//! What kernel messages and requests mean: the queue, the running execution, and what goes into the journal. Pure: no
//! I/O, time is a parameter; the run loop carries out the effects in order.
//!
//! One execution at a time is at the kernel, sent with `stop_on_error: false`: the queue and what a failure does to it
//! are ours, so that another notebook's cells are never aborted by it.

mod ended;
mod input;
mod others;
mod output;
mod overdue;
mod widgets;

use std::collections::VecDeque;

use serde_json::Value;

use self::ended::{finished, interrupted};
use self::input::close_input;
use self::output::{error_of, event_of};
use crate::jupyter::Shown;
use crate::protocol::{CellRef, EventBody, ExecutionError, ExecutionStatus, InputPrompt, Time};

/// How many ticks after its `idle` an execution has for its reply, until the kernel is asked.
const UNANSWERED: u32 = 2;
/// How many ticks a question to a busy kernel waits at most before it is asked again.
const LONGEST_PATIENCE: u32 = 128;
/// How many failed batches are remembered.
const FAILED_BATCHES: usize = 32;

/// An execution at the kernel, or waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub execution_id: String,
    pub notebook: u32,
    pub cell: Option<CellRef>,
    pub code: String,
    pub stop_on_error: bool,
    /// What was asked to run together. A short cell fails before a slow machine has brought us the last of a long list.
    pub batch: Option<String>,
}

/// What to do next, in order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Into the journal.
    Journal { execution_id: Option<String>, body: EventBody },
    /// A message that means nothing to us, into the journal as it is.
    Raw,
    /// To the kernel.
    Send(Job),
    /// Asks the kernel whether it is through; the question's id goes to `Machine::probed`.
    Probe,
    /// Another program runs code: into the journal, as begun.
    Other { execution_id: String, code: String },
    /// An execution took that many milliseconds.
    Busy(i64),
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Iopub,
    Shell,
    Control,
    Stdin,
}

/// The part of a message that decides.
pub struct Incoming<'a> {
    pub from: From,
    pub kind: &'a str,
    /// `parent_header.msg_id`, "" where there is none.
    pub parent: &'a str,
    /// `parent_header.session`: whose request it was; and ours.
    pub session: &'a str,
    pub own_session: &'a str,
    /// Taken apart as it is read: a huge text is moved, not copied.
    pub content: &'a mut Value,
    /// What is displayed, or what a widget says; taken away as it is read.
    pub shown: Option<Shown>,
    /// All but the content, for comms.
    pub envelope: Value,
}

/// The running execution.
#[derive(Debug)]
pub struct Running {
    pub job: Job,
    pub started_at: Option<Time>,
    pub input: Option<InputPrompt>,
    /// Whether it was told to have begun with its `In [n]`; and that, where the kernel told it later.
    has_count: bool,
    late_count: Option<u32>,
    reply: Option<(ExecutionStatus, Option<ExecutionError>, Time)>,
    /// The exception that it told last, and nothing since.
    raised: Option<ExecutionError>,
    idle: bool,
    /// Ticks since its `idle`, without a reply.
    unanswered: u32,
}

/// Waiting for the kernel to be through: questions on the shell channel, which it answers in order.
#[derive(Debug, Default)]
struct Settling {
    probes: Vec<String>,
    /// Ticks since the last question, and how many it gets.
    ticks: u32,
    patience: u32,
    /// The kernel was ours all the time, and said nothing but `idle`.
    is_unanswered: bool,
}

/// The owner of the queue.
#[derive(Debug, Default)]
pub struct Machine {
    pub queue: VecDeque<Job>,
    pub running: Option<Running>,
    /// The execution that the kernel was given last.
    pub latest: Option<String>,
    /// The kernel takes executions.
    ready: bool,
    /// Set until the kernel is through with what it did before we came.
    settling: Option<Settling>,
    /// The kernel is at something that is no execution: what waits waits on.
    held: bool,
    /// What is sent could not be noted.
    paused: bool,
    /// The kernel said that it exits because code asked for it.
    pub exiting: bool,
    /// The running execution's `idle` is waited for.
    overdue: Option<overdue::Overdue>,
    /// What other programs run on it.
    others: Vec<others::Other>,
    /// The latest batches in which something failed: what still arrives of them is not run.
    failed: VecDeque<String>,
    /// Widgets that take output.
    takers: Vec<widgets::Taker>,
}

impl Machine {
    /// The kernel takes executions from now on.
    pub fn kernel_ready(&mut self) -> Vec<Effect> {
        self.ready = true;
        self.exiting = false;
        self.dispatch()
    }

    /// After an adoption: `running` was at the kernel, `queue` waits, and nothing is sent before a probe is answered.
    pub fn restore(
        &mut self,
        running: Option<(Job, Option<Time>, Option<InputPrompt>)>,
        queue: Vec<Job>,
    ) -> Vec<Effect> {
        self.running = running.map(|(job, started_at, input)| Running {
            job,
            started_at,
            input,
            has_count: false,
            late_count: None,
            reply: None,
            raised: None,
            idle: false,
            unanswered: 0,
        });
        self.latest = self.running.as_ref().map(|running| running.job.execution_id.clone());
        self.queue = queue.into();
        self.ready = true;
        self.settle()
    }

    /// What was at the kernel may end unseen: nothing is sent before a probe is answered.
    pub fn settle(&mut self) -> Vec<Effect> {
        self.settling = Some(Settling { patience: 1, ..Settling::default() });
        self.ask_of_others();
        vec![Effect::Probe]
    }

    /// A question of `Effect::Probe` was sent.
    pub fn probed(&mut self, msg_id: String) {
        self.overdue_probed(&msg_id);
        if let Some(settling) = self.settling.as_mut() {
            settling.probes.push(msg_id);
        }
    }

    /// Whether the kernel is at something.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || self.settling.is_some() || !self.others.is_empty() || self.held
    }

    /// The kernel is given something that is no execution. Nothing else is sent before [`release`](Self::release).
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// It is through with that.
    pub fn release(&mut self) -> Vec<Effect> {
        self.held = false;
        self.dispatch()
    }

    /// The kernel is gone, or to be asked whether it is through: nothing is sent yet.
    pub fn forget_hold(&mut self) {
        self.held = false;
    }

    /// Takes a job that the journal has as pending.
    pub fn enqueue(&mut self, job: Job, now: Time) -> Vec<Effect> {
        if job.batch.as_ref().is_some_and(|batch| self.failed.contains(batch)) {
            return vec![finished(&job.execution_id, ExecutionStatus::Aborted, None, now)];
        }
        self.queue.push_back(job);
        self.dispatch()
    }

    /// Ends a waiting execution. False: it does not wait.
    pub fn abort_waiting(&mut self, execution_id: &str, now: Time) -> Option<Effect> {
        let at = self.queue.iter().position(|j| j.execution_id == execution_id)?;
        let job = self.queue.remove(at)?;
        Some(finished(&job.execution_id, ExecutionStatus::Aborted, None, now))
    }

    /// What was to go to the kernel and did not waits in front again. False: it is not at the kernel.
    pub fn unsend(&mut self, execution_id: &str) -> bool {
        let is_it = |running: &mut Running| running.job.execution_id == execution_id;
        let Some(running) = self.running.take_if(is_it) else { return false };
        self.queue.push_front(running.job);
        true
    }

    /// An execution is taken out that never was.
    pub fn take_back(&mut self, execution_id: &str) {
        self.unsend(execution_id);
        self.queue.retain(|job| job.execution_id != execution_id);
    }

    /// Nothing is sent until [`go_on`](Self::go_on): it could not be noted.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// What waits goes on.
    pub fn go_on(&mut self) -> Vec<Effect> {
        self.paused = false;
        self.dispatch()
    }

    /// The kernel is to be replaced: what waits is aborted, and what comes from now on is the next one's.
    pub fn restarting(&mut self, now: Time) -> Vec<Effect> {
        self.ready = false;
        self.abort_queue(now)
    }

    /// The kernel's process is gone for good: what ran ends as `running`, what waited is aborted.
    pub fn kernel_gone(&mut self, running: ExecutionStatus, now: Time) -> Vec<Effect> {
        let mut effects = self.kernel_replaced(running, now);
        effects.extend(self.abort_queue(now));
        effects
    }

    fn abort_queue(&mut self, now: Time) -> Vec<Effect> {
        let queue = std::mem::take(&mut self.queue);
        queue.iter().map(|job| finished(&job.execution_id, ExecutionStatus::Aborted, None, now)).collect()
    }

    /// The kernel's process is gone, and another one comes: what ran ends as `running`.
    pub fn kernel_replaced(&mut self, running: ExecutionStatus, now: Time) -> Vec<Effect> {
        self.ready = false;
        self.takers.clear();
        (self.settling, self.overdue, self.held) = (None, None, false);
        let mut effects = self.others_gone(now);
        if let Some(mut gone) = self.running.take() {
            // A reply that came before the end tells how it ended, whatever became of the kernel; so does an exception, where the
            // kernel was asked to end and did so before its reply.
            let raised = gone.raised.take().filter(|_| running == ExecutionStatus::Aborted);
            let end = raised.map_or((running, None, now), |e| (ExecutionStatus::Error, Some(e), now));
            let (status, error, at) = gone.reply.take().unwrap_or(end);
            close_input(&mut gone, &mut effects);
            effects.push(gone.finished(status, error, at));
            effects.push(Effect::Busy(gone.started_at.map_or(0, |t| now.since(t))));
        }
        effects
    }

    /// A message from the kernel.
    pub fn message(&mut self, m: &mut Incoming, now: Time) -> Vec<Effect> {
        match m.from {
            From::Iopub => self.iopub(m, now),
            From::Shell => self.shell(m, now),
            From::Stdin => self.stdin(m, now),
            From::Control => Vec::new(),
        }
    }

    /// Time passes: an execution whose reply is here but whose `idle` got lost ends too, and a probe that is not answered
    /// is asked again. A kernel at work gets few of them, for it answers them all in the end.
    pub fn tick(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(settling) = self.settling.as_mut() {
            settling.ticks += 1;
            if self.running.is_none() || settling.ticks >= settling.patience {
                settling.ticks = 0;
                settling.patience = (settling.patience * 2).min(LONGEST_PATIENCE);
                effects.push(Effect::Probe);
            }
        }
        // An interrupt that hits the kernel itself, not the code that it is about to run, leaves that without a reply.
        let unanswered =
            self.running.as_mut().filter(|r| r.idle && r.reply.is_none() && self.settling.is_none());
        if let Some(running) = unanswered {
            running.unanswered += 1;
            if running.unanswered >= UNANSWERED {
                effects.extend(self.settle());
                self.settling.iter_mut().for_each(|settling| settling.is_unanswered = true);
            }
        }
        // An end that was not heard must not keep ours waiting for ever.
        if self.others_may_be_through() {
            effects.extend(self.settle());
        }
        effects.extend(self.tick_overdue(now));
        effects
    }

    fn iopub(&mut self, m: &mut Incoming, now: Time) -> Vec<Effect> {
        let overdue = self.output_came(m.parent, now);
        if !overdue.is_empty() {
            // It was a status, and told that.
            return overdue;
        }
        let ours = self.running.as_ref().is_some_and(|r| r.job.execution_id == m.parent);
        self.exiting |= others::ends(m.kind, m.content);
        if !ours && let Some(effects) = self.other(m, now) {
            return effects;
        }
        if m.kind == "status" {
            if ours && m.content["execution_state"] == "idle" {
                if let Some(running) = self.running.as_mut() {
                    running.idle = true;
                }
                return self.settle_running(now);
            }
            return Vec::new();
        }
        let execution_id = crate::ids::is_id(m.parent).then(|| m.parent.to_owned());
        let mut effects = Vec::new();
        if ours {
            let count = m.content["execution_count"].as_u64().filter(|_| m.kind == "execute_input");
            effects.extend(self.begin(count.map(|n| n as u32), now));
        }
        if m.kind == "execute_input" {
            return effects;
        }
        if ours && let Some(running) = self.running.as_mut() {
            running.raised = (m.kind == "error").then(|| cell_error_of(m.content));
        }
        match event_of(m) {
            Some(body) => {
                let body = self.placed(m.kind, m.parent, body);
                effects.push(Effect::Journal { execution_id, body });
            }
            None => effects.push(Effect::Raw),
        }
        effects
    }

    fn shell(&mut self, m: &Incoming, now: Time) -> Vec<Effect> {
        self.answer_came(m.parent, now);
        let is_asked = |settling: &mut Settling| settling.probes.iter().any(|id| id == m.parent);
        if let Some(settled) = self.settling.take_if(is_asked) {
            // It is through with what others asked before, too, whether their ends were heard or not.
            let mut effects = self.others_settled(now);
            // The kernel answers in order: an execution whose reply did not come before this one ended unseen.
            let unanswered = self.running.as_mut().filter(|r| settled.is_unanswered && r.reply.is_none());
            if let Some(running) = unanswered {
                running.reply = Some((ExecutionStatus::Error, Some(interrupted()), now));
                return self.settle_running(now);
            }
            if let Some(mut running) = self.running.take_if(|r| r.reply.is_none()) {
                close_input(&mut running, &mut effects);
                effects.push(running.finished(ExecutionStatus::Lost, None, now));
            }
            effects.extend(self.dispatch());
            return effects;
        }
        let ours = self.running.as_ref().is_some_and(|r| r.job.execution_id == m.parent);
        if m.kind != "execute_reply" || !ours {
            return Vec::new();
        }
        let mut effects = self.begin(m.content["execution_count"].as_u64().map(|n| n as u32), now);
        let payloads = output::payloads_of(m.content);
        self.exiting |= payloads.ends_kernel;
        let execution_id = Some(m.parent.to_owned());
        effects.extend(
            payloads
                .events
                .into_iter()
                .map(|body| Effect::Journal { execution_id: execution_id.clone(), body }),
        );
        let (status, error) = match m.content["status"].as_str() {
            Some("ok") => (ExecutionStatus::Ok, None),
            Some("error") => (ExecutionStatus::Error, Some(cell_error_of(m.content))),
            _ => (ExecutionStatus::Aborted, None),
        };
        if let Some(running) = self.running.as_mut() {
            running.reply = Some((status, error, now));
        }
        effects.extend(self.settle_running(now));
        effects
    }

    /// The first sign of the running execution; of later ones the count is kept, which its end tells.
    fn begin(&mut self, execution_count: Option<u32>, now: Time) -> Vec<Effect> {
        let Some(running) = self.running.as_mut() else { return Vec::new() };
        if running.started_at.is_some() {
            running.late_count = running.late_count.or(execution_count.filter(|_| !running.has_count));
            return Vec::new();
        }
        running.has_count = execution_count.is_some();
        running.started_at = Some(now);
        vec![Effect::Journal {
            execution_id: Some(running.job.execution_id.clone()),
            body: EventBody::Started { started_at: now, execution_count },
        }]
    }

    /// Ends the running execution once its reply and its `idle` are here, and sends the next.
    fn settle_running(&mut self, now: Time) -> Vec<Effect> {
        let Some(mut done) = self.running.take_if(|r| r.idle && r.reply.is_some()) else { return Vec::new() };
        self.overdue = None;
        let mut effects = Vec::new();
        close_input(&mut done, &mut effects);
        let (status, error, at) = done.reply.take().unwrap_or((ExecutionStatus::Lost, None, now));
        effects.push(done.finished(status, error, at));
        effects.push(Effect::Busy(done.started_at.map_or(0, |t| at.since(t))));
        // Of a kernel that is being replaced nothing waits any more.
        if status != ExecutionStatus::Ok && done.job.stop_on_error && self.ready {
            if let Some(batch) = done.job.batch.take() {
                self.failed.push_back(batch);
                if self.failed.len() > FAILED_BATCHES {
                    self.failed.pop_front();
                }
            }
            let (aborted, kept): (Vec<Job>, Vec<Job>) =
                std::mem::take(&mut self.queue).into_iter().partition(|j| j.notebook == done.job.notebook);
            self.queue = kept.into();
            effects.extend(
                aborted.iter().map(|j| finished(&j.execution_id, ExecutionStatus::Aborted, None, now)),
            );
        }
        effects.extend(self.dispatch());
        effects
    }

    fn dispatch(&mut self) -> Vec<Effect> {
        // Behind what another program runs it would be the kernel's, and could not be taken back.
        let waits = self.other_running().is_some();
        let is_taken = self.running.is_some() || self.settling.is_some() || self.held || self.paused;
        if !self.ready || is_taken || self.exiting || waits {
            return Vec::new();
        }
        let Some(job) = self.queue.pop_front() else { return Vec::new() };
        self.latest = Some(job.execution_id.clone());
        self.running = Some(Running {
            job: job.clone(),
            started_at: None,
            input: None,
            has_count: false,
            late_count: None,
            reply: None,
            raised: None,
            idle: false,
            unanswered: 0,
        });
        vec![Effect::Send(job)]
    }
}

/// The exception that ended an execution: the cell's output has all of it.
fn cell_error_of(content: &Value) -> ExecutionError {
    let mut error = error_of(content);
    error.cut();
    error
}

pub use others::ORIGIN as OTHER_ORIGIN;

#[cfg(test)]
mod tests;
