//! What another program runs on the same kernel: journaled as executions of its own, without a cell.
//!
//! It is seen on iopub alone: which code, what it puts out, and its end. Whether it failed shows by an error that it puts
//! out. What was running before we came is seen from there on, without its code.

use serde_json::Value;

use super::output::event_of;
use super::{Effect, Incoming, Machine, finished};
use crate::protocol::{EventBody, ExecutionStatus, Output, Time};

/// The origin of what another program runs.
pub const ORIGIN: &str = "other";

/// An execution of another program.
#[derive(Debug)]
pub struct Other {
    /// Its message's id.
    parent: String,
    /// Ours; `None` until its code is known, and for what runs no code, such as a completion.
    execution_id: Option<String>,
    started_at: Time,
    failed: bool,
    /// The kernel was asked since whether it is through.
    asked: bool,
}

impl Machine {
    /// A message that another program's request brought about; `None` where it is none of those.
    pub(super) fn other(&mut self, m: &mut Incoming, now: Time) -> Option<Vec<Effect>> {
        if m.session.is_empty() || m.session == m.own_session || m.parent.is_empty() {
            return None;
        }
        let at = self.others.iter().position(|other| other.parent == m.parent);
        let state = m.content["execution_state"].as_str().filter(|_| m.kind == "status").map(str::to_owned);
        let Some(at) = at else {
            if state.as_deref() == Some("busy") || m.kind == "execute_input" {
                let parent = m.parent.to_owned();
                self.others.push(Other {
                    parent,
                    execution_id: None,
                    started_at: now,
                    failed: false,
                    asked: false,
                });
                return if state.is_some() { Some(Vec::new()) } else { self.other(m, now) };
            }
            return state.map(|_| Vec::new());
        };
        if state.as_deref() == Some("idle") {
            let other = self.others.remove(at);
            let Some(id) = other.execution_id else { return Some(Vec::new()) };
            let status = if other.failed { ExecutionStatus::Error } else { ExecutionStatus::Ok };
            let mut effects =
                vec![finished(&id, status, None, now), Effect::Busy(now.since(other.started_at))];
            effects.extend(self.dispatch());
            return Some(effects);
        }
        let other = &mut self.others[at];
        if m.kind == "execute_input" {
            let id = other.execution_id.insert(crate::ids::unique()).clone();
            let code = m.content["code"].as_str().unwrap_or_default().to_owned();
            let execution_count = m.content["execution_count"].as_u64().map(|n| n as u32);
            let body = EventBody::Started { started_at: now, execution_count };
            return Some(vec![
                Effect::Other { execution_id: id.clone(), code },
                Effect::Journal { execution_id: Some(id), body },
            ]);
        }
        let execution_id = other.execution_id.clone();
        let Some(body) = event_of(m) else {
            return Some(if state.is_some() { Vec::new() } else { vec![Effect::Raw] });
        };
        other.failed |= matches!(&body, EventBody::Output { output: Output::Error { .. } });
        let body = self.placed(m.kind, m.parent, body);
        Some(vec![Effect::Journal { execution_id, body }])
    }

    /// The kernel is gone, and with it what others ran.
    pub(super) fn others_gone(&mut self, now: Time) -> Vec<Effect> {
        let gone = std::mem::take(&mut self.others);
        let ids = gone.into_iter().filter_map(|other| other.execution_id);
        ids.map(|id| finished(&id, ExecutionStatus::Lost, None, now)).collect()
    }

    /// The kernel is being asked whether it is through with what it does now.
    pub(super) fn ask_of_others(&mut self) {
        self.others.iter_mut().for_each(|other| other.asked = true);
    }

    /// It is: what others ran then has ended, whether that was heard or not.
    pub(super) fn others_settled(&mut self, now: Time) -> Vec<Effect> {
        let (through, rest): (Vec<Other>, Vec<Other>) =
            std::mem::take(&mut self.others).into_iter().partition(|other| other.asked);
        self.others = rest;
        let ids = through.into_iter().filter_map(|other| other.execution_id);
        ids.map(|id| finished(&id, ExecutionStatus::Lost, None, now)).collect()
    }

    /// Whether others are at something, as far as is known, and the kernel was not asked yet.
    pub(super) fn others_may_be_through(&self) -> bool {
        self.settling.is_none() && self.running.is_none() && !self.others.is_empty()
    }

    /// The execution of another program that runs now: ours, and when it began.
    pub fn other_running(&self) -> Option<(&str, Time)> {
        let other = self.others.iter().find(|other| other.execution_id.is_some())?;
        Some((other.execution_id.as_deref()?, other.started_at))
    }
}

/// Whether a `shutdown_reply` tells that the kernel ends for good.
pub(super) fn ends(kind: &str, content: &Value) -> bool {
    kind == "shutdown_reply" && content["restart"] != true
}
