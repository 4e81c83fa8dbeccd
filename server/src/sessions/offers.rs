//! Offers: questions for the user, one a notebook at a time over all windows. They live in the registry; each window shows
//! those that are its own, and compares whenever the registry or a session changed.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::windows::LivingWindow;
use super::{Event, Sessions, lock, store_failed, text};
use crate::protocol::{
    Action, EndReason, Error, ErrorKind, Execution, Kernelspec, NotebookName, Offer, OfferKind, Session,
    Time, actions,
};
use crate::registry::{OfferRow, Raised};

/// Valid for every kind.
pub(super) const DISMISS: &str = "dismiss";

/// A question about to be raised.
pub(super) struct NewOffer {
    kind: OfferKind,
    notebook: NotebookName,
    message: String,
    kernel_name: Option<String>,
    actions: Vec<Action>,
    sessions: Vec<Session>,
    /// The window that it goes to; `None`: this one.
    to: Option<Option<String>>,
    /// The move that it is about, which may have been declined.
    moved: Option<String>,
}

impl NewOffer {
    pub fn resume(notebook: NotebookName, session: Session, kernel_name: Option<&str>) -> NewOffer {
        let message = text::resume(&session, kernel_name);
        let kernel_name = kernel_name.map_or_else(|| session.kernel.name.clone(), str::to_owned);
        let actions = vec![action(actions::RESUME, "Resume Session"), action(actions::FRESH, "Start Fresh")];
        Self::new(OfferKind::Resume, notebook, message, Some(kernel_name), actions, vec![session])
    }

    pub fn migrate(notebook: NotebookName, session: Session, kernel_name: Option<&str>) -> NewOffer {
        let message = text::migrate(&session, &notebook.file_name());
        let actions = vec![action(actions::MIGRATE, "Attach & Migrate"), action(DISMISS, "Not Now")];
        Self::new(
            OfferKind::Migrate,
            notebook,
            message,
            kernel_name.map(str::to_owned),
            actions,
            vec![session],
        )
    }

    pub fn replace(notebook: NotebookName, session: Session, holder: &Session) -> NewOffer {
        let message = text::replace(holder, &notebook.file_name());
        let actions = vec![action(actions::REPLACE, "Replace"), action(DISMISS, "Cancel")];
        Self::new(OfferKind::Replace, notebook, message, None, actions, vec![session, holder.clone()])
    }

    pub fn recover(
        notebook: NotebookName,
        session: Session,
        kernel_name: Option<&str>,
        last: Option<Execution>,
    ) -> NewOffer {
        let message = text::recover(&session, last.as_ref());
        let actions = vec![action(actions::FRESH, "Start Fresh"), action(actions::HISTORY, "Show History")];
        let kernel_name = kernel_name.map_or_else(|| session.kernel.name.clone(), str::to_owned);
        Self::new(OfferKind::Recover, notebook, message, Some(kernel_name), actions, vec![session])
    }

    pub fn pick(notebook: NotebookName, kernelspecs: Vec<Kernelspec>) -> NewOffer {
        let message = format!("Which kernel should run {}?", notebook.file_name());
        let ready: Vec<Kernelspec> = kernelspecs.into_iter().filter(|spec| spec.ready).collect();
        let first = ready.first().map(|spec| spec.name.clone());
        let mut actions: Vec<Action> = ready
            .iter()
            .map(|spec| action(&format!("{}{}", actions::KERNEL_PREFIX, spec.name), &spec.display_name))
            .collect();
        actions.push(action(actions::FRESH, "New Session"));
        Self::new(OfferKind::Pick, notebook, message, first, actions, Vec::new())
    }

    /// Sends it to another window, or to whichever opens the notebook next.
    pub fn to(mut self, window: Option<String>) -> NewOffer {
        self.to = Some(window);
        self
    }

    /// It is not asked where that move was declined.
    fn unless_declined(mut self, moved: String) -> NewOffer {
        self.moved = Some(moved);
        self
    }

    fn new(
        kind: OfferKind,
        notebook: NotebookName,
        message: String,
        kernel_name: Option<String>,
        actions: Vec<Action>,
        sessions: Vec<Session>,
    ) -> NewOffer {
        NewOffer { kind, notebook, message, kernel_name, actions, sessions, to: None, moved: None }
    }
}

fn action(id: &str, title: &str) -> Action {
    Action { action: id.into(), title: title.into() }
}

impl Sessions {
    /// Raises a question, or gives the one that is open already.
    pub(super) fn raise(self: &Arc<Self>, new: NewOffer) -> Result<Offer, Error> {
        let offer = Offer {
            offer_id: crate::ids::unique(),
            kind: new.kind,
            message: new.message,
            notebook_uri: new.notebook.uri.clone(),
            kernel_name: new.kernel_name,
            actions: new.actions,
            sessions: new.sessions,
            raised_at: Time::now(),
        };
        let row = OfferRow {
            id: offer.offer_id.clone(),
            kind: offer.kind,
            notebook_key: self.key(&new.notebook),
            session_ids: offer.sessions.iter().map(|s| s.id.clone()).collect(),
            window_id: new.to.unwrap_or_else(|| Some(self.window_id())),
            document: serde_json::to_string(&offer).map_err(store_failed)?,
            raised_at: offer.raised_at,
        };
        let raised = self.registry().raise_offer(&row, new.moved.as_deref()).map_err(store_failed)?;
        let offer = match raised {
            Raised::New | Raised::Replaced(_) => {
                tracing::info!(offer = %offer.offer_id, kind = ?row.kind, notebook = %row.notebook_key, "offered");
                offer
            }
            Raised::Existing(row) => self.fresh_offer(&row).unwrap_or(offer),
            Raised::Declined => {
                tracing::info!(notebook = %row.notebook_key, "not offered: dismissed before");
                return Ok(offer);
            }
        };
        self.show_offers();
        self.ring();
        Ok(offer)
    }

    /// The open offers that this window may answer.
    pub fn open_offers(self: &Arc<Self>) -> Result<Vec<Offer>, Error> {
        self.review_offers();
        let own = self.window_id();
        let rows = self.registry().open_offers().map_err(store_failed)?;
        let mine = rows.iter().filter(|row| row.window_id.as_deref().is_none_or(|id| id == own));
        Ok(mine.filter_map(|row| self.fresh_offer(row)).collect())
    }

    pub(super) fn offer(&self, offer_id: &str) -> Result<Offer, Error> {
        let row = self.registry().offer(offer_id).map_err(store_failed)?;
        row.and_then(|row| self.fresh_offer(&row)).ok_or_else(offer_gone)
    }

    /// Takes an offer to act on it. What was dismissed is not asked again for the same reason.
    pub(super) fn take_offer(&self, offer: &Offer, answer: &str) -> Result<(), Error> {
        let registry = self.registry();
        let row = registry.offer(&offer.offer_id).map_err(store_failed)?.ok_or_else(offer_gone)?;
        if answer == DISMISS {
            let session = offer.sessions.first();
            let reason = match (offer.kind, session) {
                (OfferKind::Migrate, Some(session)) => {
                    let from = session.notebook_path.clone().unwrap_or_default();
                    format!("{from}\u{0}{}", row.notebook_key)
                }
                (_, Some(session)) => session.id.clone(),
                (_, None) => String::new(),
            };
            // Before it is taken: what is seen on disk at the same moment finds it open, or declined.
            registry.dismiss(&row.notebook_key, row.kind, &reason, Time::now()).map_err(store_failed)?;
        }
        registry.take_offer(&offer.offer_id).map_err(store_failed)?.ok_or_else(offer_gone)?;
        tracing::info!(offer = %row.id, kind = ?row.kind, answer, "answered");
        // Withdrawn everywhere but here, where its answer is the news.
        lock(&self.shown).remove(&offer.offer_id);
        self.ring();
        Ok(())
    }

    /// Withdraws what is moot, gives away what belonged to a dead window, and shows what is this window's.
    pub fn review_offers(self: &Arc<Self>) {
        let rows = match self.registry().open_offers() {
            Ok(rows) => rows,
            Err(e) => return tracing::warn!("the offers cannot be read: {e}"),
        };
        let mut changed = false;
        let windows = if rows.is_empty() { Vec::new() } else { self.living_windows() };
        for row in &rows {
            if let Some(why) = self.moot(row) {
                tracing::info!(offer = %row.id, why, "withdrawn");
                changed |= self.registry().withdraw_offer(&row.id).is_ok();
                continue;
            }
            let orphan = row.window_id.as_ref().is_none_or(|id| !windows.iter().any(|w| w.id == *id));
            if orphan {
                let to = choose(&windows, &row.notebook_key, None);
                if to != row.window_id {
                    changed |= self.registry().move_offer(&row.id, to.as_deref()).is_ok();
                }
            }
        }
        if changed {
            self.ring();
        }
        self.show_offers();
    }

    /// Tells the client what it should show now, and what no more.
    pub(super) fn show_offers(&self) {
        let own = self.window_id();
        let Ok(rows) = self.registry().open_offers() else { return };
        let mine: Vec<&OfferRow> = rows.iter().filter(|row| row.window_id.as_ref() == Some(&own)).collect();
        let mut shown = lock(&self.shown);
        let gone: Vec<String> =
            shown.keys().filter(|id| !mine.iter().any(|row| row.id == **id)).cloned().collect();
        for id in gone {
            shown.remove(&id);
            self.emit(Event::OfferWithdrawn(id));
        }
        for row in mine {
            if shown.contains_key(&row.id) {
                continue;
            }
            if let Some(offer) = self.fresh_offer(row) {
                shown.insert(row.id.clone(), offer.clone());
                self.emit(Event::Offer(offer));
            }
        }
    }

    /// Why an open offer makes no sense any more.
    fn moot(&self, row: &OfferRow) -> Option<&'static str> {
        let session = row.session_ids.first().map(|id| self.get(id));
        let live = matches!(&session, Some(Ok(s)) if s.ended_at.is_none());
        let bound =
            row.session_ids.first().and_then(|id| self.registry().bindings(id).ok()?.into_iter().next());
        match row.kind {
            OfferKind::Resume if !live => Some("the kernel is gone"),
            OfferKind::Resume if bound.as_ref().is_some_and(|b| b.key != row.notebook_key) => {
                Some("the kernel moved to another notebook")
            }
            OfferKind::Resume => {
                let other = serde_json::from_str::<Offer>(&row.document).ok();
                let kernel = other.and_then(|o| o.kernel_name);
                let session = session?.ok()?;
                let same = kernel.is_none_or(|k| k.eq_ignore_ascii_case(&session.kernel.name));
                let here = row
                    .window_id
                    .as_ref()
                    .is_some_and(|id| session.windows.iter().any(|w| w.window_id == *id));
                (same && here).then_some("the window has it attached")
            }
            OfferKind::Migrate | OfferKind::Replace if !live => Some("the kernel is gone"),
            OfferKind::Migrate => {
                let old = bound?;
                let back = old.key != row.notebook_key && self.is_there(&old);
                match () {
                    () if old.key == row.notebook_key => Some("migrated"),
                    () if back => Some("the file moved back"),
                    () if !Path::new(&row.notebook_key).exists() => Some("the file moved on"),
                    () => None,
                }
            }
            OfferKind::Recover => {
                let taken = self.registry().binding_by_key(&row.notebook_key).ok()?;
                taken.map(|_| "the notebook has a kernel again")
            }
            _ => None,
        }
    }

    /// An offer with its sessions as they are now.
    fn fresh_offer(&self, row: &OfferRow) -> Option<Offer> {
        let mut offer: Offer = serde_json::from_str(&row.document).ok()?;
        for session in &mut offer.sessions {
            if let Ok(now) = self.get(&session.id) {
                *session = now;
            }
        }
        Some(offer)
    }

    /// A notebook was opened in this window: what was asked before may be asked again, and what nobody shows is shown here.
    pub async fn opened(self: &Arc<Self>, notebook: &NotebookName) -> Result<(), Error> {
        let key = self.key(notebook);
        let own = self.window_id();
        for row in self.registry().open_offers().map_err(store_failed)? {
            if row.notebook_key == key && row.window_id.is_none() {
                self.registry().move_offer(&row.id, Some(&own)).map_err(store_failed)?;
            }
        }
        self.registry().clear_dismissal(&key).map_err(store_failed)?;
        if let Some(session) = self.by_path_opened(notebook).await? {
            if !self.attached.contains(&session.id) && self.on_open() == super::OnOpen::Ask {
                self.raise(NewOffer::resume(notebook.clone(), session, None))?;
            }
        } else if let Some((session, binding)) = self.by_file(notebook).await? {
            match self.on_rename() {
                super::OnRename::Ask => self.offer_migration(notebook, session, &binding.key)?,
                super::OnRename::Migrate => {
                    self.migrate(&session.id, notebook, Some(&binding.key)).await?;
                }
                super::OnRename::Ignore => {}
            }
        } else if let Some(session) = self.died(notebook)? {
            let last = self.last_begun(&session.id);
            self.raise(NewOffer::recover(notebook.clone(), session, None, last))?;
        }
        self.show_offers();
        Ok(())
    }

    /// A kernel died: where its notebook is open, that is asked about at once, by one window.
    pub(super) fn recover_at_once(self: &Arc<Self>, before: &Session, session: Session) {
        let died = matches!(session.end_reason, Some(EndReason::Crashed | EndReason::Lost));
        let Ok(notebook) = NotebookName::parse(&session.notebook_uri) else { return };
        let key = self.registry().bindings(&session.id).ok().and_then(|b| b.into_iter().next());
        let Some(key) = key.map(|binding| binding.key).filter(|_| died) else { return };
        let mut windows = self.living_windows();
        windows.retain(|window| window.open.contains(&key));
        let attached = windows.iter().find(|w| before.windows.iter().any(|b| b.window_id == w.id));
        let asks = attached.or_else(|| windows.first());
        if asks.is_none_or(|window| window.id != self.window_id()) {
            return;
        }
        let last = self.last_begun(&session.id);
        if let Err(e) = self.raise(NewOffer::recover(notebook, session, None, last)) {
            tracing::warn!(notebook = %key, "its kernel died, but nothing could be offered: {e}");
        }
    }

    /// Asks whether a kernel should follow its notebook, in the window where that belongs.
    pub(super) fn offer_migration(
        self: &Arc<Self>,
        notebook: &NotebookName,
        session: Session,
        old_key: &str,
    ) -> Result<(), Error> {
        let key = self.key(notebook);
        let reason = format!("{old_key}\u{0}{key}");
        let windows = self.living_windows();
        let attached = session
            .windows
            .iter()
            .map(|w| w.window_id.as_str())
            .find(|id| windows.iter().any(|w| w.id == *id));
        let to = attached.map(str::to_owned).or_else(|| choose(&windows, &key, Some(old_key)));
        self.raise(NewOffer::migrate(notebook.clone(), session, None).to(to).unless_declined(reason))?;
        Ok(())
    }
}

/// The window that has the notebook open, else the one whose folder holds it.
fn choose(windows: &[LivingWindow], key: &str, old_key: Option<&str>) -> Option<String> {
    let open = |w: &&LivingWindow| w.open.iter().any(|open| open == key || Some(open.as_str()) == old_key);
    let found = windows.iter().find(open).or_else(|| windows.iter().find(|w| w.contains(Path::new(key))));
    found.map(|w| w.id.clone())
}

fn offer_gone() -> Error {
    let mut error = Error::new(ErrorKind::OfferGone, "this question was answered or withdrawn already");
    error.data.insert("offer".into(), Value::Null);
    error
}
