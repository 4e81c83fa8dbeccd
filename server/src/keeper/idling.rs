//! The idle policy: a kernel that is idle, that no window has attached and that is not pinned is stopped after a while,
//! where the user's setting says so. Not one whose notebook was replayed: it stays until the user stops it.
//!
//! The clock starts when the last of the three became true, and stands still while the machine sleeps. A new keeper starts
//! it anew: it was not there to see.

use super::run::Keeper;
use crate::process;
use crate::protocol::{AGENT, SessionState, Time};

/// Milliseconds for which the end is announced.
const WARNED: i64 = 3_600_000;

/// Since when the kernel could be stopped. Owned by the keeper.
#[derive(Debug, Default)]
pub(super) struct Idling {
    /// Milliseconds that the machine was awake.
    since: Option<i64>,
    /// What had happened then: anything since starts the clock anew, however short it was.
    activity: Time,
    /// When it is stopped, as told.
    at: Time,
}

impl Keeper {
    /// From time to time: lets the clock run, and stops the kernel when its time has come.
    pub(super) fn tick_idling(&mut self) {
        // A kernel of another program is in use where we do not see it.
        let Some(limit) = self.record.stop_idle_after.filter(|_| !self.record.foreign) else {
            self.idling.since = None;
            return;
        };
        let is_idle = self.state == SessionState::Idle
            && !self.machine.is_busy()
            && self.machine.queue.is_empty()
            && self.ending.is_none()
            && self.clients.windows().iter().all(|window| window.window_id == AGENT)
            && !self.record.pinned
            && !self.record.lives_on();
        if !is_idle {
            self.status_changed |= self.idling.since.take().is_some();
            return;
        }
        let now = process::awake_milliseconds();
        if self.idling.activity != self.record.last_activity_at {
            self.idling.since = None;
        }
        let before = self.left(now);
        if before.is_none() {
            let (activity, at) = (self.record.last_activity_at, Time(Time::now().0 + limit as i64));
            self.idling = Idling { since: Some(now), activity, at };
        }
        let since = self.idling.since.unwrap_or(now);
        let left = limit as i64 - (now - since);
        self.status_changed |= before.is_none() || before.is_some_and(|b| (b > WARNED) != (left > WARNED));
        if left <= 0 {
            tracing::info!(session = %self.record.id, "idle for as long as the setting allows: stopped");
            let minutes = limit as f64 / 60_000.0;
            self.record.warnings.push(format!(
                "Stopped by the setting stopIdleAfter: idle for {} without a window.",
                words(minutes)
            ));
            self.end_kernel(false, 0, 0);
        }
    }

    /// Somebody did something: the clock starts anew.
    pub(super) fn not_idle(&mut self) {
        self.idling.since = None;
    }

    /// Milliseconds until the kernel is stopped; `None` where it is not.
    fn left(&self, now: i64) -> Option<i64> {
        let (limit, since) = (self.record.stop_idle_after?, self.idling.since?);
        Some(limit as i64 - (now - since))
    }

    /// When the kernel is stopped if nothing changes, and whether that is soon.
    pub(super) fn stops_at(&self) -> Option<(Time, bool)> {
        let left = self.left(process::awake_milliseconds())?;
        Some((self.idling.at, left <= WARNED))
    }
}

fn words(minutes: f64) -> String {
    match minutes {
        ..1.0 => format!("{:.0} s", minutes * 60.0),
        1.0..120.0 => format!("{minutes:.0} min"),
        _ => format!("{:.0} h", minutes / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!([0.1, 90.0, 480.0].map(words), ["6 s", "90 min", "8 h"]);
    }
}
