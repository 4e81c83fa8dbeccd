//! What can be asked, and in which words: the kinds of offers.

use super::text;
use crate::protocol::{Action, Execution, Kernelspec, NotebookName, OfferKind, Session, actions};
use crate::registry::Binding;

/// Valid for every kind.
pub const DISMISS: &str = "dismiss";

/// A question about to be raised.
pub struct NewOffer {
    pub kind: OfferKind,
    pub notebook: NotebookName,
    pub message: String,
    pub kernel_name: Option<String>,
    pub actions: Vec<Action>,
    pub sessions: Vec<Session>,
    /// The window that it goes to; `None`: this one.
    pub to: Option<Option<String>>,
    /// Of a `migrate`: the notebook as it was bound, and whether the move may have been declined.
    pub from: Option<Binding>,
    pub unless_declined: bool,
}

impl NewOffer {
    pub fn resume(notebook: NotebookName, session: Session, kernel_name: Option<&str>) -> NewOffer {
        let message = text::resume(&session, kernel_name, None, false);
        let is_other = kernel_name.is_some_and(|name| !name.eq_ignore_ascii_case(&session.kernel.name));
        let back = if is_other { "Go On with It" } else { "Resume Session" };
        let fresh = if is_other { "Stop It, Start Fresh" } else { "Start Fresh" };
        let kernel_name = kernel_name.map_or_else(|| session.kernel.name.clone(), str::to_owned);
        let actions = vec![action(actions::RESUME, back), action(actions::FRESH, fresh)];
        Self::new(OfferKind::Resume, notebook, message, Some(kernel_name), actions, vec![session])
    }

    /// `from` is what was bound; `is_guess`: the notebook only looks like it.
    pub fn migrate(
        notebook: NotebookName,
        session: Session,
        from: Binding,
        is_guess: bool,
        kernel_name: Option<&str>,
    ) -> NewOffer {
        let to = notebook.path_text().unwrap_or_else(|| notebook.file_name());
        let message = text::migrate(&session, &from.key, &to, is_guess);
        let actions = vec![action(actions::MIGRATE, "Attach & Migrate"), action(DISMISS, "Not Now")];
        let kernel_name = kernel_name.map(str::to_owned);
        let new = Self::new(OfferKind::Migrate, notebook, message, kernel_name, actions, vec![session]);
        NewOffer { from: Some(from), ..new }
    }

    /// Several kernels could be this notebook's.
    pub fn pick_session(
        notebook: NotebookName,
        sessions: Vec<Session>,
        kernel_name: Option<&str>,
    ) -> NewOffer {
        let message = text::pick_session(&notebook.file_name(), sessions.len());
        let mut actions: Vec<Action> = sessions
            .iter()
            .map(|session| {
                action(&format!("{}{}", actions::SESSION_PREFIX, session.id), &text::kernel_of(session))
            })
            .collect();
        actions.push(action(actions::FRESH, "New Session"));
        Self::new(OfferKind::Pick, notebook, message, kernel_name.map(str::to_owned), actions, sessions)
    }

    /// `from` is what the session is bound to now.
    pub fn replace(
        notebook: NotebookName,
        session: Session,
        from: Option<Binding>,
        holder: &Session,
    ) -> NewOffer {
        let message = text::replace(holder, &notebook.file_name());
        let actions = vec![action(actions::REPLACE, "Replace"), action(DISMISS, "Cancel")];
        let sessions = vec![session, holder.clone()];
        NewOffer { from, ..Self::new(OfferKind::Replace, notebook, message, None, actions, sessions) }
    }

    /// `last` is what ran last; `can_restore`: there is a snapshot; `can_rebuild`: something had succeeded that could be run
    /// again.
    pub fn recover(
        notebook: NotebookName,
        session: Session,
        kernel_name: Option<&str>,
        last: Option<&Execution>,
        can_restore: bool,
        can_rebuild: bool,
    ) -> NewOffer {
        let message = text::recover(&notebook.file_name(), &session, last);
        let mut actions = vec![action(actions::FRESH, "Start Fresh")];
        if can_restore {
            actions.push(action(actions::RESTORE, "Restore Snapshot"));
        }
        if can_rebuild {
            actions.push(action(actions::REBUILD, "Rebuild from History"));
        }
        actions.push(action(actions::HISTORY, "Show History"));
        let kernel_name = kernel_name.map_or_else(|| session.kernel.name.clone(), str::to_owned);
        Self::new(OfferKind::Recover, notebook, message, Some(kernel_name), actions, vec![session])
    }

    /// A new session is of the notebook's language, where that is known.
    pub fn pick(notebook: NotebookName, kernelspecs: Vec<Kernelspec>, language: Option<&str>) -> NewOffer {
        let message = format!("Which kernel should run {}?", notebook.file_name());
        let can_be = |spec: &Kernelspec| spec.ready && spec.provisioner.is_none();
        let ready: Vec<Kernelspec> = kernelspecs.into_iter().filter(can_be).collect();
        let is_its = |spec: &&Kernelspec| language.is_none_or(|its| its.eq_ignore_ascii_case(&spec.language));
        let first = ready.iter().find(is_its).map(|spec| spec.name.clone());
        let mut actions: Vec<Action> = ready
            .iter()
            .map(|spec| action(&format!("{}{}", actions::KERNEL_PREFIX, spec.name), &spec.display_name))
            .collect();
        actions.push(action(actions::FRESH, "New Session"));
        Self::new(OfferKind::Pick, notebook, message, first, actions, Vec::new())
    }

    /// Sends it to another window, or to whichever opens the notebook next.
    pub fn to(mut self, window: Option<String>) -> NewOffer {
        self.to = Some(window);
        self
    }

    /// It is not asked where that move was declined.
    pub fn unless_declined(mut self) -> NewOffer {
        self.unless_declined = true;
        self
    }

    fn new(
        kind: OfferKind,
        notebook: NotebookName,
        message: String,
        kernel_name: Option<String>,
        actions: Vec<Action>,
        sessions: Vec<Session>,
    ) -> NewOffer {
        NewOffer {
            kind,
            notebook,
            message,
            kernel_name,
            actions,
            sessions,
            to: None,
            from: None,
            unless_declined: false,
        }
    }
}

fn action(id: &str, title: &str) -> Action {
    Action { action: id.into(), title: title.into() }
}
