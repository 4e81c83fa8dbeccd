//! Kernels of others: those of this user that other programs started, and taking one in.
//!
//! Listed only where a living process was started with the connection file. An adopted kernel is journaled from then on;
//! it is not stopped unless asked, and ends with the program that started it where that ends it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::start::has_session;
use super::{Sessions, invalid, plain, store_failed};
use crate::jupyter::{self, ConnectionFile, Search};
use crate::keeper::{BoundNotebook, KernelLaunch, Purpose, Record, launch, take_lock};
use crate::process::{Owner, owners};
use crate::protocol::{AdoptKernelParams, Error, ErrorKind, NotebookName, OtherKernel, Session, Time};
use crate::registry;

/// How long another one that is being taken in is waited for.
const TURN: Duration = Duration::from_millis(25);
const TURNS: u32 = 600;

/// A kernel of another program, with what adopting it needs.
struct Other {
    shown: OtherKernel,
    connection: ConnectionFile,
    owner: Owner,
}

impl Sessions {
    /// Living kernels of this user that are not kept, the newest first.
    pub async fn other_kernels(self: &Arc<Self>) -> Result<Vec<OtherKernel>, Error> {
        Ok(self.others().await?.into_iter().map(|other| other.shown).collect())
    }

    /// Where they are looked for.
    pub fn others_folder(&self) -> Option<String> {
        Search::of_this_process().runtime_folder().map(|folder| folder.to_string_lossy().into_owned())
    }

    async fn others(self: &Arc<Self>) -> Result<Vec<Other>, Error> {
        // Looks at every process: beside what else goes on.
        let found = tokio::task::spawn_blocking(|| {
            let search = Search::of_this_process();
            let files = jupyter::connection_files(&search);
            let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
            let owners = owners(&paths);
            let specs = jupyter::installed(&search).kernelspecs;
            let living = files.into_iter().zip(owners).filter_map(|(file, owner)| Some((file, owner?)));
            living.map(|(file, owner)| other(file, owner, &specs)).collect::<Vec<Other>>()
        });
        let found = found.await.map_err(store_failed)?;
        let rows = self.registry().sessions(false).map_err(store_failed)?;
        let records = rows.iter().filter_map(Record::of_row);
        // Those that this window has not joined yet are kept, too.
        let kept: Vec<u32> = (self.live.iter().filter_map(|live| live.session.pid))
            .chain(records.filter_map(|record| record.kernel_process.map(|process| process.pid)))
            .collect();
        Ok(found.into_iter().filter(|other| !kept.contains(&other.shown.pid)).collect())
    }

    /// Takes in a kernel of another program under a notebook; this window has it attached then.
    ///
    /// # Errors
    /// `NotFound`: it is gone, or kept already; `NotebookHasSession`; `InvalidParams` where no notebook is named and none
    /// is known; `KernelFailed` where it cannot be reached.
    pub async fn adopt(self: &Arc<Self>, asked: &AdoptKernelParams) -> Result<Session, Error> {
        let label = super::label(asked.label.as_deref());
        // One at a time over all windows: a kernel has one keeper.
        let _turn = self.turn().await?;
        let wanted = Path::new(&asked.connection_file);
        let other = self.others().await?.into_iter().find(|o| Path::new(&o.shown.connection_file) == wanted);
        let Some(other) = other else {
            let what = format!("no kernel that is not kept runs with {}: list them again", wanted.display());
            return Err(Error::new(ErrorKind::NotFound, what).with("what", "kernel"));
        };
        jupyter::Signer::of(&other.connection)
            .map_err(|e| Error::new(ErrorKind::KernelFailed, plain::line(&e.to_string())))?;
        let notebook = match (&asked.notebook_uri, &other.shown.notebook_path) {
            (Some(uri), _) => NotebookName::parse(uri).map_err(|e| invalid("notebookUri", e))?,
            (None, Some(path)) => {
                NotebookName::from_path(Path::new(path)).map_err(|e| invalid("notebookUri", e))?
            }
            (None, None) => return Err(invalid("notebookUri", "say which notebook is to have this kernel")),
        };
        if let Some(session) = self.by_path(&notebook).await? {
            return Err(has_session(&notebook, Some(session)));
        }
        let id = crate::ids::session();
        let bound = BoundNotebook::new(1, &notebook, &self.window_id());
        let mut record = Record::new(id.clone(), bound, launch_of(&other), Time::now());
        record.foreign = true;
        record.label = label;
        record.journal_max_bytes = self.settings().journal_max_bytes;
        record.kernel_process = Some(other.owner.process.clone());
        record.started_at = other.shown.started_at;
        let lock = take_lock(&self.folders, &id).map_err(store_failed)?;
        let Some(lock) = lock else { return Err(store_failed("a new session's lock is held already")) };
        match self.reserve(&record).await {
            Ok(()) => self.take_file(&id, &notebook),
            Err(registry::Error::Taken { .. }) => return Err(has_session(&notebook, None)),
            Err(registry::Error::Limit { live }) => return Err(super::start::too_many(live)),
            Err(e) => return Err(store_failed(e)),
        }
        if let Err(e) = self.launch_joining(&record, &other.connection, lock).await {
            // Without a keeper it is as if it had never been.
            let _ = self.write(|registry| registry.remove_session(&id)).await;
            let _ = std::fs::remove_dir_all(self.folders.session(&id));
            let _ = std::fs::remove_dir_all(self.folders.run(&id));
            self.ring();
            return Err(e);
        }
        self.join(&id).await?;
        let mut session = self.get(&id)?;
        if self.is_window() {
            session = self.attach_window(&id).await?;
        }
        self.emit(super::Event::Created(session.clone()));
        self.note_session("sessionAdopted", &session, None);
        self.ring();
        Ok(session)
    }

    /// Held while a kernel is taken in.
    async fn turn(&self) -> Result<std::fs::File, Error> {
        let file =
            crate::paths::open_private(&self.folders.state.join("adopt.lock")).map_err(store_failed)?;
        for _ in 0..TURNS {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(TURN).await,
                Err(std::fs::TryLockError::Error(e)) => return Err(store_failed(e)),
            }
        }
        Err(Error::new(
            ErrorKind::KernelFailed,
            "another kernel is being taken in, and takes its time: try again",
        ))
    }

    async fn launch_joining(
        &self,
        record: &Record,
        connection: &ConnectionFile,
        lock: std::fs::File,
    ) -> Result<(), Error> {
        record.write(&self.folders).map_err(store_failed)?;
        connection.write(&self.folders.connection_file(&record.id)).map_err(store_failed)?;
        launch(&self.program, &self.folders, &record.id, Purpose::Join, lock).await
    }
}

fn other(file: jupyter::Found, owner: Owner, specs: &[jupyter::Kernelspec]) -> Other {
    let name = file.connection.kernel_name.clone();
    let spec = specs.iter().find(|spec| spec.name.eq_ignore_ascii_case(&name));
    let is_python = owner.command.iter().any(|word| word.contains("ipykernel") || word.contains("ipython"));
    let language = spec.map(|spec| spec.language.clone()).unwrap_or(if is_python {
        "python".into()
    } else {
        name.clone()
    });
    let display_name =
        spec.map(|spec| spec.display_name.clone()).unwrap_or(match (is_python, name.is_empty()) {
            (true, _) => "Python".into(),
            (false, true) => "kernel".into(),
            (false, false) => name.clone(),
        });
    let notebook = owner.notebook.clone().map(PathBuf::from);
    let notebook =
        notebook.filter(|path| path.is_absolute() && path.extension().is_some_and(|e| e == "ipynb"));
    let shown = OtherKernel {
        connection_file: file.path.to_string_lossy().into_owned(),
        pid: owner.process.pid,
        kernel_name: if name.is_empty() && is_python { "python3".into() } else { name },
        display_name,
        language,
        started_at: crate::process::started_at(&owner.process),
        started_by: owner.started_by.clone(),
        notebook_path: notebook.filter(|path| path.is_file()).map(|path| path.to_string_lossy().into_owned()),
    };
    Other { shown, connection: file.connection, owner }
}

/// How it was started, so that it can be again: by its own command, with a connection file of ours.
fn launch_of(other: &Other) -> KernelLaunch {
    let file = Path::new(&other.shown.connection_file);
    let (path, name) = (file.to_string_lossy(), file.file_name().unwrap_or_default().to_string_lossy());
    let ours = |word: &String| match word.strip_suffix(&*path) {
        Some(before) => format!("{before}{{connection_file}}"),
        None if *word == *name => "{connection_file}".to_owned(),
        None => word.clone(),
    };
    let mut argv: Vec<String> = other.owner.command.iter().map(ours).collect();
    if !argv.iter().any(|word| word.contains("{connection_file}")) {
        argv.extend(["-f".to_owned(), "{connection_file}".to_owned()]);
    }
    KernelLaunch {
        name: other.shown.kernel_name.clone(),
        display_name: other.shown.display_name.clone(),
        language: other.shown.language.clone(),
        argv,
        env: Default::default(),
        interrupt_by_message: false,
        way: None,
        beside_notebook: false,
        cwd: other
            .owner
            .folder
            .clone()
            .filter(|folder| folder.is_dir())
            .unwrap_or_else(|| PathBuf::from("/")),
    }
}
