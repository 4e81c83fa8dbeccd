//! A session as every face shows it.
//!
//! Every field is always there; null says that there is nothing to say.

use serde::{Deserialize, Serialize};

use super::{NotebookRef, Time};

/// A kept kernel with its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Short and url-safe; never changes: not by migration, restart, a new window or a new keeper.
    pub id: String,
    /// The notebook's file name until someone sets one.
    pub label: String,
    /// The first of `notebooks`.
    pub notebook_uri: String,
    /// Absolute and native; null for an untitled notebook.
    pub notebook_path: Option<String>,
    /// False: renamed away or deleted.
    pub notebook_exists: bool,
    /// More than one where the kernel is shared.
    pub notebooks: Vec<NotebookRef>,
    pub kernel: KernelInfo,
    /// The kernel's process; null while starting.
    pub pid: Option<u32>,
    /// The keeper's process; null once it has ended.
    pub keeper_pid: Option<u32>,
    /// Another host's session is only listed, never touched.
    pub host: String,
    /// Of the kernel process: changes with a restart.
    pub started_at: Time,
    /// The last execution's begin, output or end.
    pub last_activity_at: Time,
    /// Time spent executing, in seconds, over all of the history.
    pub busy_seconds: f64,
    pub state: SessionState,
    /// False: keeper or kernel has not answered for a while.
    pub responding: bool,
    /// Kept by any idle policy.
    pub pinned: bool,
    /// Sentences for people: what may be missing or needs attention.
    pub warnings: Vec<String>,
    pub current_execution: Option<CurrentExecution>,
    /// Executions waiting.
    pub queued: u32,
    /// A child process that it is running, by name.
    pub runs: Option<String>,
    /// Who is looking.
    pub windows: Vec<AttachedWindow>,
    /// Kernel with its children, in bytes; null when ended.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub memory_bytes: Option<u64>,
    /// Kernel with its children; 100 is one core; null when ended.
    pub cpu_percent: Option<f64>,
    /// Of an NVIDIA card, in bytes; null where it uses none, or nobody can tell.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "number | null"))]
    pub gpu_memory_bytes: Option<u64>,
    /// Another program started the kernel, and may use or end it, too.
    #[serde(default)]
    pub adopted: bool,
    /// Another session has its notebook, as after a replay: this one lives on without, and names what it had.
    #[serde(default)]
    pub replaced: bool,
    /// An agent started it, and no person's window had it since.
    #[serde(default)]
    pub agent: bool,
    /// When the idle policy stops it if nothing changes; null where it does not.
    #[serde(default)]
    pub stops_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub end_reason: Option<EndReason>,
}

/// Where windows have their id: the face of agents. Also the origin of what they run.
pub const AGENT: &str = "mcp";

impl Session {
    /// Whether a window of a person has it attached.
    pub fn has_window(&self) -> bool {
        self.windows.iter().any(|window| window.window_id != AGENT)
    }
}

/// A kernelspec's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct KernelInfo {
    pub name: String,
    pub display_name: String,
    pub language: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    Starting,
    Idle,
    Busy,
    Restarting,
    Ended,
}

/// How a session ended. `crashed`: the kernel's end was seen; `lost`: it was found gone later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    Stopped,
    Exited,
    Crashed,
    Lost,
}

/// The execution that the kernel is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CurrentExecution {
    pub execution_id: String,
    pub notebook_uri: String,
    pub cell_id: Option<String>,
    pub cell_index: Option<u32>,
    pub started_at: Option<Time>,
    /// What it asks the user for; null where it asks nothing.
    pub input: Option<InputPrompt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InputPrompt {
    pub prompt: String,
    /// The answer must not be shown.
    pub password: bool,
}

/// A window that has the session attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct AttachedWindow {
    pub window_id: String,
    /// The window's first workspace folder; null where it has none.
    pub folder: Option<String>,
    /// Whether it is the window that asked.
    pub this_window: bool,
}
