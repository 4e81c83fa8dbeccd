//! The window that this process speaks for, and the others as far as offers need them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use std::sync::PoisonError;

use super::{OnOpen, OnRename, Sessions, Settings, store_failed};
use crate::keeper::frames::Request;
use crate::process::Identity;
use crate::protocol::{Error, NotebookName, Time, Window};
use crate::registry::Window as WindowRow;

/// This process's window.
#[derive(Clone, Debug, Default)]
pub struct ThisWindow {
    /// Its id, or `cli`.
    pub id: String,
    /// What the client says of it.
    pub about: Window,
    /// Its workspace folders.
    pub folders: Vec<PathBuf>,
    /// The keys of the notebooks that it shows.
    pub open: Vec<String>,
    /// Those of them with edits that are not saved.
    pub unsaved: Vec<String>,
}

/// How long a window whose sidecar crashed can be taken up again, in milliseconds.
const FORGOTTEN: i64 = 600_000;

/// A window's row, as far as others read it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    about: Window,
    folders: Vec<PathBuf>,
    unsaved: Vec<String>,
}

impl Sessions {
    /// This window's id.
    pub fn window_id(&self) -> String {
        self.window.read().unwrap_or_else(PoisonError::into_inner).id.clone()
    }

    /// A notebook's key, from this window's point of view.
    pub(super) fn key(&self, name: &NotebookName) -> String {
        name.key(&self.window_id())
    }

    pub(super) fn this_window(&self) -> ThisWindow {
        self.window.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn attach_request(&self) -> Request {
        let window = self.this_window();
        let first = window.folders.first().map(|f| f.to_string_lossy().into_owned());
        Request::Attach { window_id: window.id, folder: window.about.folder.or(first) }
    }

    /// Changes what this window is, and tells the registry.
    pub fn update_window(&self, change: impl FnOnce(&mut ThisWindow)) -> Result<(), Error> {
        change(&mut self.window.write().unwrap_or_else(PoisonError::into_inner));
        self.register_window()
    }

    /// Whether this window is known to have edits of a notebook that are not saved.
    pub fn has_unsaved(&self, key: &str) -> bool {
        self.window.read().unwrap_or_else(PoisonError::into_inner).unsaved.iter().any(|k| k == key)
    }

    /// What has to be watched for renames: the window's folders, and the notebooks of live sessions wherever they are.
    pub fn watched(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        (self.this_window().folders, self.notebook_paths())
    }

    /// From time to time: says in the registry that this window is there, and gives back what large outputs took.
    pub fn still_here(&self) -> Result<(), Error> {
        crate::process::let_go();
        self.register_window()
    }

    /// Takes up the window whose sidecar crashed under the same editor process: its id is in the keys of its untitled
    /// notebooks, and questions are addressed to it.
    pub fn succeed_window(&self) {
        let Some(editor) = self.this_window().about.editor_pid else { return };
        let Some(own) = crate::process::identity_of(std::process::id()) else { return };
        let host = crate::process::host();
        for row in self.registry().windows().unwrap_or_default() {
            let same_editor = serde_json::from_str::<Document>(&row.document)
                .is_ok_and(|document| document.about.editor_pid == Some(editor));
            let process = Identity { pid: row.pid, start: row.start, boot: row.boot.clone() };
            if same_editor
                && row.host == host
                && row.boot == own.boot
                && !process.is_alive()
                && self.registry().succeed_window(&row, own.pid, own.start).unwrap_or(false)
            {
                self.window.write().unwrap_or_else(PoisonError::into_inner).id = row.id;
                return;
            }
        }
    }

    /// Puts this window into the registry. The command line has none.
    pub fn register_window(&self) -> Result<(), Error> {
        let window = self.this_window();
        let Some(process) = crate::process::identity_of(std::process::id()).filter(|_| window.id != "cli")
        else {
            return Ok(());
        };
        let document = Document { about: window.about, folders: window.folders, unsaved: window.unsaved };
        let row = WindowRow {
            id: window.id,
            pid: process.pid,
            start: process.start,
            boot: process.boot,
            host: crate::process::host(),
            document: serde_json::to_string(&document).unwrap_or_default(),
            open_notebooks: window.open,
            last_seen: Time::now(),
        };
        self.registry().put_window(&row).map_err(store_failed)
    }

    /// The window's end: what it was asked goes to another.
    pub fn leave(&self) {
        let id = self.window_id();
        if let Err(e) = self.registry().remove_window(&id) {
            tracing::warn!("the window could not be taken from the registry: {e}");
        }
        self.ring();
    }

    /// The living windows of this host; dead ones are forgotten.
    pub(super) fn living_windows(&self) -> Vec<LivingWindow> {
        let rows = self.registry().windows().unwrap_or_default();
        let host = crate::process::host();
        let mut living = Vec::new();
        for row in rows.into_iter().filter(|row| row.host == host) {
            let process = Identity { pid: row.pid, start: row.start, boot: row.boot };
            if !process.is_alive() {
                if Time::now().since(row.last_seen).abs() > FORGOTTEN {
                    let _ = self.registry().remove_window(&row.id);
                }
                continue;
            }
            let document = serde_json::from_str::<Document>(&row.document);
            let (folders, unsaved) = document.map(|d| (d.folders, d.unsaved)).unwrap_or_default();
            living.push(LivingWindow { id: row.id, folders, open: row.open_notebooks, unsaved });
        }
        living
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes new settings.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    pub(super) fn on_open(&self) -> OnOpen {
        self.settings().on_open
    }

    pub(super) fn on_rename(&self) -> OnRename {
        self.settings().on_rename
    }
}

/// Another window, or this one.
pub(super) struct LivingWindow {
    pub id: String,
    pub folders: Vec<PathBuf>,
    pub open: Vec<String>,
    pub unsaved: Vec<String>,
}

impl LivingWindow {
    /// Whether one of its folders holds the path.
    pub fn contains(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }
}
