//! Offers: questions for the user, one a notebook at a time over all windows. They live in the registry; each window shows
//! those that are its own, and compares whenever the registry or a session changed.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::question::{DISMISS, NewOffer};
use super::windows::LivingWindow;
use super::{Event, Sessions, lock, store_failed, text};
use crate::paths::file_identity;
use crate::protocol::{AGENT, EndReason, Error, ErrorKind, NotebookName, Offer, OfferKind, Session, Time};
use crate::registry::{Binding, OfferRow, Raised};

impl Sessions {
    /// Raises a question, or gives the one that is open already.
    pub(super) async fn raise(self: &Arc<Self>, new: NewOffer) -> Result<Offer, Error> {
        let offer = Offer {
            offer_id: crate::ids::unique(),
            kind: new.kind,
            message: new.message,
            notebook_uri: new.notebook.uri.clone(),
            from_notebook_uri: new.from.as_ref().map(|from| from.uri.clone()),
            kernel_name: new.kernel_name,
            actions: new.actions,
            sessions: new.sessions,
            raised_at: Time::now(),
            running: None,
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
        let moved = new.from.filter(|_| new.unless_declined).map(|from| a_move(&from.key, &row.notebook_key));
        let raised = self.write(|registry| registry.raise_offer(&row, moved.as_deref())).await;
        let raised = raised.map_err(store_failed)?;
        let offer = match raised {
            Raised::New | Raised::Replaced(_) => {
                tracing::info!(offer = %offer.offer_id, kind = ?row.kind, notebook = %row.notebook_key, "offered");
                self.fresh_offer(&row).unwrap_or(offer)
            }
            Raised::Existing(row) => self.fresh_offer(&row).unwrap_or(offer),
            Raised::Declined => {
                tracing::info!(notebook = %row.notebook_key, "not offered: dismissed before");
                return Ok(offer);
            }
            Raised::Moot => {
                tracing::info!(notebook = %row.notebook_key, "not offered: the kernel has moved");
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
    pub(super) async fn take_offer(&self, offer: &Offer, answer: &str) -> Result<OfferRow, Error> {
        let row = self.registry().offer(&offer.offer_id).map_err(store_failed)?.ok_or_else(offer_gone)?;
        if answer == DISMISS {
            let session = offer.sessions.first();
            let reason = match (offer.kind, session) {
                (OfferKind::Migrate, Some(_)) => a_move(&self.key_before(offer), &row.notebook_key),
                (_, Some(session)) => session.id.clone(),
                (_, None) => String::new(),
            };
            // Before it is taken: what is seen on disk at the same moment finds it open, or declined.
            let dismissed =
                self.write(|registry| registry.dismiss(&row.notebook_key, row.kind, &reason, Time::now()));
            dismissed.await.map_err(store_failed)?;
        }
        let taken = self.write(|registry| registry.take_offer(&offer.offer_id)).await;
        taken.map_err(store_failed)?.ok_or_else(offer_gone)?;
        tracing::info!(offer = %row.id, kind = ?row.kind, answer, "answered");
        // Withdrawn everywhere but here, where its answer is the news.
        lock(&self.shown).remove(&offer.offer_id);
        self.ring();
        Ok(row)
    }

    /// Withdraws the question of a kind about a notebook, because it is asked anew.
    pub(super) async fn withdraw(&self, key: &str, kind: OfferKind) -> Result<(), Error> {
        for row in self.registry().open_offers().map_err(store_failed)? {
            if row.notebook_key == key && row.kind == kind {
                self.write(|registry| registry.withdraw_offer(&row.id)).await.map_err(store_failed)?;
            }
        }
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
        self.follow_answers();
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
        let bound = row.session_ids.first().map(|id| self.bound(id)).unwrap_or_default();
        let has_it = bound.iter().any(|binding| binding.live && binding.key == row.notebook_key);
        match row.kind {
            OfferKind::Resume if !live => Some("the kernel is gone"),
            OfferKind::Resume if !bound.is_empty() && !has_it => Some("the kernel moved to another notebook"),
            OfferKind::Resume => {
                let other = written(row);
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
                let from = written(row).map(|offer| self.key_before(&offer))?;
                match bound.iter().find(|binding| binding.key == from) {
                    _ if has_it => Some("migrated"),
                    None => Some("the kernel moved to another notebook"),
                    Some(old) if self.is_back(old, Path::new(&row.notebook_key)) == Some(true) => {
                        Some("the file moved back")
                    }
                    Some(_) if !Path::new(&row.notebook_key).exists() => Some("the file moved on"),
                    Some(_) => None,
                }
            }
            OfferKind::Replace => {
                let from = written(row).map(|offer| self.key_before(&offer))?;
                let named = row.session_ids.get(1)?;
                match () {
                    () if has_it => Some("attached"),
                    () if !bound.iter().any(|binding| binding.key == from) => Some("the kernel moved"),
                    () if !self.bound(named).iter().any(|b| b.live && b.key == row.notebook_key) => {
                        Some("the other kernel is gone")
                    }
                    () => None,
                }
            }
            OfferKind::Pick if !row.session_ids.is_empty() && !live => Some("a kernel is gone"),
            OfferKind::Recover => {
                let path = Path::new(&row.notebook_key);
                match self.registry().binding_by_key(&row.notebook_key).ok()? {
                    Some(_) => Some("the notebook has a kernel again"),
                    // Its history went along: it is asked about under its new name.
                    None if path.is_absolute()
                        && !path.exists()
                        && bound.iter().all(|binding| binding.key != row.notebook_key) =>
                    {
                        Some("the notebook is gone")
                    }
                    None => None,
                }
            }
            _ => None,
        }
    }

    /// An offer with its sessions as they are now, and of a `resume` what runs in them.
    fn fresh_offer(&self, row: &OfferRow) -> Option<Offer> {
        let mut offer = written(row)?;
        for session in &mut offer.sessions {
            if let Ok(now) = self.get(&session.id) {
                *session = now;
            }
        }
        self.say_what_runs(&mut offer);
        Some(offer)
    }

    fn say_what_runs(&self, offer: &mut Offer) {
        let (OfferKind::Resume, Some(session)) = (offer.kind, offer.sessions.first()) else { return };
        let own = self.window_id();
        let is_elsewhere = session.windows.iter().any(|w| w.window_id != AGENT && w.window_id != own);
        let running = text::running(session, Time::now());
        offer.message = text::resume(session, offer.kernel_name.as_deref(), running.as_deref(), is_elsewhere);
        offer.running = running;
    }

    /// A notebook was opened in this window: what was asked before may be asked again, and what nobody shows is shown here.
    pub async fn opened(self: &Arc<Self>, notebook: &NotebookName) -> Result<(), Error> {
        let key = self.key(notebook);
        let own = self.window_id();
        for row in self.registry().open_offers().map_err(store_failed)? {
            if row.notebook_key == key && row.window_id.is_none() {
                let moved = self.write(|registry| registry.move_offer(&row.id, Some(&own))).await;
                moved.map_err(store_failed)?;
            }
        }
        let reopened = key.clone();
        self.write_later(move |registry| registry.clear_dismissal(&reopened));
        self.note_history(notebook);
        if let Some(session) = self.by_path_opened(notebook).await? {
            if !self.attached.contains(&session.id) && self.on_open() == super::OnOpen::Ask {
                self.raise(NewOffer::resume(notebook.clone(), session, None)).await?;
            }
        } else if let Some((session, binding)) = self.by_file(notebook).await? {
            match self.on_rename() {
                super::OnRename::Ask => self.offer_migration(notebook, session, &binding, false).await?,
                super::OnRename::Migrate => {
                    self.migrate(&session.id, notebook, Some(&binding.key)).await?;
                }
                super::OnRename::Ignore => {}
            }
        } else if let Some(new) = self.guess(notebook, None).await? {
            self.raise(new).await?;
        } else if let Some(session) = self.died(notebook)? {
            self.raise(self.recovery(notebook.clone(), session, None)).await?;
        }
        self.await_answer(notebook);
        self.show_offers();
        Ok(())
    }

    /// A kernel died: where its notebook is open, that is asked about at once, by one window.
    pub(super) fn recover_at_once(self: &Arc<Self>, before: &Session, session: Session) {
        let died = matches!(session.end_reason, Some(EndReason::Crashed | EndReason::Lost));
        if !died {
            return;
        }
        for binding in self.bound(&session.id).into_iter().filter(|binding| !binding.given_up) {
            let mut windows = self.living_windows();
            windows.retain(|window| window.open.contains(&binding.key));
            let attached = windows.iter().find(|w| before.windows.iter().any(|b| b.window_id == w.id));
            let asks = attached.or_else(|| windows.first());
            let Ok(notebook) = NotebookName::parse(&binding.uri) else { continue };
            if asks.is_none_or(|window| window.id != self.window_id()) {
                continue;
            }
            let (sessions, session) = (self.clone(), session.clone());
            tokio::spawn(async move {
                if let Err(e) = sessions.raise(sessions.recovery(notebook, session, None)).await {
                    tracing::warn!(notebook = %binding.key, "its kernel died, but nothing could be offered: {e}");
                }
            });
        }
    }

    /// Asks whether a kernel should follow its notebook, in the window where that belongs.
    pub(super) async fn offer_migration(
        self: &Arc<Self>,
        notebook: &NotebookName,
        session: Session,
        from: &Binding,
        is_guess: bool,
    ) -> Result<(), Error> {
        let key = self.key(notebook);
        for row in self.registry().open_offers().map_err(store_failed)? {
            let same = row.kind == OfferKind::Migrate && row.session_ids.first() == Some(&session.id);
            let about = written(&row).map(|offer| self.key_before(&offer));
            if !same || row.notebook_key == key || about.is_some_and(|about| about != from.key) {
                continue;
            }
            // One notebook is at one place: what is seen last and surely overtakes the rest.
            if is_guess {
                return Ok(());
            }
            self.write(|registry| registry.withdraw_offer(&row.id)).await.map_err(store_failed)?;
        }
        let windows = self.living_windows();
        let attached = session
            .windows
            .iter()
            .map(|w| w.window_id.as_str())
            .find(|id| windows.iter().any(|w| w.id == *id));
        let to = attached.map(str::to_owned).or_else(|| choose(&windows, &key, Some(&from.key)));
        let new = NewOffer::migrate(notebook.clone(), session, from.clone(), is_guess, None);
        self.raise(new.to(to).unless_declined()).await?;
        Ok(())
    }

    /// What to ask about a notebook that looks like one whose kernel runs on without it.
    pub(super) async fn guess(
        self: &Arc<Self>,
        notebook: &NotebookName,
        kernel_name: Option<&str>,
    ) -> Result<Option<NewOffer>, Error> {
        if self.on_rename() == super::OnRename::Ignore {
            return Ok(None);
        }
        let key = self.key(notebook);
        let mut alike = self.alike(notebook).await;
        let refused = |from: &Binding| {
            self.registry().is_dismissed(&key, OfferKind::Migrate, &a_move(&from.key, &key)).unwrap_or(false)
        };
        // Whose very file is asked about elsewhere is not this notebook's.
        let is_found = |from: &Binding| {
            let its = |key: &String| from.file.is_some() && file_identity(Path::new(key)) == from.file;
            self.moves_asked(from).iter().any(its)
        };
        alike.retain(|(_, from, _)| !refused(from) && !is_found(from));
        if alike.len() > 1 {
            let sessions = alike.into_iter().map(|(session, ..)| session).collect();
            return Ok(Some(NewOffer::pick_session(notebook.clone(), sessions, kernel_name)));
        }
        let one = alike.pop();
        Ok(one
            .map(|(session, from, _)| NewOffer::migrate(notebook.clone(), session, from, true, kernel_name)))
    }

    /// Where the open questions about a notebook say that it is now, by keys.
    pub(super) fn moves_asked(&self, binding: &Binding) -> Vec<String> {
        let mut rows = self.registry().open_offers().unwrap_or_default();
        rows.retain(|row| row.kind == OfferKind::Migrate && row.session_ids.contains(&binding.session_id));
        let about = |row: &OfferRow| written(row).map(|o| self.key_before(&o));
        rows.retain(|row| about(row).is_some_and(|key| key == binding.key));
        rows.into_iter().map(|row| row.notebook_key).collect()
    }

    /// The key that a `migrate` offer's notebook had.
    pub(super) fn key_before(&self, offer: &Offer) -> String {
        let session = offer.sessions.first().map(|session| session.notebook_uri.as_str());
        let from = offer.from_notebook_uri.as_deref().or(session).unwrap_or_default();
        NotebookName::parse(from).map(|name| self.key(&name)).unwrap_or_default()
    }
}

/// A move as dismissals have it.
pub(super) fn a_move(from_key: &str, to_key: &str) -> String {
    format!("{from_key}\u{0}{to_key}")
}

/// The window that has the notebook open, else the one whose folder holds it.
fn choose(windows: &[LivingWindow], key: &str, old_key: Option<&str>) -> Option<String> {
    let open = |w: &&LivingWindow| w.open.iter().any(|open| open == key || Some(open.as_str()) == old_key);
    let found = windows.iter().find(open).or_else(|| windows.iter().find(|w| w.contains(Path::new(key))));
    found.map(|w| w.id.clone())
}

/// The offer as it was raised. Its sessions' ids become the names of folders.
pub(super) fn written(row: &OfferRow) -> Option<Offer> {
    let mut offer: Offer = serde_json::from_str(&row.document).ok()?;
    offer.sessions.retain(|session| crate::ids::is_id(&session.id));
    Some(offer)
}

fn offer_gone() -> Error {
    let mut error = Error::new(ErrorKind::OfferGone, "this question was answered or withdrawn already");
    error.data.insert("offer".into(), Value::Null);
    error
}
