//! Notices that notebooks and their folders were renamed, moved, deleted or made, and that the bell was rung.
//!
//! What leaves this module are hints: something happened there, look at the disk before you believe it. They
//! come within milliseconds, and only for notebooks (`.ipynb`) and folders. Where file systems send nothing
//! (network, some mounts) and where one of the system's limits is reached, the notebooks asked for are looked
//! at every two seconds instead, and a warning says so once. It decides nothing: no offers, no sessions.

mod bell;
mod pairing;
mod repository;
mod rules;
mod system;
mod walk;
mod watching;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

pub use repository::Repository;
use watching::Watching;

/// Something that happened on the disk, as far as one can tell from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// `from` is called `to` now. Of a folder: map the paths below it. An atomic save looks the same, its `from`
    /// being a temporary file; so does a notebook that loses its extension.
    Renamed { from: PathBuf, to: PathBuf },
    /// A notebook or a folder is no longer there: deleted, or moved to where nobody watches.
    Gone(PathBuf),
    /// A notebook is there: made, copied, or moved from where nobody watches.
    Appeared(PathBuf),
    /// Hints may have been lost, or watching has just begun: look at all that matters.
    Rescan,
    /// Somebody has changed the registry.
    Bell,
}

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the bell {path} cannot be used: {source}")]
    Bell { path: PathBuf, source: std::io::Error },
    #[error("files cannot be watched: {0}")]
    Thread(std::io::Error),
}

/// Watches folders from a thread of its own, which ends when this is dropped. All calls return at once; what
/// is asked is done in order.
pub struct Watcher {
    tasks: Sender<Task>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What the watcher's thread is told.
enum Task {
    WatchWorkspace(PathBuf),
    UnwatchWorkspace(PathBuf),
    WatchNotebook(PathBuf),
    UnwatchNotebook(PathBuf),
    /// Answered when all before it is done.
    Settle(Sender<()>),
    Event(notify::Result<notify::Event>),
    Rang,
    Stop,
}

impl Watcher {
    /// Begins with the bell alone, which is made where it is missing; its folder must be there.
    pub fn new(bell: &Path, hints: UnboundedSender<Hint>) -> Result<Watcher, Error> {
        let (tasks, inbox) = channel();
        let warnings = Arc::default();
        let watching = Watching::new(bell, tasks.clone(), hints, Arc::clone(&warnings))?;
        let thread = thread::Builder::new().name("renames".into());
        thread.spawn(move || watching.run(&inbox)).map_err(Error::Thread)?;
        Ok(Watcher { tasks, warnings })
    }

    /// Watches a folder with all below it but what version control ignores and what tools keep there
    /// (`.git`, `node_modules`, environments). Ends with [`Hint::Rescan`] when that is done.
    pub fn watch_workspace(&self, folder: &Path) {
        self.tell(Task::WatchWorkspace(folder.to_owned()));
    }

    pub fn unwatch_workspace(&self, folder: &Path) {
        self.tell(Task::UnwatchWorkspace(folder.to_owned()));
    }

    /// Watches the folder of a notebook and the folders above, wherever it is. Gives [`Hint::Gone`] where
    /// the notebook is not there. Asked for twice, it is watched until it was let go twice.
    pub fn watch_notebook(&self, path: &Path) {
        self.tell(Task::WatchNotebook(path.to_owned()));
    }

    pub fn unwatch_notebook(&self, path: &Path) {
        self.tell(Task::UnwatchNotebook(path.to_owned()));
    }

    /// Waits until all that was asked before is in place. Blocks: for tests and tools.
    pub fn settle(&self) {
        let (done, wait) = channel();
        self.tell(Task::Settle(done));
        let _ = wait.recv();
    }

    /// Sentences for the user, each given once: what cannot be watched, and what is done instead.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The thread is gone only when it panicked: then there are no more hints, and no more can be done here.
    fn tell(&self, task: Task) {
        let _ = self.tasks.send(task);
    }
}

/// The notebooks in a workspace, without what is not watched. Reads folders: not for a thread that must not wait.
pub fn notebooks_in(folder: &Path) -> Vec<PathBuf> {
    let mut notebooks = Vec::new();
    let refused = walk::workspace(folder, |met| {
        if let walk::Met::Notebook(path) = met {
            notebooks.push(path);
        }
    });
    if let Some(refused) = refused {
        tracing::debug!("{refused}");
    }
    notebooks
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tell(Task::Stop);
    }
}

#[cfg(test)]
mod tests;
