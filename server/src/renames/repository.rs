//! Where a repository keeps its files, from the `.git` of its folder: no process is run.

use std::path::{Path, PathBuf};

use crate::foreign;

/// Git's own small files are not larger.
const LARGEST: u64 = 64 << 10;

/// The folders of a repository, or of one of its worktrees.
pub struct Repository {
    /// The worktree's own: which branch it has.
    pub own: PathBuf,
    /// What all worktrees share: the configuration, `info/exclude`.
    pub shared: PathBuf,
}

impl Repository {
    /// Of a `.git`, a folder or a worktree's file; `None` where it is neither, or cannot be read.
    pub fn at(dot_git: &Path) -> Option<Repository> {
        let own = match dot_git.is_dir() {
            true => dot_git.to_owned(),
            false => {
                let text = foreign::read_text(dot_git, LARGEST).ok()?;
                dot_git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
            }
        };
        let shared = match foreign::read_text(&own.join("commondir"), LARGEST) {
            Ok(path) => own.join(path.trim()),
            Err(_) => own.clone(),
        };
        Some(Repository { own, shared })
    }
}
