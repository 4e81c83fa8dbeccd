//! Binding a session to another notebook, and windows to sessions.
//!
//! The keeper makes the change: of two windows at once one wins, the other learns `SessionMoved`. Letting go stops nothing.

use std::path::Path;
use std::sync::Arc;

use super::offers::NewOffer;
use super::start::has_session;
use super::{Sessions, invalid};
use crate::keeper::frames::{Migrate, Request};
use crate::protocol::{AttachSessionParams, AttachSessionResult, Error, ErrorKind, NotebookName, Session};

impl Sessions {
    /// `keeper/attachSession`. Nothing is written where the session is bound to the target already.
    pub async fn attach(self: &Arc<Self>, asked: &AttachSessionParams) -> Result<AttachSessionResult, Error> {
        let target =
            NotebookName::parse(&asked.target_notebook_uri).map_err(|e| invalid("targetNotebookUri", e))?;
        let expected = asked.expected_notebook_uri.as_deref().map(NotebookName::parse).transpose();
        let expected = expected.map_err(|e| invalid("expectedNotebookUri", e))?;
        if asked.share == Some(true) {
            return Err(invalid("share", "sharing a kernel between notebooks is not there yet"));
        }
        let id = match (asked.source_pid, asked.session_id.as_deref()) {
            (Some(pid), None) => self.by_pid(pid)?,
            (None, Some(id)) => id.to_owned(),
            _ => return Err(invalid("sessionId", "exactly one of sourcePid and sessionId is needed")),
        };
        if let Some(path) = target.path.as_deref() {
            check_target(path)?;
        }
        self.keeper(&id).await?;
        let before = self.get(&id)?;
        let old = NotebookName::parse(&before.notebook_uri).map_err(|e| invalid("sessionId", e))?;
        let expected_key = expected.as_ref().map(|name| self.key(name));
        let session = if self.key(&target) == self.bound_key(&before, &old) {
            if expected_key.as_ref().is_some_and(|key| *key != self.key(&target)) {
                return Err(moved(before));
            }
            self.attach_window(&id).await?
        } else {
            if let Some(holder) = self.by_path(&target).await? {
                if asked.replace != Some(true) {
                    if self.window_id() == "cli" {
                        return Err(has_session(&target, Some(holder)));
                    }
                    let offer = self.raise(NewOffer::replace(target.clone(), before.clone(), &holder))?;
                    let error = has_session(&target, Some(holder));
                    return Err(error.with("offer", serde_json::to_value(offer).unwrap_or_default()));
                }
                // Confirmed before anything is stopped: of two windows at once one wins.
                if expected_key.as_ref().is_some_and(|key| *key != self.bound_key(&before, &old)) {
                    return Err(moved(before));
                }
                self.stop(&holder.id).await?;
            }
            self.migrate(&id, &target, expected_key.as_deref()).await?
        };
        Ok(AttachSessionResult {
            success: true,
            old_path: before.notebook_path,
            new_path: target.path_text(),
            session,
        })
    }

    /// The keeper binds its session to another notebook; this window has it attached then.
    pub(super) async fn migrate(
        self: &Arc<Self>,
        id: &str,
        target: &NotebookName,
        expected_key: Option<&str>,
    ) -> Result<Session, Error> {
        let client = self.keeper(id).await?;
        let displaced = self.displaced_at(&self.key(target)).filter(|holder| holder.session_id != id);
        let release = displaced.into_iter().map(|holder| (holder.session_id, holder.number)).collect();
        let number = self.registry().bindings(id).ok().and_then(|b| b.first().map(|b| b.number)).unwrap_or(1);
        let migrate = Migrate {
            number,
            expected_key: expected_key.map(str::to_owned),
            uri: target.uri.clone(),
            key: self.key(target),
            path: target.path.clone(),
            release,
        };
        let session = client.call_session(Request::Migrate(migrate)).await?;
        tracing::info!(session = id, to = %session.notebook_uri, "migrated");
        let session =
            if self.window_id() == "cli" { self.present(session) } else { self.attach_window(id).await? };
        self.review_offers();
        self.ring();
        Ok(session)
    }

    /// This window shows the session from now on, and takes it up again should its keeper be replaced.
    pub async fn attach_window(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let client = self.keeper(id).await?;
        self.attached.insert(id.to_owned());
        let session = client.call_session(self.attach_request()).await?;
        if let Some(mut live) = self.live.get_mut(id) {
            live.session = session.clone();
        }
        Ok(self.present(session))
    }

    /// This window shows it no more; the kernel stays.
    pub async fn detach(self: &Arc<Self>, id: &str, notebook: Option<&NotebookName>) -> Result<(), Error> {
        let client = self.keeper(id).await?;
        if let Some(notebook) = notebook {
            let key = self.key(notebook);
            let bound = self.registry().bindings(id).map_err(super::store_failed)?;
            if !bound.iter().any(|b| b.key == key) {
                return Err(invalid("notebookUri", "the session is not bound to this notebook"));
            }
        }
        if self.attached.remove(id).is_some() {
            client.call(Request::Detach {}).await?;
        }
        Ok(())
    }

    /// A window closed a notebook: it lets its kernel go.
    pub async fn closed(self: &Arc<Self>, notebook: &NotebookName) {
        let binding = self.registry().binding_by_key(&self.key(notebook)).ok().flatten();
        if let Some(binding) = binding.filter(|b| self.attached.contains(&b.session_id))
            && let Err(e) = self.detach(&binding.session_id, None).await
        {
            tracing::warn!(session = %binding.session_id, "not detached: {e}");
        }
    }

    /// The key under which a session's notebook is bound: that of an untitled one belongs to the window that made it.
    fn bound_key(&self, session: &Session, name: &NotebookName) -> String {
        let first = self.registry().bindings(&session.id).ok().and_then(|b| b.into_iter().next());
        first.map_or_else(|| self.key(name), |binding| binding.key)
    }
}

fn moved(session: Session) -> Error {
    let what = format!("session {} is bound to another notebook by now", session.id);
    Error::new(ErrorKind::SessionMoved, what)
        .with("session", serde_json::to_value(session).unwrap_or_default())
}

fn check_target(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(invalid("targetNotebookUri", format!("{} is a folder, not a notebook", path.display()))),
        Err(e) => {
            let shown: String = path.to_string_lossy().chars().take(200).collect();
            Err(invalid(
                "targetNotebookUri",
                format!("{shown} cannot be read ({e}): attach to a notebook that exists"),
            ))
        }
    }
}
