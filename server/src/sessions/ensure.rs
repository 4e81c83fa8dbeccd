//! "This notebook needs its kernel": taken up where that is clear, asked where it is not, started where there is none.

use std::sync::Arc;
use std::time::Duration;

use super::question::{DISMISS, NewOffer};
use super::start::Start;
use super::{OnOpen, OnRename, Sessions, invalid, store_failed};
use crate::journal::Reader;
use crate::keeper::Record;
use crate::protocol::{
    EndReason, EnsureResult, Error, ErrorKind, Execution, NotebookName, Offer, OfferKind, Session,
    SessionState, actions,
};

/// How long a kernel's death takes to be known at most. It may also be restarting.
const DEATH_LOOK: Duration = Duration::from_millis(20);
const DEATH_LOOKS: u32 = 150;

/// How a question was settled without asking, or by an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Attached,
    Resumed,
    Migrated,
    Started,
    Dismissed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Resumed => "resumed",
            Self::Migrated => "migrated",
            Self::Started => "started",
            Self::Dismissed => "dismissed",
        }
    }
}

impl Sessions {
    /// `keeper/ensureSession`: at once an attached session, or a question. Nothing is stopped here but by the user's own
    /// setting, and then nothing that is busy or shown elsewhere.
    pub async fn ensure(
        self: &Arc<Self>,
        notebook: &NotebookName,
        kernel_name: Option<&str>,
        ask: bool,
    ) -> Result<EnsureResult, Error> {
        match self.ensure_once(notebook, kernel_name, ask).await {
            // It ended while it was being taken up: what is so now is another question.
            Err(e) if e.kind == ErrorKind::SessionEnded => self.ensure_once(notebook, kernel_name, ask).await,
            done => done,
        }
    }

    async fn ensure_once(
        self: &Arc<Self>,
        notebook: &NotebookName,
        kernel_name: Option<&str>,
        ask: bool,
    ) -> Result<EnsureResult, Error> {
        if let Some(name) = kernel_name {
            self.kernelspec(name, notebook).await?;
        }
        self.note_spelling(notebook);
        if let Some(session) = self.by_path_opened(notebook).await? {
            return self.ensure_live(notebook, session, kernel_name, ask).await;
        }
        if let Some((session, binding)) = self.by_file(notebook).await? {
            let moved = super::offers::a_move(&binding.key, &self.key(notebook));
            let refused = self
                .registry()
                .is_dismissed(&self.key(notebook), OfferKind::Migrate, &moved)
                .map_err(store_failed)?;
            let migrate = !ask || self.on_rename() == OnRename::Migrate;
            if migrate {
                let session = self.migrate(&session.id, notebook, Some(&binding.key)).await?;
                return Ok(self.settled(Outcome::Migrated, session));
            }
            if !refused && self.on_rename() == OnRename::Ask {
                let new = NewOffer::migrate(notebook.clone(), session, binding, false, kernel_name);
                return Ok(self.asked(self.raise(new).await?));
            }
        } else if ask && let Some(new) = self.guess(notebook, kernel_name).await? {
            return Ok(self.asked(self.raise(new).await?));
        }
        self.note_history(notebook);
        if ask && let Some(session) = self.died(notebook)? {
            let new = self.recovery(notebook.clone(), session, kernel_name);
            return Ok(self.asked(self.raise(new).await?));
        }
        let kernel = match kernel_name {
            Some(name) => name.to_owned(),
            None => match self.kernel_for(notebook).await {
                Ok(kernel) => kernel,
                Err(e) if e.kind == ErrorKind::KernelspecNotFound && ask => {
                    let all = self.kernelspecs(Some(notebook), &[]).await?;
                    if all.is_empty() {
                        return Err(e);
                    }
                    let language = e.data.get("language").and_then(|language| language.as_str());
                    return Ok(self.asked(self.raise(NewOffer::pick(notebook.clone(), all, language)).await?));
                }
                Err(e) => return Err(e),
            },
        };
        let start = Start { kernel_name: kernel, ..Start::default() };
        match self.start(notebook, start).await {
            Ok(session) => Ok(self.settled(Outcome::Started, session)),
            // Another window was faster by a moment: its kernel is there now, and the question is the usual one.
            Err(e) if e.kind == ErrorKind::NotebookHasSession => match self.by_path(notebook).await? {
                Some(session) => self.ensure_live(notebook, session, kernel_name, ask).await,
                None => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    async fn ensure_live(
        self: &Arc<Self>,
        notebook: &NotebookName,
        session: Session,
        kernel_name: Option<&str>,
        ask: bool,
    ) -> Result<EnsureResult, Error> {
        self.until_death_is_known(&session.id).await?;
        let other = kernel_name.is_some_and(|name| !name.eq_ignore_ascii_case(&session.kernel.name));
        if self.attached.contains(&session.id) && !(other && ask) {
            return Ok(self.settled(Outcome::Attached, session));
        }
        if !ask || (!other && self.on_open() == OnOpen::Resume) {
            let session = self.attach_window(&session.id).await?;
            self.review_offers();
            return Ok(self.settled(Outcome::Resumed, session));
        }
        let free = session.current_execution.is_none() && session.queued == 0 && session.windows.is_empty();
        if self.on_open() == OnOpen::Fresh && free && kernel_name.is_some() {
            return self.fresh(notebook, Some(&session), kernel_name).await;
        }
        let new = NewOffer::resume(notebook.clone(), session, kernel_name);
        Ok(self.asked(self.raise(new).await?))
    }

    /// A kernel that died a moment ago is taken up by nobody: its keeper is about to say so.
    async fn until_death_is_known(&self, id: &str) -> Result<(), Error> {
        for _ in 0..DEATH_LOOKS {
            let kernel = self.record(id)?.kernel_process;
            if kernel.is_none_or(|kernel| kernel.is_alive()) {
                break;
            }
            self.known(id)?;
            tokio::time::sleep(DEATH_LOOK).await;
        }
        Ok(())
    }

    /// Starts a kernel, and before that stops the old one: a person's answer, or setting.
    async fn fresh(
        self: &Arc<Self>,
        notebook: &NotebookName,
        old: Option<&Session>,
        kernel_name: Option<&str>,
    ) -> Result<EnsureResult, Error> {
        let kernel = match (kernel_name, old) {
            (Some(name), _) => name.to_owned(),
            (None, Some(old)) => old.kernel.name.clone(),
            (None, None) => self.kernel_for(notebook).await?,
        };
        // Looked up before anything is stopped.
        self.kernelspec(&kernel, notebook).await?;
        let live =
            self.registry().sessions(false).map_err(store_failed)?.len() - usize::from(old.is_some()).min(1);
        if live >= self.settings().max_sessions as usize {
            return Err(super::start::too_many(live as u32));
        }
        if let Some(old) = old {
            self.stop(&old.id).await?;
        }
        let session = self.start(notebook, Start { kernel_name: kernel, ..Start::default() }).await?;
        Ok(self.settled(Outcome::Started, session))
    }

    /// `keeper/answerOffer`. Of two answers at once one wins; the other learns that the offer is gone.
    pub async fn answer(self: &Arc<Self>, offer_id: &str, action: &str) -> Result<EnsureResult, Error> {
        let offer = self.offer(offer_id)?;
        let listed = offer.actions.iter().any(|a| a.action == action);
        if !listed && action != DISMISS {
            let can: Vec<&str> = offer.actions.iter().map(|a| a.action.as_str()).collect();
            return Err(invalid(
                "action",
                format!("\"{action}\" is no answer to this offer; {} are", can.join(", ")),
            ));
        }
        let row = self.take_offer(&offer, action).await?;
        let answered = self.carry_out(&offer, action).await;
        if let Err(e) = &answered {
            // The question stands, unless it is moot by now.
            tracing::warn!(offer = %offer.offer_id, action, "not carried out: {e}");
            let _ = self.write(|registry| registry.raise_offer(&row, None)).await;
            self.review_offers();
        }
        self.ring();
        answered
    }

    async fn carry_out(self: &Arc<Self>, offer: &Offer, action: &str) -> Result<EnsureResult, Error> {
        let notebook = NotebookName::parse(&offer.notebook_uri).map_err(|e| invalid("notebookUri", e))?;
        let kernel = offer.kernel_name.as_deref();
        let session = offer.sessions.first();
        let answer = match (offer.kind, action) {
            (_, DISMISS | actions::HISTORY) => {
                let session = session.cloned();
                return Ok(self.result(Outcome::Dismissed, session));
            }
            (OfferKind::Resume, actions::RESUME) => {
                let id = &session.ok_or_else(gone)?.id;
                let session = self.attach_window(id).await?;
                self.settled(Outcome::Resumed, session)
            }
            (OfferKind::Resume, actions::FRESH) => self.fresh(&notebook, session, kernel).await?,
            (OfferKind::Migrate, actions::MIGRATE) => {
                let session = session.ok_or_else(gone)?;
                let session = self.migrate(&session.id, &notebook, Some(&self.key_before(offer))).await?;
                self.settled(Outcome::Migrated, session)
            }
            (OfferKind::Replace, actions::REPLACE) => {
                let session = session.ok_or_else(gone)?;
                let from = self.key_before(offer);
                if !self.bound(&session.id).iter().any(|binding| binding.key == from) {
                    return Err(super::attach::moved(session.clone()));
                }
                if let Some(old) = self.by_path(&notebook).await?.filter(|old| old.id != session.id) {
                    // Only the one that was named is stopped.
                    if offer.sessions.get(1).is_none_or(|named| named.id != old.id) {
                        return Err(super::start::has_session(&notebook, Some(old)));
                    }
                    self.stop(&old.id).await?;
                }
                let session = self.migrate(&session.id, &notebook, Some(&from)).await?;
                self.settled(Outcome::Migrated, session)
            }
            (OfferKind::Recover, actions::FRESH) => {
                let kernel = kernel.map(str::to_owned).or_else(|| session.map(|s| s.kernel.name.clone()));
                self.fresh(&notebook, None, kernel.as_deref()).await?
            }
            (OfferKind::Recover, actions::RESTORE) => {
                let kernel = kernel.map(str::to_owned).or_else(|| session.map(|s| s.kernel.name.clone()));
                let fresh = self.fresh(&notebook, None, kernel.as_deref()).await?;
                self.with_latest_snapshot(&notebook, fresh).await
            }
            (OfferKind::Recover, actions::REBUILD) => {
                let old = session.ok_or_else(gone)?;
                let (session, rebuild) = self.rebuild(&notebook, old, kernel).await?;
                EnsureResult { rebuild: Some(rebuild), ..self.settled(Outcome::Started, session) }
            }
            (OfferKind::Pick, picked) => self.picked(&notebook, picked, kernel).await?,
            _ => return Err(invalid("action", format!("\"{action}\" is no answer to this offer"))),
        };
        Ok(answer)
    }

    async fn picked(
        self: &Arc<Self>,
        notebook: &NotebookName,
        picked: &str,
        kernel: Option<&str>,
    ) -> Result<EnsureResult, Error> {
        if let Some(id) = picked.strip_prefix(actions::SESSION_PREFIX) {
            let alike = self.alike(notebook).await.into_iter().find(|(session, ..)| session.id == id);
            let (_, from, _) = alike.ok_or_else(gone)?;
            let session = self.migrate(id, notebook, Some(&from.key)).await?;
            return Ok(self.settled(Outcome::Migrated, session));
        }
        let name = picked.strip_prefix(actions::KERNEL_PREFIX).or(kernel);
        self.fresh(notebook, None, name).await
    }

    /// The notebook's latest session, where it ended by itself.
    pub(super) fn died(&self, notebook: &NotebookName) -> Result<Option<Session>, Error> {
        let key = self.key(notebook);
        let sessions = self.registry().sessions_of_notebook(&key).map_err(store_failed)?;
        // What it let go of before it ended is no loss of it.
        let is_past = |record: &Record, number: u32| {
            record.bindings().iter().any(|binding| binding.number == number && binding.given_up)
        };
        let records = sessions
            .into_iter()
            .filter_map(|(id, number)| self.record(&id).ok().filter(|record| !is_past(record, number)));
        let latest = records.max_by_key(|record| record.ended_at.unwrap_or(record.started_at));
        let died = |r: &Record| {
            matches!(r.end_reason, Some(EndReason::Crashed | EndReason::Lost)) && r.ended_at.is_some()
        };
        let Some(record) = latest.filter(died) else { return Ok(None) };
        let refused =
            self.registry().is_dismissed(&key, OfferKind::Recover, &record.id).map_err(store_failed)?;
        Ok((!refused).then(|| record.to_session(SessionState::Ended)))
    }

    /// A session's latest execution, under its notebook's present name.
    pub(super) fn last_of(&self, id: &str) -> Option<Execution> {
        let row = Reader::open_at_once(&self.folders.session(id)).ok()?.last_execution().ok()??;
        Some(self.execution_of(id, &self.names(id), row))
    }

    fn settled(&self, outcome: Outcome, session: Session) -> EnsureResult {
        self.result(outcome, Some(session))
    }

    fn result(&self, outcome: Outcome, session: Option<Session>) -> EnsureResult {
        let last_execution = session.as_ref().and_then(|s| self.last_of(&s.id));
        EnsureResult {
            outcome: outcome.as_str().into(),
            session,
            last_execution,
            offer: None,
            rebuild: None,
            restored: None,
        }
    }

    fn asked(&self, offer: Offer) -> EnsureResult {
        let session = offer.sessions.first().cloned();
        let last_execution = session.as_ref().and_then(|s| self.last_of(&s.id));
        EnsureResult {
            outcome: "ask".into(),
            session,
            last_execution,
            offer: Some(offer),
            rebuild: None,
            restored: None,
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::OfferGone, "the session that this offer was about is gone")
}
