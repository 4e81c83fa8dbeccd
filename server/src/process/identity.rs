//! Who a process is, so that one that got its number later is never taken for it.

use serde::{Deserialize, Serialize};

use super::platform;

/// A process: its number, when it started, and in which boot of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// On Linux the ticks since boot of field 22 of `/proc/PID/stat`, elsewhere seconds since 1970.
    pub start: u64,
    pub boot: String,
}

/// The identity of a living process; `None` when there is none of that number, or it is a zombie.
pub fn identity_of(pid: u32) -> Option<Identity> {
    let start = platform::start_of_living(pid)?;
    Some(Identity { pid, start, boot: boot_id() })
}

impl Identity {
    /// Whether this very process still lives. A zombie does not.
    pub fn is_alive(&self) -> bool {
        identity_of(self.pid).as_ref() == Some(self)
    }
}

/// Whether a process is stopped: by a signal, or by a debugger.
pub fn is_frozen(pid: u32) -> bool {
    platform::is_frozen(pid)
}

/// When a process began.
pub fn started_at(identity: &Identity) -> crate::protocol::Time {
    crate::protocol::Time(platform::started_at(identity.start))
}

/// Whether a process began before a moment, or about then: one that began later got its number from another.
pub fn started_before(identity: &Identity, at: crate::protocol::Time) -> bool {
    started_at(identity).0 <= at.0 + 60_000
}

/// The process that leads its own group and was started with just these arguments, whatever its program is called.
/// What it forked has its arguments, too, and leads no group.
pub fn leader_started_with(arguments: &[String]) -> Option<Identity> {
    let all = platform::started_with(arguments);
    #[cfg(unix)]
    let all: Vec<u32> = all.into_iter().filter(|pid| super::unix::leads_group(*pid)).collect();
    all.into_iter().find_map(identity_of)
}

/// Whether a process is another one, or was started by it or by what that started.
pub fn descends(pid: u32, from: u32) -> bool {
    // Numbers that are reused while we look could make a circle.
    let line = std::iter::successors(Some(pid), |pid| platform::parent(*pid)).take(1_000);
    line.take_while(|pid| *pid > 1).any(|pid| pid == from)
}

/// Names the current boot of this machine.
pub fn boot_id() -> String {
    platform::boot_id()
}

/// The name of this machine.
pub fn host() -> String {
    platform::host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_process_is_alive() {
        let this = identity_of(std::process::id()).unwrap();
        let check = |identity: Identity, alive: bool| assert_eq!(identity.is_alive(), alive, "{identity:?}");
        check(this.clone(), true);
        check(Identity { start: this.start + 1, ..this.clone() }, false);
        check(Identity { boot: "another".into(), ..this.clone() }, false);
        check(Identity { pid: u32::MAX, ..this.clone() }, false);
        check(Identity { pid: 0, ..this.clone() }, false);
        assert_eq!(identity_of(u32::MAX), None);
        assert!(!host().is_empty() && !boot_id().is_empty());
    }
}
