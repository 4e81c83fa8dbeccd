//! Snapshots: the variables of a Python kernel, kept under a name in the folder of their session, and taken back.
//!
//! The keeper has its kernel do it (`keeper/snapshots.rs`). What is restored is code that runs: it is looked at first.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Event, Sessions, invalid, store_failed};
use crate::keeper::frames::Request;
use crate::keeper::{self, Description, ON_STOP};
use crate::protocol::{
    EnsureResult, Error, ErrorKind, NotebookName, RestoreSnapshotParams, RestoreSnapshotResult, Session,
    SkippedVariable, Snapshot,
};

/// Characters of a name.
const LONGEST_NAME: usize = 100;
/// How long a stop waits for its snapshot. Who stops once more does not wait.
const BEFORE_STOP: Duration = Duration::from_secs(60);

impl Sessions {
    /// `keeper/snapshot/save`: an earlier one of that name is replaced once the new one is whole.
    ///
    /// # Errors
    /// `InvalidParams` (the name; not Python), `SessionEnded`, `StoreFailed`, `KernelFailed`: busy (`data.busy`), interrupted,
    /// died, or without dill (`data.missing`).
    pub async fn save_snapshot(self: &Arc<Self>, id: &str, name: &str) -> Result<Snapshot, Error> {
        check_name(name)?;
        if name == ON_STOP {
            let what = format!(
                "\"{ON_STOP}\" is the name of what is saved when a kernel is stopped: choose another one"
            );
            return Err(invalid("name", what));
        }
        self.must_exist(id)?;
        self.must_be_python(id)?;
        let client = self.keeper(id).await?;
        let answer = client.call(Request::SaveSnapshot { name: name.to_owned(), on_stop: false }).await?;
        serde_json::from_value(answer["snapshot"].clone()).map_err(store_failed)
    }

    /// `keeper/snapshot/restore`: of that session, else the latest of that name of another session of its notebooks. Into
    /// the kernel as it is, or restarted before; a session that has ended is started anew.
    ///
    /// # Errors
    /// As of saving; `NotFound`; `StoreFailed` where others could have written it, or it is damaged.
    pub async fn restore_snapshot(
        self: &Arc<Self>,
        asked: &RestoreSnapshotParams,
    ) -> Result<RestoreSnapshotResult, Error> {
        let id = asked.session_id.as_str();
        check_name(&asked.name)?;
        self.must_exist(id)?;
        self.must_be_python(id)?;
        let owner = self.owner_of_snapshot(id, &asked.name)?;
        // Before anything is restarted for it.
        let (found, file) = self.checked(&owner, &asked.name)?;
        if asked.restart == Some(true) || self.get(id)?.ended_at.is_some() {
            self.restart(id).await?;
        }
        let client = self.keeper(id).await?;
        let answer = client.call(Request::RestoreSnapshot { file, details: found.details }).await?;
        tracing::info!(session = id, from = %owner, "restored a snapshot");
        // Idle again: the status comes after the answer.
        let session = client.call_session(Request::Status {}).await?;
        let read = |name: &str| answer[name].clone();
        let texts = |value: Value| serde_json::from_value::<Vec<String>>(value).map_err(store_failed);
        let skipped: Vec<SkippedVariable> = serde_json::from_value(read("skipped")).map_err(store_failed)?;
        Ok(RestoreSnapshotResult {
            session: self.present(session),
            variables: texts(read("variables"))?,
            skipped,
            warnings: texts(read("warnings"))?,
        })
    }

    /// `keeper/snapshot/list`: of all the notebook's sessions, live and ended, the latest first.
    pub async fn snapshots(self: &Arc<Self>, notebook: &NotebookName) -> Result<Vec<Snapshot>, Error> {
        self.note_history(notebook);
        self.snapshots_of(notebook)
    }

    /// `keeper/snapshot/remove`. False: there was none.
    pub async fn remove_snapshot(self: &Arc<Self>, id: &str, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        self.must_exist(id)?;
        keeper::remove_snapshot(&self.folders, id, name).map_err(store_failed)
    }

    pub(super) fn snapshots_of(&self, notebook: &NotebookName) -> Result<Vec<Snapshot>, Error> {
        let known = self.registry().sessions_of_notebook(&self.key(notebook)).map_err(store_failed)?;
        Ok(self.latest_first(known.into_iter().map(|(id, _)| id).collect()))
    }

    fn latest_first(&self, mut sessions: Vec<String>) -> Vec<Snapshot> {
        sessions.sort();
        sessions.dedup();
        let all = sessions.iter().flat_map(|id| {
            // Where it lies says whose it is.
            let own = |found: Description| Snapshot { session_id: id.clone(), ..found.snapshot };
            keeper::snapshots(&self.folders, id).into_iter().map(own)
        });
        let mut all: Vec<Snapshot> = all.collect();
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
        all
    }

    /// The session in whose folder a snapshot lies.
    fn owner_of_snapshot(&self, id: &str, name: &str) -> Result<String, Error> {
        let has_it = |snapshot: &Snapshot| snapshot.name == name;
        if self.latest_first(vec![id.to_owned()]).iter().any(has_it) {
            return Ok(id.to_owned());
        }
        let mut sessions = Vec::new();
        for binding in self.bound(id) {
            let known = self.registry().sessions_of_notebook(&binding.key).map_err(store_failed)?;
            sessions.extend(known.into_iter().map(|(id, _)| id));
        }
        let found = self.latest_first(sessions).into_iter().find(has_it);
        found.map(|snapshot| snapshot.session_id).ok_or_else(|| {
            let what =
                format!("there is no snapshot \"{name}\" of this notebook: list them to see which there are");
            Error::new(ErrorKind::NotFound, what).with("what", "snapshot").with("name", name)
        })
    }

    fn checked(&self, id: &str, name: &str) -> Result<(Description, PathBuf), Error> {
        keeper::checked(&self.folders, id, name).map_err(|e| {
            let what = format!("the snapshot \"{name}\" was not restored: {e}");
            let error = Error::new(ErrorKind::StoreFailed, what);
            if e.kind() == io::ErrorKind::PermissionDenied { error.with("untrusted", true) } else { error }
        })
    }

    /// The notebook's latest snapshot into a kernel that was just started. Where that fails the kernel stays, and it is told.
    pub(super) async fn with_latest_snapshot(
        self: &Arc<Self>,
        notebook: &NotebookName,
        fresh: EnsureResult,
    ) -> EnsureResult {
        let Some(session) = fresh.session.clone() else { return fresh };
        let latest = self.snapshots_of(notebook).ok().and_then(|found| found.into_iter().next());
        let Some(latest) = latest else {
            self.emit(Event::Warning("The kernel was started, but its snapshot is gone.".into()));
            return fresh;
        };
        let asked = RestoreSnapshotParams { session_id: session.id, name: latest.name, restart: None };
        match self.restore_snapshot(&asked).await {
            Ok(restored) => {
                EnsureResult { session: Some(restored.session.clone()), restored: Some(restored), ..fresh }
            }
            Err(e) => {
                let what = format!("The kernel was started, but \"{}\" was not restored: {e}.", asked.name);
                self.emit(Event::Warning(what));
                fresh
            }
        }
    }

    /// Where the setting says so: the variables are saved before a person's stop. The stop goes on in any case.
    pub(super) async fn save_before_stop(self: &Arc<Self>, id: &str) {
        if !self.settings().snapshot_on_stop {
            return;
        }
        let Ok(record) = self.record(id) else { return };
        if record.ended_at.is_some() || !is_python(&record.unseen()) {
            return;
        }
        let save = async {
            let request = Request::SaveSnapshot { name: ON_STOP.into(), on_stop: true };
            self.keeper(id).await?.call(request).await
        };
        let why = match tokio::time::timeout(BEFORE_STOP, save).await {
            Ok(Ok(_)) => return,
            // Neither is it stopped.
            Ok(Err(e)) if e.kind == ErrorKind::ForeignHost => return,
            Ok(Err(e)) => e.message,
            Err(_) => format!("it took longer than {} s", BEFORE_STOP.as_secs()),
        };
        let what = format!("{}: its variables were not saved before it was stopped: {why}.", record.label());
        self.emit(Event::Warning(what));
    }

    fn must_be_python(&self, id: &str) -> Result<(), Error> {
        let session = self.get(id)?;
        if is_python(&session) {
            return Ok(());
        }
        let what = format!(
            "snapshots are for Python kernels, and this one's language is {}: its history can be run again instead",
            session.kernel.language
        );
        Err(invalid("sessionId", what))
    }
}

pub(super) fn is_python(session: &Session) -> bool {
    session.kernel.language.eq_ignore_ascii_case("python")
}

fn check_name(name: &str) -> Result<(), Error> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        let what = format!("1 to {LONGEST_NAME} characters, none of them a control character");
        return Err(invalid("name", what));
    }
    Ok(())
}
