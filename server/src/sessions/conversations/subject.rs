//! Whose a conversation is: a session and one of its notebooks, whose names are the session's to know, or a notebook
//! without a session, which is followed by its path and its file.

use std::path::Path;

use super::Subject;
use super::text::Import;
use crate::protocol::{AppendTurnParams, Conversation, Error, ErrorKind, NotebookName, Time};
use crate::registry::{Binding, ConversationRow, Conversations};
use crate::sessions::renamed::moved_path;
use crate::sessions::{Sessions, invalid, store_failed};

/// Where the conversations of one notebook are.
pub(super) struct Places {
    key: String,
    /// The sessions that have it, or had it when they ended, each with its number in them.
    sessions: Vec<(String, u32)>,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Lives,
    Ended(Time),
    /// Nothing of it is left.
    Unknown,
}

impl Places {
    pub(super) fn hold(&self, subject: &Subject) -> bool {
        match (subject.session_id.as_ref(), subject.notebook) {
            (Some(session), Some(number)) => {
                self.sessions.iter().any(|(id, other)| id == session && *other == number)
            }
            _ => subject.key.as_ref() == Some(&self.key),
        }
    }
}

impl Sessions {
    /// What a new conversation belongs to; `None` where nothing is named. A notebook that has a kernel stands for its
    /// session.
    pub(super) fn subject(
        &self,
        session_id: Option<&str>,
        notebook_uri: Option<&str>,
    ) -> Result<Option<Subject>, Error> {
        let notebook = notebook_uri.map(NotebookName::parse).transpose();
        let notebook = notebook.map_err(|why| invalid("notebookUri", why))?;
        let Some(id) = session_id else {
            return Ok(notebook.map(|notebook| self.subject_of_notebook(&notebook)));
        };
        self.must_exist(id)?;
        let number = notebook.map(|notebook| self.number_of(id, &notebook)).transpose()?;
        let bound = self.registry().bindings(id).map_err(store_failed)?;
        let binding = match number {
            Some(number) => bound.into_iter().find(|binding| binding.number == number),
            None => self.bound(id).into_iter().next().or(bound.into_iter().next()),
        };
        let alone = || Subject { session_id: Some(id.to_owned()), ..Subject::default() };
        Ok(Some(binding.as_ref().map_or_else(alone, subject_of)))
    }

    fn subject_of_notebook(&self, notebook: &NotebookName) -> Subject {
        let key = self.key(notebook);
        if let Some(binding) = self.holder(&key) {
            return subject_of(&binding);
        }
        let file = notebook.path.as_deref().and_then(crate::paths::file_identity);
        Subject { key: Some(key), uri: Some(notebook.uri.clone()), file, ..Subject::default() }
    }

    /// What an export says that it belonged to, as far as that is here.
    pub(super) fn subject_of_import(&self, import: &Import) -> Subject {
        let of_session = import.session_id.as_deref().and_then(|id| {
            let both = self.subject(Some(id), import.notebook_uri.as_deref());
            both.or_else(|_| self.subject(Some(id), None)).ok().flatten()
        });
        let is_there = |name: &NotebookName| name.path.as_deref().is_some_and(Path::exists);
        let notebook = import.notebook_uri.as_deref().and_then(|uri| NotebookName::parse(uri).ok());
        of_session
            .or_else(|| notebook.filter(is_there).map(|name| self.subject_of_notebook(&name)))
            .unwrap_or_default()
    }

    /// The living session that has a notebook.
    fn holder(&self, key: &str) -> Option<Binding> {
        let holder = self.registry().binding_by_key(key).ok().flatten();
        holder.filter(|holder| !self.is_displaced(holder))
    }

    /// How a session stands, as far as it matters for its conversations.
    pub(super) fn standing(&self, session_id: &str) -> Result<Standing, Error> {
        let ended_at = match self.registry().session(session_id).map_err(store_failed)? {
            Some(found) => found.ended_at.filter(|_| !found.live),
            // The record is asked where the registry is just being made anew.
            None => match self.record(session_id) {
                Ok(record) => record.ended_at,
                Err(e) if e.kind == ErrorKind::SessionNotFound => return Ok(Standing::Unknown),
                Err(e) => return Err(e),
            },
        };
        Ok(ended_at.map_or(Standing::Lives, Standing::Ended))
    }

    /// Whose it is by now: where its session has ended, or let the notebook go, of the kernel that the notebook has since.
    pub(super) fn whose(&self, subject: &Subject) -> Result<Subject, Error> {
        let mut now = subject.clone();
        if let Some(id) = subject.session_id.as_deref() {
            let mut bound = self.registry().bindings(id).map_err(store_failed)?;
            if bound.is_empty() {
                bound = self.record(id).map(|record| record.bindings()).unwrap_or_default();
            }
            let binding = bound.into_iter().find(|binding| Some(binding.number) == subject.notebook);
            let has_let_go = binding.as_ref().is_some_and(|binding| binding.given_up);
            match self.standing(id)? {
                Standing::Lives if !has_let_go => return Ok(now),
                Standing::Lives | Standing::Ended(_) => {}
                Standing::Unknown => now = Subject { session_id: None, notebook: None, ..now },
            }
            if let Some(binding) = binding {
                now = Subject { key: Some(binding.key), uri: Some(binding.uri), ..now };
            }
        }
        let holder = now.key.as_deref().and_then(|key| self.holder(key));
        Ok(holder.map_or(now, |holder| subject_of(&holder)))
    }

    /// The conversations of notebooks that have got a kernel since belong to its session from now on.
    pub(in crate::sessions) fn join_sessions(&self) -> Result<(), Error> {
        if !self.has_conversations() {
            return Ok(());
        }
        for subject in &self.in_store(Conversations::subjects)? {
            self.go_along(subject)?;
        }
        Ok(())
    }

    fn go_along(&self, subject: &Subject) -> Result<(), Error> {
        let now = self.whose(subject)?;
        if now == *subject {
            return Ok(());
        }
        match (&subject.session_id, subject.notebook, &subject.key) {
            (Some(session), Some(number), _) => {
                self.tidy_store(|store| store.rebind_session(session, number, &now))
            }
            (None, _, Some(key)) => self.tidy_store(|store| store.rebind(key, &now)),
            _ => Ok(()),
        }
    }

    /// Before a turn: what a notebook is now is remembered, and a kernel that it has got is its session.
    pub(super) fn keep_name(&self, subject: &Subject) -> Result<(), Error> {
        self.go_along(subject)?;
        let Some(key) = subject.key.as_deref().filter(|_| subject.session_id.is_none()) else {
            return Ok(());
        };
        let file = crate::paths::file_identity(Path::new(key)).filter(|_| Path::new(key).is_absolute());
        match file {
            Some(file) if subject.file != Some(file) => {
                self.tidy_store(|store| store.rebind(key, &Subject { file: Some(file), ..subject.clone() }))
            }
            _ => Ok(()),
        }
    }

    /// A later turn that says whose it is says the same: ids are chosen, and two notebooks' agents may choose one.
    pub(super) fn check_owner(&self, id: &str, asked: &AppendTurnParams) -> Result<(), Error> {
        let (session, notebook) = (asked.session_id.as_deref(), asked.notebook_uri.as_deref());
        if session.is_none() && notebook.is_none() {
            return Ok(());
        }
        let notebook = notebook.map(NotebookName::parse).transpose();
        let notebook = notebook.map_err(|why| invalid("notebookUri", why))?;
        if let Some(session) = session {
            self.must_exist(session)?;
        }
        // Renamed while nobody looked: the conversation goes along first.
        let places = notebook.as_ref().map(|notebook| self.places(notebook)).transpose()?;
        if let Some(notebook) = &notebook {
            self.find_conversations(notebook)?;
        }
        let Some(row) = self.in_store(|store| store.conversation(id))? else { return Ok(()) };
        let subject = &row.subject;
        if subject.session_id.is_none() && subject.key.is_none() {
            return Ok(());
        }
        let shown = self.conversation_of(row.clone());
        let own = shown.notebook_uri.and_then(|uri| NotebookName::parse(&uri).ok());
        let taken = |field: &str| {
            let by = own.as_ref().map_or("another session".into(), NotebookName::file_name);
            invalid(field, format!("the conversation id \"{id}\" is taken by {by}: choose another id"))
        };
        if let Some(notebook) = &notebook
            && !places.is_some_and(|places| places.hold(subject))
            && !self.was_called(subject, notebook)
        {
            return Err(taken("notebookUri"));
        }
        if let Some(session) = session
            && subject.session_id.as_deref() != Some(session)
        {
            let has_or_had = own.as_ref().map(|own| self.sessions_with(own)).transpose()?.unwrap_or_default();
            if !has_or_had.iter().any(|(id, _)| id == session) {
                return Err(taken("sessionId"));
            }
        }
        Ok(())
    }

    /// Whether a notebook's name is the former one of a conversation's, and no other notebook's by now.
    fn was_called(&self, subject: &Subject, notebook: &NotebookName) -> bool {
        let key = self.key(notebook);
        subject.key.as_ref() == Some(&key) && !Path::new(&key).exists() && self.holder(&key).is_none()
    }

    /// Which sessions a notebook has and had.
    pub(super) fn places(&self, notebook: &NotebookName) -> Result<Places, Error> {
        Ok(Places { key: self.key(notebook), sessions: self.sessions_with(notebook)? })
    }

    /// A conversation as results have it, under its notebook's present name.
    pub(super) fn conversation_of(&self, row: ConversationRow) -> Conversation {
        let Subject { session_id, notebook, key, uri, .. } = row.subject;
        let mut name = uri.zip(key);
        let session_id = session_id.filter(|id| {
            let bound = self.registry().bindings(id).unwrap_or_default();
            let is_known = !bound.is_empty() || self.must_exist(id).is_ok() || self.record(id).is_ok();
            if let Some(binding) = bound.into_iter().find(|binding| Some(binding.number) == notebook) {
                name = Some((binding.uri, binding.key));
            }
            is_known
        });
        let (notebook_uri, key) = name.unzip();
        Conversation {
            conversation_id: row.id,
            session_id,
            notebook_uri,
            notebook_path: key.filter(|key| Path::new(key).is_absolute()),
            turn_count: row.turn_count,
            started_at: row.started_at,
            last_activity_at: row.last_activity_at,
            title: row.title,
        }
    }

    /// A notebook that has no session was renamed, or a folder with some: its conversations go along.
    pub(in crate::sessions) fn conversations_follow(&self, from: &Path, to: &Path) {
        if !self.has_conversations() {
            return;
        }
        let keys = self.in_store(|store| store.keys_below(&from.to_string_lossy())).unwrap_or_default();
        for key in keys {
            let Some(target) = moved_path(Path::new(&key), from, to) else { continue };
            if let Ok(name) = NotebookName::from_path(&target)
                && !Path::new(&key).exists()
                && target.exists()
            {
                self.rename_conversations(&key, &name);
            }
        }
    }

    /// A notebook is opened, saved or asked about: its conversations are found by the file, should it have had another
    /// name, and which file it is now is remembered.
    pub(in crate::sessions) fn note_conversations(&self, notebook: &NotebookName) {
        if self.has_conversations()
            && let Err(e) = self.find_conversations(notebook)
        {
            tracing::warn!("conversations could not follow: {e}");
        }
    }

    pub(super) fn find_conversations(&self, notebook: &NotebookName) -> Result<(), Error> {
        let Some(file) = notebook.path.as_deref().and_then(crate::paths::file_identity) else {
            return Ok(());
        };
        let key = self.key(notebook);
        for old in self.in_store(|store| store.keys_of(file))? {
            if old != key && !Path::new(&old).exists() {
                self.rename_conversations(&old, notebook);
            }
        }
        let uri = Some(notebook.uri.clone());
        let now = Subject { key: Some(key.clone()), uri, file: Some(file), ..Subject::default() };
        self.tidy_store(|store| store.rebind(&key, &now))
    }

    fn rename_conversations(&self, from_key: &str, to: &NotebookName) {
        tracing::info!(from = %from_key, to = %to.uri, "its conversations follow");
        let now = self.subject_of_notebook(to);
        if let Err(e) = self.tidy_store(|store| store.rebind(from_key, &now)) {
            tracing::warn!(from = %from_key, "its conversations could not follow: {e}");
        }
    }

    /// A session is about to be forgotten: its conversations stay those of its notebooks, as if its end were their last
    /// activity.
    pub(in crate::sessions) fn conversations_outlive(&self, session_id: &str) {
        if !self.has_conversations() {
            return;
        }
        let ended_at = match self.standing(session_id) {
            Ok(Standing::Ended(at)) => Some(at),
            _ => None,
        };
        for binding in self.registry().bindings(session_id).unwrap_or_default() {
            let now = Subject { session_id: None, notebook: None, ..subject_of(&binding) };
            if let Err(e) = self.tidy_store(|store| store.outlive(session_id, binding.number, &now, ended_at))
            {
                tracing::warn!(session = session_id, "its conversations keep its name: {e}");
            }
        }
    }
}

fn subject_of(binding: &Binding) -> Subject {
    Subject {
        session_id: Some(binding.session_id.clone()),
        notebook: Some(binding.number),
        key: Some(binding.key.clone()),
        uri: Some(binding.uri.clone()),
        file: binding.file,
    }
}
