//! Which notebooks the session belongs to: moved, shared, let go.
//!
//! Each change is one transaction of the registry, which lets one session have a notebook, and then a new `session.json`.
//! Killed in between, the file still says what was, and the file wins: see [`Keeper::settle_bindings`].

use super::frames::Migrate;
use super::record::{BoundNotebook, Record};
use super::registry::{is_busy, refused};
use super::run::Keeper;
use crate::protocol::{Error, ErrorKind};
use crate::registry::{self, Binding, Registry};

impl Keeper {
    /// Binds one of the session's notebooks to another name.
    pub(super) fn migrate(&mut self, to: Migrate) -> Result<(), Error> {
        let Some(at) = self.record.notebooks.iter().position(|n| n.number == to.number) else {
            return Err(no_such_notebook());
        };
        self.check_expected(to.expected_key.as_deref(), &self.record.notebooks[at..=at])?;
        let now = BoundNotebook { number: to.number, uri: to.uri, key: to.key, path: to.path, let_go: false };
        let binding = now.binding(&self.record.id, true);
        let registry = self.registry()?;
        // What this keeper believes is the truth: the registry's own idea of the old name does not matter.
        let before = registry
            .rebind(&binding.session_id, binding.number, None, &binding, &to.release)
            .map_err(|e| refused(e, &now.key))?;
        let mut record = self.record.clone();
        record.notebooks[at] = now;
        self.put_record(&registry, record, || {
            let _ = registry.rebind(&before.session_id, before.number, None, &before, &[]);
        })
    }

    /// Binds the session to one more notebook. Nothing is written where it has it already.
    pub(super) fn share(&mut self, with: Migrate) -> Result<(), Error> {
        self.check_expected(with.expected_key.as_deref(), &self.record.notebooks)?;
        if self.record.notebooks.iter().any(|n| n.key == with.key) {
            return Ok(());
        }
        let mut record = self.record.clone();
        let known = record.former_notebooks.iter().position(|n| n.key == with.key);
        let number = match known {
            // What it ran before is its history still.
            Some(at) => record.former_notebooks.remove(at).number,
            None => {
                1 + record
                    .notebooks
                    .iter()
                    .chain(&record.former_notebooks)
                    .map(|n| n.number)
                    .max()
                    .unwrap_or(0)
            }
        };
        let now = BoundNotebook { number, uri: with.uri, key: with.key, path: with.path, let_go: false };
        let binding = now.binding(&record.id, true);
        let registry = self.registry()?;
        registry.add_binding(&binding, &with.release).map_err(|e| refused(e, &now.key))?;
        record.notebooks.push(now);
        let before = self.record.clone();
        self.put_record(&registry, record, || restore(&registry, &before, number))
    }

    /// One of several notebooks lets go; what it ran stays in the history.
    pub(super) fn unshare(&mut self, number: u32) -> Result<(), Error> {
        let mut record = self.record.clone();
        let Some(at) = record.notebooks.iter().position(|n| n.number == number) else {
            return Err(no_such_notebook());
        };
        if record.notebooks.len() == 1 {
            let what = "the session has this notebook alone: stop it, or attach it to another notebook";
            return Err(Error::new(ErrorKind::InvalidParams, what).with("field", "notebookUri"));
        }
        let gone = record.notebooks.remove(at);
        record.former_notebooks.push(gone);
        let registry = self.registry()?;
        let given_up = record.bindings().into_iter().find(|b| b.number == number);
        if let Some(binding) = given_up {
            registry.add_binding(&binding, &[]).map_err(|e| refused(e, &binding.key))?;
        }
        let before = self.record.clone();
        self.put_record(&registry, record, || restore(&registry, &before, number))
    }

    /// A replay has begun: its session takes the notebook over, in one transaction. Its record says before from whom, and
    /// after it that it has it: killed in between, or without room for the latter, the registry is right.
    pub(super) fn take_notebook(&mut self, from: &[(String, u32)]) -> Result<(), Error> {
        let mut record = self.record.clone();
        record.replaces = from.first().map(|(id, _)| id.clone());
        record.write(&self.folders).map_err(|e| unwritten(&e))?;
        let now = &mut record.notebooks[0];
        now.let_go = false;
        record.label = None;
        let (binding, key) = (now.binding(&record.id, true), now.key.clone());
        let registry = self.registry()?;
        registry.take_over(&binding, from).map_err(|e| refused(e, &key))?;
        self.record = record;
        self.save_record();
        self.put_row(&registry);
        let _ = crate::paths::ring(&self.folders.bell());
        Ok(())
    }

    /// Another session has the notebook by now: this one lives on without it. Nothing is done where it moved meanwhile.
    pub(super) fn let_go(&mut self, number: u32, expected_key: &str, label: String) -> Result<(), Error> {
        let at = self.record.notebooks.iter().position(|n| n.number == number && n.key == expected_key);
        let Some(at) = at else { return Ok(()) };
        if self.record.notebooks.len() > 1 {
            return self.unshare(number);
        }
        let mut record = self.record.clone();
        record.notebooks[at].let_go = true;
        record.label.get_or_insert(label);
        let registry = self.registry()?;
        self.put_record(&registry, record, || ())
    }

    /// After a keeper was killed: what it had begun and not written down is undone in the registry. Only where another
    /// session has the name by now is the file wrong.
    pub(super) fn settle_bindings(&mut self) {
        let settled = self.registry().and_then(|registry| {
            let rows = registry.bindings(&self.record.id).map_err(|e| refused(e, ""))?;
            for row in rows.iter().filter(|row| self.record.bindings().iter().all(|b| b.number != row.number)) {
                registry.remove_binding(&row.session_id, row.number).map_err(|e| refused(e, &row.key))?;
            }
            for mut binding in self.record.bindings() {
                let row = rows.iter().find(|row| row.number == binding.number);
                if row.is_some_and(|row| row.key == binding.key && row.given_up == binding.given_up) {
                    continue;
                }
                let its = self.record.notebooks.iter_mut().find(|n| n.number == binding.number && n.let_go);
                if let (Some(its), Some(row)) = (its, row.filter(|row| row.live)) {
                    // It had just taken it.
                    self.record.label.take_if(|label| *label == its.replayed());
                    *its = named(row);
                    continue;
                }
                // The file that it was moved to is its notebook still, and is found again under that name.
                binding.file = row.and_then(|row| row.file).or(binding.file).filter(|_| !binding.given_up);
                tracing::warn!(session = %self.record.id, notebook = %binding.key, "the registry knew it otherwise");
                let bound = match row {
                    Some(row) if row.live && binding.live => {
                        registry.rebind(&row.session_id, row.number, None, &binding, &[]).map(drop)
                    }
                    _ => registry.add_binding(&binding, &[]),
                };
                match (bound, row) {
                    (Ok(()), _) => {}
                    (Err(registry::Error::Taken { .. }), Some(row)) => {
                        self.record.notebooks.retain(|n| n.number != row.number);
                        self.record.notebooks.insert(0, named(row));
                    }
                    (Err(e), _) => return Err(refused(e, &binding.key)),
                }
            }
            Ok(())
        });
        if let Err(e) = settled {
            self.registry.is_unsettled = is_busy(&e);
            tracing::warn!(session = %self.record.id, "its notebooks could not be compared with the registry: {e}");
        }
    }

    fn check_expected(&self, expected: Option<&str>, bound: &[BoundNotebook]) -> Result<(), Error> {
        if expected.is_none_or(|expected| bound.iter().any(|n| n.key == expected)) {
            return Ok(());
        }
        let session = self.session();
        let what = format!("session {} is bound to {} by now", session.id, bound[0].key);
        Err(Error::new(ErrorKind::SessionMoved, what)
            .with("session", serde_json::to_value(session).unwrap_or_default()))
    }

    /// The file, then the registry's copy of it; `undo` where it cannot be written.
    fn put_record(&mut self, registry: &Registry, record: Record, undo: impl FnOnce()) -> Result<(), Error> {
        if let Err(e) = record.write(&self.folders) {
            undo();
            return Err(unwritten(&e));
        }
        self.record = record;
        self.put_row(registry);
        if registry.was_replaced() {
            // It was filled with the file as that was before.
            self.settle_bindings();
        }
        let _ = crate::paths::ring(&self.folders.bell());
        Ok(())
    }
}

/// A notebook as the registry has it.
fn named(row: &Binding) -> BoundNotebook {
    let path = std::path::Path::new(&row.key).is_absolute().then(|| row.key.clone().into());
    let (uri, key) = (row.uri.clone(), row.key.clone());
    BoundNotebook { number: row.number, uri, key, path, let_go: row.given_up }
}

/// Puts one notebook's row back as a record has it.
fn restore(registry: &Registry, record: &Record, number: u32) {
    let _ = match record.bindings().into_iter().find(|binding| binding.number == number) {
        Some(binding) => registry.add_binding(&binding, &[]),
        None => registry.remove_binding(&record.id, number),
    };
}

fn unwritten(e: &std::io::Error) -> Error {
    Error::new(ErrorKind::StoreFailed, format!("session.json could not be written: {e}"))
}

fn no_such_notebook() -> Error {
    Error::new(ErrorKind::InvalidParams, "the session has no such notebook").with("field", "notebookUri")
}
