//! Which kernels can be started.
//!
//! An agent may start only what a person has: what is installed, and environments that a window of theirs offers or a kernel
//! of theirs had. A folder that lies about, or that a notebook names, is a program of anybody's.
//!
//! Runs no process, and reads off this thread: the folders are others'. A kernelspec that cannot be read is a warning in the
//! log, and hides no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::notebook_file::{self, Wanted};
use super::{Sessions, plain, store_failed};
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
                provisioner: None,
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
    /// `KernelspecNotFound`, with those that there are; `KernelFailed` of one that is to be started elsewhere.
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
        let found = all.into_iter().find(|spec| spec.name.eq_ignore_ascii_case(name));
        if let Some(spec) = &found
            && let Some(provisioner) = spec.provisioner()
        {
            return Err(provisioned(&spec.name, provisioner));
        }
        found.ok_or_else(|| {
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

    /// The kernel that a notebook asks for, or the only installed one of its language.
    ///
    /// # Errors
    /// `KernelspecNotFound`: there is none, or several; with what the notebook asks for, and what there is.
    pub async fn kernel_for(self: &Arc<Self>, notebook: &NotebookName) -> Result<String, Error> {
        let all = self.kernelspecs(Some(notebook), &[]).await?;
        let path = notebook.path.clone();
        let read = tokio::task::spawn_blocking(move || path.map(|path| notebook_file::wanted(&path)));
        let wanted = read.await.map_err(store_failed)?.unwrap_or_default();
        choose(&wanted, &all).map(|spec| spec.name.clone()).map_err(|why| {
            let what = format!("{}: {why}", plain::line(&notebook.file_name()));
            let names: Vec<&str> = all.iter().map(|spec| spec.name.as_str()).collect();
            let error = Error::new(ErrorKind::KernelspecNotFound, what).with("available", names);
            match language_of(&wanted) {
                Some(language) => error.with("language", language),
                None => error,
            }
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

/// The kernel for a notebook, or why there is none. One of another language could do nothing with its code.
fn choose<'a>(wanted: &Wanted, all: &'a [Kernelspec]) -> Result<&'a Kernelspec, String> {
    let is_named = |spec: &&Kernelspec| {
        spec.ready && wanted.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&spec.name))
    };
    if let Some(named) = all.iter().find(is_named) {
        return Ok(named);
    }
    let language = language_of(wanted);
    let speaks = |spec: &&Kernelspec| {
        let is_its = language.is_some_and(|language| language.eq_ignore_ascii_case(&spec.language));
        spec.source == "jupyter" && spec.provisioner.is_none() && is_its
    };
    let of_language: Vec<&Kernelspec> = all.iter().filter(speaks).collect();
    if let [only] = of_language.as_slice() {
        return Ok(only);
    }
    let missing = match &wanted.name {
        Some(name) => format!("its kernelspec \"{}\" is not installed", plain::line(name)),
        None => "it names no kernelspec".to_owned(),
    };
    let language = language.map(plain::line);
    let names = |specs: &[&Kernelspec]| -> String {
        let each = specs.iter().map(|spec| format!("{} ({})", spec.name, plain::line(&spec.language)));
        each.collect::<Vec<_>>().join(", ")
    };
    let way_out = match (&language, of_language.is_empty()) {
        (Some(language), false) => {
            return Err(format!(
                "{missing}, and there are several kernels for {language}: choose one of {}",
                names(&of_language)
            ));
        }
        (Some(language), true) if language.eq_ignore_ascii_case("python") => {
            "and there is no kernel for Python: install one with `pip install ipykernel`".to_owned()
        }
        (Some(language), true) => {
            format!("and there is no kernel for its language, {language}: install one")
        }
        (None, _) => "and it does not say in which language its code is: install it".to_owned(),
    };
    let ready: Vec<&Kernelspec> = all.iter().filter(|spec| spec.ready).collect();
    let others = match ready.as_slice() {
        [] => String::new(),
        ready => format!(", or choose one of those that there are: {}", names(ready)),
    };
    Err(format!("{missing}, {way_out}{others}"))
}

/// The language of a notebook's code. One that says nothing is Python, as in VS Code; and so is one for `python3`: the name
/// that Jupyter gives to the kernel of whichever Python it is.
fn language_of(wanted: &Wanted) -> Option<&str> {
    let is_pythons = wanted.name.as_deref().is_none_or(jupyter::is_python);
    wanted.language.as_deref().or(is_pythons.then_some("python"))
}

fn shown(spec: &jupyter::Kernelspec) -> Kernelspec {
    Kernelspec {
        name: spec.name.clone(),
        display_name: spec.display_name.clone(),
        language: spec.language.clone(),
        source: "jupyter".into(),
        interpreter: spec.argv.first().cloned(),
        ready: true,
        provisioner: spec.provisioner().map(str::to_owned),
    }
}

/// What is meant for a cluster or another machine does not run here, where it has neither memory nor data.
fn provisioned(name: &str, provisioner: &str) -> Error {
    let what = format!(
        "the kernelspec \"{name}\" is started by the kernel provisioner \"{}\", which Kernel Keeper cannot use, and it is not \
         started on this machine instead: choose another kernel, or start it with Jupyter and adopt it",
        plain::line(provisioner)
    );
    Error::new(ErrorKind::KernelspecNotFound, what).with("provisioner", provisioner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, language: &str, provisioner: Option<&str>) -> Kernelspec {
        Kernelspec {
            name: name.into(),
            display_name: name.into(),
            language: language.into(),
            source: "jupyter".into(),
            interpreter: None,
            ready: true,
            provisioner: provisioner.map(str::to_owned),
        }
    }

    #[test]
    fn a_notebook_gets_a_kernel_of_its_language() {
        let r = || spec("ir", "R", None);
        let python = || spec("kept", "python", None);
        let check = |name: Option<&str>, language: Option<&str>, all: &[Kernelspec], expect: &str| {
            let wanted = Wanted { name: name.map(str::to_owned), language: language.map(str::to_owned) };
            let got = choose(&wanted, all).map_or_else(|why| why, |spec| spec.name.clone());
            let is_it = if expect.contains(' ') { got.contains(expect) } else { got == expect };
            assert!(is_it, "{wanted:?}: {got}");
        };
        check(Some("IR"), Some("python"), &[r(), python()], "ir");
        check(Some("gone"), Some("R"), &[r(), python()], "ir");
        check(Some("gone"), Some("r"), &[r(), python()], "ir");
        check(Some("gone"), Some("Python"), &[r(), python()], "kept");
        check(None, None, &[r(), python()], "kept");
        check(Some("python3"), None, &[r(), python()], "kept");
        check(None, Some("R"), &[r(), python()], "ir");
        let none = "\"python3\" is not installed, and there is no kernel for Python";
        check(Some("python3"), Some("python"), &[r()], none);
        check(Some("python3"), None, &[r()], "choose one of those that there are: ir (R)");
        check(None, None, &[r()], "it names no kernelspec, and there is no kernel for Python");
        check(Some("julia-1.9"), Some("julia"), &[r(), python()], "no kernel for its language, julia");
        check(Some("mine"), None, &[r(), python()], "does not say in which language");
        let several = [python(), spec("other", "python", None)];
        check(Some("gone"), Some("python"), &several, "choose one of kept (python), other (python)");
        // One of a cluster is nobody's kernel by itself.
        let slurm = || spec("slurm", "python", Some("slurm-provisioner"));
        check(Some("gone"), Some("python"), &[slurm(), python()], "kept");
        check(Some("gone"), Some("python"), &[slurm()], "there is no kernel for Python");
    }
}
