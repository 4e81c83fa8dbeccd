//! Processes of the operating system: who one is, whether it lives, what it uses, signalling it, its environment.
//!
//! PIDs are reused, so a process is named by an [`Identity`], and nothing is signalled without checking it.
//! What differs by platform lies in one file a platform: `process/linux.rs`, `process/unix.rs`, `process/elsewhere.rs`.

mod clock;
mod editor;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod environment;
mod gpu;
mod identity;
#[cfg(target_os = "linux")]
mod linux;
mod owners;
mod sample;
mod signal;
#[cfg(unix)]
mod unix;

pub use clock::{awake_milliseconds, elapsed_milliseconds};
pub use editor::editor_of;
pub use environment::{clean, with_figures_as_data, with_interpreter_first};
pub use gpu::{gpu_bytes, uses_gpu};
pub use identity::{
    Identity, boot_id, descends, host, identity_of, is_frozen, leader_started_with, started_at,
    started_before,
};
pub use owners::{Owner, owners};
pub use sample::{Sample, Sampler};
pub use signal::{Signal, end_what_is_left, kill, signal_group, wait_for_death};
#[cfg(unix)]
pub use unix::{in_own_session, outlive_file_limits};

#[cfg(not(target_os = "linux"))]
use elsewhere as platform;
#[cfg(target_os = "linux")]
use linux as platform;

/// Makes freed memory go back to the system soon. For a process that stays: a large output is held for a moment, and
/// weeks follow. To be called before there are threads.
pub fn stay_small() {
    platform::limit_what_is_kept();
}

/// Gives back what is not in use: freed memory, and code that was needed once. A keeper stays for weeks, and most of what
/// it ran to start, or in a flood of output, is not what it runs while it waits.
pub fn let_go() {
    platform::return_what_is_free();
    platform::unmap_code();
}
