//! The keeper: one process a kernel, detached, which outlives every face.
//!
//! It owns the kernel's process and channels, journals everything before it tells anybody, and serves any number of
//! faces on one local socket. `run` is its loop, `machine` what messages mean; `client` and `spawn` are what faces use.

mod beginning;
mod binding;
mod client;
mod clients;
mod ending;
pub mod frames;
mod idling;
mod kernel;
mod logs;
mod machine;
mod messages;
mod questions;
mod record;
mod registry;
mod requests;
mod run;
mod snapshot_files;
mod snapshots;
mod spawn;
mod state;
mod writing;

pub use client::{KeeperClient, KeeperEvent, Reply, session_of};
pub use kernel::{Way, remove_sockets};
pub use logs::KeeperLog;
pub use questions::read_variables;
pub use record::{BoundNotebook, KernelLaunch, RebuildFrom, Record, open_registry};
pub use run::run;
pub use snapshot_files::{Description, ON_STOP, checked, holds_snapshots, remove_snapshot, snapshots};
pub use spawn::{Purpose, launch, run_launcher, tail, take_lock};
pub use writing::release;
