//! Unix: signals, and on Linux a handle that tells of a process's end.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

use rustix::process::{Pid, kill_process_group};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

use super::signal::Signal;

pub(super) fn signal_group(leader: u32, signal: Signal) -> io::Result<()> {
    let signal = match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    // A kernel that somebody else started may be one of a terminal's group.
    match leads_group(leader) {
        true => kill_process_group(number(leader)?, signal)?,
        false => rustix::process::kill_process(number(leader)?, signal)?,
    }
    Ok(())
}

pub(super) fn kill(pid: u32) -> io::Result<()> {
    rustix::process::kill_process(number(pid)?, rustix::process::Signal::KILL)?;
    Ok(())
}

/// Becomes readable when the process ends, without polling.
#[cfg(target_os = "linux")]
#[expect(deprecated, reason = "its successor is unsafe for handles that may change; an OwnedFd never does")]
pub(super) fn death_handle(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let handle = pidfd_open(number(pid)?, PidfdFlags::NONBLOCK)?;
    AsyncFd::with_interest(handle, tokio::io::Interest::READABLE)
}

pub(super) fn leads_group(pid: u32) -> bool {
    let group = number(pid).and_then(|pid| Ok(rustix::process::getpgid(Some(pid))?));
    group.is_ok_and(|group| group.as_raw_nonzero().get() as u32 == pid)
}

fn number(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{pid} is not the number of a process"))
    })
}
