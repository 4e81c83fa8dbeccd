//! What a watcher sees of notebooks on disk, as hints: confirming them on disk is the caller's.
//!
//! On Linux each folder is watched by itself, found by a walk that leaves out what git ignores; folders that appear are
//! walked as they come, because what they hold may be there before the watch is. Elsewhere the platform watches whole
//! trees. One thread owns the watches, so that a large workspace holds up nobody. The bell between sidecars is watched
//! here too.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::event::{CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

/// How long one half of a rename waits for the other: both come within microseconds where both are watched.
const HALF: Duration = Duration::from_millis(15);
/// Where the platform watches single folders only.
const WATCHES_FOLDERS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Something that may concern a notebook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A notebook or a folder has another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// A notebook or folder is not there any more, moved out of sight or deleted.
    Gone(PathBuf),
    /// A notebook is there that was not.
    Appeared(PathBuf),
    /// Events were missed.
    Rescan,
    /// Another sidecar or keeper changed the registry.
    Bell,
}

#[derive(Debug, thiserror::Error)]
#[error("files cannot be watched: {0}")]
pub struct Error(#[from] notify::Error);

/// The handle of the watching thread, which ends when this is dropped.
pub struct Watcher {
    orders: Sender<Order>,
    notebooks: BTreeSet<PathBuf>,
}

enum Order {
    Seen(notify::Result<Event>),
    Workspace(PathBuf),
    NotWorkspace(PathBuf),
    Folder(PathBuf),
    End,
}

impl Watcher {
    /// Watches the bell; what is seen goes to `hints`.
    pub fn new(bell: &Path, hints: UnboundedSender<Hint>) -> Result<Watcher, Error> {
        let (orders, taken) = channel();
        let seen = orders.clone();
        let mut inner = notify::recommended_watcher(move |event| {
            let _ = seen.send(Order::Seen(event));
        })?;
        if let Some(folder) = bell.parent() {
            inner.watch(folder, RecursiveMode::NonRecursive)?;
        }
        let watching = Watching {
            inner,
            hints,
            bell: bell.to_owned(),
            workspaces: BTreeSet::new(),
            folders: BTreeSet::new(),
            halves: HashMap::new(),
            complained: false,
        };
        std::thread::Builder::new()
            .name("renames".into())
            .spawn(move || watching.run(&taken))
            .map_err(notify::Error::io)?;
        Ok(Watcher { orders, notebooks: BTreeSet::new() })
    }

    /// Watches a workspace folder and all below it that git does not ignore.
    pub fn watch_workspace(&mut self, folder: &Path) {
        let _ = self.orders.send(Order::Workspace(folder.into()));
    }

    pub fn unwatch_workspace(&mut self, folder: &Path) {
        let _ = self.orders.send(Order::NotWorkspace(folder.into()));
    }

    /// Watches a live session's notebook, wherever it is: its folder, and the one above, where that one can be renamed.
    pub fn watch_notebook(&mut self, path: &Path) {
        if !self.notebooks.insert(path.to_owned()) {
            return;
        }
        for folder in path.ancestors().skip(1).take(2).filter(|folder| folder.parent().is_some()) {
            let _ = self.orders.send(Order::Folder(folder.into()));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
    }
}

/// The thread's own.
struct Watching {
    inner: RecommendedWatcher,
    hints: UnboundedSender<Hint>,
    bell: PathBuf,
    workspaces: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// Halves of renames by their cookie: the path, whether it is the old one, and when it was seen.
    halves: HashMap<usize, (PathBuf, bool, Instant)>,
    complained: bool,
}

impl Watching {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = if self.halves.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(HALF)
            };
            match order {
                Ok(Order::Seen(Ok(event))) => self.seen(event),
                Ok(Order::Seen(Err(e))) => {
                    tracing::warn!("the watcher failed: {e}");
                    self.tell(Hint::Rescan);
                }
                Ok(Order::Workspace(folder)) => {
                    self.workspaces.insert(folder.clone());
                    self.watch_tree(&folder, false);
                }
                Ok(Order::NotWorkspace(folder)) => {
                    self.workspaces.remove(&folder);
                    self.forget(&folder);
                }
                Ok(Order::Folder(folder)) => self.watch_folder(&folder),
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tell_halves();
        }
    }

    fn seen(&mut self, event: Event) {
        if event.need_rescan() {
            tracing::warn!("the watcher missed events");
            for folder in self.workspaces.clone() {
                self.watch_tree(&folder, false);
            }
            self.tell(Hint::Rescan);
        }
        if event.paths.contains(&self.bell) {
            return self.tell(Hint::Bell);
        }
        let cookie = event.tracker();
        let mut paths = event.paths.into_iter();
        let (Some(first), second) = (paths.next(), paths.next()) else { return };
        match (event.kind, second) {
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), Some(to)) => {
                if let Some(cookie) = cookie {
                    self.halves.remove(&cookie);
                }
                self.renamed(first, to);
            }
            (EventKind::Modify(ModifyKind::Name(mode)), _) => {
                let is_old = match mode {
                    RenameMode::From => true,
                    RenameMode::To => false,
                    // A platform that does not say which half it is.
                    _ => !first.exists(),
                };
                match cookie {
                    Some(cookie) => {
                        self.halves.entry(cookie).or_insert((first, is_old, Instant::now()));
                    }
                    None => self.half(first, is_old),
                }
            }
            (EventKind::Create(CreateKind::Folder), _) => self.watch_tree(&first, true),
            (EventKind::Create(_), _) if is_notebook(&first) => self.tell(Hint::Appeared(first)),
            (EventKind::Create(_), _) if first.is_dir() => self.watch_tree(&first, true),
            (EventKind::Remove(_), _) if is_notebook(&first) || self.folders.contains(&first) => {
                self.forget(&first);
                self.tell(Hint::Gone(first));
            }
            _ => {}
        }
    }

    fn renamed(&mut self, from: PathBuf, to: PathBuf) {
        if is_notebook(&from) || is_notebook(&to) {
            return self.tell(Hint::Renamed { from, to });
        }
        if self.folders.contains(&from) || to.is_dir() {
            self.tell(Hint::Renamed { from: from.clone(), to: to.clone() });
            let watched = self.forget(&from);
            if watched || self.workspaces.iter().any(|workspace| to.starts_with(workspace)) {
                self.watch_tree(&to, false);
            }
        }
    }

    /// Halves whose other half is out of sight.
    fn tell_halves(&mut self) {
        let now = Instant::now();
        let ripe = |half: &(PathBuf, bool, Instant)| now.duration_since(half.2) >= HALF;
        let cookies: Vec<usize> =
            self.halves.iter().filter(|(_, half)| ripe(half)).map(|(c, _)| *c).collect();
        for cookie in cookies {
            if let Some((path, is_old, _)) = self.halves.remove(&cookie) {
                self.half(path, is_old);
            }
        }
    }

    fn half(&mut self, path: PathBuf, is_old: bool) {
        if is_old {
            let watched = self.forget(&path);
            if watched || is_notebook(&path) {
                self.tell(Hint::Gone(path));
            }
        } else if is_notebook(&path) {
            self.tell(Hint::Appeared(path));
        } else if path.is_dir() {
            self.watch_tree(&path, true);
        }
    }

    /// Watches a folder and all below it; with `tell` the notebooks that are there already are told.
    fn watch_tree(&mut self, root: &Path, tell: bool) {
        if !WATCHES_FOLDERS {
            self.watch(root, RecursiveMode::Recursive);
            if !tell {
                return;
            }
        }
        let walk = ignore::WalkBuilder::new(root)
            .hidden(false)
            .require_git(false)
            .filter_entry(|entry| {
                !matches!(entry.file_name().to_str(), Some(".git" | "node_modules" | ".venv"))
            })
            .build();
        for entry in walk.flatten() {
            if entry.file_type().is_some_and(|kind| kind.is_dir()) {
                if WATCHES_FOLDERS {
                    self.watch_folder(entry.path());
                }
            } else if tell && is_notebook(entry.path()) {
                self.tell(Hint::Appeared(entry.into_path()));
            }
        }
    }

    fn watch_folder(&mut self, folder: &Path) {
        if !self.folders.contains(folder) {
            self.watch(folder, RecursiveMode::NonRecursive);
        }
    }

    fn watch(&mut self, folder: &Path, mode: RecursiveMode) {
        match self.inner.watch(folder, mode) {
            Ok(()) => {
                self.folders.insert(folder.to_owned());
            }
            Err(e) if matches!(e.kind, notify::ErrorKind::PathNotFound) => {}
            Err(e) => {
                // Said once: a watch limit is met by thousands of folders at a time.
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!("not every folder can be watched, so some renames may go unseen: {e}");
                }
            }
        }
    }

    /// Stops watching a folder and what is below it. Whether any of it was watched.
    fn forget(&mut self, root: &Path) -> bool {
        let below: Vec<PathBuf> =
            self.folders.iter().filter(|folder| folder.starts_with(root)).cloned().collect();
        for folder in &below {
            let _ = self.inner.unwatch(folder);
            self.folders.remove(folder);
        }
        !below.is_empty()
    }

    fn tell(&self, hint: Hint) {
        // The sidecar is ending where nobody listens.
        let _ = self.hints.send(hint);
    }
}

fn is_notebook(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ipynb"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    struct Watched {
        dir: tempfile::TempDir,
        hints: UnboundedReceiver<Hint>,
        _watcher: Watcher,
    }

    impl Watched {
        /// A folder with `a.ipynb` and `sub/b.ipynb`, under watch.
        async fn new() -> Watched {
            let dir = tempfile::tempdir().unwrap();
            let bell = dir.path().join("run/bell");
            fs::create_dir(bell.parent().unwrap()).unwrap();
            fs::write(&bell, "").unwrap();
            let workspace = dir.path().join("ws");
            fs::create_dir_all(workspace.join("sub")).unwrap();
            fs::write(workspace.join("a.ipynb"), "a").unwrap();
            fs::write(workspace.join("sub/b.ipynb"), "b").unwrap();
            let (sender, hints) = unbounded_channel();
            let mut watcher = Watcher::new(&bell, sender).unwrap();
            watcher.watch_workspace(&workspace);
            let mut watched = Watched { dir, hints, _watcher: watcher };
            // The watch is there once something in its deepest folder is seen.
            let probe = watched.path("sub/probe.ipynb");
            loop {
                fs::write(&probe, "").unwrap();
                let seen = tokio::time::timeout(Duration::from_millis(50), watched.hints.recv()).await;
                fs::remove_file(&probe).unwrap();
                if seen.is_ok() {
                    break;
                }
            }
            watched.until(Hint::Gone(probe)).await;
            watched
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join("ws").join(name)
        }

        /// Reads hints up to the one that is expected; those before it.
        async fn until(&mut self, expected: Hint) -> Vec<Hint> {
            let mut before = Vec::new();
            loop {
                let next = tokio::time::timeout(Duration::from_secs(5), self.hints.recv()).await;
                let next = next.unwrap_or_else(|_| panic!("no {expected:?} after {before:?}")).unwrap();
                if next == expected {
                    return before;
                }
                before.push(next);
            }
        }
    }

    #[tokio::test]
    async fn a_renamed_notebook_is_one_hint() {
        let mut w = Watched::new().await;
        let (from, to) = (w.path("a.ipynb"), w.path("sub/c.ipynb"));
        fs::rename(&from, &to).unwrap();
        assert_eq!(w.until(Hint::Renamed { from, to }).await, []);
    }

    #[tokio::test]
    async fn a_renamed_folder_is_watched_on() {
        let mut w = Watched::new().await;
        let (from, to) = (w.path("sub"), w.path("other"));
        fs::rename(&from, &to).unwrap();
        w.until(Hint::Renamed { from, to }).await;
        let (from, to) = (w.path("other/b.ipynb"), w.path("other/d.ipynb"));
        // The new watch comes a moment after the hint.
        loop {
            fs::rename(&from, &to).unwrap();
            let seen = tokio::time::timeout(Duration::from_millis(100), w.hints.recv()).await;
            if let Ok(Some(Hint::Renamed { .. })) = seen {
                break;
            }
            fs::rename(&to, &from).unwrap();
        }
    }

    #[tokio::test]
    async fn out_of_sight_and_into_it() {
        let mut w = Watched::new().await;
        let away = w.dir.path().join("away.ipynb");
        fs::rename(w.path("a.ipynb"), &away).unwrap();
        let gone = w.path("a.ipynb");
        w.until(Hint::Gone(gone)).await;
        let back = w.path("back.ipynb");
        fs::rename(&away, &back).unwrap();
        w.until(Hint::Appeared(back)).await;
    }

    #[tokio::test]
    async fn folders_that_appear_with_notebooks() {
        let mut w = Watched::new().await;
        let made = w.dir.path().join("made");
        fs::create_dir_all(made.join("deep")).unwrap();
        fs::write(made.join("deep/n.ipynb"), "").unwrap();
        fs::rename(&made, w.path("made")).unwrap();
        let found = w.path("made/deep/n.ipynb");
        w.until(Hint::Appeared(found)).await;
    }

    #[tokio::test]
    async fn the_bell() {
        let mut w = Watched::new().await;
        crate::paths::ring(&w.dir.path().join("run/bell")).unwrap();
        w.until(Hint::Bell).await;
    }
}
