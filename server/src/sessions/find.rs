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
            self.compare_ahead(&binding, None).await;
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
        for binding in bindings {
            self.compare_ahead(&binding, Some(&path)).await;
            if self.is_back(&binding, &path) != Some(false) {
                continue;
            }
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

    /// What a person typed: an id, a PID, a notebook's path, or the label of one session. A path means its notebook alone.
    ///
    /// # Errors
    /// `SessionNotFound`, with the sessions that could be meant.
    pub async fn resolve(self: &Arc<Self>, word: &str) -> Result<Meant, Error> {
        let by_name = |id: String| Meant { id, is_by_label: false };
        if let Ok(pid) = word.parse::<u32>() {
            return self.by_pid(pid).map(by_name);
        }
        if crate::ids::is_id(word) && self.registry().session(word).map_err(store_failed)?.is_some() {
            return Ok(by_name(word.to_owned()));
        }
        if let Ok(notebook) = std::path::absolute(word).map(|path| NotebookName::from_any_path(&path)) {
            if let Some(session) = self.by_path(&notebook).await? {
                return Ok(by_name(session.id));
            }
            if let Some((id, _)) = self.sessions_with(&notebook)?.into_iter().next() {
                return Ok(by_name(id));
            }
        }
        let labelled = self.labelled(word);
        let named =
            labelled.iter().map(|(id, place)| format!("{id} of {place}")).collect::<Vec<_>>().join(", ");
        let what = match labelled.as_slice() {
            [] => return Err(not_found(word)),
            _ if is_path(word) => format!(
                "{word} has no kernel, and had none: of the same name there is {named}, which is to be named by its id"
            ),
            [(id, _)] => return Ok(Meant { id: id.clone(), is_by_label: true }),
            many => format!("{} sessions are called {word}: name one by its id ({named})", many.len()),
        };
        Err(Error::new(ErrorKind::SessionNotFound, what))
    }

    /// The live sessions of that label, each with where its notebook is.
    fn labelled(&self, label: &str) -> Vec<(String, String)> {
        // Of a path its last part is what a session would be called by.
        let last = std::path::Path::new(label).file_name().and_then(|name| name.to_str());
        let last = last.filter(|_| is_path(label)).unwrap_or(label);
        let is_called = |session: &Session| session.label == label || session.label == last;
        let found = self.live.iter().filter(|live| is_called(&live.session)).map(|live| {
            let session = &live.session;
            (
                live.key().clone(),
                session.notebook_path.clone().unwrap_or_else(|| session.notebook_uri.clone()),
            )
        });
        let mut found: Vec<(String, String)> = found.collect();
        found.sort();
        found
    }
}

/// The session that a word means.
#[derive(Debug)]
pub struct Meant {
    pub id: String,
    /// It is neither its id, nor its kernel's PID, nor a path of its notebook.
    pub is_by_label: bool,
}

/// Whether a word is a path, be there a file or not: then it means no other notebook of the same name.
fn is_path(word: &str) -> bool {
    let path = std::path::Path::new(word);
    let is_notebook = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("ipynb"));
    is_notebook || word.contains(std::path::is_separator) || path.is_file()
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn what_is_a_path() {
        for path in ["a.ipynb", "A.IPYNB", "./a", "a/b", "/a", "absent.ipynb", "../x"] {
            assert!(is_path(path), "{path}");
        }
        for label in ["churn", "my model", "a.ipynb copy", "ipynb", ""] {
            assert!(!is_path(label), "{label}");
        }
    }
}
