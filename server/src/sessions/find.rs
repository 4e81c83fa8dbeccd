//! Which session is meant: by id, PID or notebook; and which session a notebook had under another name.

use std::sync::Arc;

use super::{Sessions, not_found, store_failed};
use crate::protocol::{Candidate, Error, ErrorKind, FindActiveSessionResult, NotebookName, Session};
use crate::registry::Binding;

impl Sessions {
    /// The live session that a notebook has, by path.
    pub(super) async fn by_path(self: &Arc<Self>, notebook: &NotebookName) -> Result<Option<Session>, Error> {
        let binding = self.registry().binding_by_key(&self.key(notebook)).map_err(store_failed)?;
        let Some(binding) = binding.filter(|binding| !self.is_displaced(binding)) else { return Ok(None) };
        self.session_of(&binding).await
    }

    /// The same for a notebook that this window opens: a rename that comes before the window watches is found by the
    /// file alone.
    pub(super) async fn by_path_opened(
        self: &Arc<Self>,
        notebook: &NotebookName,
    ) -> Result<Option<Session>, Error> {
        if let Some(binding) = self.registry().binding_by_key(&self.key(notebook)).map_err(store_failed)? {
            self.note_file(&binding);
        }
        self.by_path(notebook).await
    }

    /// The live session whose notebook was this very file under a name that is gone.
    pub(super) async fn by_file(
        self: &Arc<Self>,
        notebook: &NotebookName,
    ) -> Result<Option<(Session, Binding)>, Error> {
        let Some(file) = notebook.path.as_deref().and_then(crate::paths::file_identity) else {
            return Ok(None);
        };
        let bindings = self.registry().bindings_by_file(file).map_err(store_failed)?;
        let path = notebook.path.clone().unwrap_or_default();
        for binding in bindings.into_iter().filter(|b| self.is_back(b, &path) == Some(false)) {
            if let Some(session) = self.session_of(&binding).await? {
                return Ok(Some((session, binding)));
            }
        }
        Ok(None)
    }

    pub(super) async fn session_of(self: &Arc<Self>, binding: &Binding) -> Result<Option<Session>, Error> {
        if let Some(session) = self.cached(&binding.session_id) {
            return Ok(Some(session));
        }
        match self.keeper(&binding.session_id).await {
            Ok(_) => Ok(self.cached(&binding.session_id)),
            Err(e) if matches!(e.kind, ErrorKind::SessionEnded | ErrorKind::SessionNotFound) => Ok(None),
            Err(_) => Ok(self.cached(&binding.session_id)),
        }
    }

    /// `keeper/findActiveSession`: reads only.
    pub async fn find_active(
        self: &Arc<Self>,
        notebook: &NotebookName,
    ) -> Result<FindActiveSessionResult, Error> {
        let found = |session: Option<Session>, how: Option<&str>, candidates| FindActiveSessionResult {
            found: session.is_some(),
            session,
            r#match: how.map(str::to_owned),
            candidates,
        };
        if let Some(session) = self.by_path(notebook).await? {
            return Ok(found(Some(session), Some("path"), Vec::new()));
        }
        if let Some((session, _)) = self.by_file(notebook).await? {
            return Ok(found(Some(session), Some("file"), Vec::new()));
        }
        let alike = self.alike(notebook).await.into_iter();
        let candidates =
            alike.map(|(session, _, score)| Candidate { session, r#match: "content".into(), score });
        Ok(found(None, None, candidates.collect()))
    }

    /// The notebooks that a session has now, its first one first; where it has let go of all, those that it had.
    pub(super) fn bound(&self, id: &str) -> Vec<Binding> {
        let mut bindings = self.registry().bindings(id).unwrap_or_default();
        let has_any = bindings.iter().any(|binding| !binding.given_up);
        bindings.retain(|binding| !has_any || !binding.given_up);
        // One that let go and shares again keeps its number, and is the last.
        let first = self.live.get(id).map(|live| live.session.notebook_uri.clone());
        bindings.sort_by_key(|binding| first.as_ref().is_some_and(|uri| *uri != binding.uri));
        bindings
    }

    /// The session whose kernel has this PID.
    pub fn by_pid(&self, pid: u32) -> Result<String, Error> {
        let found =
            self.live.iter().find(|live| live.session.pid == Some(pid)).map(|live| live.key().clone());
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::SessionNotFound,
                format!("no kernel of ours has PID {pid}: list them to see which do"),
            )
            .with("pid", pid)
        })
    }

    /// What a person typed: an id, a PID, a notebook's path, or the label of one session.
    pub async fn resolve(self: &Arc<Self>, word: &str) -> Result<String, Error> {
        if let Ok(pid) = word.parse::<u32>() {
            return self.by_pid(pid);
        }
        if crate::ids::is_id(word) && self.registry().session(word).map_err(store_failed)?.is_some() {
            return Ok(word.to_owned());
        }
        if let Ok(notebook) = std::path::absolute(word).map(|path| NotebookName::from_any_path(&path)) {
            if let Some(session) = self.by_path(&notebook).await? {
                return Ok(session.id);
            }
            if let Some((id, _)) = self.sessions_with(&notebook)?.into_iter().next() {
                return Ok(id);
            }
        }
        let labelled: Vec<String> = self
            .live
            .iter()
            .filter(|live| live.session.label == word)
            .map(|live| live.key().clone())
            .collect();
        match labelled.as_slice() {
            [id] => Ok(id.clone()),
            [] => Err(not_found(word)),
            many => {
                let what = format!(
                    "{} sessions are called {word}: name one by its id ({})",
                    many.len(),
                    many.join(", ")
                );
                Err(Error::new(ErrorKind::SessionNotFound, what))
            }
        }
    }
}
