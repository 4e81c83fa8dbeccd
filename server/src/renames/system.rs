//! The system's watcher. One a window, because the system counts them for all programs of the user together.
//!
//! Many watches are set at once: each that is set alone waits until the watcher's thread has woken, which took half a
//! second for 5,000. Where the system has no more watchers, each call tries again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{
    Config, Event, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode, Result, WatchPathConfig,
    Watcher as _,
};

use super::walk::is_notebook;

pub(super) struct System {
    take: Arc<dyn Fn(Result<Event>) + Send + Sync>,
    watcher: Option<RecommendedWatcher>,
}

impl System {
    /// Nothing is watched yet.
    pub(super) fn new(take: impl Fn(Result<Event>) + Send + Sync + 'static) -> System {
        System { take: Arc::new(take), watcher: None }
    }

    /// Watches a folder.
    pub(super) fn watch(&mut self, folder: &Path, mode: RecursiveMode) -> Result<()> {
        self.watcher()?.watch(folder, mode)
    }

    /// Watches many folders, without what lies below each; says what became of each.
    pub(super) fn watch_all(&mut self, folders: Vec<PathBuf>) -> Vec<(PathBuf, Result<()>)> {
        let path = |op: &PathOp| op.as_path().to_owned();
        let alone = WatchPathConfig::new(RecursiveMode::NonRecursive);
        let mut rest: Vec<PathOp> =
            folders.into_iter().map(|folder| PathOp::Watch(folder, alone.clone())).collect();
        let mut done = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let mut paths: Vec<PathBuf> = rest.iter().map(path).collect();
            let failed = match self.watcher() {
                Ok(watcher) => watcher.update_paths(std::mem::take(&mut rest)).err(),
                // None of them has a watcher: one reason is enough.
                Err(error) => {
                    done.extend(paths.pop().map(|path| (path, Err(error))));
                    break;
                }
            };
            let failure = failed.map(|failed| {
                // It stops at the first that fails; the others come next, unless the watcher itself has ended.
                rest = failed.remaining;
                if failed.origin.is_none() {
                    (self.watcher, rest) = (None, Vec::new());
                }
                failed.source
            });
            paths.truncate(paths.len() - rest.len());
            let at = failure.and_then(|error| Some((paths.pop()?, Err(error))));
            done.extend(paths.into_iter().map(|path| (path, Ok(()))));
            done.extend(at);
        }
        done
    }

    pub(super) fn unwatch(&mut self, folder: &Path) {
        // It may be gone, and its watch with it.
        let _ = self.watcher.as_mut().map(|watcher| watcher.unwatch(folder));
    }

    fn watcher(&mut self) -> Result<&mut RecommendedWatcher> {
        // Who opens or reads a file wakes nobody here.
        let kinds = EventKindMask::CREATE
            | EventKindMask::REMOVE
            | EventKindMask::MODIFY_NAME
            | EventKindMask::MODIFY_DATA;
        let take = Arc::clone(&self.take);
        match &mut self.watcher {
            Some(watcher) => Ok(watcher),
            none => {
                let config = Config::default().with_event_kinds(kinds);
                Ok(none.insert(RecommendedWatcher::new(move |event| take(event), config)?))
            }
        }
    }
}

/// Whether the system has no more watchers, or this process no more files, which they are too.
pub(super) fn is_at_limit(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error());
    #[cfg(not(unix))]
    return false;
}

/// Whether an event is worth a thought. Cheap and without a look at the disk: names only.
pub(super) fn matters(event: &notify::Event) -> bool {
    if event.need_rescan() {
        return true;
    }
    match event.kind {
        EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => {
            event.paths.iter().any(|path| is_notebook(path))
        }
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
        _ => false,
    }
}
