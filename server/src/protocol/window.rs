//! An editor window as the registry knows it.

use serde::{Deserialize, Serialize};

/// What a client says of its window in `initialize`; every field may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default)]
pub struct Window {
    /// The editor's process.
    pub editor_pid: Option<u32>,
    pub editor_name: Option<String>,
    /// The first workspace folder, as a path.
    pub folder: Option<String>,
    /// "owner/name" from the git remote.
    pub repo: Option<String>,
    pub issue_number: Option<u32>,
    pub status: Option<String>,
    pub is_intervention: Option<bool>,
}
