//! The watcher's own thread: which folders are watched and why, and what becomes of each change.
//!
//! One owner of all state, told by a channel what to do; `notify`'s threads send their events into the same
//! channel, so a request and the events around it keep their order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::{ErrorKind, RecursiveMode};
use tokio::sync::mpsc::UnboundedSender;

use super::pairing::{Change, Pairing};
use super::system::{self, System};
use super::walk::{self, Met, is_folder, is_notebook};
use super::{Error, Hint, Task, bell};

/// Where the system watches a tree at once, the folders below need no watches.
pub(super) const WHOLE_TREES: bool = cfg!(any(target_os = "macos", target_os = "windows"));
/// How often what cannot be watched is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For how long an event about a notebook that a walk has just found says nothing new.
const FOUND_FOR: Duration = Duration::from_millis(200);

pub(super) struct Watching {
    system: System,
    hints: UnboundedSender<Hint>,
    warnings: Arc<Mutex<Vec<String>>>,
    said: HashSet<String>,
    bell_folder: PathBuf,
    bell_lost: bool,
    bell_rang: Arc<AtomicBool>,
    roots: BTreeSet<PathBuf>,
    notebooks: BTreeMap<PathBuf, Notebook>,
    /// The folders that are watched, and whether as part of a workspace.
    folders: HashMap<PathBuf, bool>,
    pairing: Pairing,
    /// Notebooks that walks have found, whose events may still come.
    found: HashMap<PathBuf, Instant>,
    next_look: Instant,
}

struct Notebook {
    /// How often it was asked for.
    count: usize,
    /// Whether it was there when it was last looked at, where it must be looked at.
    looked: Option<bool>,
}

impl Watching {
    pub(super) fn new(
        bell: &Path,
        tasks: Sender<Task>,
        hints: UnboundedSender<Hint>,
        warnings: Arc<Mutex<Vec<String>>>,
    ) -> Result<Watching, Error> {
        let bell_error = |source| Error::Bell { path: bell.to_owned(), source };
        let bell = std::path::absolute(bell).map_err(bell_error)?;
        bell::make(&bell).map_err(bell_error)?;
        let bell_folder = bell.parent().unwrap_or(Path::new("/")).to_owned();
        let bell_rang = Arc::new(AtomicBool::new(false));
        let rang = Arc::clone(&bell_rang);
        let mut system = System::new(move |event| {
            // On a thread that empties the system's queue: whatever does not matter ends here.
            match event {
                Ok(event) if bell::is_ring(&event, &bell) => {
                    // Rung again before anybody looked: one look is enough.
                    if !rang.swap(true, Ordering::AcqRel) {
                        let _ = tasks.send(Task::Rang);
                    }
                }
                Ok(event) if !system::matters(&event) => {}
                event => drop(tasks.send(Task::Event(event))),
            }
        });
        let watched = system.watch(&bell_folder, RecursiveMode::NonRecursive);
        let mut watching = Watching {
            system,
            hints,
            warnings,
            said: HashSet::new(),
            bell_folder,
            bell_lost: watched.is_err(),
            bell_rang,
            roots: BTreeSet::new(),
            notebooks: BTreeMap::new(),
            folders: HashMap::new(),
            pairing: Pairing::default(),
            found: HashMap::new(),
            next_look: Instant::now(),
        };
        if let Err(error) = watched {
            watching.not_watched(&watching.bell_folder.clone(), &error);
        }
        Ok(watching)
    }

    /// Until told to stop, or nobody is left to tell or to listen.
    pub(super) fn run(mut self, inbox: &Receiver<Task>) {
        while !self.hints.is_closed() {
            let task = match self.wake_at() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match task {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(task) => self.task(task),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            for change in self.pairing.expired(now) {
                self.change(change);
            }
            if self.must_look() && now >= self.next_look {
                self.look();
                self.next_look = now + LOOK_EVERY;
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let look = self.must_look().then_some(self.next_look);
        self.pairing.deadline().into_iter().chain(look).min()
    }

    fn task(&mut self, task: Task) {
        match task {
            Task::WatchWorkspace(root) => {
                if self.roots.insert(root.clone()) {
                    let begun = Instant::now();
                    self.enter_workspace(&root);
                    tracing::info!(folder = %root.display(), folders = self.folders.len(), took = ?begun.elapsed(), "watched");
                    self.hint(Hint::Rescan);
                }
            }
            Task::UnwatchWorkspace(root) => {
                if self.roots.remove(&root) {
                    self.leave_workspace(&root);
                }
            }
            Task::WatchNotebook(path) => self.watch_notebook(path),
            Task::UnwatchNotebook(path) => self.unwatch_notebook(&path),
            Task::Settle(done) => drop(done.send(())),
            Task::Rang => {
                // Lowered first: who rings from here on is told again.
                self.bell_rang.store(false, Ordering::Release);
                self.hint(Hint::Bell);
            }
            Task::Event(Ok(event)) if event.need_rescan() => self.begin_anew(),
            Task::Event(Ok(event)) => {
                for change in self.pairing.take(event, Instant::now()) {
                    self.change(change);
                }
            }
            Task::Event(Err(error)) => tracing::warn!(%error, "watching files"),
            Task::Stop => {}
        }
    }

    fn watch_notebook(&mut self, path: PathBuf) {
        let new = Notebook { count: 0, looked: None };
        let notebook = self.notebooks.entry(path.clone()).or_insert(new);
        notebook.count += 1;
        if notebook.count == 1 {
            self.watch_above(&path);
        }
        let there = path.exists();
        if let Some(notebook) = self.notebooks.get_mut(&path).filter(|notebook| notebook.looked.is_some()) {
            notebook.looked = Some(there);
        }
        if !there {
            self.hint(Hint::Gone(path));
        }
    }

    fn unwatch_notebook(&mut self, path: &Path) {
        match self.notebooks.get_mut(path) {
            Some(notebook) if notebook.count > 1 => notebook.count -= 1,
            Some(_) => {
                self.notebooks.remove(path);
                for folder in folders_above(path) {
                    if self.folders.get(folder) == Some(&false) && !self.has_notebook_below(folder) {
                        self.unwatch(folder);
                    }
                }
            }
            None => {}
        }
    }

    /// The folder of the notebook, so that its rename is seen, and those above, so that theirs are.
    fn watch_above(&mut self, path: &Path) {
        for folder in folders_above(path) {
            if self.folders.contains_key(folder) {
                continue;
            }
            let watched = self.watch(folder, false);
            if !watched && Some(folder) == path.parent() && folder.exists() {
                self.look_at(path);
            }
        }
        if path.parent().is_some_and(crate::paths::is_remote) {
            self.say(
                "The notebook lies on a file system that reports no changes: it is looked at every 2 s.",
            );
            self.look_at(path);
        }
    }

    fn look_at(&mut self, path: &Path) {
        if let Some(notebook) = self.notebooks.get_mut(path) {
            notebook.looked = Some(path.exists());
        }
    }

    fn enter_workspace(&mut self, root: &Path) {
        if crate::paths::is_remote(root) {
            self.say(
                "The workspace lies on a file system that reports no changes: only notebooks that have a \
                 kernel are looked at, every 2 s.",
            );
        }
        if WHOLE_TREES {
            let _ = self.system.watch(root, RecursiveMode::Recursive);
            self.folders.insert(root.to_owned(), true);
            return;
        }
        let (begun, met) = (SystemTime::now(), Mutex::new(Vec::new()));
        let refused = walk::workspace_at_once(root, &|folder| {
            met.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
        });
        let met = met.into_inner().unwrap_or_else(PoisonError::into_inner);
        let new = met.iter().filter(|folder| !self.folders.contains_key(*folder));
        for (folder, result) in self.system.watch_all(new.cloned().collect()) {
            self.watched(&folder, true, result);
        }
        self.say_of(refused);
        for folder in met {
            // Watched before, for a notebook alone.
            self.folders.entry(folder.clone()).and_modify(|part| *part = true);
            if walk::was_changed_since(&folder, begun) {
                let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                entries
                    .map(|entry| entry.path())
                    .filter(|path| is_folder(path))
                    .for_each(|path| self.enter(&path));
            }
        }
    }

    fn leave_workspace(&mut self, root: &Path) {
        let part = self.folders.iter().filter(|(_, part)| **part).map(|(folder, _)| folder);
        let below: Vec<_> = part.filter(|folder| folder.starts_with(root)).cloned().collect();
        for folder in below {
            if self.roots.iter().any(|other| folder.starts_with(other)) {
                continue;
            }
            if self.has_notebook_below(&folder) {
                self.folders.insert(folder, false);
            } else {
                self.unwatch(&folder);
            }
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Renamed { from, to } => self.renamed(from, to),
            Change::Appeared(path) => self.appeared(path),
            Change::Gone(path) => self.gone(path),
            Change::Unsure(path) if path.exists() => self.appeared(path),
            Change::Unsure(path) => self.gone(path),
        }
    }

    fn renamed(&mut self, from: PathBuf, to: PathBuf) {
        self.found.remove(&from);
        if self.folders.contains_key(&from) || is_folder(&to) {
            if self.concerns_us(&from) || self.concerns_us(&to) {
                self.hint(Hint::Renamed { from: from.clone(), to: to.clone() });
            }
            self.forget(&from);
            self.enter(&to);
        } else if is_notebook(&from) || is_notebook(&to) {
            self.hint(Hint::Renamed { from, to });
        }
    }

    fn appeared(&mut self, path: PathBuf) {
        if path == self.bell_folder {
            self.bell_lost = true;
        }
        if is_folder(&path) {
            self.enter(&path);
        } else if is_notebook(&path) && !self.was_found(&path) {
            self.hint(Hint::Appeared(path));
        }
    }

    fn gone(&mut self, path: PathBuf) {
        if path == self.bell_folder {
            self.bell_lost = true;
        }
        self.found.remove(&path);
        if self.folders.contains_key(&path) {
            self.forget(&path);
            self.hint(Hint::Gone(path));
        } else if is_notebook(&path) {
            self.hint(Hint::Gone(path));
        }
    }

    /// A folder has come to be: watches it where it is part of a workspace, and again what was asked for below.
    /// What lies in it may have come before the watch, so it is looked for.
    fn enter(&mut self, folder: &Path) {
        let part = folder.parent().and_then(|parent| self.folders.get(parent)) == Some(&true)
            || self.roots.contains(folder)
            || (WHOLE_TREES && self.roots.iter().any(|root| folder.starts_with(root)));
        // Known already: the walk that met it has seen what was in it, and its own watch the rest.
        if part && self.folders.get(folder) != Some(&true) {
            let mut found = Vec::new();
            let at_root = self.roots.contains(folder);
            let meet = |met| match met {
                Met::Folder(path) => drop(self.watch(&path, true)),
                Met::Notebook(path) => found.push(path),
            };
            let refused = match at_root {
                true => walk::workspace(folder, meet),
                false => walk::new_folder(folder, meet),
            };
            self.say_of(refused);
            found.into_iter().for_each(|path| self.found(path));
        }
        let below: Vec<_> = self.notebooks.keys().filter(|path| path.starts_with(folder)).cloned().collect();
        for path in below {
            self.watch_above(&path);
            if path.exists() {
                self.found(path);
            }
        }
    }

    /// Says that a walk has found a notebook, unless that was just said.
    fn found(&mut self, path: PathBuf) {
        let now = Instant::now();
        self.found.retain(|_, at| now.duration_since(*at) < FOUND_FOR);
        if self.found.insert(path.clone(), now).is_none() {
            self.hint(Hint::Appeared(path));
        }
    }

    fn was_found(&mut self, path: &Path) -> bool {
        self.found.remove(path).is_some_and(|at| at.elapsed() < FOUND_FOR)
    }

    /// A folder whose rename anybody would want to know of.
    fn concerns_us(&self, folder: &Path) -> bool {
        let in_workspace = folder.parent().and_then(|parent| self.folders.get(parent)) == Some(&true);
        in_workspace || self.folders.contains_key(folder) || self.has_notebook_below(folder)
    }

    fn has_notebook_below(&self, folder: &Path) -> bool {
        self.notebooks.keys().any(|path| path.starts_with(folder))
    }

    /// Events were lost: what is watched may be wrong anywhere.
    fn begin_anew(&mut self) {
        self.folders.clear();
        self.notebooks.values_mut().for_each(|notebook| notebook.looked = None);
        for root in self.roots.clone() {
            self.enter_workspace(&root);
        }
        for path in self.notebooks.keys().cloned().collect::<Vec<_>>() {
            self.watch_above(&path);
        }
        self.hint(Hint::Rescan);
        self.hint(Hint::Bell);
    }

    fn must_look(&self) -> bool {
        self.bell_lost || self.notebooks.values().any(|notebook| notebook.looked.is_some())
    }

    /// Looks at what cannot be watched.
    fn look(&mut self) {
        let mut hints = Vec::new();
        for (path, notebook) in &mut self.notebooks {
            let Some(before) = notebook.looked else { continue };
            let there = path.exists();
            notebook.looked = Some(there);
            match (before, there) {
                (true, false) => hints.push(Hint::Gone(path.clone())),
                (false, true) => hints.push(Hint::Appeared(path.clone())),
                _ => {}
            }
        }
        if self.bell_lost && self.system.watch(&self.bell_folder, RecursiveMode::NonRecursive).is_ok() {
            self.bell_lost = false;
            hints.push(Hint::Bell);
            // There was no watcher at all till now.
            if self.folders.is_empty() {
                self.begin_anew();
            }
        }
        hints.into_iter().for_each(|hint| self.hint(hint));
    }

    fn watch(&mut self, folder: &Path, part: bool) -> bool {
        if let Some(known) = self.folders.get_mut(folder) {
            *known |= part;
            return true;
        }
        let result = self.system.watch(folder, RecursiveMode::NonRecursive);
        self.watched(folder, part, result)
    }

    fn watched(&mut self, folder: &Path, part: bool, result: notify::Result<()>) -> bool {
        match result {
            Ok(()) => {
                *self.folders.entry(folder.to_owned()).or_insert(part) |= part;
                true
            }
            Err(error) => {
                self.not_watched(folder, &error);
                false
            }
        }
    }

    fn not_watched(&mut self, folder: &Path, error: &notify::Error) {
        match &error.kind {
            ErrorKind::MaxFilesWatch => self.say(
                "The system's limit of watched folders is reached (fs.inotify.max_user_watches): renames in \
                 some folders are noticed late or not at all.",
            ),
            ErrorKind::Io(error) if system::is_at_limit(error) => self.say(
                "The system's limit of watchers is reached (fs.inotify.max_user_instances): notebooks that have \
                 a kernel are looked at every 2 s, until there is one.",
            ),
            // It is gone again, or not ours to read.
            _ => tracing::debug!(%error, folder = %folder.display(), "not watched"),
        }
    }

    fn unwatch(&mut self, folder: &Path) {
        self.folders.remove(folder);
        if folder != self.bell_folder {
            self.system.unwatch(folder);
        }
    }

    /// A folder is no longer where it was, so all below it is not: their watches must not speak of old names.
    fn forget(&mut self, folder: &Path) {
        self.bell_lost |= self.bell_folder.starts_with(folder);
        let below: Vec<_> = self.folders.keys().filter(|path| path.starts_with(folder)).cloned().collect();
        for path in below {
            self.folders.remove(&path);
            self.system.unwatch(&path);
        }
    }

    fn say_of(&mut self, refused: Option<String>) {
        refused.iter().for_each(|warning| self.say(warning));
    }

    fn say(&mut self, warning: &str) {
        if self.said.insert(warning.to_owned()) {
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning.to_owned());
        }
    }

    /// Nobody listens any more: the thread ends at its next turn.
    fn hint(&self, hint: Hint) {
        let _ = self.hints.send(hint);
    }
}

/// All folders above a path but the root of the file system, the nearest first.
fn folders_above(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().skip(1).filter(|folder| folder.parent().is_some())
}
