//! Which kernels can be started.
//!
//! An agent may start only what a person has: what is installed, and environments that a window of theirs offers or a kernel
//! of theirs had. A folder that lies about, or that a notebook names, is a program of anybody's.
//!
//! Runs no process, and reads off this thread: the folders are others'. A kernelspec that cannot be read is a warning in the
//! log, and hides no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Sessions, notebook_file, store_failed};
use crate::jupyter::{self, Search};
use crate::protocol::{Error, ErrorKind, Kernelspec, NotebookName};

impl Sessions {
    /// Installed kernelspecs, then the Python environments of the workspace, of the notebook's folder, those that are named
    /// by their folder or interpreter, and those that conda and pyenv keep.
    pub async fn kernelspecs(
        self: &Arc<Self>,
        notebook: Option<&NotebookName>,
        named: &[PathBuf],
    ) -> Result<Vec<Kernelspec>, Error> {
        let (specs, environments) = self.installed(notebook, named.to_vec()).await?;
        let mut all: Vec<Kernelspec> = specs.iter().map(shown).collect();
        for environment in environments {
            all.push(Kernelspec {
                name: environment.name,
                display_name: environment.display_name,
                language: "python".into(),
                source: "environment".into(),
                interpreter: Some(environment.interpreter.to_string_lossy().into_owned()),
                ready: environment.ready,
            });
        }
        Ok(all)
    }

    /// The same, as a person is offered them in this window: from then on an agent may start them, too.
    pub async fn offer_kernelspecs(
        self: &Arc<Self>,
        notebook: Option<&NotebookName>,
        named: &[PathBuf],
    ) -> Result<Vec<Kernelspec>, Error> {
        let all = self.kernelspecs(notebook, named).await?;
        let environments: Vec<PathBuf> = all
            .iter()
            .filter_map(|spec| spec.name.strip_prefix(jupyter::ENVIRONMENT).map(PathBuf::from))
            .collect();
        if self.this_window().environments != environments
            && let Err(e) = self.update_window(|window| window.environments = environments)
        {
            tracing::warn!("agents do not learn which environments there are: {e}");
        }
        Ok(all)
    }

    /// The kernelspec of that name.
    ///
    /// # Errors
    /// `KernelspecNotFound`, with those that there are.
    pub(super) async fn kernelspec(
        self: &Arc<Self>,
        name: &str,
        notebook: &NotebookName,
    ) -> Result<jupyter::Kernelspec, Error> {
        let (installed, mut environments) = self.installed(Some(notebook), Vec::new()).await?;
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
    pub async fn kernel_for(self: &Arc<Self>, notebook: &NotebookName) -> Result<Option<String>, Error> {
        let all = self.kernelspecs(Some(notebook), &[]).await?;
        let path = notebook.path.clone();
        let named =
            tokio::task::spawn_blocking(move || path.and_then(|path| notebook_file::kernel_name(&path)));
        let named = named.await.map_err(store_failed)?;
        let is_named = |spec: &Kernelspec| named.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(&spec.name));
        let meant = all.iter().find(|spec| spec.ready && is_named(spec));
        let installed: Vec<&Kernelspec> = all.iter().filter(|spec| spec.source == "jupyter").collect();
        Ok(match (meant, installed.as_slice()) {
            (Some(spec), _) => Some(spec.name.clone()),
            (None, [only]) => Some(only.name.clone()),
            _ => None,
        })
    }

    async fn installed(
        self: &Arc<Self>,
        notebook: Option<&NotebookName>,
        named: Vec<PathBuf>,
    ) -> Result<(Vec<jupyter::Kernelspec>, Vec<jupyter::Environment>), Error> {
        let (folders, named) = match self.this_window().is_agent {
            true => (Vec::new(), self.environments_of_people(notebook)),
            false => (self.environment_folders(notebook), named),
        };
        let look = move || {
            let search = Search::of_this_process();
            (jupyter::installed(&search), jupyter::environments(&folders, &named, &search))
        };
        let (installed, environments) = tokio::task::spawn_blocking(look).await.map_err(store_failed)?;
        for warning in installed.warnings {
            tracing::warn!("{warning}");
        }
        Ok((installed.kernelspecs, environments))
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
