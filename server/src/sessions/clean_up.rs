//! What each window does from time to time for all: windows that are gone are marked, and forgotten a day later.
//!
//! Ends nothing: a window that was silent for too long is there again with its next sign of life, and kernels are not
//! touched.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::windows::{Document, Said};
use super::{Event, Sessions, repository};
use crate::protocol::{Session, Time, WindowState};
use crate::registry::Window;

/// Milliseconds for which events are kept: longer than anybody counts them.
const EVENTS_KEPT: i64 = 48 * 3_600_000;

impl Sessions {
    /// Marks, forgets, and notices that a sidecar which still holds its connections gives no sign of life.
    pub fn clean_up(self: &Arc<Self>) {
        let (now, own) = (Time::now(), self.window_id());
        let rows = match self.registry().windows() {
            Ok(rows) => rows,
            Err(e) => return tracing::warn!("the windows cannot be looked at: {e}"),
        };
        let forget_after = self.settings().forget_after.as_millis() as i64;
        let host = crate::process::host();
        let mut silent = BTreeSet::new();
        for row in rows.into_iter().filter(|row| row.id != own && row.host == host) {
            if self.state_of(&row) == WindowState::Active {
                continue;
            }
            // One that is frozen still holds its connections: it is known as long as they are there.
            let is_frozen = row.has_sidecar && super::windows::sidecar(&row).is_alive();
            if !is_frozen && row.disconnected_at.is_some_and(|at| now.since(at) > forget_after) {
                let _ = self.registry().remove_window(&row.id);
                continue;
            }
            // Of several that notice at once, one notes it.
            let marked = self.registry().change_window(&row.id, |found| {
                let is_news =
                    found.disconnected_at.is_none() && self.state_of(found) == WindowState::Disconnected;
                if is_news {
                    found.disconnected_at = Some(now);
                }
                is_news
            });
            if matches!(marked, Ok(Some(true))) {
                let folder = Said::of(&row).about.folder;
                self.note_window(
                    "windowDisconnected",
                    &row.id,
                    folder.as_deref(),
                    Some("it gave no sign of life".into()),
                );
            }
            // The connections of one that has ended are gone with it.
            if is_frozen {
                silent.insert(row.id);
            }
        }
        self.turn_silent(silent);
        // Its files are others': off this thread.
        let sessions = Arc::clone(self);
        tokio::task::spawn_blocking(move || sessions.look_at_repository());
        let _ = self.registry().forget_events(Time(now.0 - EVENTS_KEPT));
    }

    /// Somebody rang: a window that was silent may be there again.
    pub fn hear_again(self: &Arc<Self>) {
        let silent = super::lock(&self.silent).clone();
        if silent.is_empty() {
            return;
        }
        let is_silent = |id: &String| {
            let row = self.registry().window(id).ok().flatten();
            *id != self.window_id() && row.is_some_and(|row| self.state_of(&row) == WindowState::Disconnected)
        };
        self.turn_silent(silent.into_iter().filter(is_silent).collect());
    }

    /// Windows whose connections stand though nobody is behind them do not count as looking.
    fn turn_silent(self: &Arc<Self>, silent: BTreeSet<String>) {
        let before = std::mem::replace(&mut *super::lock(&self.silent), silent.clone());
        if before == silent {
            return;
        }
        let concerned = |session: &Session| {
            session.windows.iter().any(|w| before.contains(&w.window_id) != silent.contains(&w.window_id))
        };
        let sessions: Vec<Session> = self
            .live
            .iter()
            .filter(|live| concerned(&live.session))
            .map(|live| live.session.clone())
            .collect();
        for session in sessions {
            let looked = session.windows.iter().any(|w| !before.contains(&w.window_id));
            let session = self.present(session);
            let let_go = looked && !session.has_window();
            self.emit(if let_go { Event::Disconnected(session) } else { Event::Updated(session) });
        }
        self.review_offers();
    }

    /// Another branch was checked out: what was read from the folder before, and nobody set since, follows.
    fn look_at_repository(&self) {
        let (id, about, said) = {
            let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
            (window.id.clone(), window.about.clone(), window.said.clone())
        };
        let now = Said::new(repository::complete(&about));
        let before: Said = serde_json::from_str(&said).unwrap_or_default();
        if now.about == before.about {
            return;
        }
        self.window.write().unwrap_or_else(PoisonError::into_inner).said = now.to_json();
        let follow = move |row: &mut Window| {
            let mut is = Said::of(row);
            if is.about.repo == before.about.repo {
                is.about.repo.clone_from(&now.about.repo);
            }
            if is.about.issue_number == before.about.issue_number {
                is.about.issue_number = now.about.issue_number;
            }
            row.about = is.to_json();
        };
        self.write_later(move |registry| registry.change_window(&id, &follow).map(drop));
    }

    /// The sessions that a window had attached when it was seen last.
    pub(super) fn attached_by(row: &Window) -> Vec<String> {
        Document::of(row).attached
    }
}
