//! Signals to a kernel and what it started, and waiting for a process to end.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::identity::Identity;

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

/// Kills one process alone, after checking that it is still that process.
pub fn kill(process: &Identity) -> io::Result<()> {
    if !process.is_alive() {
        return Ok(());
    }
    #[cfg(unix)]
    return super::unix::kill(process.pid);
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
