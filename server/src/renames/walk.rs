//! Which folders of a workspace are worth watching, and which names worth a hint.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ignore::{WalkBuilder, WalkState};

use super::rules::Rules;

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

/// Walks all of a workspace. Gives a sentence where rules for what to pass over could not be had.
pub(super) fn workspace(root: &Path, meet: impl FnMut(Met)) -> Option<String> {
    walk(root, Rules::new(), meet)
}

/// Walks all of a workspace with several threads, for its folders alone.
pub(super) fn workspace_at_once(root: &Path, meet: &(impl Fn(PathBuf) + Sync)) -> Option<String> {
    let rules = Arc::new(Rules::new());
    builder(root, Arc::clone(&rules)).threads(THREADS).build_parallel().run(|| {
        Box::new(|entry| {
            if let Ok(entry) = entry
                && entry.file_type().is_some_and(|kind| kind.is_dir())
            {
                meet(entry.into_path());
            }
            WalkState::Continue
        })
    });
    rules.refused()
}

/// Walks a folder that has come to be in a workspace, unless it is none that is wanted.
pub(super) fn new_folder(folder: &Path, meet: impl FnMut(Met)) -> Option<String> {
    let rules = Rules::new();
    match is_wanted(folder, &rules) {
        true => walk(folder, rules, meet),
        false => rules.refused(),
    }
}

/// By its extension, in whatever case.
pub(super) fn is_notebook(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ipynb"))
}

/// A folder itself, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether something may have come into a folder while others were walked. Some file systems count whole seconds.
pub(super) fn was_changed_since(folder: &Path, begun: SystemTime) -> bool {
    let changed = std::fs::metadata(folder).and_then(|found| found.modified());
    changed.is_ok_and(|changed| changed + Duration::from_secs(2) >= begun)
}

/// What cannot be read is passed over: it cannot be watched either.
fn walk(root: &Path, rules: Rules, mut meet: impl FnMut(Met)) -> Option<String> {
    let rules = Arc::new(rules);
    for entry in builder(root, Arc::clone(&rules)).build().flatten() {
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            meet(Met::Folder(entry.into_path()));
        } else if is_notebook(entry.path()) {
            meet(Met::Notebook(entry.into_path()));
        }
    }
    rules.refused()
}

fn builder(root: &Path, rules: Arc<Rules>) -> WalkBuilder {
    let mut builder = WalkBuilder::new(root);
    // Its own reading of rules waits for whatever lies there.
    builder.standard_filters(false).filter_entry(move |entry| {
        entry.depth() == 0
            || match entry.file_type().is_some_and(|kind| kind.is_dir()) {
                true => is_wanted(entry.path(), &rules),
                false => is_notebook(entry.path()) && !rules.ignore(entry.path(), false),
            }
    });
    builder
}

fn is_wanted(folder: &Path, rules: &Rules) -> bool {
    let skipped =
        folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| SKIPPED.contains(&name));
    // A Python environment by any name.
    !skipped
        && !rules.ignore(folder, true)
        && !folder.join("pyvenv.cfg").exists()
        && !folder.join("conda-meta").exists()
}
