//! Saving the kernel's variables, and restoring them: a silent request that may take minutes.
//!
//! Only while the kernel is idle. Meanwhile the session is busy without an execution: what is queued runs afterwards, and
//! an interrupt ends it. Nothing of it is in the journal.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::frames::Answer;
use super::kernel;
use super::run::Keeper;
use super::snapshot_files::{self, Description};
use crate::jupyter::{self, Message};
use crate::protocol::{Error, ErrorKind, Snapshot, Time};

/// Ticks that the reply may come after the kernel's `idle`: one that an interrupt has hit never comes.
const UNANSWERED: u32 = 2;

/// What is under way.
pub(super) struct Running {
    request: String,
    /// Connection and request.
    by: (u64, u64),
    /// What is saved, and where; `None`: something is restored.
    saving: Option<Saving>,
    /// Ticks since the kernel said that it is idle again.
    idle: Option<u32>,
}

struct Saving {
    name: String,
    on_stop: bool,
    file: PathBuf,
}

impl Keeper {
    pub(super) fn save_snapshot(
        &mut self,
        connection: u64,
        id: u64,
        name: String,
        on_stop: bool,
    ) -> Result<(), Error> {
        self.can_snapshot("saved")?;
        let file = snapshot_files::new_file(&self.folders, &self.record.id, &name)
            .map_err(|e| Error::new(ErrorKind::StoreFailed, format!("nothing was saved: {e}")))?;
        let saving = Some(Saving { name, on_stop, file: file.clone() });
        self.begin_snapshot((connection, id), saving, kernel::save_request(&file));
        Ok(())
    }

    pub(super) fn restore_snapshot(
        &mut self,
        connection: u64,
        id: u64,
        file: &Path,
        details: &Value,
    ) -> Result<(), Error> {
        self.can_snapshot("restored")?;
        self.begin_snapshot((connection, id), None, kernel::restore_request(file, details));
        Ok(())
    }

    fn can_snapshot(&self, what: &str) -> Result<(), Error> {
        if self.is_free() {
            return Ok(());
        }
        let what =
            format!("the kernel is busy, so nothing was {what}: wait until it is idle, or interrupt it");
        Err(Error::new(ErrorKind::KernelFailed, what)
            .with("sessionId", self.record.id.clone())
            .with("busy", true))
    }

    fn begin_snapshot(&mut self, by: (u64, u64), saving: Option<Saving>, message: Message) {
        self.not_idle();
        let request = self.send_unnoticed(message);
        self.snapshot = Some(Running { request, by, saving, idle: None });
        self.machine.hold();
        self.status_changed = true;
        self.carry_out(Vec::new(), Time::now());
    }

    /// From time to time: a reply that does not come, and what was left behind.
    pub(super) fn tick_snapshot(&mut self) {
        // Only now is the kernel surely through with what it may have saved for the keeper before.
        if self.unswept && self.is_free() {
            self.unswept = false;
            snapshot_files::sweep_all(&self.folders, &self.record.id);
        }
        let Some(ticks) = self.snapshot.as_mut().and_then(|running| running.idle.as_mut()) else { return };
        *ticks += 1;
        if *ticks > UNANSWERED {
            self.end_snapshot(Err(("KeyboardInterrupt".into(), String::new())));
            self.go_on();
        }
    }

    /// The kernel says that it is through with a request.
    pub(super) fn snapshot_is_over(&mut self, request: &str) {
        if let Some(running) = self.snapshot.as_mut().filter(|running| running.request == request) {
            running.idle.get_or_insert(0);
        }
    }

    /// A reply of the kernel. False: to something else.
    pub(super) fn snapshot_answered(&mut self, request: &str, content: &Value) -> bool {
        let is_it = self.snapshot.as_ref().is_some_and(|running| running.request == request);
        if is_it {
            self.end_snapshot(jupyter::snapshot_of(content));
            self.go_on();
        }
        is_it
    }

    /// Nothing will be answered any more.
    pub(super) fn snapshot_lost(&mut self, why: &str) {
        self.end_snapshot(Err((String::new(), why.to_owned())));
        self.machine.forget_hold();
    }

    /// What waited runs.
    fn go_on(&mut self) {
        let effects = self.machine.release();
        self.carry_out(effects, Time::now());
    }

    fn end_snapshot(&mut self, answer: Result<Value, (String, String)>) {
        let Some(Running { by: (connection, id), saving, .. }) = self.snapshot.take() else { return };
        self.status_changed = true;
        if saving.is_none() {
            self.variables_may_differ();
        }
        let done = answer.map_err(|(name, text)| self.snapshot_failed(&name, &text, saving.is_some()));
        let done = done.and_then(|answer| self.snapshot_done(answer, saving.as_ref()));
        if done.is_err()
            && let Some(saving) = &saving
        {
            let _ = std::fs::remove_file(&saving.file);
        }
        match done {
            Ok(answer) => self.answer(connection, id, answer),
            Err(error) => self.answers.push((connection, Answer::Failed { id, error: error.into() })),
        }
    }

    fn snapshot_failed(&self, name: &str, text: &str, saving: bool) -> Error {
        let so = if saving {
            "nothing was saved, and an earlier snapshot of that name is as it was"
        } else {
            "some variables may have been restored, others not"
        };
        let error = match name {
            "KeyboardInterrupt" => {
                Error::new(ErrorKind::KernelFailed, format!("interrupted: {so}")).with("interrupted", true)
            }
            "" if text.is_empty() => {
                Error::new(ErrorKind::KernelFailed, format!("the kernel gave no answer: {so}"))
            }
            "" => Error::new(ErrorKind::KernelFailed, format!("{text}: {so}")),
            name => Error::new(ErrorKind::KernelFailed, format!("{name}: {text}: {so}")),
        };
        error.with("sessionId", self.record.id.clone())
    }

    fn snapshot_done(&self, answer: Value, saving: Option<&Saving>) -> Result<Value, Error> {
        if answer["missing"] == "dill" {
            let interpreter = answer["interpreter"].as_str().unwrap_or("python");
            let what = format!(
                "snapshots need the package dill in the kernel's Python: install it with \"{interpreter}\" -m pip install dill ({})",
                answer["reason"].as_str().unwrap_or_default()
            );
            let error = Error::new(ErrorKind::KernelFailed, what);
            return Err(error.with("missing", "dill").with("interpreter", interpreter));
        }
        let failed = |what: String| Error::new(ErrorKind::StoreFailed, what);
        if let Some(why) = answer["failed"].as_str() {
            let what =
                if saving.is_some() { "saved, and what was saved before is as it was" } else { "restored" };
            return Err(failed(format!("nothing was {what}: {why}")));
        }
        let Some(saving) = saving else { return Ok(answer) };
        let read = |e: serde_json::Error| failed(format!("the kernel's answer cannot be read: {e}"));
        let snapshot = Snapshot {
            name: saving.name.clone(),
            session_id: self.record.id.clone(),
            at: Time::now(),
            bytes: answer["bytes"].as_u64().unwrap_or_default(),
            variables: serde_json::from_value(answer["variables"].clone()).map_err(read)?,
            skipped: serde_json::from_value(answer["skipped"].clone()).map_err(read)?,
        };
        if saving.on_stop && snapshot.variables.is_empty() {
            let _ = std::fs::remove_file(&saving.file);
            return Ok(json!({ "snapshot": null }));
        }
        let found = Description::new(snapshot, saving.on_stop, &saving.file, answer["details"].clone());
        snapshot_files::put(&self.folders, &found).map_err(|e| failed(format!("nothing was saved: {e}")))?;
        Ok(json!({ "snapshot": found.snapshot }))
    }
}
