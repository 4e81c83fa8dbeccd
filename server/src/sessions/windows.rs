//! The window that this process speaks for, and the others as far as offers need them.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::{OnOpen, OnRename, Sessions, Settings, repository, store_failed};
use crate::keeper::KeeperClient;
use crate::keeper::frames::Request;
use crate::process::Identity;
use crate::protocol::{AGENT, AboutWindow, Error, NotebookName, Session, Time};
use crate::registry::{self, Window as WindowRow};

/// This process's window.
#[derive(Clone, Debug, Default)]
pub struct ThisWindow {
    /// Its id, or [`CLI`], or [`AGENT`].
    pub id: String,
    /// What the client says of it.
    pub about: AboutWindow,
    /// Its workspace folders.
    pub folders: Vec<PathBuf>,
    /// The keys of the notebooks that it shows.
    pub open: Vec<String>,
    /// Those of them with edits that are not saved.
    pub unsaved: Vec<String>,
    /// What it says that it is, as the registry has it; filled in when it is registered.
    pub said: String,
    /// The Python environments that a person was offered in it.
    pub environments: Vec<PathBuf>,
    /// An agent is behind it, and no person.
    pub is_agent: bool,
}

/// How long the reload of a window may take, in milliseconds.
const RELOAD: i64 = 30_000;

/// What the command line is, where windows have their id.
pub const CLI: &str = "cli";

/// How long a window whose sidecar crashed can be taken up again, in milliseconds.
const FORGOTTEN: i64 = 600_000;

/// How long a window waits for the disk that its folder lies on, to know its repository.
const FOLDER_ANSWERS: std::time::Duration = std::time::Duration::from_secs(2);

/// A window's row, as far as others read it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    /// What its client says.
    pub about: AboutWindow,
    pub folders: Vec<PathBuf>,
    pub unsaved: Vec<String>,
    /// The Python environments that a person was offered in it.
    pub environments: Vec<PathBuf>,
    /// The ids of the sessions that it has attached.
    pub attached: Vec<String>,
    /// How often it says that it is there, in milliseconds.
    pub sign_every: u64,
    /// An agent took it up: it asks nobody.
    pub is_agent: bool,
}

/// What a window is said to be, by itself or by others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Said {
    #[serde(flatten)]
    pub about: AboutWindow,
    /// The editor's process, where its PID was one of an editor when it was told.
    pub editor: Option<Identity>,
}

impl Said {
    pub fn new(mut about: AboutWindow) -> Said {
        about.cut();
        Said { editor: about.editor_pid.and_then(crate::process::editor_of), about }
    }

    pub fn of(row: &WindowRow) -> Said {
        let mut said: Said = serde_json::from_str(&row.about).unwrap_or_default();
        // An earlier version took in what came.
        said.about.cut();
        said
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Document {
    /// What has attached what becomes the names of folders.
    pub fn of(row: &WindowRow) -> Document {
        let mut document: Document = serde_json::from_str(&row.document).unwrap_or_default();
        document.attached.retain(|id| crate::ids::is_id(id));
        document
    }
}

impl Sessions {
    /// This window's id.
    pub fn window_id(&self) -> String {
        self.window.read().unwrap_or_else(PoisonError::into_inner).id.clone()
    }

    /// Whether this process speaks for a window of an editor, and so for a person who looks.
    pub(super) fn is_window(&self) -> bool {
        let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
        window.id != CLI && !window.is_agent
    }

    /// A notebook's key, from this window's point of view: of one that lives under another spelling that one's.
    pub fn key(&self, name: &NotebookName) -> String {
        self.spelt_otherwise(name).map_or_else(|| self.own_key(name), |binding| binding.key)
    }

    /// The key of this spelling.
    pub(super) fn own_key(&self, name: &NotebookName) -> String {
        name.key(&self.window_id())
    }

    pub(super) fn this_window(&self) -> ThisWindow {
        self.window.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn attach_request(&self) -> Request {
        let window = self.this_window();
        let first = window.folders.first().map(|f| f.to_string_lossy().into_owned());
        let folder = window.about.folder.or(first);
        Request::Attach { window_id: window.id, folder, agent: window.is_agent }
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
    pub async fn succeed_window(&self, editor: u32) {
        let Some(own) = crate::process::identity_of(std::process::id()) else { return };
        let host = crate::process::host();
        // All windows of an editor may have one process.
        let own_folders = self.this_window().folders;
        for row in self.registry().windows().unwrap_or_default() {
            let crashed = !row.has_left && Time::now().since(row.last_seen).abs() < FORGOTTEN;
            if crashed
                && row.has_sidecar
                && Document::of(&row).about.editor_pid == Some(editor)
                && Document::of(&row).folders == own_folders
                && row.host == host
                && row.boot == own.boot
                && !sidecar(&row).is_alive()
                && self
                    .write(|registry| registry.succeed_window(&row, own.pid, own.start))
                    .await
                    .unwrap_or(false)
            {
                self.window.write().unwrap_or_else(PoisonError::into_inner).id = row.id;
                return;
            }
        }
    }

    /// Puts this window into the registry. The command line has none.
    pub fn register_window(&self) -> Result<(), Error> {
        self.yield_id();
        let window = self.this_window();
        let Some(process) = crate::process::identity_of(std::process::id())
            .filter(|_| ![CLI, AGENT].contains(&window.id.as_str()))
        else {
            return Ok(());
        };
        let mut attached: Vec<String> = self.attached.iter().map(|id| id.clone()).collect();
        attached.sort();
        let document = Document {
            about: window.about.clone(),
            folders: window.folders,
            unsaved: window.unsaved,
            environments: window.environments,
            attached,
            sign_every: self.settings().sign_every().as_millis() as u64,
            is_agent: window.is_agent,
        };
        let now = Time::now();
        let row = WindowRow {
            id: window.id,
            pid: process.pid,
            start: process.start,
            boot: process.boot,
            host: crate::process::host(),
            document: serde_json::to_string(&document).unwrap_or_default(),
            open_notebooks: window.open,
            last_seen: now,
            about: self.said(),
            started_at: now,
            has_sidecar: true,
            seen_awake: Some(crate::process::awake_milliseconds()),
            ..WindowRow::default()
        };
        let (id, folder) = (row.id.clone(), window.about.folder);
        match self.registry().put_window(&row) {
            Ok(true) => {
                self.note_window("windowConnected", &id, folder.as_deref(), None);
                self.ring();
            }
            Ok(false) => {}
            // It is no news to anybody, or will be seen by those who look.
            Err(registry::Error::Busy) => {
                self.write_later(move |registry| registry.put_window(&row).map(drop))
            }
            Err(e) => return Err(store_failed(e)),
        }
        Ok(())
    }

    /// Another process took this window up while it was silent: this one goes on as a window of its own.
    fn yield_id(&self) {
        let own = std::process::id();
        let row = self.registry().window(&self.window_id()).ok().flatten();
        if row.is_some_and(|row| row.has_sidecar && row.pid != own && sidecar(&row).is_alive()) {
            self.window.write().unwrap_or_else(PoisonError::into_inner).id = crate::ids::session();
        }
    }

    /// What the client says of its window now counts, where the window was known by other words.
    pub(super) fn say_anew(&self) {
        let own = self.this_window().about;
        let id = self.window_id();
        let say = move |row: &mut WindowRow| {
            let (own, mut said) = (own.clone(), Said::of(row).about);
            said.folder = own.folder.or(said.folder);
            said.repo = own.repo.or(said.repo);
            said.issue_number = own.issue_number.or(said.issue_number);
            said.status = own.status.or(said.status);
            said.is_intervention = own.is_intervention.or(said.is_intervention);
            said.editor_pid = own.editor_pid.or(said.editor_pid);
            said.editor_name = own.editor_name.or(said.editor_name);
            row.about = Said::new(said).to_json();
        };
        self.write_later(move |registry| registry.change_window(&id, &say).map(drop));
    }

    /// Which sessions it has attached is known to who takes it up again.
    pub(super) fn note_attached(&self) {
        if let Err(e) = self.register_window() {
            tracing::warn!("what the window has attached could not be noted: {e}");
        }
    }

    /// Reads what the window's folder says that it is about, on a thread beside: its files are others'. Where the disk does
    /// not answer soon, that is looked at again later (`clean_up.rs`).
    pub async fn look_at_folder(&self) {
        let about = self.this_window().about;
        let known = about.clone();
        let read = tokio::task::spawn_blocking(move || repository::complete(&about));
        let read = tokio::time::timeout(FOLDER_ANSWERS, read).await.ok().and_then(Result::ok);
        let said = Said::new(read.unwrap_or(known)).to_json();
        self.window.write().unwrap_or_else(PoisonError::into_inner).said = said;
    }

    /// What the window says that it is; read from its folder once.
    fn said(&self) -> String {
        let mut window = self.window.write().unwrap_or_else(PoisonError::into_inner);
        if window.said.is_empty() {
            window.said = Said::new(repository::complete(&window.about)).to_json();
        }
        window.said.clone()
    }

    /// The window's end: what it was asked goes to another.
    pub fn leave(&self) {
        let id = self.window_id();
        let left = self.registry().change_window(&id, |row| {
            if row.pid != std::process::id() {
                return;
            }
            (row.disconnected_at, row.has_left) = (Some(Time::now()), true);
            row.open_notebooks.clear();
        });
        match left {
            Ok(_) => {
                self.note_window("windowDisconnected", &id, self.this_window().about.folder.as_deref(), None);
            }
            Err(e) => tracing::warn!("the registry does not know that the window is gone: {e}"),
        }
        self.ring();
    }

    /// The living windows of this host, behind which there are people.
    pub(super) fn living_windows(&self) -> Vec<LivingWindow> {
        let rows = self.registry().windows().unwrap_or_default();
        let host = crate::process::host();
        let is_here = |row: &WindowRow| row.has_sidecar && !row.has_left && row.host == host;
        let is_persons = |row: &WindowRow| !Document::of(row).is_agent;
        let living =
            rows.into_iter().filter(|row| is_here(row) && is_persons(row) && sidecar(row).is_alive());
        living
            .map(|row| {
                let Document { folders, unsaved, environments, .. } = Document::of(&row);
                LivingWindow { id: row.id, folders, open: row.open_notebooks, unsaved, environments }
            })
            .collect()
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a person has a session before their eyes: a window has it attached or one of its notebooks open, or had it
    /// a moment ago and is being reloaded.
    pub fn is_open(&self, session: &Session) -> bool {
        session.has_window() || self.is_shown(session, false) || self.is_reloaded(session)
    }

    /// Whether a window has one of its notebooks open; with `there` one that still is a file.
    pub fn is_shown(&self, session: &Session, there: bool) -> bool {
        let bound = self.bound(&session.id).into_iter();
        let keys: Vec<String> =
            bound.filter(|binding| !there || self.is_there(binding)).map(|binding| binding.key).collect();
        self.living_windows().iter().any(|window| window.open.iter().any(|open| keys.contains(open)))
    }

    fn is_reloaded(&self, session: &Session) -> bool {
        let now = Time::now();
        let rows = self.registry().windows().unwrap_or_default();
        rows.iter().any(|row| {
            let document = Document::of(row);
            let gone_at = row.disconnected_at.unwrap_or(row.last_seen);
            // With a token it means to come back.
            let returns = row.token.is_some() && !document.is_agent && now.since(gone_at) < RELOAD;
            returns && document.attached.contains(&session.id)
        })
    }

    /// Takes new settings.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        for live in &self.live {
            if let Some(client) = &live.client {
                self.tell_keeper(client);
            }
        }
    }

    /// What each keeper is to know of this window; its answers mean nothing.
    pub(super) fn tell_keeper(&self, client: &KeeperClient) {
        if !self.is_window() {
            return;
        }
        let limit = self.settings().stop_idle_after.map(|limit| limit.as_millis() as u64);
        let _ = client.send(Request::StopIdleAfter { milliseconds: limit });
        if self.is_visible.load(Ordering::Relaxed) {
            let _ = client.send(Request::Watch { visible: true });
        }
    }

    /// The window shows figures of kernels to somebody, or does no more.
    pub fn set_visible(&self, visible: bool) {
        self.is_visible.store(visible, Ordering::Relaxed);
        for live in &self.live {
            if let Some(client) = &live.client {
                let _ = client.send(Request::Watch { visible });
            }
        }
    }

    pub(super) fn on_open(&self) -> OnOpen {
        self.settings().on_open
    }

    pub(super) fn on_rename(&self) -> OnRename {
        self.settings().on_rename
    }
}

/// The process of a window's sidecar.
pub(super) fn sidecar(row: &WindowRow) -> Identity {
    Identity { pid: row.pid, start: row.start, boot: row.boot.clone() }
}

/// Another window, or this one.
pub(super) struct LivingWindow {
    pub id: String,
    pub folders: Vec<PathBuf>,
    pub open: Vec<String>,
    pub unsaved: Vec<String>,
    /// The Python environments that a person was offered in it.
    pub environments: Vec<PathBuf>,
}

impl LivingWindow {
    /// Whether one of its folders holds the path.
    pub fn contains(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }
}
