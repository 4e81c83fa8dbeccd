//! Kernels whose notebook is gone, and notebooks that look like what is gone: found by content where the file itself is
//! another one, because version control, a sync tool or an editor wrote a new one.
//!
//! What is found is a guess and is asked about as one; nothing is ever bound by it unasked. Where the very file is found
//! under another name, no guess is made (`renamed.rs`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::notebook_file::normal;
use super::{NotebookCode, OnRename, Sessions, lock};
use crate::journal::Reader;
use crate::paths::{FileIdentity, changed_at, file_identity};
use crate::protocol::{NotebookName, OfferKind, Session, Time};
use crate::registry::Binding;

/// Below this share of common cells two notebooks are not taken for one.
const LEAST_SHARE: f64 = 0.5;
/// A notebook over this is not read to be compared.
const LARGEST: u64 = 256 << 20;
/// One over this is read on a thread beside.
const LARGE: u64 = 1 << 20;
/// So many large ones are known at once.
const MOST_KNOWN: usize = 4;
/// One that takes more bytes of memory is not kept, and counts as one that cannot be read.
const MOST_KEPT: usize = 16 << 20;

/// Large notebooks that were read to be compared.
#[derive(Default)]
pub(super) struct Compared {
    known: Mutex<VecDeque<Known>>,
    /// One is read at a time.
    turn: tokio::sync::Mutex<()>,
}

/// One of them, as its file was then.
struct Known {
    path: PathBuf,
    stamp: Stamp,
    /// `None`: it could not be read.
    cells: Option<Arc<Cells>>,
}

/// By what a file is told to be another one, or changed: with the time of its change, and its length in bytes.
type Stamp = (FileIdentity, i64, u64);

impl Compared {
    /// What is known of a large file as it is now; `Some(None)`: it could not be read.
    fn known(&self, path: &Path, stamp: Stamp) -> Option<Option<Arc<Cells>>> {
        let known = lock(&self.known);
        known.iter().find(|known| known.path == path && known.stamp == stamp).map(|known| known.cells.clone())
    }

    /// The cells of a notebook. A large one that was not read ahead is read now.
    fn cells(&self, path: &Path) -> Option<Arc<Cells>> {
        let known = stamp_of_large(path).and_then(|stamp| self.known(path, stamp));
        known.unwrap_or_else(|| Cells::read(path).map(Arc::new))
    }
}

fn stamp_of_large(path: &Path) -> Option<Stamp> {
    let length = std::fs::metadata(path).ok()?.len();
    (length > LARGE).then_some((file_identity(path)?, changed_at(path)?, length))
}

/// The cells of one notebook that its session executed: id and normalised source.
struct Executed {
    binding: Binding,
    cells: Vec<(String, String)>,
    /// When something was run last: a file that is older was there beside the notebook.
    since: Time,
}

impl Sessions {
    /// Live sessions whose notebook is gone and whose executed cells this notebook has, the likeliest first, with the
    /// share of them that it has.
    pub(super) async fn alike(self: &Arc<Self>, notebook: &NotebookName) -> Vec<(Session, Binding, f64)> {
        let gone = self.gone();
        let Some(path) = notebook.path.clone().filter(|_| !gone.is_empty()) else { return Vec::new() };
        let view = self.clone();
        // Off this thread: a notebook may be large.
        tokio::task::spawn_blocking(move || view.alike_at(&path, gone)).await.unwrap_or_default()
    }

    fn alike_at(&self, path: &Path, gone: Vec<Binding>) -> Vec<(Session, Binding, f64)> {
        let Some(cells) = Cells::read(path) else { return Vec::new() };
        let gone = self.executed(gone, Reader::open);
        let mut alike = Vec::new();
        for executed in gone {
            let score = cells.share_of(&executed.cells);
            if score >= LEAST_SHARE
                && let Some(session) = self.cached(&executed.binding.session_id)
            {
                alike.push((session, executed.binding, score));
            }
        }
        alike.sort_by(|a, b| b.2.total_cmp(&a.2));
        alike
    }

    /// Notebooks of living sessions of this host that are no longer where they were.
    pub(super) fn gone(&self) -> Vec<Binding> {
        let mut bindings = self.registry().live_bindings().unwrap_or_default();
        for id in self.displaced.iter() {
            bindings.extend(self.bound(&id).into_iter().filter(|b| !b.live && !b.given_up));
        }
        // At a window's start not all are joined yet.
        let is_ours = |id: &str| self.live.contains_key(id) || self.known(id).is_ok();
        bindings.retain(|b| Path::new(&b.key).is_absolute() && !self.is_there(b) && is_ours(&b.session_id));
        bindings
    }

    /// Whether what lies at a path by now is the notebook still, saved as a new file, and not another one in its place. Known
    /// by the cells that ran, where none did by those of `own`, where its own file lies by now. `None`: it cannot be told,
    /// as while it is being written.
    pub(super) fn resembles(&self, binding: &Binding, path: &Path, own: Option<&Path>) -> Option<bool> {
        let ran = self
            .executed(vec![binding.clone()], Reader::open_at_once)
            .pop()
            .map(|executed| executed.cells)
            .unwrap_or_default();
        let cells = if ran.is_empty() { self.compared.cells(own?)?.all() } else { ran };
        Some(cells.is_empty() || self.compared.cells(path)?.share_of(&cells) >= LEAST_SHARE)
    }

    /// Whether what lies at a path is large, and was not read ahead yet.
    pub(super) fn is_unread(&self, path: &Path) -> bool {
        stamp_of_large(path).is_some_and(|stamp| self.compared.known(path, stamp).is_none())
    }

    /// Reads a large notebook off this thread, to be compared in a moment.
    pub(super) async fn read_ahead(&self, path: &Path) {
        if !self.is_unread(path) {
            return;
        }
        let _turn = self.compared.turn.lock().await;
        let Some(stamp) = stamp_of_large(path).filter(|_| self.is_unread(path)) else { return };
        let at = path.to_owned();
        let read = move || Cells::read(&at).filter(|cells| cells.bytes() <= MOST_KEPT).map(Arc::new);
        let cells = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let mut known = lock(&self.compared.known);
        known.retain(|known| known.path != path);
        known.push_front(Known { path: path.to_owned(), stamp, cells });
        known.truncate(MOST_KNOWN);
    }

    /// Reads ahead what [`resembles`](Self::resembles) compares, where another file lies at the notebook's path.
    pub(super) async fn compare_ahead(&self, binding: &Binding, own: Option<&Path>) {
        let path = Path::new(&binding.key);
        let there = file_identity(path);
        let is_another = binding.file.is_some() && there.is_some() && there != binding.file;
        if binding.live && is_another && !self.is_displaced(binding) {
            self.read_ahead(path).await;
            if let Some(own) = own {
                self.read_ahead(own).await;
            }
        }
    }

    fn executed(
        &self,
        gone: Vec<Binding>,
        open: fn(&Path) -> crate::journal::Result<Reader>,
    ) -> Vec<Executed> {
        let read = |binding: Binding| {
            let reader = open(&self.folders.session(&binding.session_id)).ok()?;
            let cells = reader.executed_cells(Some(binding.number)).ok()?;
            let since = reader.last_execution().ok()??.queued_at;
            let cells = cells.into_iter().map(|(id, code)| (id, normal(&code))).collect();
            Some(Executed { binding, cells, since })
        };
        gone.into_iter().filter_map(read).collect()
    }

    /// Looks in the window's folders for notebooks that are no longer where they were: for their files first, then for
    /// files that have come since and look like them. `recent`: those that came in the last seconds alone.
    pub async fn look_for_moved(self: &Arc<Self>, recent: bool) {
        for binding in &self.registry().live_bindings().unwrap_or_default() {
            self.compare_ahead(binding, None).await;
            self.note_file(binding);
        }
        let asked = self.registry().open_offers().unwrap_or_default();
        let mut gone = self.gone();
        gone.retain(|binding| {
            let asked = asked.iter().any(|offer| {
                offer.kind == OfferKind::Migrate && offer.session_ids.contains(&binding.session_id)
            });
            !asked && !self.was_left(binding)
        });
        let doubted = self.registry().live_bindings().unwrap_or_default().into_iter();
        let replaced: Vec<FileIdentity> =
            doubted.filter(|b| self.doubted(b).is_some()).filter_map(|b| b.file).collect();
        if (gone.is_empty() && replaced.is_empty()) || self.on_rename() == OnRename::Ignore {
            return self.review_offers();
        }
        let (folders, view) = (self.this_window().folders, self.clone());
        let oldest = if recent { Time(Time::now().0 - RECENT) } else { Time(0) };
        let found = tokio::task::spawn_blocking(move || {
            let lost = gone.iter().filter_map(|binding| binding.file);
            let files: HashSet<FileIdentity> = lost.chain(replaced).collect();
            let notebooks: Vec<PathBuf> =
                folders.iter().flat_map(|folder| crate::renames::notebooks_in(folder)).collect();
            let moved: Vec<PathBuf> = notebooks
                .iter()
                .filter(|path| file_identity(path).is_some_and(|file| files.contains(&file)))
                .cloned()
                .collect();
            let found: HashSet<FileIdentity> = moved.iter().filter_map(|path| file_identity(path)).collect();
            let lost =
                gone.into_iter().filter(|binding| binding.file.is_none_or(|file| !found.contains(&file)));
            let alike = view.look_alike(lost.collect(), &notebooks, oldest);
            (moved, alike)
        });
        let (moved, alike) = found.await.unwrap_or_default();
        for path in moved {
            self.arrived(&path).await;
        }
        for (binding, path) in alike {
            let Ok(name) = NotebookName::from_path(&path) else { continue };
            let Ok(Some(session)) = self.session_of(&binding).await else { continue };
            tracing::info!(from = %binding.key, to = %path.display(), "looks like a rename");
            if let Err(e) = self.offer_migration(&name, session, &binding, true).await {
                tracing::warn!(to = %path.display(), "nothing could be offered: {e}");
            }
        }
        self.review_offers();
    }

    /// Which of these notebooks look like which of those that are gone; nothing where that is not clear.
    fn look_alike(&self, gone: Vec<Binding>, notebooks: &[PathBuf], oldest: Time) -> Vec<(Binding, PathBuf)> {
        let gone = self.executed(gone, Reader::open);
        let Some(first) = gone.iter().map(|executed| executed.since.0.max(oldest.0)).min() else {
            return Vec::new();
        };
        let mut best: HashMap<usize, (f64, Vec<&PathBuf>)> = HashMap::new();
        for path in notebooks.iter().filter(|path| !super::renamed::is_in_trash(path)) {
            let Some(came) = changed_at(path).filter(|at| *at > first) else { continue };
            let taken =
                self.registry().binding_by_key(&path.to_string_lossy()).is_ok_and(|holder| holder.is_some());
            let Some(cells) = Cells::read(path).filter(|_| !taken) else { continue };
            for (at, executed) in gone.iter().enumerate() {
                let score = cells.share_of(&executed.cells);
                if score < LEAST_SHARE || came <= executed.since.0 {
                    continue;
                }
                let known = best.entry(at).or_insert((0.0, Vec::new()));
                if score > known.0 {
                    *known = (score, vec![path]);
                } else if score == known.0 {
                    known.1.push(path);
                }
            }
        }
        let mut claimed: HashMap<&PathBuf, usize> = HashMap::new();
        for (_, paths) in best.values() {
            paths.iter().for_each(|path| *claimed.entry(path).or_default() += 1);
        }
        let clear = gone.iter().enumerate().filter_map(|(at, executed)| match best.get(&at)?.1.as_slice() {
            [path] if claimed.get(path) == Some(&1) => Some((executed.binding.clone(), (*path).clone())),
            several => {
                tracing::info!(from = %executed.binding.key, alike = several.len(), "not offered: it is not clear which");
                None
            }
        });
        clear.collect()
    }

    /// Whether a person left the kernel under its old name, though its file lies elsewhere.
    fn was_left(&self, binding: &Binding) -> bool {
        let declined = self.registry().declined_moves(&binding.key).unwrap_or_default();
        declined.iter().any(|to| binding.file.is_some() && file_identity(Path::new(to)) == binding.file)
    }
}

/// How new a file is that came when another one went, in milliseconds.
const RECENT: i64 = 10_000;

/// The code cells of a notebook, to be compared.
struct Cells {
    by_id: HashMap<String, String>,
    /// Of a notebook without ids (before nbformat 4.5), where a cell's place says nothing.
    sources: HashSet<String>,
}

impl Cells {
    fn read(path: &Path) -> Option<Cells> {
        let NotebookCode { cells, has_ids } = NotebookCode::read_at_most(path, LARGEST).ok()?;
        let sources = match has_ids {
            true => HashSet::new(),
            false => cells.iter().map(|cell| normal(&cell.source)).collect(),
        };
        Some(Cells {
            by_id: cells.into_iter().map(|cell| (cell.id, normal(&cell.source))).collect(),
            sources,
        })
    }

    /// How much of what was executed this has, 0 to 1.
    fn share_of(&self, executed: &[(String, String)]) -> f64 {
        let has =
            |(id, code): &&(String, String)| self.by_id.get(id) == Some(code) || self.sources.contains(code);
        let common = executed.iter().filter(has).count();
        // One source alone says little: many notebooks begin with the same line.
        if !self.sources.is_empty() && common < 2 {
            return 0.0;
        }
        common as f64 / executed.len().max(1) as f64
    }

    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let each = self.by_id.iter().map(|(id, code)| id.len() + code.len() + size_of::<(String, String)>());
        each.chain(self.sources.iter().map(String::len)).sum()
    }

    /// The cells as if they had been executed.
    fn all(&self) -> Vec<(String, String)> {
        self.by_id
            .iter()
            .map(|(id, code)| (id.clone(), code.clone()))
            .filter(|(_, code)| !code.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(cells: serde_json::Value, executed: &[(&str, &str)], share: f64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.ipynb");
        std::fs::write(&path, json!({ "cells": cells }).to_string()).unwrap();
        let executed: Vec<_> = executed.iter().map(|(id, code)| ((*id).to_owned(), normal(code))).collect();
        assert_eq!(Cells::read(&path).unwrap().share_of(&executed), share, "{cells}");
    }

    fn code(id: &str, source: &str) -> serde_json::Value {
        json!({ "cell_type": "code", "id": id, "source": source })
    }

    #[test]
    fn what_was_executed_is_compared_by_id_and_source() {
        let ran = [("a", "x = 1"), ("b", "def f():\n    return 1\n")];
        check(json!([code("a", "x = 1"), code("b", "def f():\r\n    return 1  \r\n")]), &ran, 1.0);
        check(json!([code("b", "def f():\n    return 1"), code("new", "1"), code("a", "x = 2")]), &ran, 0.5);
        check(json!([code("c", "x = 1")]), &ran, 0.0);
        check(json!([code("b", "def f():\nreturn 1"), code("a", "")]), &ran, 0.0);
        check(json!([{ "cell_type": "markdown", "id": "a", "source": "x = 1" }]), &ran, 0.0);
        check(json!([]), &ran, 0.0);
        check(json!([code("a", "x = 1")]), &[], 0.0);
    }

    #[test]
    fn without_ids_the_source_alone_counts() {
        let plain = |source: &str| json!({ "cell_type": "code", "source": [source] });
        check(json!([plain("new"), plain("x = 1"), plain("y")]), &[("#0", "x = 1"), ("#1", "y")], 1.0);
    }
}
