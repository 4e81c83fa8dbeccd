//! Which kernels can be started.
//!
//! An agent may start only what a person has: what is installed, and environments that a window of theirs offers or a kernel
//! of theirs had. A folder that lies about, or that a notebook names, is a program of anybody's.
//!
//! Runs no process. A kernelspec that cannot be read is a warning in the log, and hides no other.

use std::path::{Path, PathBuf};

use super::{NotebookFile, Sessions};
use crate::jupyter::{self, Search};
use crate::protocol::{Error, ErrorKind, Kernelspec, NotebookName};

impl Sessions {
    /// Installed kernelspecs, then the Python environments of the workspace, of the notebook's folder, those that are named
    /// by their folder or interpreter, and those that conda and pyenv keep.
    pub fn kernelspecs(&self, notebook: Option<&NotebookName>, named: &[PathBuf]) -> Vec<Kernelspec> {
        let search = Search::of_this_process();
        let installed = jupyter::installed(&search);
        for warning in installed.warnings {
            tracing::warn!("{warning}");
        }
        let mut all: Vec<Kernelspec> = installed.kernelspecs.iter().map(shown).collect();
        for environment in self.environments(notebook, named, &search) {
            all.push(Kernelspec {
                name: environment.name,
                display_name: environment.display_name,
                language: "python".into(),
                source: "environment".into(),
                interpreter: Some(environment.interpreter.to_string_lossy().into_owned()),
                ready: environment.ready,
            });
        }
        all
    }

    /// The same, as a person is offered them in this window: from then on an agent may start them, too.
    pub fn offer_kernelspecs(&self, notebook: Option<&NotebookName>, named: &[PathBuf]) -> Vec<Kernelspec> {
        let all = self.kernelspecs(notebook, named);
        let environments: Vec<PathBuf> = all
            .iter()
            .filter_map(|spec| spec.name.strip_prefix(jupyter::ENVIRONMENT).map(PathBuf::from))
            .collect();
        if self.this_window().environments != environments
            && let Err(e) = self.update_window(|window| window.environments = environments)
        {
            tracing::warn!("agents do not learn which environments there are: {e}");
        }
        all
    }

    /// The kernelspec of that name.
    ///
    /// # Errors
    /// `KernelspecNotFound`, with those that there are.
    pub(super) fn kernelspec(
        &self,
        name: &str,
        notebook: &NotebookName,
    ) -> Result<jupyter::Kernelspec, Error> {
        let search = Search::of_this_process();
        let installed = jupyter::installed(&search).kernelspecs;
        let mut environments = self.environments(Some(notebook), &[], &search);
        let is_agent = self.this_window().is_agent;
        // One that the editor named.
        let named = jupyter::Environment::of_kernel_name(name).filter(|_| !is_agent);
        environments.extend(named.filter(|named| !environments.contains(named)));
        let ready = environments.iter().filter_map(jupyter::Environment::kernelspec);
        let all: Vec<jupyter::Kernelspec> = installed.into_iter().chain(ready).collect();
        let available: Vec<String> = all.iter().map(|spec| spec.name.clone()).collect();
        all.into_iter().find(|spec| spec.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let none = if name.is_empty() {
                "no kernel is named".into()
            } else if is_agent && jupyter::Environment::of_kernel_name(name).is_some() {
                format!(
                    "{name} is started by an agent only once the user has chosen it, or a window offers it"
                )
            } else {
                format!("there is no kernel \"{name}\"")
            };
            let what = if available.is_empty() {
                format!("{none}, nor is there any: install one, for Python with `pip install ipykernel`")
            } else {
                format!("{none}; there is {}", available.join(", "))
            };
            Error::new(ErrorKind::KernelspecNotFound, what).with("available", available)
        })
    }

    /// The kernel that a notebook asks for, or the only one that there is; else `None`.
    pub fn kernel_for(&self, notebook: &NotebookName) -> Option<String> {
        let all = self.kernelspecs(Some(notebook), &[]);
        let named = notebook.path.as_deref().and_then(|path| NotebookFile::read(path).ok());
        let named = named.as_ref().and_then(NotebookFile::kernel_name);
        let meant =
            all.iter().find(|spec| spec.ready && named.is_some_and(|n| n.eq_ignore_ascii_case(&spec.name)));
        let installed: Vec<&Kernelspec> = all.iter().filter(|spec| spec.source == "jupyter").collect();
        match (meant, installed.as_slice()) {
            (Some(spec), _) => Some(spec.name.clone()),
            (None, [only]) => Some(only.name.clone()),
            _ => None,
        }
    }

    fn environments(
        &self,
        notebook: Option<&NotebookName>,
        named: &[PathBuf],
        search: &Search,
    ) -> Vec<jupyter::Environment> {
        if self.this_window().is_agent {
            return jupyter::environments(&[], &self.environments_of_people(notebook), search);
        }
        jupyter::environments(&self.environment_folders(notebook), named, search)
    }

    /// Those that living windows offer, and those in which a person had a kernel for this notebook.
    fn environments_of_people(&self, notebook: Option<&NotebookName>) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            self.living_windows().into_iter().flat_map(|window| window.environments).collect();
        let had = notebook.and_then(|name| self.registry().sessions_of_notebook(&self.key(name)).ok());
        let records = had.into_iter().flatten().filter_map(|(id, _)| self.record(&id).ok());
        let kernels = records.filter(|record| !record.agent).map(|record| record.kernel.name);
        all.extend(kernels.filter_map(|name| name.strip_prefix(jupyter::ENVIRONMENT).map(PathBuf::from)));
        all
    }

    fn environment_folders(&self, notebook: Option<&NotebookName>) -> Vec<PathBuf> {
        let mut folders = self.this_window().folders;
        folders.extend(notebook.and_then(|n| n.path.as_deref()).and_then(Path::parent).map(Path::to_owned));
        folders.sort();
        folders.dedup();
        folders
    }
}

fn shown(spec: &jupyter::Kernelspec) -> Kernelspec {
    Kernelspec {
        name: spec.name.clone(),
        display_name: spec.display_name.clone(),
        language: spec.language.clone(),
        source: "jupyter".into(),
        interpreter: spec.argv.first().cloned(),
        ready: true,
    }
}
