//! Python environments, with or without a kernelspec: those in the user's folders (`.venv`, as uv makes it, `venv`, `env`),
//! and those that conda and pyenv keep.
//!
//! Read from the folder structure: no process is run. Leaves out installing ipykernel where it is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Map;

use crate::foreign;

use super::kernelspec::{InterruptMode, Kernelspec, interpreter};
use super::search::Search;

/// What the name of such a kernel begins with; its folder follows.
pub const ENVIRONMENT: &str = "env:";
const NAMES: [&str; 3] = [".venv", "venv", "env"];
/// What describes an environment, or lists them, is a few lines.
const LARGEST: u64 = 1 << 20;
/// Where conda is installed in a home folder.
const CONDA: [&str; 7] = [
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "mambaforge",
    "micromamba",
    ".local/share/mamba",
    "opt/miniconda3",
];

/// A Python environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `env:` and its absolute path: stable and unique.
    pub name: String,
    /// Such as `Python 3.11 (.venv)`; with its parent's name where several are alike.
    pub display_name: String,
    /// Its folder.
    pub root: PathBuf,
    pub interpreter: PathBuf,
    /// Whether ipykernel is installed in it, so that a kernel can be started.
    pub ready: bool,
}

/// The environments directly in `folders`, in that order, then those that were named, then the user's own.
pub fn environments(folders: &[PathBuf], named: &[PathBuf], search: &Search) -> Vec<Environment> {
    let mut found: Vec<Environment> = vec![];
    let in_folders = folders.iter().flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let roots = in_folders.filter_map(|root| environment(&root));
    let named = named.iter().filter_map(|path| installation(&root_of(path)));
    let own = search.environment_roots().into_iter().filter_map(|root| installation(&root));
    for environment in roots.chain(named).chain(own) {
        if !found.iter().any(|other| is_same(&other.root, &environment.root)) {
            found.push(environment);
        }
    }
    let names: Vec<String> = found.iter().map(|e| e.display_name.clone()).collect();
    for environment in &mut found {
        let alike = names.iter().filter(|name| **name == environment.display_name).count();
        if alike > 1 {
            let parent = environment.root.parent().map(last).unwrap_or_default();
            let inner = last(&environment.root);
            environment.display_name =
                environment.display_name.replace(&format!("({inner})"), &format!("({parent}/{inner})"));
        }
    }
    found
}

/// One may be reached by a link, too.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// The folder of an environment, or of the one whose interpreter it is.
fn root_of(path: &Path) -> PathBuf {
    let is_program = path.is_file();
    let folder = path.parent().filter(|_| is_program).unwrap_or(path);
    let is_bin = is_program && folder.file_name().is_some_and(|name| name == "bin" || name == "Scripts");
    folder.parent().filter(|_| is_bin).unwrap_or(folder).to_owned()
}

impl Search {
    /// The folders of the environments that conda and pyenv keep for the user.
    fn environment_roots(&self) -> Vec<PathBuf> {
        let home = self.home.clone().unwrap_or_default();
        let listed = foreign::read_text(&home.join(".conda/environments.txt"), LARGEST).unwrap_or_default();
        let mut roots: Vec<PathBuf> = listed.lines().map(|line| PathBuf::from(line.trim())).collect();
        let bases = CONDA.iter().map(|name| home.join(name));
        let bases: Vec<PathBuf> = bases
            .chain(["CONDA_PREFIX", "MAMBA_ROOT_PREFIX"].iter().filter_map(|name| self.path(name)))
            .collect();
        for base in bases.into_iter().filter(|base| base.is_dir()) {
            roots.extend(inside(&base.join("envs")));
            roots.push(base);
        }
        let pyenv = self.path("PYENV_ROOT").unwrap_or_else(|| home.join(".pyenv"));
        roots.extend(inside(&pyenv.join("versions")));
        roots.extend(self.path("UV_PROJECT_ENVIRONMENT").filter(|path| path.is_absolute()));
        roots
    }
}

fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// The environment whose folder `root` is; `None` where it is none.
pub fn environment(root: &Path) -> Option<Environment> {
    let root = std::path::absolute(root).ok()?;
    let configuration = foreign::read_text(&root.join("pyvenv.cfg"), LARGEST);
    if configuration.is_err() && !root.join("conda-meta").is_dir() {
        return None;
    }
    installation(&root)
}

/// The same for any folder that a Python is installed in, as pyenv has them.
fn installation(root: &Path) -> Option<Environment> {
    let root = std::path::absolute(root).ok()?;
    let configuration = foreign::read_text(&root.join("pyvenv.cfg"), LARGEST);
    let interpreter = interpreter(&root, "python")?;
    let libraries = libraries(&root);
    if configuration.is_err() && libraries.is_empty() && !root.join("conda-meta").is_dir() {
        return None;
    }
    let version = configuration
        .ok()
        .and_then(|text| version(&text))
        .or_else(|| {
            libraries
                .iter()
                .find_map(|l| l.parent()?.file_name()?.to_str()?.strip_prefix("python").map(str::to_owned))
        })
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    Some(Environment {
        name: format!("{ENVIRONMENT}{}", root.display()),
        display_name: format!("Python{version} ({})", last(&root)),
        ready: libraries.iter().any(|l| l.join("ipykernel").is_dir()),
        root,
        interpreter,
    })
}

impl Environment {
    /// The environment that a kernel name made here stands for, when it still exists.
    pub fn of_kernel_name(name: &str) -> Option<Environment> {
        installation(Path::new(name.strip_prefix(ENVIRONMENT)?))
    }

    /// How to start a kernel in it; `None` while ipykernel is missing.
    pub fn kernelspec(&self) -> Option<Kernelspec> {
        let interpreter = self.interpreter.to_str().filter(|_| self.ready)?;
        let argv = [interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"];
        Some(Kernelspec {
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            language: "python".to_owned(),
            argv: argv.map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            interrupt_mode: InterruptMode::Signal,
            metadata: Map::new(),
            resource_dir: self.root.join("share/jupyter/kernels/python3"),
            prefix: Some(self.root.clone()),
        })
    }
}

/// The site-packages folders.
fn libraries(root: &Path) -> Vec<PathBuf> {
    let windows = root.join("Lib").join("site-packages");
    if windows.is_dir() {
        return vec![windows];
    }
    let Ok(entries) = std::fs::read_dir(root.join("lib")) else { return vec![] };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// `3.11` of a pyvenv.cfg, which says `version = 3.11.4` or `version_info = 3.11.4.final.0`.
fn version(configuration: &str) -> Option<String> {
    configuration.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let mut numbers = value.trim().split('.');
        let is_version = ["version", "version_info"].contains(&name.trim());
        is_version.then(|| Some(format!("{}.{}", numbers.next()?, numbers.next()?)))?
    })
}

fn last(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn found_without_running_anything() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::path::absolute(folder.path()).unwrap();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/.venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.4\n");
        write("a/.venv/bin/python", "");
        write("a/.venv/lib/python3.11/site-packages/ipykernel/__init__.py", "");
        write("a/env/pyvenv.cfg", "version_info = 3.9.1.final.0");
        write("a/env/bin/python3", "");
        write("a/venv/bin/python", "");
        write("b/.venv/pyvenv.cfg", "version = 3.11.9");
        write("b/.venv/bin/python", "");
        write("c/env/conda-meta/history", "");
        write("c/env/bin/python", "");
        write("c/env/lib/python3.12/site-packages/six.py", "");
        let folders: Vec<PathBuf> = ["a", "b", "c", "gone", "a"].iter().map(|f| root.join(f)).collect();
        let found = environments(&folders, &[], &Search::default());
        let names: Vec<_> = found.iter().map(|e| (e.display_name.as_str(), e.ready)).collect();
        let expect = [
            ("Python 3.11 (a/.venv)", true),
            ("Python 3.9 (env)", false),
            ("Python 3.11 (b/.venv)", false),
            ("Python 3.12 (env)", false),
        ];
        assert_eq!(names, expect);
        assert_eq!(found[0].name, format!("env:{}", root.join("a/.venv").display()));
        assert_eq!(found[0].kernelspec().unwrap().argv[0], root.join("a/.venv/bin/python").to_str().unwrap());
        assert_eq!(found[1].kernelspec(), None);
        assert!(Environment::of_kernel_name(&found[2].name).is_some());
        assert_eq!(Environment::of_kernel_name("python3"), None);
    }

    #[test]
    fn those_of_conda_and_pyenv_and_those_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        let write = |path: &str, text: &str| {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for root in ["miniforge3", "miniforge3/envs/torch", "far/away", ".pyenv/versions/3.12.1", "tools/py"]
        {
            write(&format!("{root}/bin/python"), "");
            write(&format!("{root}/lib/python3.12/site-packages/six.py"), "");
        }
        write("miniforge3/conda-meta/history", "");
        write("miniforge3/envs/torch/lib/python3.12/site-packages/ipykernel/__init__.py", "");
        write("miniforge3/envs/empty/nothing", "");
        let far = home.join("far/away");
        write(
            ".conda/environments.txt",
            &format!("{}\n{}\n/gone\n", far.display(), home.join("miniforge3").display()),
        );
        let search = Search { home: Some(home.clone()), ..Search::default() };
        let named = [home.join("tools/py/bin/python"), far.clone()];
        let found = environments(&[], &named, &search);
        let names: Vec<_> = found.iter().map(|e| (e.display_name.as_str(), e.ready)).collect();
        let expect = [
            ("Python 3.12 (py)", false),
            ("Python 3.12 (away)", false),
            ("Python 3.12 (miniforge3)", false),
            ("Python 3.12 (torch)", true),
            ("Python 3.12 (3.12.1)", false),
        ];
        assert_eq!(names, expect);
        assert_eq!(root_of(Path::new("/no/such/place")), Path::new("/no/such/place"));
    }
}
