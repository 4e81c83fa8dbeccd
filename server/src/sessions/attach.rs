//! Binding a session to another notebook, and windows to sessions.
//!
//! The keeper makes the change: of two windows at once one wins, the other learns `SessionMoved`. Letting go stops nothing.

use std::path::Path;
use std::sync::Arc;

use super::question::NewOffer;
use super::start::has_session;
use super::{Sessions, invalid, store_failed};
use crate::keeper::frames::{Migrate, Request};
use crate::protocol::{
    AttachSessionParams, AttachSessionResult, Error, ErrorKind, NotebookName, OfferKind, Session,
};
use crate::registry::Binding;

impl Sessions {
    /// `keeper/attachSession`. Nothing is written where the session is bound to the target already.
    pub async fn attach(self: &Arc<Self>, asked: &AttachSessionParams) -> Result<AttachSessionResult, Error> {
        let target =
            NotebookName::parse(&asked.target_notebook_uri).map_err(|e| invalid("targetNotebookUri", e))?;
        let expected = asked.expected_notebook_uri.as_deref().map(NotebookName::parse).transpose();
        let expected = expected.map_err(|e| invalid("expectedNotebookUri", e))?;
        let id = match (asked.source_pid, asked.session_id.as_deref()) {
            (Some(pid), None) => self.by_pid(pid)?,
            (None, Some(id)) => id.to_owned(),
            _ => return Err(invalid("sessionId", "exactly one of sourcePid and sessionId is needed")),
        };
        if let Some(path) = target.path.as_deref() {
            check_target(path)?;
        }
        self.note_spelling(&target);
        self.keeper(&id).await?;
        let before = self.get(&id)?;
        let bound = self.bound(&id);
        let expected_key = expected.as_ref().map(|name| self.key(name));
        let is_bound = |key: &str| bound.iter().any(|binding| binding.key == key);
        let is_moved = expected_key.as_deref().is_some_and(|key| !is_bound(key));
        let source =
            expected_key.as_deref().and_then(|key| bound.iter().find(|b| b.key == key)).or(bound.first());
        let old_path = source.map(|b| b.key.clone()).filter(|key| Path::new(key).is_absolute());
        let share = asked.share == Some(true);
        // What it lost to another session it does not have: that must be given to it anew.
        let target_key = self.key(&target);
        let own = bound.iter().find(|binding| binding.live && binding.key == target_key);
        let session = if let Some(own) = own {
            if is_moved {
                return Err(moved(before));
            }
            // Whatever lies there, and whosever file that was, is its notebook: a person says so.
            self.take_file(&id, &target);
            if let Some(file) = target.path.as_deref().and_then(crate::paths::file_identity) {
                let set = self.write(|registry| registry.set_file_identity(&id, own.number, file)).await;
                set.map_err(store_failed)?;
            }
            if self.is_window() {
                let session = self.attach_window(&id).await?;
                // Whether to resume it is no question any more.
                self.review_offers();
                session
            } else {
                self.get(&id)?
            }
        } else {
            if let Some(holder) = self.by_path(&target).await? {
                if asked.replace != Some(true) {
                    // The command line asks by itself; and an answer could only migrate, not share.
                    if !self.is_window() || share {
                        return Err(has_session(&target, Some(holder)));
                    }
                    if is_moved {
                        return Err(moved(before));
                    }
                    // Asked anew: what is said of the one that would be stopped is so now.
                    self.withdraw(&target_key, OfferKind::Replace).await?;
                    let new = NewOffer::replace(target.clone(), before.clone(), source.cloned(), &holder);
                    let offer = self.raise(new).await?;
                    let error = has_session(&target, Some(holder));
                    return Err(error.with("offer", serde_json::to_value(offer).unwrap_or_default()));
                }
                // Confirmed before anything is stopped: of two windows at once one wins.
                if is_moved {
                    return Err(moved(before));
                }
                self.stop(&holder.id).await?;
            }
            let request = if share { Request::Share } else { Request::Migrate };
            self.bind(&id, &target, expected_key.as_deref(), request).await?
        };
        Ok(AttachSessionResult { success: true, old_path, new_path: target.path_text(), session })
    }

    /// The keeper binds its session to another notebook; this window has it attached then. Of several notebooks the one
    /// with that key moves, else the first.
    pub(super) async fn migrate(
        self: &Arc<Self>,
        id: &str,
        target: &NotebookName,
        expected_key: Option<&str>,
    ) -> Result<Session, Error> {
        self.bind(id, target, expected_key, Request::Migrate).await
    }

    async fn bind(
        self: &Arc<Self>,
        id: &str,
        target: &NotebookName,
        expected_key: Option<&str>,
        request: fn(Migrate) -> Request,
    ) -> Result<Session, Error> {
        let client = self.keeper(id).await?;
        // Nobody may have read them since the kernel is there.
        if let Err(e) = self.join_sessions() {
            tracing::warn!(session = id, "conversations may stay with its notebook: {e}");
        }
        let displaced = self.displaced_at(&self.key(target)).filter(|holder| holder.session_id != id);
        let release = displaced.into_iter().map(|holder| (holder.session_id, holder.number)).collect();
        let bound = self.bound(id);
        let named = expected_key.and_then(|key| bound.iter().find(|binding| binding.key == key));
        let bind = Migrate {
            number: named.or(bound.first()).map_or(1, |binding| binding.number),
            expected_key: expected_key.map(str::to_owned),
            uri: target.uri.clone(),
            key: self.own_key(target),
            path: target.path.clone(),
            release,
        };
        let session = client.call_session(request(bind)).await?;
        self.take_file(id, target);
        tracing::info!(session = id, to = %target.uri, notebooks = session.notebooks.len(), "bound");
        self.note_session("sessionMigrated", &session, Some(target.file_name()));
        let own = self.window_id();
        let is_attached = self.attached.contains(id) && session.windows.iter().any(|w| w.window_id == own);
        let session = if is_attached || !self.is_window() {
            self.present(session)
        } else {
            self.attach_window(id).await?
        };
        self.review_offers();
        self.ring();
        Ok(session)
    }

    /// This window shows the session from now on, and takes it up again should its keeper be replaced.
    pub async fn attach_window(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let client = self.keeper(id).await?;
        self.attached.insert(id.to_owned());
        self.note_attached();
        let session = client.call_session(self.attach_request()).await?;
        Ok(self.present(session))
    }

    /// This window shows it no more, or one of several notebooks lets it go; the kernel stays.
    pub async fn detach(self: &Arc<Self>, id: &str, notebook: Option<&NotebookName>) -> Result<(), Error> {
        let client = self.keeper(id).await?;
        let mut bound = self.bound(id);
        if let Some(notebook) = notebook {
            let key = self.key(notebook);
            let Some(at) = bound.iter().position(|b| b.key == key) else {
                return Err(invalid("notebookUri", "the session is not bound to this notebook"));
            };
            if bound.len() > 1 {
                let gone = bound.remove(at);
                client.call_session(Request::Unshare { number: gone.number }).await?;
                tracing::info!(session = id, notebook = %gone.key, "let go by one of its notebooks");
                self.review_offers();
                self.ring();
                if self.shows_any(&bound) {
                    return Ok(());
                }
            }
        }
        if self.attached.remove(id).is_some() {
            self.note_attached();
            client.call(Request::Detach {}).await?;
        }
        Ok(())
    }

    /// A window closed a notebook: it lets its kernel go, unless it shows another of that kernel's notebooks.
    pub async fn closed(self: &Arc<Self>, notebook: &NotebookName) {
        let binding = self.registry().binding_by_key(&self.key(notebook)).ok().flatten();
        if let Some(binding) = binding.filter(|b| self.attached.contains(&b.session_id))
            && !self.shows_any(&self.bound(&binding.session_id))
            && let Err(e) = self.detach(&binding.session_id, None).await
        {
            tracing::warn!(session = %binding.session_id, "not detached: {e}");
        }
    }

    fn shows_any(&self, bound: &[Binding]) -> bool {
        let open = self.this_window().open;
        bound.iter().any(|binding| open.contains(&binding.key))
    }
}

pub(super) fn moved(session: Session) -> Error {
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
