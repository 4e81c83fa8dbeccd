//! Where Jupyter keeps things: the search paths of kernelspecs, from the environment and the folder structure alone.
//!
//! Runs no process. The order is Jupyter's (`jupyter_core.paths.jupyter_path`): JUPYTER_PATH, then the environment
//! that is active, then the user's, then the Pythons on PATH, then the system's.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables and the home folder that decide where is looked.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub variables: Vec<(OsString, OsString)>,
    pub home: Option<PathBuf>,
    /// Prefixes that are searched last, `/usr/local` and `/usr`.
    pub system: Vec<PathBuf>,
}

impl Search {
    /// That of this process.
    pub fn of_this_process() -> Search {
        let system = if cfg!(windows) { vec![] } else { vec!["/usr/local".into(), "/usr".into()] };
        Search { variables: std::env::vars_os().collect(), home: std::env::home_dir(), system }
    }

    /// The `share/jupyter` folders, best first, each once; not all of them exist.
    pub fn data_folders(&self) -> Vec<PathBuf> {
        let mut folders = self.paths("JUPYTER_PATH");
        let active: Vec<PathBuf> =
            ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(|n| self.path(n)).map(|p| share(&p)).collect();
        let prefer_user = self
            .text("JUPYTER_PREFER_ENV_PATH")
            .is_some_and(|v| ["0", "no", "n", "false", "off"].contains(&v));
        if prefer_user {
            folders.extend(self.user_folders());
            folders.extend(active);
        } else {
            folders.extend(active);
            folders.extend(self.user_folders());
        }
        folders.extend(self.python_prefixes().iter().map(|p| share(p)));
        folders.extend(self.system.iter().map(|p| share(p)));
        let mut seen = HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders
    }

    /// Where running kernels keep their connection files (`jupyter_core.paths.jupyter_runtime_dir`).
    pub fn runtime_folder(&self) -> Option<PathBuf> {
        self.path("JUPYTER_RUNTIME_DIR").or_else(|| self.user_data_folder().map(|data| data.join("runtime")))
    }

    fn user_data_folder(&self) -> Option<PathBuf> {
        let home = self.home.as_deref();
        self.path("JUPYTER_DATA_DIR").or_else(|| {
            if cfg!(target_os = "macos") {
                return home.map(|h| h.join("Library/Jupyter"));
            }
            if cfg!(windows) {
                return self.path("APPDATA").map(|p| p.join("jupyter"));
            }
            let data = self.path("XDG_DATA_HOME").or_else(|| home.map(|h| h.join(".local/share")));
            data.map(|d| d.join("jupyter"))
        })
    }

    fn user_folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![];
        let home = self.home.as_deref();
        folders.extend(self.user_data_folder());
        let base = self.path("PYTHONUSERBASE").or_else(|| home.map(|h| h.join(".local")));
        folders.extend(base.map(|b| share(&b)));
        folders
    }

    /// The prefix of each Python on PATH; of a link also where it points.
    fn python_prefixes(&self) -> Vec<PathBuf> {
        let mut prefixes = vec![];
        for folder in self.paths("PATH").iter().filter(|f| f.is_absolute()) {
            if folder.file_name().is_some_and(|name| name == "shims") {
                prefixes.extend(self.pyenv_prefixes(folder));
                continue;
            }
            let Some(python) =
                ["python3", "python", "python.exe"].map(|n| folder.join(n)).into_iter().find(|p| p.is_file())
            else {
                continue;
            };
            prefixes.extend(prefix_of(&python));
            prefixes.extend(python.canonicalize().ok().as_deref().and_then(prefix_of));
        }
        // The system's own come last, in their own order; `/bin` is `/usr/bin` by another name.
        prefixes.retain(|prefix| prefix.parent().is_some() && !self.system.contains(prefix));
        prefixes
    }

    /// What a folder of pyenv's shims stands for: the versions that are chosen.
    fn pyenv_prefixes(&self, shims: &Path) -> Vec<PathBuf> {
        let Some(root) = shims.parent() else { return vec![] };
        let chosen = match self.text("PYENV_VERSION") {
            Some(versions) => versions.replace(':', "\n"),
            None => crate::foreign::read_text(&root.join("version"), 64 << 10).unwrap_or_default(),
        };
        chosen.split_whitespace().map(|v| root.join("versions").join(v)).filter(|p| p.is_dir()).collect()
    }

    pub(super) fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_empty())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.variable(name)?.to_str()
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }

    fn paths(&self, name: &str) -> Vec<PathBuf> {
        let all =
            self.variable(name).map(|v| std::env::split_paths(v).collect::<Vec<_>>()).unwrap_or_default();
        all.into_iter().filter(|p| !p.as_os_str().is_empty()).collect()
    }
}

/// The prefix that an interpreter belongs to: `PREFIX/bin/python3`, on Windows also `PREFIX\python.exe`.
fn prefix_of(interpreter: &Path) -> Option<PathBuf> {
    let folder = interpreter.parent()?;
    let prefix = match folder.file_name()?.to_str()? {
        "bin" | "Scripts" => folder.parent()?,
        _ => folder,
    };
    Some(prefix.to_owned())
}

fn share(prefix: &Path) -> PathBuf {
    prefix.join("share").join("jupyter")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn search(variables: &[(&str, &str)]) -> Search {
        Search {
            variables: variables.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            home: Some("/home/u".into()),
            system: vec!["/usr".into()],
        }
    }

    #[test]
    fn the_order_is_jupyters() {
        let check = |variables: &[(&str, &str)], expect: &[&str]| {
            let expect: Vec<PathBuf> = expect.iter().map(PathBuf::from).collect();
            assert_eq!(search(variables).data_folders(), expect, "{variables:?}");
        };
        #[cfg(target_os = "linux")]
        let user = "/home/u/.local/share/jupyter";
        #[cfg(not(target_os = "linux"))]
        let user = "/home/u/Library/Jupyter";
        let data = ("JUPYTER_DATA_DIR", user);
        let base = ("PYTHONUSERBASE", "/b");
        let (ub, usr) = ("/b/share/jupyter", "/usr/share/jupyter");
        check(&[base], &[user, ub, usr]);
        check(&[base, data, ("JUPYTER_PATH", "/a::/c")], &["/a", "/c", user, ub, usr]);
        check(&[base, ("VIRTUAL_ENV", "/v")], &["/v/share/jupyter", user, ub, usr]);
        let user_first = ("JUPYTER_PREFER_ENV_PATH", "0");
        check(&[base, ("VIRTUAL_ENV", "/v"), user_first], &[user, ub, "/v/share/jupyter", usr]);
        check(&[("PYTHONUSERBASE", "/usr"), data], &[user, usr]);
    }

    #[test]
    fn pythons_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let make = |path: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "3.12.1\n").unwrap();
        };
        make("real/bin/python3.12");
        make("empty/bin/ls");
        make("pyenv/shims/python3");
        make("pyenv/version");
        make("pyenv/versions/3.12.1/bin/python3");
        make("pyenv/versions/3.9.0/bin/python3");
        std::fs::create_dir_all(root.join("links/bin")).unwrap();
        std::os::unix::fs::symlink(root.join("real/bin/python3.12"), root.join("links/bin/python3")).unwrap();
        let path =
            std::env::join_paths(["empty/bin", "links/bin", "pyenv/shims"].map(|f| root.join(f))).unwrap();
        let found = search(&[("PATH", path.to_str().unwrap())]).python_prefixes();
        assert_eq!(found, ["links", "real", "pyenv/versions/3.12.1"].map(|p| root.join(p)));
        let chosen = search(&[("PATH", path.to_str().unwrap()), ("PYENV_VERSION", "3.9.0:gone")]);
        assert_eq!(chosen.python_prefixes()[2..], [root.join("pyenv/versions/3.9.0")]);
    }
}
