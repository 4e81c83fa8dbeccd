//! Keepers and kernels that the system has stopped (SIGSTOP, a debugger): they hold their connections and answer nothing.
//!
//! Seen by the state of their processes, so that nobody has to wait for an answer that does not come.

use std::sync::Arc;

use super::{Event, Sessions, lock};
use crate::process::is_frozen;
use crate::protocol::{Session, SessionState};

/// Whether the session's keeper or kernel is stopped now.
pub(super) fn is_stopped(session: &Session) -> bool {
    let processes = [session.keeper_pid, session.pid];
    session.state != SessionState::Ended && processes.into_iter().flatten().any(is_frozen)
}

impl Sessions {
    /// From time to time: tells of sessions that stopped responding, or do again.
    pub fn look_for_frozen(self: &Arc<Self>) {
        let live: Vec<Session> = self.live.iter().map(|live| live.session.clone()).collect();
        let now =
            live.iter().filter(|session| is_stopped(session)).map(|session| session.id.clone()).collect();
        let before = std::mem::replace(&mut *lock(&self.frozen), now);
        let now = lock(&self.frozen).clone();
        for session in live.into_iter().filter(|s| before.contains(&s.id) != now.contains(&s.id)) {
            self.emit(Event::Updated(self.present(session)));
        }
    }
}
