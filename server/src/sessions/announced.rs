//! Renames that the editor makes: it announces them, makes them, and says so. The watcher may be faster than its word.
//!
//! Several may be under way, one upon the other, while the kernel's own name lags behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::offers::a_move;
use super::renamed::moved_path;
use super::{Sessions, lock};
use crate::paths::file_identity;
use crate::protocol::{OfferKind, Time};
use crate::registry::Binding;

/// How long after the editor announced a rename the same one on disk is taken to be it.
const ANNOUNCED: Duration = Duration::from_secs(10);

/// A rename that the editor is about to make.
pub(super) struct Announced {
    from: PathBuf,
    to: PathBuf,
    at: Instant,
    /// The moves of notebooks, by key, that no window is asked about meanwhile.
    moves: Vec<(String, String)>,
}

impl Sessions {
    /// The editor will rename a file or folder: what is seen on disk meanwhile is no news, here and in the other windows.
    pub fn announce_rename(self: &Arc<Self>, from: &Path, to: &Path) {
        let mut moves = Vec::new();
        let live = self.registry().live_bindings().unwrap_or_default();
        for binding in live.iter().filter(|b| self.attached.contains(&b.session_id)) {
            let places = self.announced_places(binding);
            for target in places.iter().filter_map(|place| moved_path(place, from, to)) {
                let pair = |place: &PathBuf| {
                    (place.to_string_lossy().into_owned(), target.to_string_lossy().into_owned())
                };
                moves.extend(places.iter().filter(|place| **place != target).map(pair));
            }
        }
        for (from, to) in &moves {
            let _ = self.registry().dismiss(to, OfferKind::Migrate, &a_move(from, to), Time::now());
        }
        lock(&self.announced).push(Announced { from: from.into(), to: to.into(), at: Instant::now(), moves });
        // Should the editor never make it.
        let (sessions, from, to) = (self.clone(), from.to_owned(), to.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(ANNOUNCED).await;
            sessions
                .announcement_is_over(|a| a.at.elapsed() >= ANNOUNCED && (&a.from, &a.to) == (&from, &to));
        });
    }

    /// The editor renamed a file or folder: sessions that this window has attached follow, others are offered.
    pub async fn editor_renamed(self: &Arc<Self>, from: &Path, to: &Path) {
        // One after the other: the next one begins where this one ends.
        let _one_at_a_time = self.renaming.lock().await;
        for binding in self.bound_below(from) {
            let Some(target) = moved_path(Path::new(&binding.key), from, to) else { continue };
            // It may have been renamed again by now.
            let is_its = |place: &PathBuf| binding.file.is_some() && file_identity(place) == binding.file;
            let target = self.announced_places(&binding).into_iter().rev().find(is_its).unwrap_or(target);
            self.follow_rename(&binding, &target, true).await;
        }
        self.history_follows(from, to);
        // It is made. The same one once more is another, and may be somebody else's.
        self.announcement_is_over(|a| (a.from.as_path(), a.to.as_path()) == (from, to));
    }

    /// Whether the editor announced that a notebook goes there.
    pub(super) fn was_announced(&self, binding: &Binding, target: &Path) -> bool {
        self.announced_places(binding).iter().skip(1).any(|place| place == target)
    }

    /// What was not to be asked about while the editor made it may be asked about again.
    fn announcement_is_over(&self, over: impl Fn(&Announced) -> bool) {
        let over: Vec<Announced> = lock(&self.announced).extract_if(.., |a| over(a)).collect();
        for (from, to) in over.into_iter().flat_map(|a| a.moves) {
            let _ = self.registry().forget_dismissal(&to, OfferKind::Migrate, &a_move(&from, &to));
        }
    }

    /// Where a notebook is, and where it may be once what was announced is made: in that order.
    fn announced_places(&self, binding: &Binding) -> Vec<PathBuf> {
        let mut places = vec![PathBuf::from(&binding.key)];
        for a in lock(&self.announced).iter().filter(|a| a.at.elapsed() < ANNOUNCED) {
            let moved: Vec<PathBuf> =
                places.iter().filter_map(|place| moved_path(place, &a.from, &a.to)).collect();
            places.extend(moved);
        }
        places
    }
}
