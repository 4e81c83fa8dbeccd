//! Processes of the operating system: who one is, whether it lives, what it uses, signalling it, its environment.
//!
//! PIDs are reused, so a process is named by an [`Identity`], and nothing is signalled without checking it.
//! What differs by platform lies in one file a platform: `process/linux.rs`, `process/unix.rs`, `process/elsewhere.rs`.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod environment;
mod identity;
#[cfg(target_os = "linux")]
mod linux;
mod sample;
mod signal;
#[cfg(unix)]
mod unix;

pub use environment::{MALLOC_MARK, MALLOC_VARIABLES, clean, with_interpreter_first};
pub use identity::{Identity, boot_id, host, identity_of};
pub use sample::{Sample, Sampler};
pub use signal::{Signal, signal_group, wait_for_death};

#[cfg(not(target_os = "linux"))]
use elsewhere as platform;
#[cfg(target_os = "linux")]
use linux as platform;
