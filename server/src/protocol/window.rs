//! Editor windows: what a client says of its own, and what everybody is told of each.

use serde::{Deserialize, Deserializer, Serialize};

use super::Time;

/// What a client says of its window in `initialize`; every field may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default)]
pub struct AboutWindow {
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

/// An editor window as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Window {
    pub window_id: String,
    /// The first workspace folder, as a path.
    pub folder: Option<String>,
    /// "owner/name" from the git remote.
    pub repo: Option<String>,
    /// From the name of the branch, or set.
    pub issue_number: Option<u32>,
    pub status: Option<String>,
    pub is_intervention: bool,
    pub editor_pid: Option<u32>,
    pub editor_name: Option<String>,
    pub started_at: Time,
    pub last_seen_at: Time,
    /// How often it was taken up again by its token.
    pub reconnect_count: u32,
    pub state: WindowState,
    /// The ids of the sessions that it has attached, or had when it was disconnected.
    pub sessions: Vec<String>,
    /// Whether it is the window that asked.
    pub this_window: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum WindowState {
    Active,
    Disconnected,
}

/// What is to change of a window: absent fields stay, null takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase", default)]
pub struct WindowChange {
    #[serde(deserialize_with = "given")]
    pub folder: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub repo: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub issue_number: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    pub status: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub is_intervention: Option<Option<bool>>,
    #[serde(deserialize_with = "given")]
    pub editor_pid: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    pub editor_name: Option<Option<String>>,
}

/// A null is something that was said.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}
