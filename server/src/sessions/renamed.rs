//! A notebook was renamed on disk. What a watcher says is a hint; the disk is asked before anybody else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::offers::a_move;
use super::windows::LivingWindow;
use super::{OnRename, Sessions, lock};
use crate::paths::FileIdentity;
use crate::protocol::{NotebookName, OfferKind, Session};
use crate::registry::Binding;

/// How long a window that shows the kernel has to act on a rename before another window asks.
const LEFT_TO_ANOTHER: Duration = Duration::from_millis(500);

/// How long a notebook's own file may take to turn up elsewhere after another notebook came to lie at its path.
const DOUBTED: Duration = Duration::from_secs(3);

impl Sessions {
    /// A watcher saw a rename.
    pub async fn disk_renamed(self: &Arc<Self>, from: &Path, to: &Path) {
        // Moved back: going there once more is another move, even where that is done already.
        let (left, back) = (from.to_string_lossy(), to.to_string_lossy());
        let declined = a_move(&back, &left);
        if self.registry().is_dismissed(&left, OfferKind::Migrate, &declined).unwrap_or(false) {
            let (left, declined) = (left.into_owned(), declined.clone());
            self.write_later(move |registry| registry.forget_dismissal(&left, OfferKind::Migrate, &declined));
        }
        for binding in self.bound_below(from) {
            let Some(target) = moved_path(Path::new(&binding.key), from, to) else { continue };
            self.follow_seen(&binding, &target).await;
        }
        self.history_follows(from, to);
        self.arrived(to).await;
    }

    /// What a watcher saw may be what the editor makes just then: then one after the other, so that none finds the other's
    /// half done.
    async fn follow_seen(self: &Arc<Self>, binding: &Binding, target: &Path) {
        let announced = self.was_announced(binding, target);
        let _one_at_a_time = if announced { Some(self.renaming.lock().await) } else { None };
        let bound = self.bound(&binding.session_id);
        let Some(now) = bound.iter().find(|now| now.number == binding.number) else { return };
        // Whoever was faster has moved it.
        if !announced && now.key != binding.key {
            return;
        }
        let by_editor = announced && self.was_announced(now, target);
        self.follow_rename(now, target, by_editor).await;
    }

    /// A notebook appeared: perhaps one that left another place, perhaps one that was saved as a new file. True where
    /// nobody knows it, while another one is missed: then it may be that one, written anew.
    pub async fn arrived(self: &Arc<Self>, path: &Path) -> bool {
        let key = path.to_string_lossy().into_owned();
        let Some(file) = crate::paths::file_identity(path) else { return false };
        let own = self.registry().binding_by_key(&key).ok().flatten();
        let known = self.registry().bindings_by_file(file).unwrap_or_default();
        for binding in known.iter().filter(|binding| Some(*binding) != own.as_ref()) {
            self.follow_seen(binding, path).await;
        }
        let is_known = own.is_some() || !known.is_empty();
        if let Some(binding) = own {
            if binding.file == Some(file)
                && self.registry().declined_moves(&key).is_ok_and(|declined| !declined.is_empty())
            {
                let key = key.clone();
                self.write_later(move |registry| registry.forget_declined_moves(&key));
            }
            self.read_arrived(&binding, file).await;
            self.note_file(&binding);
            self.review_offers();
        }
        if !is_known && let Ok(name) = NotebookName::from_path(path) {
            self.find_history(&name, file);
        }
        !is_known && !self.gone().is_empty()
    }

    /// The history of a notebook without a kernel follows its file, too.
    pub(super) fn history_follows(&self, from: &Path, to: &Path) {
        self.conversations_follow(from, to);
        for key in self.registry().ended_keys_below(&from.to_string_lossy()).unwrap_or_default() {
            let Some(target) = moved_path(Path::new(&key), from, to) else { continue };
            let is_moved = !Path::new(&key).exists() && target.exists();
            if let Ok(name) = NotebookName::from_path(&target)
                && is_moved
            {
                self.rename_history(&key, &name);
            }
        }
    }

    /// A notebook is opened or saved: its history is found by the file, should it have had another name.
    pub fn note_history(&self, notebook: &NotebookName) {
        let Some(file) = notebook.path.as_deref().and_then(crate::paths::file_identity) else { return };
        self.note_conversations(notebook);
        self.find_history(notebook, file);
        let key = self.key(notebook);
        if self.registry().sessions_of_notebook(&key).is_ok_and(|sessions| !sessions.is_empty()) {
            self.write_later(move |registry| registry.set_ended_file(&key, file));
        }
    }

    fn find_history(&self, notebook: &NotebookName, file: FileIdentity) {
        let key = self.key(notebook);
        for old in self.registry().ended_keys_of(file).unwrap_or_default() {
            if old != key && !Path::new(&old).exists() {
                self.rename_history(&old, notebook);
            }
        }
    }

    fn rename_history(&self, from_key: &str, to: &NotebookName) {
        tracing::info!(from = %from_key, to = %to.uri, "its history follows");
        let (from, to_key, to_uri) = (from_key.to_owned(), self.key(to), to.uri.clone());
        self.write_later(move |registry| registry.rename_ended(&from, &to_key, &to_uri));
    }

    /// Remembers which file a notebook is now, where it was saved as a new one or moved back: its name is right.
    pub(super) fn note_file(self: &Arc<Self>, binding: &Binding) {
        match crate::paths::file_identity(Path::new(&binding.key)) {
            Some(file)
                if binding.file != Some(file)
                    && !self.is_anothers(binding, file)
                    && !self.is_elsewhere(binding)
                    && !self.is_doubtful(binding, file) =>
            {
                let (id, number) = (binding.session_id.clone(), binding.number);
                self.write_later(move |registry| registry.set_file_identity(&id, number, file));
            }
            _ => {}
        }
    }

    /// Whether a new file at a notebook's path looks like another notebook: its own may turn up elsewhere in the next
    /// moments, and is followed then. After them the name decides.
    fn is_doubtful(self: &Arc<Self>, binding: &Binding, file: FileIdentity) -> bool {
        let of = (binding.session_id.clone(), binding.number);
        if lock(&self.doubted).get(&of).is_some_and(|(doubted, _)| *doubted == file) {
            return self.doubted(binding).is_some();
        }
        lock(&self.doubted).remove(&of);
        if binding.file.is_none() || self.resembles(binding, Path::new(&binding.key), None) != Some(false) {
            return false;
        }
        tracing::info!(path = %binding.key, "another notebook lies at its path");
        lock(&self.doubted).insert(of, (file, Instant::now()));
        let (sessions, binding) = (self.clone(), binding.clone());
        tokio::spawn(async move {
            tokio::time::sleep(DOUBTED).await;
            let now = sessions.bound(&binding.session_id).into_iter().find(|b| b.number == binding.number);
            now.iter().for_each(|now| sessions.note_file(now));
        });
        true
    }

    /// Reads ahead a large notebook that came to lie at another one's path. Meanwhile it is in doubt: it may go on to
    /// another place before it was read.
    async fn read_arrived(&self, binding: &Binding, file: FileIdentity) {
        let path = Path::new(&binding.key);
        if binding.file.is_none_or(|known| known == file)
            || self.is_anothers(binding, file)
            || !self.is_unread(path)
        {
            return;
        }
        let of = (binding.session_id.clone(), binding.number);
        lock(&self.doubted).insert(of.clone(), (file, Instant::now()));
        self.read_ahead(path).await;
        if crate::paths::file_identity(path) == Some(file) {
            lock(&self.doubted).remove(&of);
        }
    }

    /// Another notebook's file that came to lie at its path a moment ago: its own may be elsewhere.
    pub(super) fn doubted(&self, binding: &Binding) -> Option<FileIdentity> {
        let of = (binding.session_id.clone(), binding.number);
        let (file, since) = lock(&self.doubted).get(&of).copied()?;
        (since.elapsed() < DOUBTED).then_some(file)
    }

    /// Whether the notebook is where it was: something is there, and not what is known as another session's notebook. A
    /// path that was given up to another session is none of its own, whatever comes to lie there.
    pub(super) fn is_there(&self, binding: &Binding) -> bool {
        binding.live && Path::new(&binding.key).exists() && !self.is_displaced(binding)
    }

    /// Whether another session's notebook took its place: a swap, or a rename over it.
    pub(super) fn is_displaced(&self, binding: &Binding) -> bool {
        let there = crate::paths::file_identity(Path::new(&binding.key));
        there.is_some_and(|there| self.is_anothers(binding, there))
    }

    /// Whether a file is known as another session's notebook.
    fn is_anothers(&self, binding: &Binding, file: FileIdentity) -> bool {
        let is_other =
            |other: &Binding| (&other.session_id, other.number) != (&binding.session_id, binding.number);
        binding.file.is_some_and(|own| own != file)
            && self.registry().bindings_by_file(file).unwrap_or_default().iter().any(is_other)
    }

    /// Whether a notebook whose file lies at `target` is back at its path: the file itself, or a new one that it was saved
    /// as. `None`: what lies there is still being written.
    pub(super) fn is_back(&self, binding: &Binding, target: &Path) -> Option<bool> {
        let path = Path::new(&binding.key);
        let there = crate::paths::file_identity(path);
        if self.is_displaced(binding) {
            return Some(false);
        }
        if binding.live
            && binding.file.is_some()
            && there.is_some()
            && there != binding.file
            && crate::paths::file_identity(target) == binding.file
        {
            return self.resembles(binding, path, Some(target));
        }
        Some(self.is_there(binding))
    }

    /// Whether it is asked about because its file lies elsewhere, and what lies in its place is no save of it.
    fn is_elsewhere(&self, binding: &Binding) -> bool {
        let is_its = |key: &str| {
            let target = Path::new(key);
            crate::paths::file_identity(target) == binding.file && self.is_back(binding, target) != Some(true)
        };
        self.moves_asked(binding).iter().any(|key| is_its(key))
    }

    /// The session that holds a path whose file is another session's: it gives the path up.
    pub(super) fn displaced_at(&self, key: &str) -> Option<Binding> {
        let holder = self.registry().binding_by_key(key).ok().flatten();
        holder.filter(|holder| self.is_displaced(holder))
    }

    /// A session was given the notebook at a path. Whose file that was under a name that is gone has lost it: when it moves
    /// again, the one that has it now is asked about.
    pub(super) fn take_file(&self, id: &str, notebook: &NotebookName) {
        let Some(file) = notebook.path.as_deref().and_then(crate::paths::file_identity) else { return };
        for other in self.registry().bindings_by_file(file).unwrap_or_default() {
            if other.session_id != id && !self.is_there(&other) {
                self.write_later(move |registry| {
                    registry.forget_file_identity(&other.session_id, other.number)
                });
            }
        }
    }

    /// A path is gone: what was offered because of it may be moot. True where it was a notebook's that has a kernel, or a
    /// folder with one.
    pub fn vanished(self: &Arc<Self>, path: &Path) -> bool {
        self.review_offers();
        !self.bound_below(path).is_empty()
    }

    /// Looks which sessions have lost their notebook's path to another session's notebook.
    pub(super) fn note_displaced(self: &Arc<Self>) {
        let Ok(held) = self.registry().live_bindings() else { return };
        let mut first: HashMap<&str, &Binding> = HashMap::new();
        for binding in &held {
            first.entry(&binding.session_id).or_insert(binding);
        }
        let is_live = |id: &str| self.registry().session(id).is_ok_and(|row| row.is_some_and(|row| row.live));
        let ids: Vec<String> = self.live.iter().map(|live| live.key().clone()).collect();
        self.displaced.retain(|id| ids.contains(id));
        self.replaced.retain(|id| ids.contains(id));
        for id in ids {
            let lost = match first.get(id.as_str()) {
                Some(binding) => self.is_displaced(binding),
                None => is_live(&id),
            };
            // What was replayed from it has its notebook, which is there as it was: nothing came to lie in its place.
            let bound = if lost { self.bound(&id) } else { Vec::new() };
            if !bound.is_empty() && bound.iter().all(|binding| binding.given_up) {
                self.displaced.remove(&id);
                self.replaced.insert(id);
                continue;
            }
            self.replaced.remove(&id);
            if lost {
                self.displaced.insert(id);
                continue;
            }
            self.displaced.remove(&id);
            // What took its place may be nobody else's by now: then it is this session's, and followed as such.
            if let Some(binding) = first.get(id.as_str()) {
                self.note_file(binding);
            }
        }
    }

    /// Tells of the sessions whose notebook is gone, or there again.
    pub fn tell_what_exists(self: &Arc<Self>) {
        self.note_displaced();
        let live: Vec<Session> = self.live.iter().map(|live| live.session.clone()).collect();
        for session in live {
            let exist = |session: &Session| -> Vec<bool> {
                let exists = session.notebooks.iter().map(|notebook| notebook.notebook_exists);
                exists.chain([session.replaced]).collect()
            };
            let (id, last) = (session.id.clone(), exist(&session));
            let session = self.present(session);
            let now = exist(&session);
            if self.existed.insert(id, now.clone()).unwrap_or(last) != now {
                self.emit(super::Event::Updated(session));
            }
        }
    }

    /// Confirms a move on disk, then migrates or asks.
    pub(super) async fn follow_rename(self: &Arc<Self>, binding: &Binding, target: &Path, by_editor: bool) {
        self.follow_rename_as(binding, target, by_editor, true).await;
    }

    /// `may_wait`: another window that shows the kernel, and sees the same, may act first.
    async fn follow_rename_as(
        self: &Arc<Self>,
        binding: &Binding,
        target: &Path,
        by_editor: bool,
        may_wait: bool,
    ) {
        let old = Path::new(&binding.key);
        self.compare_ahead(binding, Some(target)).await;
        let file = crate::paths::file_identity(target);
        let back = if old == target { Some(true) } else { self.is_back(binding, target) };
        if back.is_none() && may_wait {
            return self.follow_rename_later(binding.clone(), target.to_owned());
        }
        let why_not = if old == target {
            Some("nothing moved")
        } else if back != Some(false) && !same_place(old, target) {
            Some("the old path is there")
        } else if file.is_none() {
            Some("the new path is not there")
        } else if is_in_trash(target) {
            Some("it was thrown away")
        } else if binding.file.is_some() && binding.file != file && self.doubted(binding) != file {
            Some("it is another file")
        } else {
            None
        };
        let Ok(name) = NotebookName::from_path(target) else { return };
        if let Some(why) = why_not {
            return tracing::info!(from = %binding.key, to = %target.display(), why, "not a rename");
        }
        // At a window's start it may not be joined yet.
        let Ok(Some(session)) = self.session_of(binding).await else { return };
        let attached = session.windows.iter().any(|w| w.this_window);
        let migrate = match self.on_rename() {
            _ if by_editor && attached => true,
            OnRename::Migrate => attached || self.is_responsible(&session),
            OnRename::Ignore => return,
            OnRename::Ask => false,
        };
        if may_wait && !migrate && !attached && self.is_left_to_another(&session, old, target) {
            tracing::info!(from = %binding.key, to = %target.display(), "left to the window that shows the kernel");
            return self.follow_rename_later(binding.clone(), target.to_owned());
        }
        tracing::info!(from = %binding.key, to = %target.display(), migrate, by_editor, "a rename");
        let done = if migrate {
            self.migrate(&session.id, &name, Some(&binding.key)).await.map(|_| ())
        } else {
            self.offer_migration(&name, session, binding, false).await
        };
        if let Err(e) = done {
            tracing::warn!(to = %target.display(), "the kernel could not follow: {e}");
        }
    }

    /// Whether a living window shows the kernel and sees the rename itself: perhaps it is made there, and asked by nobody.
    fn is_left_to_another(&self, session: &Session, old: &Path, target: &Path) -> bool {
        let sees = |window: &LivingWindow| window.contains(target) || old.parent() == target.parent();
        let shows = |window: &LivingWindow| session.windows.iter().any(|w| w.window_id == window.id);
        self.living_windows().iter().any(|window| shows(window) && sees(window))
    }

    /// Should that window do nothing after all. Boxed, because it leads back here.
    fn follow_rename_later(self: &Arc<Self>, binding: Binding, target: PathBuf) {
        let sessions = self.clone();
        let later: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            tokio::time::sleep(LEFT_TO_ANOTHER).await;
            let now = sessions.bound(&binding.session_id).into_iter().find(|b| b.number == binding.number);
            if let Some(now) = now.filter(|now| now.key == binding.key) {
                sessions.follow_rename_as(&now, &target, false, false).await;
            }
        });
        tokio::spawn(later);
    }

    /// Where no window has it attached, all may act, and the keeper lets one win.
    fn is_responsible(&self, session: &Session) -> bool {
        !session.has_window()
    }

    /// Live bindings of notebooks at or below a path.
    pub(super) fn bound_below(&self, path: &Path) -> Vec<Binding> {
        let live = self.registry().live_bindings().unwrap_or_default();
        live.into_iter().filter(|binding| Path::new(&binding.key).starts_with(path)).collect()
    }

    /// The folders of live sessions' notebooks, to be watched wherever they are.
    pub fn notebook_paths(&self) -> Vec<PathBuf> {
        let live = self.registry().live_bindings().unwrap_or_default();
        live.into_iter().map(|binding| PathBuf::from(binding.key)).filter(|path| path.is_absolute()).collect()
    }
}

/// Where a path is after `from` became `to`.
pub(super) fn moved_path(path: &Path, from: &Path, to: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(from).ok()?;
    Some(if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) })
}

/// The trash of desktops: <https://specifications.freedesktop.org/trash-spec/latest/>, macOS's and Windows' own.
pub(super) fn is_in_trash(path: &Path) -> bool {
    let names: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    names.iter().any(|name| *name == ".Trash" || name.starts_with(".Trash-") || *name == "$Recycle.Bin")
        || names.windows(2).any(|pair| pair[0] == "Trash" && pair[1] == "files")
}

/// On file systems that fold case, a path that differs in case alone is "there" under both names.
fn same_place(old: &Path, new: &Path) -> bool {
    let fold = |p: &Path| p.to_string_lossy().to_lowercase();
    fold(old) == fold(new)
        && crate::paths::file_identity(old) == crate::paths::file_identity(new)
        && !listed(old)
}

fn listed(path: &Path) -> bool {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
    std::fs::read_dir(parent).into_iter().flatten().flatten().any(|entry| entry.file_name() == name)
}
