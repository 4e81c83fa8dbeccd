//! An execution whose reply is here and whose `idle` is not. That waits behind much output, or was lost.
//!
//! Output comes in order: so the kernel is asked something, and once its output tells of that question, an `idle` that was
//! not there before is lost. Time alone proves nothing: ten displays of 10 MB take longer than any reply.

use super::{Effect, LONGEST_PATIENCE, Machine};
use crate::protocol::{EventBody, Time};

/// How long after its reply an execution waits until the kernel is asked, in milliseconds.
const GRACE: i64 = 3_000;
/// A kernel that answers and whose output tells nothing of it for so long never will.
const SILENCE: i64 = 30_000;

/// Waiting for the running execution's `idle`.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    probes: Vec<String>,
    /// Ticks since the last question, and how many it gets.
    ticks: u32,
    patience: u32,
    /// A question was answered; when output came last since.
    silent_since: Option<Time>,
}

impl Machine {
    pub(super) fn tick_overdue(&mut self, now: Time) -> Vec<Effect> {
        let running = self.running.as_ref().filter(|running| !running.idle);
        let replied = running.and_then(|running| running.reply.as_ref()).map(|reply| reply.2);
        if replied.is_none_or(|at| (0..=GRACE).contains(&now.since(at))) {
            return Vec::new();
        }
        let overdue = self.overdue.get_or_insert_default();
        if overdue.silent_since.is_some_and(|at| !(0..SILENCE).contains(&now.since(at))) {
            return self.idle_was_lost(now);
        }
        if overdue.ticks < overdue.patience {
            overdue.ticks += 1;
            return Vec::new();
        }
        overdue.ticks = 0;
        overdue.patience = (overdue.patience * 2).clamp(1, LONGEST_PATIENCE);
        vec![Effect::Probe]
    }

    /// A question was sent.
    pub(super) fn overdue_probed(&mut self, msg_id: &str) {
        if let Some(overdue) = &mut self.overdue {
            overdue.probes.push(msg_id.to_owned());
        }
    }

    /// Output came that some request brought about.
    pub(super) fn output_came(&mut self, parent: &str, now: Time) -> Vec<Effect> {
        let Some(overdue) = &mut self.overdue else { return Vec::new() };
        if overdue.probes.iter().any(|id| id == parent) {
            return self.idle_was_lost(now);
        }
        overdue.silent_since.iter_mut().for_each(|at| *at = now);
        Vec::new()
    }

    /// A request was answered.
    pub(super) fn answer_came(&mut self, parent: &str, now: Time) {
        if let Some(overdue) = &mut self.overdue
            && overdue.probes.iter().any(|id| id == parent)
        {
            overdue.silent_since.get_or_insert(now);
        }
    }

    fn idle_was_lost(&mut self, now: Time) -> Vec<Effect> {
        self.overdue = None;
        let Some(running) = self.running.as_mut() else { return Vec::new() };
        running.idle = true;
        let from = running.reply.as_ref().map_or(now, |reply| reply.2);
        let body = EventBody::Gap { from, to: now, lost_at_most: None };
        let mut effects = vec![Effect::Journal { execution_id: None, body }];
        effects.extend(self.settle_running(now));
        effects
    }
}
