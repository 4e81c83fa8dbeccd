//! `session.json`: what a session is, as the state folder keeps it. The keeper owns it while it lives; afterwards
//! whoever holds the keeper's lock. Replaced atomically, so that a reader finds the old or the new one, whole.

mod launch;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use launch::KernelLaunch;

use crate::paths::Folders;
use crate::process::Identity;
use crate::protocol::{
    EndReason, KernelInfo, NotebookName, NotebookRef, Session, SessionState, Time, limits,
};
use crate::registry::{self, Binding, Registry, SessionRow};

/// The format that this build writes. Later ones only add.
const VERSION: u32 = 1;

/// A session on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub version: u32,
    pub id: String,
    pub host: String,
    pub boot: String,
    /// Set by a person; `None`: derived from the first notebook's name.
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub pinned: bool,
    pub notebooks: Vec<BoundNotebook>,
    /// Those that shared the kernel and let go: the history still names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_notebooks: Vec<BoundNotebook>,
    /// The session that gave it its notebook for a replay: should that one's record not say so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What its first kernel is given to run, until that is in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild_from: Option<RebuildFrom>,
    pub kernel: KernelLaunch,
    pub created_at: Time,
    /// Of the kernel's process.
    pub started_at: Time,
    pub last_activity_at: Time,
    #[serde(default)]
    pub keeper: Option<Identity>,
    #[serde(default)]
    pub kernel_process: Option<Identity>,
    /// Limit of the journal, from the settings of the window that started the session.
    #[serde(default = "default_journal_limit")]
    pub journal_max_bytes: u64,
    /// Another program started its kernel, and may use it, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
    /// An agent started it, and no person's window had it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agent: bool,
    /// The idle policy, in milliseconds; `None`: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_idle_after: Option<u64>,
    #[serde(default)]
    pub busy_seconds: f64,
    /// Its journal gave numbers to events; those of earlier builds may have.
    #[serde(default = "yes")]
    pub has_events: bool,
    #[serde(default)]
    pub ended_at: Option<Time>,
    #[serde(default)]
    pub end_reason: Option<EndReason>,
    /// What may be missing or needs attention, for people.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What had succeeded in an earlier session, to be run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildFrom {
    pub session_id: String,
    /// The start of its last kernel: what ran before was not in that one's memory.
    pub since: Time,
    /// The notebook's number there: what others ran is code without a cell here.
    pub notebook: Option<u32>,
    /// The window that asked for it.
    pub origin: String,
    /// The last execution that is run again; `None`: all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A notebook of the session. Journal rows hold the number alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundNotebook {
    pub number: u32,
    /// As the window spelt it.
    pub uri: String,
    /// [`NotebookName::key`]: the path, or window and URI of an untitled one.
    pub key: String,
    /// `None` for an untitled one.
    pub path: Option<PathBuf>,
    /// Another session has it: what was replayed from this one's history, or this one, whose replay has not begun. Its name
    /// stays, for a session is never without one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub let_go: bool,
}

fn yes() -> bool {
    true
}

fn default_journal_limit() -> u64 {
    1 << 30
}

impl Record {
    /// A session about to start.
    pub fn new(id: String, notebook: BoundNotebook, kernel: KernelLaunch, now: Time) -> Record {
        Record {
            version: VERSION,
            id,
            host: crate::process::host(),
            boot: crate::process::boot_id(),
            label: None,
            pinned: false,
            notebooks: vec![notebook],
            former_notebooks: Vec::new(),
            replaces: None,
            rebuild_from: None,
            kernel,
            created_at: now,
            started_at: now,
            last_activity_at: now,
            keeper: None,
            kernel_process: None,
            journal_max_bytes: default_journal_limit(),
            foreign: false,
            agent: false,
            stop_idle_after: None,
            busy_seconds: 0.0,
            has_events: false,
            ended_at: None,
            end_reason: None,
            warnings: Vec::new(),
        }
    }

    /// Reads `session.json`.
    ///
    /// # Errors
    /// Absent or unreadable; `InvalidData` where it is damaged or was written by a newer version. The message names the file.
    pub fn read(folders: &Folders, id: &str) -> io::Result<Record> {
        let path = folders.session_file(id);
        let named = |kind, what: String| io::Error::new(kind, format!("{}: {what}", path.display()));
        if !crate::ids::is_id(id) {
            return Err(named(io::ErrorKind::NotFound, "not a session's folder".into()));
        }
        let text = std::fs::read(&path).map_err(|e| named(e.kind(), e.to_string()))?;
        let record = Record::parse(id, &text).map_err(|why| named(io::ErrorKind::InvalidData, why))?;
        if record.version > VERSION {
            let what = format!(
                "written by a newer Kernel Keeper (format {}, this one knows {VERSION})",
                record.version
            );
            return Err(named(io::ErrorKind::InvalidData, what));
        }
        Ok(record)
    }

    /// The registry's copy.
    pub fn of_row(row: &SessionRow) -> Option<Record> {
        Record::parse(&row.id, row.document.as_bytes()).ok()
    }

    /// The record of the session with this id, out of its file or of the registry's copy. What it names is checked here:
    /// ids become the names of folders. The error says why it is none.
    pub fn parse(id: &str, text: &[u8]) -> Result<Record, String> {
        let record: Record =
            serde_json::from_slice(text).map_err(|e| format!("not a session's record ({e})"))?;
        let others = record.rebuild_from.iter().map(|from| &from.session_id).chain(&record.replaces);
        let are_ids = others.chain([&record.id]).all(|id| crate::ids::is_id(id));
        if record.id != id || !are_ids || record.notebooks.is_empty() {
            return Err("not this session's record".into());
        }
        Ok(record)
    }

    /// Replaces `session.json`; the file is private from its creation. Nobody waits for the disk: after a power cut, which
    /// ends the kernel too, a file that was not there yet is replaced by the registry's copy.
    pub fn write(&self, folders: &Folders) -> io::Result<()> {
        let dir = folders.session(&self.id);
        crate::paths::make_private(&dir)?;
        let mut file = tempfile::Builder::new().prefix(".session-").tempfile_in(&dir)?;
        file.write_all(&serde_json::to_vec_pretty(self).map_err(io::Error::other)?)?;
        let file = file.persist(folders.session_file(&self.id)).map_err(|e| e.error)?;
        let sync = move || drop(file.sync_data());
        // Where no thread is to be had, the system writes it in its own time.
        let _ = std::thread::Builder::new().name("sync".into()).stack_size(64 << 10).spawn(sync);
        Ok(())
    }

    /// What people call it.
    pub fn label(&self) -> String {
        let mut label = self.label.clone().unwrap_or_else(|| self.first().file_name());
        limits::cut(&mut label, limits::LABEL);
        label
    }

    /// The registry's row of it.
    pub fn row(&self) -> SessionRow {
        SessionRow {
            id: self.id.clone(),
            host: self.host.clone(),
            boot: self.boot.clone(),
            live: self.ended_at.is_none(),
            document: serde_json::to_string(self).unwrap_or_default(),
            created_at: self.created_at,
            last_activity_at: self.last_activity_at,
            ended_at: self.ended_at,
        }
    }

    /// Tells the registry the end, where it may not have known the session.
    pub fn end_in(&self, registry: &Registry) -> registry::Result<()> {
        let row = self.row();
        match registry.end_session(&self.id, self.ended_at.unwrap_or(Time::now()), &row.document) {
            Err(registry::Error::Missing { .. }) => registry.reserve(&row, &self.bindings()),
            done => done,
        }
    }

    /// Its end, as one of the recent events.
    pub fn end_event(&self) -> registry::Event {
        let reason = self.end_reason.and_then(|reason| serde_json::to_value(reason).ok());
        registry::Event {
            at: self.ended_at.unwrap_or(Time::now()),
            kind: "sessionEnded".into(),
            session_id: Some(self.id.clone()),
            label: Some(self.label()),
            detail: reason.and_then(|reason| reason.as_str().map(str::to_owned)),
            ..registry::Event::default()
        }
    }

    /// The registry's rows of its notebooks.
    pub fn bindings(&self) -> Vec<Binding> {
        let live = self.ended_at.is_none();
        let (past, bound): (Vec<_>, Vec<_>) = self.notebooks.iter().partition(|notebook| notebook.let_go);
        let bound = bound.into_iter().map(|notebook| notebook.binding(&self.id, live));
        let past = past.into_iter().chain(&self.former_notebooks).map(|notebook| Binding {
            file: None,
            given_up: true,
            ..notebook.binding(&self.id, false)
        });
        bound.chain(past).collect()
    }

    fn first(&self) -> NotebookName {
        self.notebooks[0].name()
    }

    /// The notebook with that number.
    pub fn notebook(&self, number: u32) -> Option<&BoundNotebook> {
        self.notebooks.iter().find(|n| n.number == number)
    }

    /// Whether it lives on without a notebook, for others have what it had.
    pub fn lives_on(&self) -> bool {
        self.notebooks.iter().all(|notebook| notebook.let_go)
    }

    /// The session as far as it is known while its keeper cannot be asked: a kernel that was started may be at anything.
    pub fn unseen(&self) -> Session {
        let started = self.kernel_process.is_some();
        self.to_session(if started { SessionState::Busy } else { SessionState::Starting })
    }

    /// The session as faces show it, as far as the record knows.
    pub fn to_session(&self, state: SessionState) -> Session {
        let notebooks: Vec<NotebookRef> = self.notebooks.iter().map(|n| n.name().to_ref()).collect();
        let mut session = Session {
            id: self.id.clone(),
            label: self.label(),
            notebook_uri: notebooks[0].notebook_uri.clone(),
            notebook_path: notebooks[0].notebook_path.clone(),
            notebook_exists: self.notebooks[0].exists(),
            notebooks,
            kernel: KernelInfo {
                name: self.kernel.name.clone(),
                display_name: self.kernel.display_name.clone(),
                language: self.kernel.language.clone(),
            },
            pid: self.kernel_process.as_ref().map(|p| p.pid),
            keeper_pid: self.keeper.as_ref().map(|p| p.pid).filter(|_| self.ended_at.is_none()),
            host: self.host.clone(),
            started_at: self.started_at,
            last_activity_at: self.last_activity_at,
            busy_seconds: self.busy_seconds,
            state: if self.ended_at.is_some() { SessionState::Ended } else { state },
            responding: true,
            pinned: self.pinned,
            warnings: self.warnings.clone(),
            current_execution: None,
            queued: 0,
            runs: None,
            windows: Vec::new(),
            memory_bytes: None,
            cpu_percent: None,
            adopted: self.foreign,
            replaced: self.lives_on(),
            agent: self.agent,
            gpu_memory_bytes: None,
            stops_at: None,
            ended_at: self.ended_at,
            end_reason: self.end_reason,
        };
        session.cut();
        session
    }
}

impl BoundNotebook {
    /// Binds a notebook; `window` scopes an untitled one.
    pub fn new(number: u32, name: &NotebookName, window: &str) -> BoundNotebook {
        BoundNotebook {
            number,
            uri: name.uri.clone(),
            key: name.key(window),
            path: name.path.clone(),
            let_go: false,
        }
    }

    /// Back to the name.
    pub fn name(&self) -> NotebookName {
        NotebookName { uri: self.uri.clone(), path: self.path.clone() }
    }

    /// What a session is called that is to take it for a replay, until it has.
    pub fn replayed(&self) -> String {
        format!("{} replayed", self.name().file_name())
    }

    /// Its row in the registry, with the file that is there now.
    pub fn binding(&self, session_id: &str, live: bool) -> Binding {
        Binding {
            session_id: session_id.to_owned(),
            number: self.number,
            key: self.key.clone(),
            uri: self.uri.clone(),
            file: self.path.as_deref().and_then(crate::paths::file_identity),
            live,
            given_up: false,
        }
    }

    /// Whether its file is there; an untitled one counts as there.
    pub fn exists(&self) -> bool {
        self.path.as_deref().is_none_or(Path::exists)
    }
}

/// Opens the registry. Whoever finds it missing or damaged makes it of the session folders, now or whenever that is found.
pub fn open_registry(folders: &Folders) -> registry::Result<Registry> {
    let of = folders.clone();
    Registry::open(&folders.state, Arc::new(move || on_disk(&of)))
}

/// All sessions as their folders tell them. A record that is none, or is not ours to read, is left where it is; what may be over
/// in a moment, as where this process has too many files open, is an error.
fn on_disk(folders: &Folders) -> registry::Result<Vec<(SessionRow, Vec<Binding>)>> {
    use io::ErrorKind::{InvalidData, NotFound, PermissionDenied};
    let failed = |source: io::Error| registry::Error::Io { path: folders.state.join("sessions"), source };
    let mut records: Vec<Record> = Vec::new();
    for id in folders.session_ids().map_err(failed)? {
        match Record::read(folders, &id) {
            Ok(record) => records.push(record),
            Err(e) if matches!(e.kind(), NotFound | InvalidData | PermissionDenied) => {
                tracing::warn!("a session is left out of the registry: {e}");
            }
            Err(e) => return Err(failed(e)),
        }
    }
    records.sort_by_key(|record| record.last_activity_at);
    let replaced = replaced(&records);
    let rows = records.into_iter().map(|mut record| {
        for notebook in &mut record.notebooks {
            notebook.let_go |= replaced.iter().any(|(id, key)| *id == record.id && *key == notebook.key);
        }
        (record.row(), record.bindings())
    });
    Ok(rows.collect())
}

/// Sessions and the keys of notebooks that were replayed from them: whoever asked for that may have been killed before
/// the old session's keeper heard of it.
fn replaced(records: &[Record]) -> Vec<(String, String)> {
    let mut replaced = Vec::new();
    for record in records.iter().filter(|record| record.ended_at.is_none()) {
        for key in record.notebooks.iter().filter(|notebook| !notebook.let_go).map(|notebook| &notebook.key) {
            // It may have been replayed from what was a replay itself.
            let mut before = record.replaces.as_ref();
            while let Some(id) = before.filter(|id| !replaced.contains(&((*id).clone(), key.clone()))) {
                replaced.push((id.clone(), key.clone()));
                before = records.iter().find(|old| old.id == *id).and_then(|old| old.replaces.as_ref());
            }
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_ids_alone() {
        let name = NotebookName::from_path(Path::new("/n.ipynb")).unwrap();
        let kernel = KernelLaunch {
            name: "k".into(),
            display_name: "K".into(),
            language: "k".into(),
            argv: Vec::new(),
            env: Default::default(),
            interrupt_by_message: false,
            way: None,
            cwd: "/".into(),
            beside_notebook: false,
        };
        let good = Record::new("abcd1234".into(), BoundNotebook::new(1, &name, "w"), kernel, Time(1));
        let from = |session_id: &str| RebuildFrom {
            session_id: session_id.into(),
            since: Time(1),
            notebook: None,
            origin: "w".into(),
            until: None,
        };
        let check = |id: &str, record: &Record, expect: bool| {
            let text = serde_json::to_vec(record).unwrap();
            assert_eq!(Record::parse(id, &text).is_ok(), expect, "{id} {record:?}");
        };
        check("abcd1234", &good, true);
        check("abcd1235", &good, false);
        check("../../outside", &Record { id: "../../outside".into(), ..good.clone() }, false);
        check("abcd1234", &Record { rebuild_from: Some(from("bcde2345")), ..good.clone() }, true);
        check("abcd1234", &Record { rebuild_from: Some(from("../../x")), ..good.clone() }, false);
        check("abcd1234", &Record { replaces: Some("/etc".into()), ..good.clone() }, false);
        check("abcd1234", &Record { notebooks: Vec::new(), ..good }, false);
    }
}
