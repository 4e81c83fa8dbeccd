//! One notebook opened in two windows: one is asked, the other follows the answer.
//!
//! The window that was not asked remembers who was. Once the question is gone and that window has the notebook's kernel
//! attached, whether resumed or started anew, it attaches it, too. A dismissed question leaves both without. The same
//! where another window replayed a history: the notebook's kernel is another one then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Event, Sessions, lock};
use crate::protocol::{NotebookName, OfferKind};

/// How long after the answer its kernel may take to be there.
const SOON: Duration = Duration::from_secs(120);

/// A question about a notebook that this window shows, which another window was asked.
pub(super) struct Awaited {
    notebook: NotebookName,
    offer_id: String,
    /// Who is asked.
    window: String,
    /// When it was found answered.
    answered: Option<Instant>,
}

impl Sessions {
    /// Notes the question that another window was asked about a notebook that was opened here.
    pub(super) fn await_answer(&self, notebook: &NotebookName) {
        let key = self.key(notebook);
        let rows = self.registry().open_offers().unwrap_or_default();
        let mut awaited = lock(&self.awaited);
        awaited.retain(|one| one.notebook != *notebook);
        let row = rows.into_iter().find(|row| row.notebook_key == key);
        let asked = row.and_then(|row| Some((row.id, row.window_id?)));
        if let Some((offer_id, window)) = asked.filter(|(_, window)| *window != self.window_id()) {
            awaited.push(Awaited { notebook: notebook.clone(), offer_id, window, answered: None });
        }
    }

    /// Follows the answers that other windows gave.
    pub(super) fn follow_answers(self: &Arc<Self>) {
        let (own, open) = (self.window_id(), self.this_window().open);
        if open.is_empty() {
            return;
        }
        let rows = self.registry().open_offers().unwrap_or_default();
        // Those that came up while the notebook was open: a kernel died, a file moved.
        for row in
            rows.iter().filter(|row| open.contains(&row.notebook_key) && row.kind != OfferKind::Replace)
        {
            let Some(window) = row.window_id.clone().filter(|window| *window != own) else { continue };
            let Some(offer) = super::offers::written(row) else { continue };
            let Ok(notebook) = NotebookName::parse(&offer.notebook_uri) else { continue };
            let mut awaited = lock(&self.awaited);
            if !awaited.iter().any(|one| one.offer_id == row.id) {
                awaited.push(Awaited { notebook, offer_id: row.id.clone(), window, answered: None });
            }
        }
        let mut follow = Vec::new();
        lock(&self.awaited).retain_mut(|one| {
            if !open.contains(&self.key(&one.notebook)) {
                return false;
            }
            if let Some(row) = rows.iter().find(|row| row.id == one.offer_id) {
                // Its window may have ended: then it is asked elsewhere, perhaps here.
                one.window = row.window_id.clone().unwrap_or_default();
                return one.window != own;
            }
            let binding = self.registry().binding_by_key(&self.key(&one.notebook)).ok().flatten();
            let session = binding.and_then(|binding| self.cached(&binding.session_id));
            let there = session.filter(|session| session.windows.iter().any(|w| w.window_id == one.window));
            let is_there = there.is_some();
            follow.extend(there.map(|session| (one.notebook.clone(), session.id)));
            !is_there && one.answered.get_or_insert_with(Instant::now).elapsed() < SOON
        });
        follow.extend(self.replayed_elsewhere(&open));
        for (notebook, id) in follow.into_iter().filter(|(_, id)| !self.attached.contains(id)) {
            let sessions = self.clone();
            tokio::spawn(async move {
                tracing::info!(session = %id, notebook = %notebook.uri, "follows another window's answer");
                match sessions.attach_window(&id).await {
                    Ok(session) => sessions.emit(Event::Followed(notebook.uri, session)),
                    Err(e) => tracing::warn!(session = %id, "another window's answer was not followed: {e}"),
                }
            });
        }
    }
}
