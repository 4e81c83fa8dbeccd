//! One notebook under several spellings: reached through a linked folder, a link of its own, a hard link, or on a file system
//! that folds case.
//!
//! A notebook is its file. Whoever opens it under another spelling than the one that has the kernel gets that kernel, and is
//! told of it under the spelling in use. Where a window shows both spellings itself they are two notebooks: a person
//! wants it so.

use std::path::Path;

use super::Sessions;
use crate::paths::file_identity;
use crate::protocol::{NotebookName, Session};
use crate::registry::Binding;

impl Sessions {
    /// The notebook's live binding under another spelling. `None` where there is none, where this spelling has a kernel of its
    /// own, or where this window shows the other one, too.
    pub(super) fn spelt_otherwise(&self, name: &NotebookName) -> Option<Binding> {
        let path = name.path.as_deref()?;
        let own = self.own_key(name);
        if self.registry().binding_by_key(&own).ok()?.is_some() {
            return None;
        }
        let file = file_identity(path)?;
        let live = self.registry().live_bindings().ok()?.into_iter();
        let mut others = live.filter(|binding| Path::new(&binding.key).is_absolute());
        others.find(|binding| {
            file_identity(Path::new(&binding.key)) == Some(file) && !self.is_shown_as_spelt(&binding.key)
        })
    }

    /// Whether this window shows the notebook under the very spelling that has the kernel.
    fn is_shown_as_spelt(&self, key: &str) -> bool {
        !self.spelt.contains_key(key) && self.this_window().open.iter().any(|open| open == key)
    }

    /// This window uses a notebook: where that has a kernel under another spelling, it is told of it under this one from now
    /// on.
    pub fn note_spelling(&self, name: &NotebookName) {
        let Some(binding) = self.spelt_otherwise(name) else { return };
        let own = self.own_key(name);
        tracing::info!(notebook = %own, kernel = %binding.key, "one file under two spellings");
        self.spelt.insert(binding.key.clone(), name.clone());
        if self.this_window().open.contains(&own) {
            let updated = self.update_window(|window| {
                let spelt = window.open.iter_mut().chain(&mut window.unsaved).filter(|key| **key == own);
                spelt.for_each(|key| key.clone_from(&binding.key));
            });
            if let Err(e) = updated {
                tracing::warn!("{e}");
            }
        }
    }

    /// The window shows a notebook no more.
    pub fn forget_spelling(&self, name: &NotebookName) {
        self.spelt.retain(|_, spelt| spelt.uri != name.uri);
    }

    /// The key under which a notebook that this window shows is known, without a look at the disk.
    pub fn shown_key(&self, name: &NotebookName) -> String {
        let spelt = self.spelt.iter().find(|spelt| spelt.uri == name.uri).map(|spelt| spelt.key().clone());
        spelt.unwrap_or_else(|| self.own_key(name))
    }

    /// How this window spells the notebook with that key, if otherwise, and if that still leads to the same file.
    fn spelling_of(&self, key: &str) -> Option<NotebookName> {
        let name = self.spelt.get(key)?.clone();
        let is_same = file_identity(name.path.as_deref()?) == file_identity(Path::new(key));
        is_same.then_some(name)
    }

    /// A binding's URI, as this window spells it.
    pub(super) fn uri_here(&self, binding: &Binding) -> String {
        self.spelling_of(&binding.key).map_or_else(|| binding.uri.clone(), |name| name.uri)
    }

    /// Spells a session's notebooks as this window does.
    pub(super) fn spell(&self, session: &mut Session) {
        if self.spelt.is_empty() {
            return;
        }
        for notebook in &mut session.notebooks {
            if let Some(name) = notebook.notebook_path.as_deref().and_then(|key| self.spelling_of(key)) {
                (notebook.notebook_path, notebook.notebook_uri) = (name.path_text(), name.uri);
            }
        }
        if let Some(first) = session.notebooks.first() {
            session.notebook_uri.clone_from(&first.notebook_uri);
            session.notebook_path.clone_from(&first.notebook_path);
        }
    }
}
