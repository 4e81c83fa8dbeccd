//! What may be so after things were done to notebooks on a disk: pure, it only looks at which files lie where.
//!
//! A session is bound to the path that a person's answer gave it last, and to no other. Its file is the one at that path,
//! wherever that goes. Where quick changes leave open which file it is, several may be, and nothing is demanded of any.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Device, inode and time of birth: inodes are given again.
pub type File = (u64, u64, u128);

pub fn file_at(path: &Path) -> Option<File> {
    let found = std::fs::metadata(path).ok()?;
    let born = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Some((found.dev(), found.ino(), born.map_or(0, |born| born.as_nanos())))
}

/// One session, as it must be.
#[derive(Debug)]
pub struct Kept {
    pub id: String,
    pub bound: PathBuf,
    /// The files that may be its notebook: one, unless changes came too quickly to tell.
    files: BTreeSet<File>,
    /// All that were, since a person said which it is.
    once: BTreeSet<File>,
    /// The watcher has had the time to learn which file it is.
    is_sure: bool,
    /// Another session was given its path: it has none until a person gives it one.
    gave_up: bool,
    /// Where its file has been.
    pub had: BTreeSet<PathBuf>,
}

impl Kept {
    pub fn new(id: String, bound: PathBuf) -> Kept {
        let had = BTreeSet::from([bound.clone()]);
        let files: BTreeSet<File> = file_at(&bound).into_iter().collect();
        let once = files.clone();
        Kept { id, bound, files, once, is_sure: true, gave_up: false, had }
    }

    /// Its file, where there is no doubt.
    pub fn file(&self) -> Option<File> {
        let only = self.files.iter().next().copied().filter(|_| self.files.len() == 1);
        only.filter(|_| self.is_sure)
    }

    /// Whether its own notebook, and surely that, lies where it is bound.
    pub fn is_home(&self) -> bool {
        !self.gave_up && self.file().is_some() && self.file() == file_at(&self.bound)
    }
}

/// All sessions, and the notebooks on the disk.
#[derive(Debug, Default)]
pub struct Model {
    pub kept: Vec<Kept>,
    pub disk: BTreeMap<PathBuf, File>,
    /// The moves that were answered: from, to. Whoever makes one again is not asked about it.
    pub answered: BTreeSet<(PathBuf, PathBuf)>,
}

impl Model {
    /// A person gave a session that notebook: whose path or file it was has that no more.
    pub fn bind(&mut self, at: usize, to: &Path) {
        let file = file_at(to);
        for (_, kept) in self.kept.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            kept.gave_up |= kept.bound == to;
            if let Some(file) = file.filter(|file| file_at(&kept.bound) != Some(*file)) {
                kept.files.remove(&file);
            }
        }
        let kept = &mut self.kept[at];
        kept.bound = to.to_owned();
        kept.gave_up = false;
        kept.had.insert(to.to_owned());
        if let Some(file) = file {
            (kept.files, kept.is_sure) = (BTreeSet::from([file]), true);
            kept.once = kept.files.clone();
        }
    }

    /// Looks at the disk after one change.
    pub fn look(&mut self, folder: &Path) {
        self.disk.clear();
        scan(folder, &mut self.disk);
        for at in 0..self.kept.len() {
            let there = self.at_home(at);
            let of_another = |file: File| self.others(at).any(|other| other.file() == Some(file));
            let new = there.filter(|file| !of_another(*file) && !self.kept[at].files.contains(file));
            let kept = &mut self.kept[at];
            if let Some(file) = new {
                kept.files.insert(file);
                kept.is_sure = false;
            }
            kept.once.extend(&kept.files);
            let here = self.disk.iter().filter(|(_, file)| kept.once.contains(file));
            kept.had.extend(here.map(|(path, _)| path.clone()));
        }
    }

    /// All changes so far have been dealt with: what lies at a session's path and is no other's is its notebook.
    pub fn settle(&mut self) {
        for at in 0..self.kept.len() {
            let there = self.at_home(at);
            let claimed = there.is_some_and(|file| self.others(at).any(|other| other.files.contains(&file)));
            let kept = &mut self.kept[at];
            // Another one lies in its place while one that was its own lies elsewhere: what is in them decides (`moves.rs`).
            let is_elsewhere =
                |own: &&File| Some(**own) != there && self.disk.values().any(|file| file == *own);
            let elsewhere: Vec<File> = kept.once.iter().filter(is_elsewhere).copied().collect();
            match there {
                Some(file) if !claimed && !elsewhere.is_empty() => {
                    kept.files.extend(elsewhere);
                    kept.files.insert(file);
                    kept.is_sure = false;
                }
                Some(file) if !claimed => (kept.files, kept.is_sure) = (BTreeSet::from([file]), true),
                Some(file) => kept.is_sure &= kept.files.len() == 1 && !kept.files.contains(&file),
                None => kept.is_sure &= kept.files.len() == 1,
            }
        }
    }

    /// Where a session's file went, if that must be asked about: it is one place, and nobody else's file.
    pub fn must_ask(&self, at: usize) -> Option<PathBuf> {
        let kept = &self.kept[at];
        let file = kept.file()?;
        let others: Vec<&Kept> = self.others(at).collect();
        if others.iter().any(|other| other.files.contains(&file)) {
            return None;
        }
        // Something else at its path may be a new version of it, unless it is surely another session's.
        let there = self.disk.get(&kept.bound);
        if there.is_some_and(|there| !others.iter().any(|other| other.file() == Some(*there))) {
            return None;
        }
        let mut places = self.disk.iter().filter(|(_, lies)| **lies == file).map(|(path, _)| path);
        let to = places.next().filter(|_| places.next().is_none())?;
        (!self.answered.contains(&(kept.bound.clone(), to.clone()))).then(|| to.clone())
    }

    /// Whether its file is nowhere any more.
    pub fn is_gone(&self, at: usize) -> bool {
        !self.disk.values().any(|file| self.kept[at].files.contains(file))
    }

    /// The session that is bound to a path, or several: one has it, the others have lost it to that one.
    pub fn bound_to(&self, path: &Path) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(move |kept| kept.bound == path)
    }

    /// What lies at a session's path, if that is still its own.
    fn at_home(&self, at: usize) -> Option<File> {
        self.disk.get(&self.kept[at].bound).copied().filter(|_| !self.kept[at].gave_up)
    }

    fn others(&self, at: usize) -> impl Iterator<Item = &Kept> {
        self.kept.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, kept)| kept)
    }
}

fn scan(folder: &Path, found: &mut BTreeMap<PathBuf, File>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            scan(&path, found);
        } else if path.extension().is_some_and(|e| e == "ipynb")
            && let Some(file) = file_at(&path)
        {
            found.insert(path, file);
        }
    }
}
