//! Signals to a kernel and what it started, and waiting for a process to end.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::identity::{Identity, identity_of, started_at};
use super::platform;
use crate::protocol::Time;

const POLL_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

/// Signals the process group that `leader` leads, or it alone where it leads none, after checking that it is still that process. A leader that is
/// dead is an error of kind `NotFound`, also when children of it live on.
pub fn signal_group(leader: &Identity, signal: Signal) -> io::Result<()> {
    if !leader.is_alive() {
        let message = format!("process {} is not running any more", leader.pid);
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    #[cfg(unix)]
    return super::unix::signal_group(leader.pid, signal);
    #[cfg(not(unix))]
    return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{signal:?} cannot be sent here")));
}

/// Milliseconds by which the start of a process is known.
const GRAIN: i64 = 1_000;
/// How long what a kernel left behind may take to end by itself.
const LEAVES: Duration = Duration::from_millis(500);

/// Ends what a kernel that has ended started and left, as its own end would have: all in its session that has not made a new
/// one for itself. Who was not there when it ended says when it surely lived: its number may have been another's since, and
/// what began later is left alone.
pub async fn end_what_is_left(kernel: &Identity, lived_at: Option<Time>) {
    let began_by_then = |found: &Identity| lived_at.is_none_or(|at| started_at(found).0 <= at.0 + GRAIN);
    let left: Vec<Identity> = platform::of_session(kernel.pid)
        .into_iter()
        .filter_map(identity_of)
        .filter(began_by_then)
        .filter(|found| found.boot == kernel.boot && found.start >= kernel.start)
        .collect();
    if left.is_empty() || kernel.is_alive() {
        return;
    }
    tracing::info!(kernel = kernel.pid, left = left.len(), "what the kernel left is ended");
    let send = |signal: Signal| {
        for process in left.iter().filter(|process| process.is_alive()) {
            #[cfg(unix)]
            let _ = super::unix::signal(process.pid, signal);
        }
    };
    send(Signal::Terminate);
    let gone = async {
        for process in &left {
            wait_for_death(process).await;
        }
    };
    if tokio::time::timeout(LEAVES, gone).await.is_err() {
        send(Signal::Kill);
    }
}

/// Kills one process alone, after checking that it is still that process.
pub fn kill(process: &Identity) -> io::Result<()> {
    if !process.is_alive() {
        return Ok(());
    }
    #[cfg(unix)]
    return super::unix::signal(process.pid, Signal::Kill);
    #[cfg(not(unix))]
    return Err(io::Error::new(io::ErrorKind::Unsupported, "processes cannot be killed here"));
}

/// Returns when `process` has ended; at once when it has. Works for any process, not only our children. Cancel-safe.
pub async fn wait_for_death(process: &Identity) {
    #[cfg(target_os = "linux")]
    if let Ok(handle) = super::unix::death_handle(process.pid) {
        // The handle was made by number: only now is it certain whose it is.
        if process.is_alive() {
            let _ = handle.readable().await; // Fails only without the runtime's driver; the loop decides.
        }
    }
    while process.is_alive() {
        sleep(POLL_EVERY).await;
    }
}
