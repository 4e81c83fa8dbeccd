//! Unix: signals, and on Linux a handle that tells of a process's end.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

use rustix::process::{Pid, kill_process_group};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

use super::signal::Signal;

pub(super) fn signal_group(leader: u32, signal: Signal) -> io::Result<()> {
    // A kernel that somebody else started may be one of a terminal's group.
    if !leads_group(leader) {
        return self::signal(leader, signal);
    }
    kill_process_group(number(leader)?, of(signal))?;
    Ok(())
}

pub(super) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    rustix::process::kill_process(number(pid)?, of(signal))?;
    Ok(())
}

fn of(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    }
}

/// Becomes readable when the process ends, without polling.
#[cfg(target_os = "linux")]
#[expect(deprecated, reason = "its successor is unsafe for handles that may change; an OwnedFd never does")]
pub(super) fn death_handle(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let handle = pidfd_open(number(pid)?, PidfdFlags::NONBLOCK)?;
    AsyncFd::with_interest(handle, tokio::io::Interest::READABLE)
}

/// Has a command lead a session of its own. In one whose leader's parent dies, what is stopped would get SIGHUP and die, too.
#[expect(unsafe_code, reason = "the standard library has no safe way")]
pub fn in_own_session(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let begin = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: between fork and exec it makes this one system call, which allocates nothing and takes no lock.
    unsafe { command.pre_exec(begin) };
}

/// What a process that reaches a limit of file sizes gets: not its end, but a write that fails (`EFBIG`), as on a full disk.
/// Programs that it starts are left as they are by default. Works within a runtime alone.
pub fn outlive_file_limits() {
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    // A handler once set stays, also without anybody who waits for the signal.
    let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(
        rustix::process::Signal::XFSZ.as_raw(),
    ));
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
