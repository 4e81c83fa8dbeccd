//! The system's watchers, several of them behind one: each has a thread of its own, and whoever sets a watch waits until
//! that thread has woken and done it. One after the other, 5,000 watches took half a second.
//!
//! A folder is always the same watcher's. So the two halves of a rename from one folder to another may come by two
//! threads, in any order: they have the same cookie (`pairing.rs`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Event, RecommendedWatcher, RecursiveMode, Result, Watcher as _};

/// More threads than these gain nothing, and the system's number of watchers is limited for all programs together.
const WATCHERS: usize = if super::watching::WHOLE_TREES { 1 } else { 6 };

pub(super) struct System {
    all: Vec<Mutex<RecommendedWatcher>>,
}

impl System {
    /// # Errors
    /// Not even one watcher can be had.
    pub(super) fn new(take: impl Fn(Result<Event>) + Send + Sync + 'static) -> Result<System> {
        let take = Arc::new(take);
        let one = || {
            let take = Arc::clone(&take);
            notify::recommended_watcher(move |event| take(event)).map(Mutex::new)
        };
        let first = one()?;
        // Where the system has no more of them, fewer do.
        let all = std::iter::once(first).chain((1..WATCHERS).map_while(|_| one().ok())).collect();
        Ok(System { all })
    }

    /// Watches a folder; can be called by several threads at once.
    pub(super) fn watch(&self, folder: &Path, mode: RecursiveMode) -> Result<()> {
        self.of(folder).lock().unwrap_or_else(PoisonError::into_inner).watch(folder, mode)
    }

    pub(super) fn unwatch(&self, folder: &Path) {
        // It may be gone, and its watch with it.
        let _ = self.of(folder).lock().unwrap_or_else(PoisonError::into_inner).unwatch(folder);
    }

    fn of(&self, folder: &Path) -> &Mutex<RecommendedWatcher> {
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        &self.all[hasher.finish() as usize % self.all.len()]
    }
}
