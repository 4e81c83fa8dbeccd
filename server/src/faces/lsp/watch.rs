//! What the disk and the other windows do: renames, and the bell. One task takes the hints in order.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::renames::{Hint, Watcher};
use crate::sessions::Sessions;

/// How often the registry is looked at though nobody rang.
const LOOK: Duration = Duration::from_secs(5);

/// Watches until the process ends.
pub async fn follow(sessions: Arc<Sessions>) {
    let (sender, mut hints) = mpsc::unbounded_channel();
    let bell = sessions.folders.bell();
    if let Err(e) = crate::paths::ring(&bell) {
        tracing::warn!("the bell cannot be made: {e}");
    }
    let watcher = match Watcher::new(&bell, sender) {
        Ok(watcher) => Some(watcher),
        Err(e) => {
            tracing::warn!("nothing can be watched, so renames on disk go unseen: {e}");
            None
        }
    };
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut watched: Vec<PathBuf> = Vec::new();
    let mut bound = BTreeSet::new();
    loop {
        tokio::select! {
            Some(hint) = hints.recv() => take(&sessions, hint).await,
            _ = tick.tick() => {
                if let Err(e) = sessions.still_here() {
                    tracing::warn!("the window could not be registered: {e}");
                }
                look(&sessions);
            }
        }
        if let Some(watcher) = &watcher {
            let (folders, notebooks) = sessions.watched();
            for folder in folders.iter().filter(|folder| !watched.contains(*folder)) {
                watcher.watch_workspace(folder);
            }
            for folder in watched.iter().filter(|folder| !folders.contains(folder)) {
                watcher.unwatch_workspace(folder);
            }
            watched = folders;
            let notebooks: BTreeSet<PathBuf> = notebooks.into_iter().collect();
            // New names first: watching goes on without a gap where they share a folder.
            notebooks.difference(&bound).for_each(|path| watcher.watch_notebook(path));
            bound.difference(&notebooks).for_each(|path| watcher.unwatch_notebook(path));
            bound = notebooks;
            for warning in watcher.take_warnings() {
                tracing::warn!("{warning}");
            }
        }
    }
}

async fn take(sessions: &Arc<Sessions>, hint: Hint) {
    let is_bell = matches!(hint, Hint::Bell);
    match hint {
        Hint::Renamed { from, to } => sessions.disk_renamed(&from, &to).await,
        Hint::Appeared(path) => sessions.arrived(&path).await,
        Hint::Gone(_) => sessions.vanished(),
        Hint::Rescan => sessions.look_for_moved().await,
        Hint::Bell => look(sessions),
    }
    if !is_bell {
        sessions.tell_what_exists();
    }
}

/// Looks at the registry again, beside what else goes on: a keeper that does not answer must hold up nothing.
fn look(sessions: &Arc<Sessions>) {
    sessions.review_offers();
    let sessions = sessions.clone();
    tokio::spawn(async move {
        if let Err(e) = sessions.refresh(true).await {
            tracing::warn!("{e}");
        }
    });
}
