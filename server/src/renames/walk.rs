//! Which folders of a workspace are worth watching, and which names worth a hint.

use std::fs;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder, WalkState};

/// Folders of tools, whatever version control says: many, busy, and without a notebook of the user's.
const SKIPPED: [&str; 4] = ["node_modules", "__pycache__", "site-packages", "__pypackages__"];

/// They wait more than they work.
const THREADS: usize = 6;

/// What a walk meets.
pub(super) enum Met {
    /// Its content comes afterwards: a watch that is set now misses nothing.
    Folder(PathBuf),
    Notebook(PathBuf),
}

/// Walks all of a workspace.
pub(super) fn workspace(root: &Path, mut meet: impl FnMut(Met)) {
    walk(WalkBuilder::new(root).filter_entry(is_wanted), &mut meet);
}

/// Walks all of a workspace with several threads, for its folders alone.
pub(super) fn workspace_at_once(root: &Path, meet: &(impl Fn(PathBuf) + Sync)) {
    WalkBuilder::new(root).filter_entry(is_wanted).threads(THREADS).build_parallel().run(|| {
        Box::new(|entry| {
            if let Ok(entry) = entry
                && entry.file_type().is_some_and(|kind| kind.is_dir())
            {
                meet(entry.into_path());
            }
            WalkState::Continue
        })
    });
}

/// Walks a folder that has come to be in a workspace. It begins at the parent, whose rules may say that the
/// folder is ignored.
pub(super) fn new_folder(folder: &Path, mut meet: impl FnMut(Met)) {
    let Some(parent) = folder.parent() else { return };
    let (parent, wanted) = (parent.to_owned(), folder.to_owned());
    let mut builder = WalkBuilder::new(&parent);
    builder.filter_entry(move |entry| {
        entry.depth() == 0 || (entry.path().starts_with(&wanted) && is_wanted(entry))
    });
    walk(&builder, &mut |met| match met {
        Met::Folder(path) if path == parent => {}
        other => meet(other),
    });
}

/// By its extension, in whatever case.
pub(super) fn is_notebook(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ipynb"))
}

/// A folder itself, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// What cannot be read is passed over: it cannot be watched either.
fn walk(builder: &WalkBuilder, meet: &mut impl FnMut(Met)) {
    for entry in builder.build().flatten() {
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            meet(Met::Folder(entry.into_path()));
        } else if is_notebook(entry.path()) {
            meet(Met::Notebook(entry.into_path()));
        }
    }
}

fn is_wanted(entry: &DirEntry) -> bool {
    if entry.depth() == 0 || !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return true;
    }
    let skipped = entry.file_name().to_str().is_some_and(|name| SKIPPED.contains(&name));
    // A Python environment by any name.
    !skipped && !entry.path().join("pyvenv.cfg").exists() && !entry.path().join("conda-meta").exists()
}
