//! What version control ignores in a workspace: `.gitignore` and `.ignore` of each folder and those above,
//! `.git/info/exclude`, and what the user ignores everywhere.
//!
//! The `ignore` crate knows the patterns; the files are read here, since it opens whatever lies there and reads it to the
//! end. What is no regular file, or too large to be sorted out in time, counts as not there, and a sentence says so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, gitconfig_excludes_path};

use super::repository::Repository;
use crate::foreign;

/// Patterns cost time and memory, each time that a folder is met. The largest collections of them for all languages and
/// editors are half as long.
const LARGEST: u64 = 64 << 10;
/// All of a workspace's files of rules together, for the same reason.
const LARGEST_IN_ALL: usize = 4 << 20;
/// A user's configuration of git.
const LARGEST_CONFIGURATION: u64 = 1 << 20;

/// The rules that one walk has met. Several threads may ask.
pub(super) struct Rules {
    everywhere: Option<Gitignore>,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    folders: HashMap<PathBuf, Option<Arc<Folder>>>,
    bytes: usize,
    refused: Vec<String>,
}

/// The rules of a folder, before those of the next one above that has any.
struct Folder {
    above: Option<Arc<Folder>>,
    ignore: Option<Gitignore>,
    git: Option<Gitignore>,
    exclude: Option<Gitignore>,
    is_repository: bool,
}

impl Rules {
    pub fn new() -> Rules {
        let rules = Rules { everywhere: None, met: Mutex::default() };
        let everywhere = if can_ask_git() { gitconfig_excludes_path() } else { None };
        let everywhere = everywhere.and_then(|file| rules.read(&mut rules.met(), Path::new(""), &file));
        Rules { everywhere, ..rules }
    }

    /// Whether a path is ignored, or hidden and not spoken of. What lies above it is not: it was asked about before.
    pub fn ignore(&self, path: &Path, is_folder: bool) -> bool {
        let Some(parent) = path.parent() else { return false };
        let folder = self.folder(&mut self.met(), parent);
        let chain = || std::iter::successors(folder.as_deref(), |folder| folder.above.as_deref());
        let matched = |rules: &Option<Gitignore>| match rules {
            Some(rules) => rules.matched(path, is_folder).map(|_| ()),
            None => Match::None,
        };
        let in_repository = chain().any(|folder| folder.is_repository);
        let (mut ignore, mut git, mut exclude) = (Match::None, Match::None, Match::None);
        let mut left_repository = !in_repository;
        for folder in chain() {
            ignore = ignore.or(matched(&folder.ignore));
            if !left_repository {
                git = git.or(matched(&folder.git));
                exclude = exclude.or(matched(&folder.exclude));
            }
            // What lies above a repository is not its business.
            left_repository |= folder.is_repository;
        }
        let everywhere = if in_repository { matched(&self.everywhere) } else { Match::None };
        match ignore.or(git).or(exclude).or(everywhere) {
            Match::Ignore(()) => true,
            Match::Whitelist(()) => false,
            Match::None => path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")),
        }
    }

    /// What is not applied, in a sentence.
    pub fn refused(&self) -> Option<String> {
        let refused = std::mem::take(&mut self.met().refused);
        let others = match refused.len() {
            0 | 1 => String::new(),
            count => format!(", and so are {} more", count - 1),
        };
        refused.first().map(|why| {
            format!("A file that says what to ignore is passed over ({why}){others}: what it names is watched, too.")
        })
    }

    fn met(&self) -> std::sync::MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, met: &mut Met, path: &Path) -> Option<Arc<Folder>> {
        if let Some(known) = met.folders.get(path) {
            return known.clone();
        }
        let above = path.parent().and_then(|parent| self.folder(met, parent));
        let dot_git = path.join(".git");
        let has_git = dot_git.exists();
        let exclude = has_git.then(|| Repository::at(&dot_git)).flatten();
        let mut found = Folder {
            above: None,
            ignore: self.read(met, path, &path.join(".ignore")),
            git: self.read(met, path, &path.join(".gitignore")),
            exclude: exclude.and_then(|found| self.read(met, path, &found.shared.join("info/exclude"))),
            is_repository: has_git || path.join(".jj").exists(),
        };
        let has_rules = found.ignore.is_some() || found.git.is_some() || found.exclude.is_some();
        let found = match has_rules || found.is_repository {
            true => {
                found.above = above;
                Some(Arc::new(found))
            }
            false => above,
        };
        met.folders.insert(path.to_owned(), found.clone());
        found
    }

    /// The patterns of a file, which are about what lies in `folder`.
    fn read(&self, met: &mut Met, folder: &Path, file: &Path) -> Option<Gitignore> {
        // Cheaper than an error, and mostly so. A folder of that name is somebody's.
        if !std::fs::metadata(file).is_ok_and(|found| !found.is_dir()) {
            return None;
        }
        let text = match foreign::read(file, LARGEST) {
            Ok(text) if met.bytes + text.len() > LARGEST_IN_ALL => {
                let limit = LARGEST_IN_ALL >> 20;
                met.refused.push(format!("{}: there are more than {limit} MiB of them", file.display()));
                return None;
            }
            Ok(text) => text,
            Err(e) => {
                met.refused.push(e.to_string());
                return None;
            }
        };
        met.bytes += text.len();
        let text = String::from_utf8_lossy(&text);
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.trim_start_matches('\u{feff}').lines() {
            // A line that is no pattern is none for git either.
            let _ = builder.add_line(None, line);
        }
        builder.build().inspect_err(|e| met.refused.push(format!("{}: {e}", file.display()))).ok()
    }
}

/// Whether the files are harmless that are read to learn what the user ignores everywhere.
fn can_ask_git() -> bool {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = std::env::home_dir();
    let configuration =
        variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let files = [
        variable("GIT_CONFIG_GLOBAL"),
        home.map(|home| home.join(".gitconfig")),
        configuration.map(|folder| folder.join("git/config")),
        variable("GIT_CONFIG_SYSTEM").or_else(|| Some("/etc/gitconfig".into())),
    ];
    files.into_iter().flatten().filter(|file| file.exists()).all(|file| {
        let read = foreign::open(&file, LARGEST_CONFIGURATION);
        read.inspect_err(|e| tracing::warn!("git's configuration is not read: {e}")).is_ok()
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Tree {
            let tree = Tree(tempfile::tempdir().unwrap());
            for (name, text) in files {
                let path = tree.0.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            tree
        }

        fn check(&self, ignored: &[&str], wanted: &[&str]) {
            let rules = Rules::new();
            let is_ignored = |name: &&str| {
                let path = self.0.path().join(name.trim_end_matches('/'));
                rules.ignore(&path, name.ends_with('/'))
            };
            assert_eq!(ignored.iter().filter(|name| !is_ignored(name)).collect::<Vec<_>>(), [&""; 0]);
            assert_eq!(wanted.iter().filter(|name| is_ignored(name)).collect::<Vec<_>>(), [&""; 0]);
            assert_eq!(rules.refused(), None);
        }
    }

    #[test]
    fn rules_of_a_repository_and_of_its_folders() {
        let tree = Tree::new(&[
            (".gitignore", "above.ipynb\n"),
            ("r/.git/info/exclude", "secret/\n"),
            ("r/.gitignore", "\u{feff}build/\n*.tmp.ipynb\n!.shown\n/only-here\n["),
            ("r/a/.gitignore", "!build/\nown\n"),
            ("r/.ignore", "!kept.tmp.ipynb\n"),
            ("r/nested/.git/HEAD", ""),
            ("plain/.gitignore", "x\n"),
            ("plain/.ignore", "y\n"),
        ]);
        tree.check(
            &["r/build/", "r/b/build/", "r/x.tmp.ipynb", "r/secret/", "r/.git/", "r/.hidden", "r/only-here"],
            &["r/a/build/", "r/build", "r/kept.tmp.ipynb", "r/.shown/", "r/b/only-here", "r/above.ipynb"],
        );
        tree.check(&["r/a/own", "plain/y"], &["r/own", "r/nested/build/", "plain/x", "r/b/x.ipynb"]);
    }

    #[test]
    fn a_worktree_has_the_excludes_of_its_repository() {
        let tree =
            Tree::new(&[("r/.git/info/exclude", "no/\n"), ("r/.git/worktrees/w/commondir", "../..\n")]);
        fs::create_dir(tree.0.path().join("w")).unwrap();
        let git = tree.0.path().join("r/.git/worktrees/w");
        fs::write(tree.0.path().join("w/.git"), format!("gitdir: {}\n", git.display())).unwrap();
        tree.check(&["w/no/"], &["w/yes/"]);
    }

    #[test]
    fn what_is_no_file_of_rules_counts_as_not_there_and_is_named() {
        let tree = Tree::new(&[("r/.git/HEAD", ""), ("r/big/.gitignore", &"x\n".repeat(40_000))]);
        let at = |name: &str| tree.0.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("r/.gitignore"), rustix::fs::Mode::RUSR).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("r/.ignore")).unwrap();
        fs::create_dir_all(at("r/folder/.ignore")).unwrap();
        let rules = Rules::new();
        assert!(!rules.ignore(&at("r/big/x"), false) && !rules.ignore(&at("r/folder/x"), false));
        let said = rules.refused().unwrap();
        assert!(said.contains("r/.ignore") && said.contains("and so are 2 more"), "{said}");
    }

    /// Two notebooks' worth of time, not minutes: this would take gigabytes.
    #[test]
    fn costly_patterns_are_bounded() {
        let costly = |i: usize| format!("{{{}}}/**/x{i}*[a-z]*\n", ["a?*".repeat(8).as_str(); 20].join(","));
        let text: String = (0..20_000).map(costly).collect();
        let tree = Tree::new(&[("r/.git/HEAD", ""), ("r/.gitignore", &text)]);
        let rules = Rules::new();
        assert!(!rules.ignore(&tree.0.path().join("r/a"), true));
        assert!(rules.refused().unwrap().contains("larger than 64 KiB"));
        // As many of them as are let through.
        let text: String = (0..)
            .map(costly)
            .scan(0, |length, line| {
                *length += line.len();
                (*length <= LARGEST as usize).then_some(line)
            })
            .collect();
        let tree = Tree::new(&[("r/.git/HEAD", ""), ("r/.gitignore", &text)]);
        let begun = std::time::Instant::now();
        let rules = Rules::new();
        for i in 0..1_000 {
            rules.ignore(&tree.0.path().join(format!("r/a{i}")), true);
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
