//! What the disk and the other windows do: renames, and the bell. One task takes the hints in order.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::renames::{Hint, Watcher};
use crate::sessions::Sessions;

/// How often the registry is looked at though nobody rang.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether a keeper or a kernel is stopped.
const FROZEN: Duration = Duration::from_secs(2);
/// How long after a notebook went away it is looked for: it may have come to where nobody watched yet.
const MISSED: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(2_500)];
/// How many hints are dealt with before what follows from them is looked at.
const AT_ONCE: usize = 256;

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
    // Often enough that a short limit for silence, should someone set one, is not reached.
    let settings = sessions.settings();
    let mut sign = tokio::time::interval(settings.sign_every());
    let mut clean_up = tokio::time::interval(settings.clean_up_interval.max(Duration::from_millis(50)));
    let mut frozen = tokio::time::interval(FROZEN);
    for interval in [&mut sign, &mut clean_up, &mut frozen] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    let mut watched: Vec<PathBuf> = Vec::new();
    let mut bound = BTreeSet::new();
    let mut missed: Vec<Instant> = Vec::new();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            // A folder that is moved tells of each notebook in it.
            1.. = hints.recv_many(&mut batch, AT_ONCE) => {
                if take(&sessions, batch.drain(..)).await {
                    missed = MISSED.map(|after| Instant::now() + after).into();
                }
            }
            // Once more, for one that is written slowly.
            () = sleep_until(missed.first().copied().unwrap_or_else(Instant::now)), if !missed.is_empty() => {
                missed.remove(0);
                let sessions = sessions.clone();
                tokio::spawn(async move { sessions.look_for_moved(true).await });
            }
            _ = sign.tick() => {
                if let Err(e) = sessions.still_here() {
                    tracing::warn!("the window could not be registered: {e}");
                }
            }
            _ = clean_up.tick() => sessions.clean_up(),
            _ = frozen.tick() => sessions.look_for_frozen(),
            _ = tick.tick() => look(&sessions),
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

/// True where a notebook that has a kernel went away, nobody knows where to, or where one came that may be it.
async fn take(sessions: &Arc<Sessions>, hints: impl Iterator<Item = Hint>) -> bool {
    let (mut is_missed, mut is_disk, mut is_rung) = (false, false, false);
    for hint in hints {
        is_disk |= hint != Hint::Bell;
        match hint {
            Hint::Renamed { from, to } => sessions.disk_renamed(&from, &to).await,
            Hint::Appeared(path) => is_missed |= sessions.arrived(&path).await,
            Hint::Gone(path) => is_missed |= sessions.vanished(&path),
            Hint::Rescan => sessions.look_for_moved(false).await,
            Hint::Bell => is_rung = true,
        }
    }
    if is_rung {
        look(sessions);
    }
    if is_disk {
        sessions.tell_what_exists();
    }
    is_missed
}

/// Looks at the registry again, beside what else goes on: a keeper that does not answer must hold up nothing.
fn look(sessions: &Arc<Sessions>) {
    sessions.hear_again();
    sessions.review_offers();
    sessions.look_for_conversations();
    let sessions = sessions.clone();
    tokio::spawn(async move {
        if let Err(e) = sessions.refresh(true).await {
            tracing::warn!("{e}");
        }
    });
}
