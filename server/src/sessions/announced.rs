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
use crate::registry::{BEING_MADE_MILLISECONDS, Binding, being_made};

/// How long after the editor announced a rename the same one on disk is taken to be it.
const ANNOUNCED: Duration = Duration::from_millis(BEING_MADE_MILLISECONDS as u64);

/// How often a notebook that the editor moves is looked for, and after how long again.
const LOOKS: usize = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(2);

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
        // Before it is asked who is bound to what: a kernel that follows just then is found in its old place or its new one.
        let announced = self.announced_moves();
        let live = self.registry().live_bindings().unwrap_or_default();
        for binding in live.iter().filter(|b| self.attached.contains(&b.session_id)) {
            let places = places(binding, &announced);
            for target in places.iter().filter_map(|place| moved_path(place, from, to)) {
                let pair = |place: &PathBuf| {
                    (place.to_string_lossy().into_owned(), target.to_string_lossy().into_owned())
                };
                moves.extend(places.iter().filter(|place| **place != target).map(pair));
            }
        }
        for (from, to) in &moves {
            let (to, what, now) = (to.clone(), being_made(&a_move(from, to)), Time::now());
            self.write_later(move |registry| registry.dismiss(&to, OfferKind::Migrate, &what, now));
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
        let live = self.registry().live_bindings().unwrap_or_default();
        // A kernel that has not followed an earlier rename yet is concerned by where its notebook was to go.
        for binding in live.iter().filter(|b| self.announced_places(b).iter().any(|at| at.starts_with(from)))
        {
            let target = moved_path(Path::new(&binding.key), from, to);
            self.follow_editor(binding, target).await;
        }
        self.history_follows(from, to);
        // It is made. The same one once more is another, and may be somebody else's.
        self.announcement_is_over(|a| (a.from.as_path(), a.to.as_path()) == (from, to));
    }

    /// Brings a session to where the editor put its notebook, which it may move on meanwhile.
    async fn follow_editor(self: &Arc<Self>, binding: &Binding, target: Option<PathBuf>) {
        let mut tried = None;
        for _ in 0..LOOKS {
            let bound = self.bound(&binding.session_id);
            let Some(now) = bound.iter().find(|now| now.number == binding.number) else { return };
            let is_its = |place: &PathBuf| file_identity(place) == now.file;
            let place = match now.file {
                Some(_) => self.announced_places(now).into_iter().rev().find(is_its),
                None => target.clone(),
            };
            match place {
                Some(place) if place == Path::new(&now.key) || tried.as_ref() == Some(&place) => return,
                Some(place) => {
                    self.follow_rename(now, &place, true).await;
                    tried = Some(place);
                }
                // Moved on while it was looked for.
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Whether the editor announced that a notebook goes there.
    pub(super) fn was_announced(&self, binding: &Binding, target: &Path) -> bool {
        self.announced_places(binding).iter().skip(1).any(|place| place == target)
    }

    /// What was not to be asked about while the editor made it may be asked about again.
    fn announcement_is_over(&self, over: impl Fn(&Announced) -> bool) {
        let over: Vec<Announced> = lock(&self.announced).extract_if(.., |a| over(a)).collect();
        for (from, to) in over.into_iter().flat_map(|a| a.moves) {
            let what = being_made(&a_move(&from, &to));
            self.write_later(move |registry| registry.forget_dismissal(&to, OfferKind::Migrate, &what));
        }
    }

    fn announced_places(&self, binding: &Binding) -> Vec<PathBuf> {
        places(binding, &self.announced_moves())
    }

    fn announced_moves(&self) -> Vec<(PathBuf, PathBuf)> {
        let announced = lock(&self.announced);
        let now = announced.iter().filter(|a| a.at.elapsed() < ANNOUNCED);
        now.map(|a| (a.from.clone(), a.to.clone())).collect()
    }
}

/// Where a notebook is, and where it may be once what was announced is made: in that order.
fn places(binding: &Binding, announced: &[(PathBuf, PathBuf)]) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from(&binding.key)];
    for (from, to) in announced {
        let moved: Vec<PathBuf> = places.iter().filter_map(|place| moved_path(place, from, to)).collect();
        // Once each: what goes round in circles must not grow.
        let new: Vec<PathBuf> = moved.into_iter().filter(|place| !places.contains(place)).collect();
        places.extend(new);
    }
    places
}
