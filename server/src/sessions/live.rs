//! Following the keepers: one connection to each, joined when the registry names a session that we do not know yet.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{Event, Live, Sessions, not_found, store_failed};
use crate::keeper::frames::Request;
use crate::keeper::{KeeperClient, KeeperEvent, Record};
use crate::protocol::{Error, ErrorKind, Session, SessionState};
use crate::registry::SessionRow;

/// How long a keeper has to say how its session is, while others wait to be joined.
const FIRST_STATUS: Duration = Duration::from_secs(3);

/// Boxed, because following a keeper leads back here when it dies.
type Joining<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

impl Sessions {
    /// Joins every live session that is not joined yet, and settles those whose keeper is dead. With `announce` those that
    /// are new are told as created; not at a window's start, whose client asks for the list.
    pub async fn refresh(self: &Arc<Self>, announce: bool) -> Result<(), Error> {
        let _one_at_a_time = self.joining.lock().await;
        self.forget_ended();
        self.note_displaced();
        let rows = self.registry().sessions(false).map_err(store_failed)?;
        let unknown: Vec<SessionRow> = rows.into_iter().filter(|row| !self.is_joined(&row.id)).collect();
        let host = crate::process::host();
        let mut tasks = Vec::new();
        for row in unknown.into_iter().filter(|row| row.host == host) {
            let sessions = self.clone();
            tasks.push(tokio::spawn(async move {
                let before = sessions.cached(&row.id);
                if let Err(e) = sessions.join(&row.id).await {
                    tracing::warn!(session = %row.id, "not joined: {e}");
                    sessions.list_unreachable(&row.id, &e);
                }
                match (before, sessions.cached(&row.id)) {
                    (None, Some(session)) if announce => sessions.emit(Event::Created(session)),
                    (Some(before), Some(now)) if before != now => sessions.emit(Event::Updated(now)),
                    (Some(before), None) => sessions.found_ended(&before),
                    _ => {}
                }
            }));
        }
        let is_new = !tasks.is_empty();
        for task in tasks {
            let _ = task.await;
        }
        if is_new {
            self.note_displaced();
            self.follow_answers();
        }
        Ok(())
    }

    /// Of a session whose keeper we are not connected to, nobody but the registry tells the end.
    fn forget_ended(self: &Arc<Self>) {
        let apart: Vec<Session> =
            self.live.iter().filter(|live| live.client.is_none()).map(|live| live.session.clone()).collect();
        for before in apart {
            let row = self.registry().session(&before.id);
            if row.is_ok_and(|row| row.is_none_or(|row| !row.live)) {
                self.live.remove(&before.id);
                self.found_ended(&before);
            }
        }
    }

    fn is_joined(&self, id: &str) -> bool {
        self.live.get(id).is_some_and(|live| live.client.is_some())
    }

    /// Connects to one session's keeper; where it is dead, settles what became of the kernel.
    pub(super) fn join<'a>(self: &'a Arc<Self>, id: &'a str) -> Joining<'a> {
        Box::pin(async move {
            let keeper = self.record(id).ok().and_then(|record| record.keeper);
            if keeper.is_some_and(|keeper| keeper.is_alive() && crate::process::is_frozen(keeper.pid)) {
                // Nobody waits for what cannot answer.
                self.remember(id, false);
                return Ok(());
            }
            match KeeperClient::connect(&self.folders.socket(id), id).await {
                Ok((client, events)) => self.follow(id, client, events).await,
                Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                    // A frozen keeper is listed as it was, and blocks nobody.
                    self.remember(id, false);
                    Ok(())
                }
                Err(_) => self.settle_dead(id).await,
            }
        })
    }

    /// Follows a keeper: its first status makes the session known.
    pub(super) async fn follow(
        self: &Arc<Self>,
        id: &str,
        client: KeeperClient,
        mut events: mpsc::UnboundedReceiver<KeeperEvent>,
    ) -> Result<(), Error> {
        // First of all, so that the first status has it.
        if self.attached.contains(id) {
            let _ = client.send(self.attach_request());
        }
        let Ok(answer) = tokio::time::timeout(FIRST_STATUS, client.call(Request::Status {})).await else {
            // It froze since it was greeted: listed as it was, and tried again with the next look.
            self.remember(id, false);
            return Ok(());
        };
        let answer = answer?;
        let last_seq = answer["lastSeq"].as_u64().unwrap_or(0);
        let session = crate::keeper::session_of(answer)?;
        self.position(id).send_modify(|seq| *seq = last_seq.max(*seq));
        self.live.insert(id.to_owned(), Live { session, client: Some(client.clone()) });
        self.tell_keeper(&client);
        if self.attached.contains(id) {
            let _ = client.send(self.attach_request());
        }
        // The task must not keep the view alive, nor the connection: the command line ends when it is done.
        let sessions = Arc::downgrade(self);
        let id = id.to_owned();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Some(sessions) = sessions.upgrade() else { return };
                match event {
                    KeeperEvent::Status(session) => sessions.changed(*session),
                    KeeperEvent::Answered(session, passing) => {
                        sessions.changed((*session).clone());
                        passing.pass_on(*session);
                    }
                    KeeperEvent::Committed(seq) => {
                        sessions.position(&id).send_modify(|known| *known = seq.max(*known));
                    }
                    KeeperEvent::Sample(sample) => {
                        let runs_other = match sessions.live.get_mut(&id) {
                            Some(mut live) => {
                                live.session.memory_bytes = sample.memory_bytes;
                                live.session.cpu_percent = sample.cpu_percent;
                                live.session.gpu_memory_bytes = sample.gpu_memory_bytes;
                                let before = std::mem::replace(&mut live.session.runs, sample.runs);
                                before != live.session.runs
                            }
                            None => false,
                        };
                        // Memory and processor alone are no news.
                        if let Some(session) = sessions.cached(&id).filter(|_| runs_other) {
                            sessions.emit(Event::Updated(session));
                        }
                    }
                    KeeperEvent::Closed => return sessions.keeper_gone(&id).await,
                }
            }
        });
        Ok(())
    }

    /// A keeper's newest status.
    fn changed(self: &Arc<Self>, session: Session) {
        let id = session.id.clone();
        if session.state == SessionState::Ended {
            let known = self.live.remove(&id);
            self.attached.remove(&id);
            self.position(&id).send_modify(|_| ());
            self.review_offers();
            if let Some((_, known)) = known {
                let session = self.present(session);
                self.emit(Event::Ended(session.clone()));
                self.recover_at_once(&known.session, session);
            }
            return;
        }
        let before = match self.live.get_mut(&id) {
            Some(mut live) => std::mem::replace(&mut live.session, session.clone()),
            None => return,
        };
        if before == session {
            return;
        }
        // The last person, or after that the last agent.
        let let_go = before.has_window() && !session.has_window()
            || !before.windows.is_empty() && session.windows.is_empty();
        let moved = before.notebooks != session.notebooks;
        let is_shown = before.windows.len() < session.windows.len();
        let session = self.present(session);
        self.emit(if let_go { Event::Disconnected(session) } else { Event::Updated(session) });
        if let_go || moved {
            self.review_offers();
        } else if is_shown {
            self.follow_answers();
        }
    }

    /// A connection ended that nobody had closed.
    async fn keeper_gone(self: &Arc<Self>, id: &str) {
        let _one_at_a_time = self.joining.lock().await;
        // Listed as it was, until it is known what became of it.
        let before = match self.live.get_mut(id) {
            Some(mut live) => {
                live.client = None;
                live.session.clone()
            }
            None => return,
        };
        tracing::warn!(session = id, "its keeper is gone");
        if let Err(e) = self.join(id).await {
            tracing::warn!(session = id, "its keeper is gone and could not be replaced: {e}");
            if let Some(mut live) = self.live.get_mut(id) {
                live.session.responding = false;
            }
        }
        match self.cached(id) {
            Some(session) => {
                self.emit(Event::Updated(session));
                self.review_offers();
            }
            None => self.found_ended(&before),
        }
    }

    /// A session that was live turned out to have ended, unseen by its keeper.
    fn found_ended(self: &Arc<Self>, before: &Session) {
        let id = before.id.as_str();
        self.attached.remove(id);
        self.position(id).send_modify(|_| ());
        self.review_offers();
        if let Ok(record) = self.record(id) {
            let session = record.to_session(SessionState::Ended);
            self.emit(Event::Ended(session.clone()));
            self.recover_at_once(before, session);
        }
    }

    /// Lists a session from its record, while its keeper cannot be asked.
    pub(super) fn remember(&self, id: &str, responding: bool) {
        let Ok(record) = self.record(id) else { return };
        let mut session = record.unseen();
        session.responding = responding;
        self.live.insert(id.to_owned(), Live { session, client: None });
    }

    /// A kernel that runs and that we cannot reach is listed all the same, with the reason: it can be stopped.
    fn list_unreachable(&self, id: &str, why: &Error) {
        if self.known(id).is_err() {
            return;
        }
        self.remember(id, false);
        if let Some(mut live) = self.live.get_mut(id) {
            live.session.warnings.push(format!("It cannot be reached: {}.", why.message));
        }
    }

    /// How far a session's journal can be read, for those who wait.
    pub(super) fn position(&self, id: &str) -> watch::Sender<u64> {
        self.committed.entry(id.to_owned()).or_insert_with(|| watch::Sender::new(0)).clone()
    }

    /// A live session as this window sees it.
    pub(super) fn cached(&self, id: &str) -> Option<Session> {
        let session = self.live.get(id).map(|live| live.session.clone())?;
        Some(self.present(session))
    }

    /// Marks this window, and looks whether the notebook is still there.
    pub(super) fn present(&self, mut session: Session) -> Session {
        let own = self.window_id();
        {
            let silent = super::lock(&self.silent);
            session.windows.retain(|window| !silent.contains(&window.window_id));
        }
        for window in &mut session.windows {
            window.this_window = window.window_id == own;
        }
        session.responding &= !super::frozen::is_stopped(&session);
        self.spell(&mut session);
        for notebook in &mut session.notebooks {
            let path = notebook.notebook_path.as_deref().map(std::path::Path::new);
            notebook.notebook_exists = path.is_none_or(std::path::Path::exists);
        }
        session.replaced |= self.replaced.contains(&session.id);
        if let Some(first) = session.notebooks.first_mut() {
            first.notebook_exists &= !self.displaced.contains(&session.id);
            session.notebook_exists = first.notebook_exists;
        }
        session
    }

    /// The keeper of a live session.
    ///
    /// # Errors
    /// `SessionNotFound`, `SessionEnded`, `ForeignHost`, or `KernelFailed` where its keeper does not answer.
    pub(super) async fn keeper(self: &Arc<Self>, id: &str) -> Result<KeeperClient, Error> {
        if let Some(client) = self.joined(id) {
            return Ok(client);
        }
        self.known(id)?;
        {
            let _one_at_a_time = self.joining.lock().await;
            if !self.is_joined(id) {
                self.join(id).await?;
            }
        }
        match self.joined(id) {
            Some(client) => Ok(client),
            None if self.live.contains_key(id) => {
                let what = format!(
                    "session {id} does not answer: it is starting, or its keeper is frozen; try again"
                );
                Err(Error::new(ErrorKind::KernelFailed, what).with("sessionId", id))
            }
            None => Err(self.known(id).err().unwrap_or_else(|| not_found(id))),
        }
    }

    /// The connection to a session that is joined already: for what must be sent in order, without an `.await`.
    pub(super) fn joined(&self, id: &str) -> Option<KeeperClient> {
        self.live.get(id).and_then(|live| live.client.clone())
    }

    /// Checks that a session is there, live and of this host.
    pub(super) fn known(&self, id: &str) -> Result<(), Error> {
        let row = self.registry().session(id).map_err(store_failed)?;
        let Some(row) = row else { return Err(not_found(id)) };
        if row.host != crate::process::host() {
            let what = format!("session {id} lives on {}: stop or attach it there", row.host);
            return Err(Error::new(ErrorKind::ForeignHost, what)
                .with("sessionId", id)
                .with("host", row.host));
        }
        if !row.live {
            return Err(ended(id, Record::of_row(&row).as_ref()));
        }
        Ok(())
    }
}

/// The refusal of what needs a live kernel.
pub(super) fn ended(id: &str, record: Option<&Record>) -> Error {
    let how = match record.and_then(|r| r.end_reason) {
        Some(crate::protocol::EndReason::Stopped) => "was stopped",
        Some(crate::protocol::EndReason::Exited) => "has exited",
        Some(crate::protocol::EndReason::Crashed) => "has crashed",
        Some(crate::protocol::EndReason::Lost) => "was lost",
        None => "has ended",
    };
    let what = format!("the kernel of session {id} {how}: restart it, or start a new one");
    Error::new(ErrorKind::SessionEnded, what).with("sessionId", id)
}
