//! The core: what can be done with sessions, whatever the face. One file a use case; plain types, no LSP, no terminal.
//!
//! [`Sessions`] is one process's view of all sessions of this user: a connection to each living keeper, the registry, and
//! the window that it speaks for. The keepers are the truth, the registry an index, and the view follows both.

mod adopt;
mod all_windows;
mod announced;
mod ask;
mod attach;
mod awaited;
mod cell_tags;
mod clean_up;
mod conversations;
mod ensure;
mod exchange;
mod execute;
mod feed;
mod find;
mod frozen;
mod health;
mod history;
mod kernelspecs;
mod list;
mod live;
mod lookalike;
mod notebook_edit;
mod notebook_file;
mod offers;
pub mod plain;
mod prune;
mod question;
mod reap;
mod rebuild;
mod reconnect;
mod renamed;
mod replace;
mod replay;
mod repository;
mod save;
mod settings;
mod snapshots;
mod spelling;
mod start;
mod stop;
mod text;
mod token;
mod windows;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dashmap::{DashMap, DashSet};
use tokio::sync::{mpsc, watch};

use crate::keeper::{KeeperClient, Record};
use crate::paths::Folders;
use crate::protocol::{Error, ErrorKind, Offer, Session};
use crate::registry::{self, Registry};

pub use exchange::default_store;
pub use execute::Submitted;
pub use feed::Feed;
pub use notebook_file::NotebookCode;
pub use save::{SaveReport, Skipped};
pub use settings::{OnOpen, OnRename, Settings};
pub use start::Start;
pub use text::since;
pub use windows::{CLI, ThisWindow};

/// What a face may want to tell its client.
#[derive(Clone, Debug)]
pub enum Event {
    Created(Session),
    Updated(Session),
    /// The last window let go.
    Disconnected(Session),
    Ended(Session),
    Offer(Offer),
    OfferWithdrawn(String),
    /// The kernel of a notebook that this window shows was taken up by an answer in another window, so it is here.
    Followed(String, Session),
    /// Conversations began, went on, or are no more.
    Conversations,
    /// A sentence for the log that people read.
    Warning(String),
}

/// A session with a keeper, or one that is just starting.
struct Live {
    session: Session,
    /// `None` while its keeper does not listen yet, or does not answer.
    client: Option<KeeperClient>,
}

/// This process's view of all sessions.
pub struct Sessions {
    pub folders: Folders,
    /// Our own program, to launch keepers with.
    program: PathBuf,
    registry: Arc<Registry>,
    conversations: conversations::Store,
    /// Live sessions by id. Written by the tasks that read from keepers; a guard is never held over an `.await`.
    live: DashMap<String, Live>,
    /// Sessions that this window has attached, so that they are attached again with a new keeper.
    attached: DashSet<String>,
    /// Which of a session's notebooks were there when this window was told last.
    existed: dashmap::DashMap<String, Vec<bool>>,
    /// Sessions at whose notebook's path another session's notebook lies. Owned by `renamed.rs`.
    displaced: DashSet<String>,
    /// Sessions that live on without a notebook, since what was replayed from them has it. Owned by `renamed.rs`.
    replaced: DashSet<String>,
    /// Notebooks (session and number) at whose path another notebook came to lie, which file, and when. Owned by
    /// `renamed.rs`.
    doubted:
        Mutex<std::collections::HashMap<(String, u32), (crate::paths::FileIdentity, std::time::Instant)>>,
    /// Owned by `lookalike.rs`.
    compared: lookalike::Compared,
    /// Windows that hold their connections and give no sign of life. Owned by `clean_up.rs`.
    silent: Mutex<std::collections::BTreeSet<String>>,
    /// Sessions whose keeper or kernel was stopped when it was looked at last. Owned by `frozen.rs`.
    frozen: Mutex<std::collections::BTreeSet<String>>,
    /// This window shows figures of kernels to somebody.
    is_visible: std::sync::atomic::AtomicBool,
    /// How far each journal can be read.
    committed: DashMap<String, watch::Sender<u64>>,
    /// Whose turn it is to read much of a session's journal. Owned by `history.rs`.
    reading: DashMap<String, std::sync::Arc<tokio::sync::Semaphore>>,
    window: RwLock<ThisWindow>,
    settings: RwLock<Settings>,
    /// How this window spells notebooks that have a kernel under another spelling, by key. Owned by `spelling.rs`.
    spelt: DashMap<String, crate::protocol::NotebookName>,
    /// Offers that this window shows. Owned by `offers.rs`.
    shown: Mutex<std::collections::BTreeMap<String, Offer>>,
    /// Questions that other windows were asked about notebooks which this one shows, too. Owned by `awaited.rs`.
    awaited: Mutex<Vec<awaited::Awaited>>,
    /// Renames that the editor is about to make. Owned by `announced.rs`.
    announced: Mutex<Vec<announced::Announced>>,
    events: mpsc::UnboundedSender<Event>,
    /// One rename that the editor made at a time. Owned by `announced.rs`.
    renaming: tokio::sync::Mutex<()>,
    /// One joining or taking over of sessions at a time in this process.
    joining: tokio::sync::Mutex<()>,
}

impl Sessions {
    /// Opens the registry, and rebuilds it from the session folders where it is missing or damaged. No keeper is asked
    /// yet: see [`refresh`](Self::refresh).
    ///
    /// # Errors
    /// `StoreFailed`: the registry was written by a newer version, or cannot be read or written.
    pub fn open(
        folders: Folders,
        window: ThisWindow,
        settings: Settings,
    ) -> Result<(Arc<Sessions>, mpsc::UnboundedReceiver<Event>), Error> {
        crate::process::outlive_file_limits();
        let registry = crate::keeper::open_registry(&folders).map_err(store_failed)?;
        let (events, receiver) = mpsc::unbounded_channel();
        let program = std::env::current_exe().map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        let sessions = Sessions {
            folders,
            program,
            registry: Arc::new(registry),
            conversations: Default::default(),
            live: DashMap::new(),
            attached: DashSet::new(),
            existed: dashmap::DashMap::new(),
            displaced: DashSet::new(),
            replaced: DashSet::new(),
            doubted: Mutex::default(),
            compared: Default::default(),
            silent: Mutex::default(),
            frozen: Mutex::default(),
            is_visible: Default::default(),
            committed: DashMap::new(),
            reading: DashMap::new(),
            window: RwLock::new(window),
            settings: RwLock::new(settings),
            spelt: DashMap::new(),
            shown: Mutex::default(),
            awaited: Mutex::default(),
            announced: Mutex::default(),
            events,
            renaming: tokio::sync::Mutex::new(()),
            joining: tokio::sync::Mutex::new(()),
        };
        Ok((Arc::new(sessions), receiver))
    }

    /// The registry, for looks and short transactions. What is written through it alone may be left undone while another
    /// process writes; what must be done goes through [`write`](Self::write) or [`write_later`](Self::write_later).
    fn registry(&self) -> &Registry {
        self.registry.take_warnings().into_iter().for_each(|warning| self.emit(Event::Warning(warning)));
        &self.registry
    }

    /// A change of the registry that is asked for: tried at once, before anything is awaited, and waited for where another
    /// process writes.
    async fn write<T>(&self, change: impl FnMut(&Registry) -> registry::Result<T>) -> registry::Result<T> {
        self.registry().patiently(change).await
    }

    /// A change of the registry that nobody waits for: made at once, or, while another process writes, as soon as may be.
    fn write_later(&self, mut change: impl FnMut(&Registry) -> registry::Result<()> + Send + 'static) {
        let registry = self.registry.clone();
        match change(self.registry()) {
            Err(registry::Error::Busy) => drop(tokio::spawn(async move {
                if let Err(e) = registry.patiently(change).await {
                    tracing::warn!("a change of the registry is left undone: {e}");
                }
            })),
            Err(e) => tracing::warn!("a change of the registry is left undone: {e}"),
            Ok(()) => {}
        }
    }

    /// Tells the other windows that the registry changed.
    fn ring(&self) {
        if let Err(e) = crate::paths::ring(&self.folders.bell()) {
            tracing::warn!("the bell could not be rung: {e}");
        }
    }

    fn emit(&self, event: Event) {
        // A face without a client, such as the command line, does not listen.
        let _ = self.events.send(event);
    }

    /// The record of a session, from its folder, else the registry's copy.
    fn record(&self, id: &str) -> Result<Record, Error> {
        let problem = match Record::read(&self.folders, id) {
            Ok(record) => return Ok(record),
            Err(e) => e,
        };
        let row = self.registry().session(id).map_err(store_failed)?;
        if let Some(record) = row.as_ref().and_then(Record::of_row) {
            return Ok(record);
        }
        if problem.kind() == std::io::ErrorKind::NotFound {
            return Err(not_found(id));
        }
        Err(Error::new(ErrorKind::StoreFailed, problem.to_string()).with("sessionId", id))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store_failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::StoreFailed, e.to_string())
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(40).collect();
    Error::new(
        ErrorKind::SessionNotFound,
        format!("there is no session \"{shown}\": list them to see which there are"),
    )
    .with("sessionId", shown)
}

/// A label as a person gave it, no longer than anybody reads; an empty one is none.
fn label(label: Option<&str>) -> Option<String> {
    let mut label = label.map(str::trim).filter(|label| !label.is_empty())?.to_owned();
    crate::protocol::limits::cut(&mut label, crate::protocol::limits::LABEL);
    Some(label)
}

/// Refuses a text for people, or a name, that is longer than anybody reads.
fn check_length(field: &str, text: Option<&str>, most: usize) -> Result<(), Error> {
    match text {
        Some(text) if text.chars().nth(most).is_some() => {
            Err(invalid(field, format!("at most {most} characters")))
        }
        _ => Ok(()),
    }
}

fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParams, format!("{field}: {}", message.into())).with("field", field)
}
