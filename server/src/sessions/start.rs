//! Starting sessions.
//!
//! The order makes every crash in between harmless: take the lock, reserve the notebook in the registry, write
//! `session.json`, launch the keeper, which inherits the lock. Two windows at once: the second finds the notebook taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::windows::CLI;
use super::{Sessions, invalid, store_failed};
use crate::keeper::frames::Request;
use crate::keeper::{BoundNotebook, KernelLaunch, Purpose, RebuildFrom, Record, Way, launch, take_lock};
use crate::protocol::{Error, ErrorKind, NotebookName, Session, SessionState, Time};
use crate::registry;

/// How long the keeper of a session that has ended may take to be gone.
const KEEPER_LEAVES: Duration = Duration::from_secs(3);

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    pub kernel_name: String,
    pub label: Option<String>,
    pub cwd: Option<String>,
    pub env: BTreeMap<String, String>,
    /// What its kernel runs at once.
    pub rebuild_from: Option<RebuildFrom>,
}

impl Sessions {
    /// Starts a kernel for a notebook, and returns once it is ready; this window has it attached then.
    ///
    /// # Errors
    /// `NotebookHasSession`, `KernelspecNotFound`, `KernelFailed`, `StoreFailed`.
    pub async fn start(self: &Arc<Self>, notebook: &NotebookName, start: Start) -> Result<Session, Error> {
        let label = super::label(start.label.as_deref());
        let launch = self.launch_of(notebook, &start).await?;
        if let Some(session) = self.by_path(notebook).await? {
            return Err(has_session(notebook, Some(session)));
        }
        if let Some(holder) = self.displaced_at(&self.key(notebook)) {
            let released =
                self.write(|registry| registry.release_binding(&holder.session_id, holder.number)).await;
            released.map_err(store_failed)?;
        }
        let id = crate::ids::session();
        let bound = BoundNotebook::new(1, notebook, &self.window_id());
        let mut record = Record::new(id.clone(), bound, launch, Time::now());
        record.agent = self.this_window().is_agent;
        record.rebuild_from = start.rebuild_from;
        record.label = label;
        record.journal_max_bytes = self.settings().journal_max_bytes;
        let lock = take_lock(&self.folders, &id).map_err(store_failed)?;
        let Some(lock) = lock else { return Err(store_failed("a new session's lock is held already")) };
        match self.reserve(&record).await {
            Ok(()) => self.take_file(&id, notebook),
            Err(registry::Error::Taken { session_id }) => {
                // Another host's: the error names it.
                self.known(&session_id)?;
                return Err(has_session(notebook, None));
            }
            Err(registry::Error::Limit { live }) => return Err(too_many(live)),
            Err(e) => return Err(store_failed(e)),
        }
        let launched = self.launch_recorded(&record, lock, None).await;
        if launched.is_err() && !self.folders.session_file(&id).exists() {
            let _ = self.write(|registry| registry.remove_session(&id)).await;
            let _ = std::fs::remove_dir_all(self.folders.run(&id));
            self.live.remove(&id);
            self.ring();
        }
        launched
    }

    /// Starts the kernel of an ended session anew, under the same id, label, notebook and history.
    pub(super) async fn start_again(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        // The old keeper may still be on its way out.
        let deadline = Instant::now() + KEEPER_LEAVES;
        let lock = loop {
            match take_lock(&self.folders, id).map_err(store_failed)? {
                Some(lock) => break lock,
                None if Instant::now() > deadline => {
                    let what = format!("session {id} is starting or ending: try again");
                    return Err(Error::new(ErrorKind::KernelFailed, what));
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let mut record = self.record(id)?;
        if record.host != crate::process::host() {
            return Err(Error::new(
                ErrorKind::ForeignHost,
                format!("session {id} is {}'s: restart it there", record.host),
            ));
        }
        let before = record.clone();
        record.kernel.find_again(record.notebooks[0].path.as_deref())?;
        record.ended_at = None;
        record.end_reason = None;
        record.kernel_process = None;
        record.boot = crate::process::boot_id();
        record.started_at = Time::now();
        record.last_activity_at = record.started_at;
        match self.write(|registry| registry.revive_session(&record.row(), &record.bindings())).await {
            Ok(()) => {}
            Err(registry::Error::Taken { .. }) => return Err(has_session(&record.notebooks[0].name(), None)),
            Err(e) => return Err(store_failed(e)),
        }
        self.launch_recorded(&record, lock, Some(&before)).await
    }

    /// Enters a session that is about to be, unless another has its notebook or too many live.
    pub(super) async fn reserve(&self, record: &Record) -> registry::Result<()> {
        let most = self.settings().max_sessions;
        self.write(|registry| registry.reserve_within(most, &record.row(), &record.bindings())).await
    }

    pub(super) async fn launch_recorded(
        self: &Arc<Self>,
        record: &Record,
        lock: std::fs::File,
        before: Option<&Record>,
    ) -> Result<Session, Error> {
        let id = record.id.as_str();
        if let Err(e) = record.write(&self.folders) {
            // Nothing was started: the registry forgets it again.
            if let Some(before) = before {
                let document = serde_json::to_string(before).unwrap_or_default();
                let at = before.ended_at.unwrap_or(Time::now());
                let _ = self.write(|registry| registry.end_session(id, at, &document)).await;
            }
            return Err(store_failed(format!("session.json could not be written: {e}")));
        }
        // Where the registry was made anew since, of the folders as they were then, it may know nothing of this.
        let is_known = self.registry().session(id).is_ok_and(|row| row.is_some_and(|row| row.live));
        let entered = match is_known {
            true => Ok(()),
            false => self.write(|registry| registry.reserve(&record.row(), &record.bindings())).await,
        };
        if let Err(e) = entered {
            let _ = match before {
                Some(before) => before.write(&self.folders),
                None => std::fs::remove_dir_all(self.folders.session(id)),
            };
            return Err(match e {
                registry::Error::Taken { .. } => has_session(&record.notebooks[0].name(), None),
                other => store_failed(other),
            });
        }
        self.remember(id, true);
        self.ring();
        if let Some(session) = self.cached(id) {
            self.emit(super::Event::Created(session));
        }
        // Marked before the keeper listens, so that the first connection attaches this window.
        if self.window_id() != CLI {
            self.attached.insert(id.to_owned());
        }
        let launched = launch(&self.program, &self.folders, id, Purpose::Start, lock).await;
        if launched.is_err() {
            self.attached.remove(id);
            let gone = self.live.remove(id);
            if let Some((_, gone)) = gone {
                let record = self.record(id).ok();
                let mut session = record.map_or(gone.session, |r| r.to_session(SessionState::Ended));
                session.state = SessionState::Ended;
                session.ended_at.get_or_insert_with(Time::now);
                session.end_reason.get_or_insert(crate::protocol::EndReason::Crashed);
                self.emit(super::Event::Ended(session));
            }
        }
        launched?;
        let client = self.keeper(id).await?;
        // The keeper's word may be here before its newest status: whoever starts a session gets one that is ready.
        client.call(Request::Status {}).await?;
        for _ in 0..100 {
            if self.cached(id).is_none_or(|session| session.state != SessionState::Starting) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.ring();
        let mut session = self.get(id)?;
        self.note_attached();
        self.note_session("sessionStarted", &session, None);
        if self.window_id() != CLI && !session.windows.iter().any(|w| w.this_window) {
            session = self.attach_window(id).await?;
        }
        Ok(session)
    }

    async fn launch_of(
        self: &Arc<Self>,
        notebook: &NotebookName,
        start: &Start,
    ) -> Result<KernelLaunch, Error> {
        let spec = self.kernelspec(&start.kernel_name, notebook).await?;
        let cwd = self.working_folder(notebook, start.cwd.as_deref())?;
        let cannot_be = |(name, value): &(&String, &String)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        };
        if let Some((name, _)) = start.env.iter().find(cannot_be) {
            let what = format!("\"{}\" and its value cannot be an environment variable", name.escape_debug());
            return Err(invalid("env", what));
        }
        let base = crate::process::clean(std::env::vars_os());
        let text = |word: &std::ffi::OsString| word.to_string_lossy().into_owned();
        let mut env: BTreeMap<String, String> =
            spec.variables(&base).iter().map(|(n, v)| (text(n), text(v))).collect();
        env.extend(start.env.clone());
        Ok(KernelLaunch {
            argv: spec.command(Path::new("{connection_file}")).iter().map(text).collect(),
            name: spec.name,
            display_name: spec.display_name,
            language: spec.language,
            env,
            way: way_of(&spec.metadata),
            interrupt_by_message: spec.interrupt_mode == crate::jupyter::InterruptMode::Message,
            beside_notebook: start.cwd.is_none()
                && notebook.path.as_deref().and_then(Path::parent) == Some(&cwd),
            cwd,
        })
    }

    /// Where the kernel runs: as asked, else the notebook's folder, else the window's, else the home folder.
    fn working_folder(&self, notebook: &NotebookName, asked: Option<&str>) -> Result<PathBuf, Error> {
        if let Some(asked) = asked {
            let path = PathBuf::from(asked);
            let right = path.is_absolute() && path.is_dir();
            return right
                .then_some(path)
                .ok_or_else(|| invalid("cwd", format!("\"{asked}\" is not an absolute path of a folder")));
        }
        let own = notebook.path.as_deref().and_then(Path::parent).map(Path::to_owned);
        let window = self.this_window();
        let choices =
            own.into_iter().chain(window.folders).chain(std::env::var_os("HOME").map(PathBuf::from));
        Ok(choices.into_iter().find(|dir| dir.is_dir()).unwrap_or_else(|| PathBuf::from("/")))
    }
}

/// What a kernelspec's metadata says of how its kernel is spoken with: `{"kernel_keeper": {"transport": "tcp"}}`, or `"ipc"`.
fn way_of(metadata: &serde_json::Map<String, serde_json::Value>) -> Option<Way> {
    match metadata.get("kernel_keeper")?["transport"].as_str()? {
        "tcp" => Some(Way::Tcp),
        "ipc" => Some(Way::Ipc),
        _ => None,
    }
}

/// The refusal of one kernel more than the setting allows.
pub(super) fn too_many(live: u32) -> Error {
    let what = format!(
        "{live} kernels are running, as many as the setting kernelKeeper.maxSessions allows: stop some of them"
    );
    Error::new(ErrorKind::LimitReached, what).with("limit", live)
}

/// The refusal of a second kernel on a notebook.
pub(super) fn has_session(notebook: &NotebookName, session: Option<Session>) -> Error {
    let name = notebook.file_name();
    let what = match session.as_ref().and_then(|s| s.pid) {
        Some(pid) => format!("{name} has a live kernel already (PID {pid}): resume it, or stop it first"),
        None => format!("{name} has a live kernel already: resume it, or stop it first"),
    };
    let error = Error::new(ErrorKind::NotebookHasSession, what);
    match session {
        Some(session) => error.with("session", serde_json::to_value(session).unwrap_or_default()),
        None => error,
    }
}
