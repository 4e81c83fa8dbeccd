//! Which repository and issue a window is about, read from its folder's git files: no process is run.

use std::path::{Path, PathBuf};

use crate::foreign;
use crate::protocol::AboutWindow;
use crate::renames::Repository;

/// No larger file of git's is read.
const LARGEST: u64 = 1 << 20;

/// What the client left open, from the folder.
pub(super) fn complete(about: &AboutWindow) -> AboutWindow {
    let mut about = about.clone();
    if (about.repo.is_none() || about.issue_number.is_none())
        && let Some(git) = about.folder.as_deref().and_then(|folder| repository(Path::new(folder)))
    {
        let read = |path: PathBuf| foreign::read_text(&path, LARGEST).unwrap_or_default();
        about.repo = about.repo.or_else(|| remote(&read(git.shared.join("config"))).and_then(repo_of));
        about.issue_number = about.issue_number.or_else(|| issue_of(&read(git.own.join("HEAD"))));
    }
    about
}

/// That of the first ancestor that has one.
fn repository(folder: &Path) -> Option<Repository> {
    Repository::at(&folder.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())?)
}

/// The address of `origin`, else of the first remote.
fn remote(config: &str) -> Option<String> {
    let (mut section, mut first) = ("", None);
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((name, value)) = line.split_once('=')
            && section.starts_with("[remote ")
            && name.trim() == "url"
        {
            let address = value.trim().trim_matches('"').to_owned();
            if section == "[remote \"origin\"]" {
                return Some(address);
            }
            first.get_or_insert(address);
        }
    }
    first
}

/// `owner/name` of an address of any kind: the last two parts of its path.
fn repo_of(address: String) -> Option<String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => address.split_once(':').map_or(address.as_str(), |(_, path)| path),
    };
    let path = path.trim_end_matches('/');
    let mut parts = path.strip_suffix(".git").unwrap_or(path).rsplit('/');
    let (name, owner) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !owner.is_empty()).then(|| format!("{owner}/{name}"))
}

/// The number that a branch's name begins with, in its last part, as in `123-fix-x`; or after `issue-`.
fn issue_of(head: &str) -> Option<u32> {
    let branch = head.trim().strip_prefix("ref: refs/heads/")?;
    let last = branch.rsplit('/').next()?;
    let last = ["issue-", "issue_", "issue", "gh-"].iter().find_map(|p| last.strip_prefix(p)).unwrap_or(last);
    let end = last.find(|c: char| !c.is_ascii_digit()).unwrap_or(last.len());
    let is_apart = last[end..].is_empty() || last[end..].starts_with(['-', '_']);
    last[..end].parse().ok().filter(|_| is_apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |address: &str, expect: Option<&str>| {
            assert_eq!(repo_of(address.into()).as_deref(), expect, "{address}");
        };
        check("https://github.com/owner/name.git", Some("owner/name"));
        check("https://user@host:8443/group/sub/name", Some("sub/name"));
        check("git@github.com:owner/name.git", Some("owner/name"));
        check("ssh://git@host/owner/name/", Some("owner/name"));
        check("/srv/git/owner/name.git", Some("owner/name"));
        check("https://host", None);
        check("name", None);
        let config = "[core]\n\tbare = false\n[remote \"fork\"]\n\turl = a:b/c\n[remote \"origin\"]\n\turl = \"x:y/z\"\n";
        assert_eq!(remote(config).as_deref(), Some("x:y/z"));
        assert_eq!(remote("[remote \"fork\"]\nurl=a:b/c").as_deref(), Some("a:b/c"));
        assert_eq!(remote("[branch \"main\"]\n\turl = no"), None);
    }

    #[test]
    fn branches() {
        let check = |branch: &str, expect: Option<u32>| {
            assert_eq!(issue_of(&format!("ref: refs/heads/{branch}\n")), expect, "{branch}");
        };
        check("123-fix-x", Some(123));
        check("123", Some(123));
        check("feature/42_thing", Some(42));
        check("issue-7-x", Some(7));
        check("gh-8", Some(8));
        check("main", None);
        check("2fa", None);
        check("99999999999-x", None);
        assert_eq!(issue_of("0123456789abcdef"), None);
    }

    #[test]
    fn folders() {
        let root = tempfile::tempdir().unwrap();
        let git = root.path().join("repo/.git");
        std::fs::create_dir_all(git.join("worktrees/w")).unwrap();
        std::fs::create_dir_all(root.path().join("repo/deep/er")).unwrap();
        std::fs::create_dir_all(root.path().join("w")).unwrap();
        std::fs::write(git.join("config"), "[remote \"origin\"]\nurl = git@h:o/n.git\n").unwrap();
        std::fs::write(git.join("HEAD"), "ref: refs/heads/5-x\n").unwrap();
        std::fs::write(git.join("worktrees/w/HEAD"), "ref: refs/heads/6-y\n").unwrap();
        std::fs::write(git.join("worktrees/w/commondir"), "../..\n").unwrap();
        std::fs::write(root.path().join("w/.git"), format!("gitdir: {}/worktrees/w\n", git.display()))
            .unwrap();
        let about = |folder: &str| {
            let folder = Some(root.path().join(folder).to_string_lossy().into_owned());
            let found = complete(&AboutWindow { folder, ..AboutWindow::default() });
            (found.repo, found.issue_number)
        };
        assert_eq!(about("repo/deep/er"), (Some("o/n".into()), Some(5)));
        assert_eq!(about("w"), (Some("o/n".into()), Some(6)));
        assert_eq!(about("gone/deep"), (None, None));
    }
}
