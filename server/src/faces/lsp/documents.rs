//! Which notebooks the window shows.
//!
//! The registry is told, so that an offer finds its window; a closed notebook only lets its kernel go. Leaves out the cells'
//! text: nothing here needs it.

use std::path::PathBuf;

use tower_lsp::ls_types::RenameFilesParams;

use super::backend::Backend;
use crate::protocol::NotebookName;

impl Backend {
    /// A notebook was opened: its kernel may live.
    pub(super) async fn opened(&self, uri: &str) {
        let (Ok(sessions), Ok(name)) = (self.sessions(), NotebookName::parse(uri)) else { return };
        sessions.note_spelling(&name);
        let key = sessions.shown_key(&name);
        let registered = sessions.update_window(|window| {
            if !window.open.contains(&key) {
                window.open.push(key.clone());
            }
        });
        self.looked().await;
        let told = match registered {
            Ok(()) => sessions.opened(&name).await,
            Err(e) => Err(e),
        };
        if let Err(e) = told {
            tracing::warn!(notebook = %key, "opened, but nothing could be offered: {e}");
        }
    }

    /// It has edits that are not saved, or none any more.
    pub(super) fn edited(&self, uri: &str, unsaved: bool) {
        let (Ok(sessions), Ok(name)) = (self.sessions(), NotebookName::parse(uri)) else { return };
        let key = sessions.shown_key(&name);
        if sessions.has_unsaved(&key) == unsaved {
            return;
        }
        let registered = sessions.update_window(|window| {
            window.unsaved.retain(|k| *k != key);
            if unsaved {
                window.unsaved.push(key.clone());
            }
        });
        if let Err(e) = registered {
            tracing::warn!("{e}");
        }
    }

    /// It was saved, perhaps as a new file.
    pub(super) async fn saved(&self, uri: &str) {
        let (Ok(sessions), Ok(name)) = (self.sessions(), NotebookName::parse(uri)) else { return };
        sessions.note_history(&name);
        if let Some(path) = name.path {
            sessions.arrived(&path).await;
        }
    }

    /// It was closed: this window lets its kernel go, which runs on.
    pub(super) async fn closed(&self, uri: &str) {
        let (Ok(sessions), Ok(name)) = (self.sessions(), NotebookName::parse(uri)) else { return };
        let key = sessions.shown_key(&name);
        let registered = sessions.update_window(|window| {
            window.open.retain(|k| *k != key);
            window.unsaved.retain(|k| *k != key);
        });
        if let Err(e) = registered {
            tracing::warn!("{e}");
        }
        sessions.closed(&name).await;
        sessions.forget_spelling(&name);
    }
}

/// The renames of a request, as paths.
pub(super) fn renames(renamed: &RenameFilesParams) -> Vec<(PathBuf, PathBuf)> {
    let path = |uri: &str| NotebookName::any_file(uri).ok().and_then(|name| name.path);
    renamed.files.iter().filter_map(|file| Some((path(&file.old_uri)?, path(&file.new_uri)?))).collect()
}
