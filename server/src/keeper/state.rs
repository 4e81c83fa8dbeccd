//! The session as it is now, and what the keeper looks after from time to time: gaps, samples, limits, swept files.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::{Answer, Sample};
use super::run::Keeper;
use crate::process;
use crate::protocol::{CurrentExecution, EventBody, Session, SessionState, Time};

/// Every so many ticks: the journal's limit.
const SELDOM: u64 = 5;
/// How often the graphics card's driver is asked at most.
const GPU_EVERY: Duration = Duration::from_secs(10);
/// A gap is noticed this long after it came about at most, in milliseconds.
const GAP_NOTICED: i64 = 4_000;

impl Keeper {
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.ticked = Instant::now();
        self.woken.notify_one();
        let now = Time::now();
        let effects = self.machine.tick(now);
        self.carry_out(effects, now);
        self.tick_disk();
        match self.journal.put_back_if_removed() {
            Ok(false) => {}
            Ok(true) => tracing::warn!("the journal was removed under its keeper, and is back"),
            Err(e) => tracing::error!("the journal was removed, and cannot be put back yet: {e}"),
        }
        self.tick_questions(now);
        self.tick_snapshot();
        self.tick_idling();
        self.tick_registry();
        let lost = self.channels.as_mut().and_then(|channels| channels.missing(now));
        self.tell_lost(lost, now);
        if let Some((_, heard)) = &mut self.heartbeat
            && heard.has_changed().unwrap_or(false)
        {
            heard.mark_unchanged();
            self.status_changed = true;
        }
        if self.adopting && !self.joining && self.ticks > 1 {
            // The kernel does not answer yet. Who waits for us is told how things are, and can stop it.
            self.owe_no_more(Ok(()));
        }
        // After what stirred it, and after what is done seldom: each time costs what is read again.
        let stirred = (self.committed, self.stirs);
        if std::mem::replace(&mut self.seen, stirred) != stirred || self.ticks % SELDOM == 2 {
            process::let_go();
        }
        match self.clients.listen_again_if_swept() {
            Ok(false) => {}
            Ok(true) => {
                let what = "The folder of its sockets was emptied: it works on, but should its keeper be killed, the kernel is lost.";
                self.warnings.insert("swept", what.into());
                self.status_changed = true;
            }
            Err(e) => tracing::error!("the socket cannot be made anew: {e}"),
        }
        self.take_sample();
        // What grows fast is looked at each time.
        if (self.ticks % SELDOM == 1 || self.journal.has_grown_much())
            && let Err(e) = self.journal.enforce_limits()
        {
            tracing::warn!("the journal's limit could not be kept: {e}");
        }
    }

    pub(super) fn tell_lost(&mut self, lost: Option<u64>, now: Time) {
        if lost.is_some() {
            let body = EventBody::Gap { from: Time(now.0 - GAP_NOTICED), to: now, lost_at_most: lost };
            self.journal.append(None, now, body);
        }
    }

    pub(super) fn take_sample(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        let is_idle = self.state == SessionState::Idle && !self.machine.is_busy();
        let found = self.sampler.sample(kernel.pid, is_idle);
        let is_time = self.gpu_asked.is_none_or(|at| at.elapsed() >= GPU_EVERY);
        if is_time && self.gpu.is_none() && process::uses_gpu(&found.pids) {
            self.gpu_asked = Some(Instant::now());
            self.gpu = Some(Box::pin(process::gpu_bytes(found.pids)));
        }
        self.tell_sample(Sample {
            memory_bytes: Some(found.memory_bytes),
            cpu_percent: Some((found.cpu_percent * 10.0).round() / 10.0),
            runs: found.runs,
            gpu_memory_bytes: self.sample.gpu_memory_bytes,
        });
    }

    /// The graphics card's driver answered.
    pub(super) fn gpu_told(&mut self, bytes: Option<u64>) {
        self.tell_sample(Sample { gpu_memory_bytes: bytes, ..self.sample.clone() });
    }

    fn tell_sample(&mut self, sample: Sample) {
        if sample != self.sample {
            self.sample = sample;
            let bytes =
                super::frames::encode(&Answer::Sample { sample: self.sample.clone() }).unwrap_or_default();
            self.clients.publish(|p| {
                p.sample_version += 1;
                p.sample = bytes.into();
            });
        }
    }

    /// The session as it is now.
    pub(super) fn session(&self) -> Session {
        // A kernel that is being taken over may be at anything.
        let mut session =
            if self.adopting { self.record.unseen() } else { self.record.to_session(self.state) };
        session.responding =
            !self.adopting && self.heartbeat.as_ref().is_none_or(|(_, heard)| *heard.borrow());
        session.queued = self.machine.queue.len() as u32;
        session.windows = self.clients.windows();
        session.warnings.extend(self.warnings.values().cloned());
        session.memory_bytes = self.sample.memory_bytes;
        session.cpu_percent = self.sample.cpu_percent;
        session.runs.clone_from(&self.sample.runs);
        session.gpu_memory_bytes = self.sample.gpu_memory_bytes;
        if let Some((at, is_soon)) = self.stops_at() {
            session.stops_at = Some(at);
            if is_soon {
                session.warnings.push("It is stopped within the hour, because it is idle and no window has it open: open it, or pin it, to keep it.".into());
            }
        }
        if session.state == SessionState::Starting {
            session.pid = None;
        }
        if session.state == SessionState::Starting || session.ended_at.is_some() {
            (session.memory_bytes, session.cpu_percent, session.runs) = (None, None, None);
            (session.gpu_memory_bytes, session.stops_at) = (None, None);
        }
        session.current_execution = self.machine.running.as_ref().map(|running| CurrentExecution {
            execution_id: running.job.execution_id.clone(),
            notebook_uri: self
                .record
                .notebook(running.job.notebook)
                .map(|n| n.uri.clone())
                .unwrap_or_default(),
            cell_id: running.job.cell.as_ref().map(|c| c.id.clone()),
            cell_index: running.job.cell.as_ref().map(|c| c.index),
            started_at: running.started_at,
            input: running.input.clone(),
        });
        if let Some((execution_id, started_at)) = self.machine.other_running() {
            session.current_execution.get_or_insert_with(|| CurrentExecution {
                execution_id: execution_id.to_owned(),
                notebook_uri: self.record.notebooks[0].uri.clone(),
                cell_id: None,
                cell_index: None,
                started_at: Some(started_at),
                input: None,
            });
        }
        session.cut();
        session
    }
}
