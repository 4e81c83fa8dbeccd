//! Windows in the file format of coding-agent coordinators: one JSON object, `{ "sessions": [{ folder, repo,
//! issue_number, status, vscode_pid, started_at, is_intervention }], "last_updated" }`.
//!
//! A missing file is an empty store. A damaged one is a warning and an empty store, and stays as it is; an entry that
//! makes no sense is passed over with a warning. Writing replaces the file whole.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sessions, store_failed};
use crate::protocol::{Error, ListWindowsParams, Time, WindowChange};

#[derive(Debug, Serialize, Deserialize)]
struct Store {
    sessions: Vec<Value>,
    #[serde(default)]
    last_updated: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    folder: String,
    #[serde(default)]
    repo: Option<String>,
    #[serde(default)]
    issue_number: Option<u32>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    vscode_pid: Option<u32>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    is_intervention: bool,
}

/// Where a coordinator keeps its store.
pub fn default_store() -> PathBuf {
    let home = std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).map(PathBuf::from);
    let root = if cfg!(windows) { ".mcp_coder" } else { ".config/mcp_coder" };
    home.unwrap_or_default().join(root).join("coordinator_cache").join("vscodeclaude_sessions.json")
}

impl Sessions {
    /// Writes all windows that have a folder, of each folder the latest; their number.
    pub fn export_windows(&self, file: &Path) -> Result<usize, Error> {
        let all = ListWindowsParams {
            repo: None,
            issue_number: None,
            folder: None,
            include_disconnected: Some(true),
        };
        let mut seen = BTreeSet::new();
        let mut sessions = Vec::new();
        for window in self.windows(&all)?.0 {
            let Some(folder) = window.folder.filter(|folder| seen.insert(folder.clone())) else { continue };
            let entry = Entry {
                folder,
                repo: window.repo,
                issue_number: window.issue_number,
                status: window.status,
                vscode_pid: window.editor_pid,
                started_at: Some(window.started_at.to_string()),
                is_intervention: window.is_intervention,
            };
            sessions.push(serde_json::to_value(entry).map_err(store_failed)?);
        }
        let (count, last_updated) = (sessions.len(), Value::from(Time::now().to_string()));
        let text = serde_json::to_vec_pretty(&Store { sessions, last_updated }).map_err(store_failed)?;
        write(file, &text).map_err(|e| store_failed(format!("{}: {e}", file.display())))?;
        Ok(count)
    }

    /// Takes in the windows of a store; how many, and sentences about what could not be read.
    pub async fn import_windows(&self, file: &Path) -> Result<(usize, Vec<String>), Error> {
        let (entries, mut warnings) = read(file)?;
        let mut count = 0;
        for entry in entries {
            let shown: String = entry.to_string().chars().take(80).collect();
            let entry: Entry = match serde_json::from_value(entry) {
                Ok(entry) => entry,
                Err(e) => {
                    warnings.push(format!("an entry was passed over ({e}): {shown}"));
                    continue;
                }
            };
            let started_at = entry.started_at.as_deref().and_then(moment);
            if entry.started_at.is_some() && started_at.is_none() {
                warnings.push(format!("the time at which {} was started cannot be read", entry.folder));
            }
            let change = WindowChange {
                repo: entry.repo.map(Some),
                issue_number: entry.issue_number.map(Some),
                status: entry.status.map(Some),
                editor_pid: entry.vscode_pid.map(Some),
                is_intervention: Some(Some(entry.is_intervention)),
                ..WindowChange::default()
            };
            match self.put_window(&entry.folder, change, started_at).await {
                Ok(_) => count += 1,
                Err(e) if e.kind == crate::protocol::ErrorKind::InvalidParams => {
                    warnings.push(format!("an entry was passed over ({e}): {shown}"));
                }
                Err(e) => return Err(e),
            }
        }
        Ok((count, warnings))
    }
}

/// A store of windows is far smaller.
const LARGEST: u64 = 16 << 20;

fn read(file: &Path) -> Result<(Vec<Value>, Vec<String>), Error> {
    let text = match crate::foreign::read(file, LARGEST) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(e) => return Err(store_failed(e)),
    };
    Ok(match serde_json::from_slice::<Store>(&text) {
        Ok(store) => (store.sessions, Vec::new()),
        Err(e) => (
            Vec::new(),
            vec![format!("{} is no store of windows ({e}): it is left as it is", file.display())],
        ),
    })
}

/// RFC 3339, or the same without a time zone, which is then UTC.
fn moment(text: &str) -> Option<Time> {
    Time::parse(text).or_else(|| Time::parse(&format!("{text}Z")))
}

fn write(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut made = tempfile::Builder::new().prefix(".windows-").tempfile_in(folder)?;
    made.write_all(text)?;
    made.as_file().sync_data()?;
    made.persist(file).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_a_zone() {
        for text in ["2026-01-26T17:00:00Z", "2026-01-26T18:00:00+01:00", "2026-01-26T17:00:00.000000"] {
            assert_eq!(moment(text).unwrap().to_string(), "2026-01-26T17:00:00.000Z", "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }
}
