//! The command line: what the editor does, from a shell. Tables and words for people, the protocol's own objects with
//! `--json` for programs.

mod console;
pub mod conversations;
mod exec;
mod health;
mod others;
mod print;
mod say;
mod show;
pub mod snapshots;
pub mod windows;

use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

pub use console::console;
pub use exec::{exec, run_notebook};
pub use health::health;
pub use others::{adopt, others};
pub use say::err;
use say::{json as print_json, note, say};

use crate::paths::Folders;
use crate::protocol::{AttachSessionParams, Error, ErrorKind, NotebookName};
use crate::sessions::{CLI, Event, Sessions, Settings, ThisWindow, plain};

/// Opens the core for one command.
pub fn run<T, F>(folders: Folders, command: impl FnOnce(Arc<Sessions>) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    run_following(folders, |sessions, mut events| async move {
        let done = command(sessions).await;
        while let Ok(event) = events.try_recv() {
            if let Event::Warning(text) = event {
                note!("warning: {}", plain::line(&text));
            }
        }
        done
    })
}

/// The same, for a command that follows what happens to sessions.
pub fn run_following<T, F>(
    folders: Folders,
    command: impl FnOnce(Arc<Sessions>, UnboundedReceiver<Event>) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let done = runtime.block_on(async {
        let window = ThisWindow { id: CLI.into(), ..ThisWindow::default() };
        let (sessions, mut events) = Sessions::open(folders, window, Settings::default())?;
        while let Ok(Event::Warning(text)) = events.try_recv() {
            note!("warning: {}", plain::line(&text));
        }
        sessions.refresh(false).await?;
        command(sessions, events).await
    });
    runtime.shutdown_background();
    done
}

/// The way out of an error, where there is one to name.
pub fn help(error: &Error) -> Option<&'static str> {
    Some(match error.kind {
        ErrorKind::SessionNotFound => "kernel-keeper list --all shows every session",
        ErrorKind::SessionEnded => "kernel-keeper run NOTEBOOK starts a new kernel",
        ErrorKind::NotebookHasSession => {
            "kernel-keeper stop NOTEBOOK stops the kernel that it has; attach --replace does both"
        }
        ErrorKind::KernelspecNotFound => {
            "kernel-keeper kernelspecs lists the kernels, run --kernel NAME chooses one"
        }
        ErrorKind::NotFound if error.data.get("what").is_some_and(|what| what == "kernel") => {
            "kernel-keeper others shows the kernels of other programs"
        }
        ErrorKind::NotFound | ErrorKind::LimitReached
            if error.data.get("what").is_some_and(|what| what == "conversation") =>
        {
            "kernel-keeper conversation list shows them"
        }
        ErrorKind::NotFound if error.data.get("what").is_some_and(|what| what == "snapshot") => {
            "kernel-keeper snapshot list NOTEBOOK shows those of a notebook"
        }
        ErrorKind::NotFound => "kernel-keeper windows --all shows every window",
        ErrorKind::LimitReached => "kernel-keeper stop SESSION stops a kernel; the limit is a setting",
        ErrorKind::StoreFailed => {
            "the state folder is $KERNEL_KEEPER_STATE_DIR, by default ~/.local/state/kernel-keeper"
        }
        ErrorKind::SessionMoved => "kernel-keeper list shows which notebook each kernel has",
        ErrorKind::ForeignHost => "run kernel-keeper on that machine",
        ErrorKind::KernelFailed => "kernel-keeper logs SESSION shows what the kernel and its keeper wrote",
        ErrorKind::InvalidParams => "kernel-keeper help COMMAND says what it takes",
        _ => return None,
    })
}

/// An error in a shell's words: without the name of the protocol's field.
pub fn words(error: &Error) -> String {
    let text = error.to_string();
    let field = error.data.get("field").and_then(serde_json::Value::as_str).unwrap_or_default();
    text.strip_prefix(&format!("{field}: ")).map_or(text.clone(), str::to_owned)
}

/// `list`
pub async fn list(sessions: &Arc<Sessions>, json: bool, all: bool) -> Result<(), Error> {
    let listed = sessions.list(all).await?;
    if json {
        return print_json(&listed);
    }
    if listed.is_empty() {
        say!("No kernels are running.");
    } else {
        say::table(&show::sessions(&listed));
    }
    Ok(())
}

/// The session that a word means; one that is found by its label alone is said.
async fn session(sessions: &Arc<Sessions>, word: &str) -> Result<String, Error> {
    let meant = sessions.resolve(word).await?;
    if meant.is_by_label {
        let place =
            sessions.get(&meant.id)?.notebook_path.unwrap_or_else(|| "a notebook without a file".into());
        note!("Taking session {} of {} by its label.", meant.id, plain::line(&place));
    }
    Ok(meant.id)
}

/// `stop`
pub async fn stop(sessions: &Arc<Sessions>, which: &[String], all: bool) -> Result<(), Error> {
    if all {
        let stopped = sessions.stop_all().await?;
        say!("Stopped {stopped} kernel{}.", if stopped == 1 { "" } else { "s" });
        return Ok(());
    }
    for word in which {
        let id = session(sessions, word).await?;
        let session = sessions.stop(&id).await?;
        say!("Stopped {} ({id}).", plain::line(&session.label));
    }
    Ok(())
}

/// How `attach` is meant.
pub struct Attach {
    pub replace: bool,
    pub share: bool,
    pub yes: bool,
}

/// `attach`: asks where a person can answer.
pub async fn attach(
    sessions: &Arc<Sessions>,
    which: &str,
    notebook: &Path,
    how: Attach,
) -> Result<(), Error> {
    let name = name(notebook)?;
    let id = session(sessions, which).await?;
    let before = sessions.get(&id)?;
    let from = NotebookName::parse(&before.notebook_uri).map_or(before.label, |from| from.file_name());
    if !how.yes && !how.share && !agrees(&format!("Migrate from {from} to {}?", name.file_name())) {
        say!("Nothing was changed.");
        return Ok(());
    }
    let asked = AttachSessionParams {
        target_notebook_uri: name.uri,
        source_pid: None,
        session_id: Some(id),
        // What was asked about is what is done.
        expected_notebook_uri: before.notebook_path.is_some().then_some(before.notebook_uri),
        replace: Some(how.replace),
        share: Some(how.share),
    };
    let done = sessions.attach(&asked).await?;
    let from = done.old_path.unwrap_or_else(|| "an untitled notebook".into());
    let to = done.new_path.unwrap_or_default();
    match how.share {
        true => say!("{from} and {to} share a kernel now."),
        false => say!("The kernel of {from} is {to}'s now."),
    }
    Ok(())
}

/// Asks a person; a program is not asked.
fn agrees(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return true;
    }
    say::ask(&format!("{} [y/N] ", plain::line(question)));
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// `history`
pub async fn history(sessions: &Arc<Sessions>, notebook: &Path, limit: u32, json: bool) -> Result<(), Error> {
    let executions = sessions.notebook_history(&name(notebook)?, limit)?;
    if json {
        return print_json(&executions);
    }
    if executions.is_empty() {
        say!("Nothing ran in {} that is still known.", notebook.display());
    } else {
        say::table(&show::executions(&executions));
    }
    Ok(())
}

/// `save`
pub async fn save(sessions: &Arc<Sessions>, notebook: &Path, json: bool) -> Result<(), Error> {
    let report = sessions.save(&name(notebook)?).await?;
    if json {
        return print_json(&report);
    }
    say!("Wrote the outputs of {} cell(s) into {}.", report.written, report.notebook_path);
    for skipped in &report.skipped {
        say!("Left out cell {}: {}.", skipped.cell_id, skipped.reason);
    }
    Ok(())
}

/// `kernelspecs`
pub async fn kernelspecs(sessions: &Arc<Sessions>, json: bool) -> Result<(), Error> {
    let here = std::env::current_dir().map(|dir| NotebookName::from_any_path(&dir.join("x.ipynb"))).ok();
    let all = sessions.kernelspecs(here.as_ref(), &[]).await?;
    if json {
        return print_json(&all);
    }
    say::table(&show::kernelspecs(&all));
    Ok(())
}

/// `logs`
pub async fn logs(sessions: &Arc<Sessions>, which: &str, follow: bool) -> Result<(), Error> {
    let id = session(sessions, which).await?;
    let files = [sessions.folders.keeper_log(&id), sessions.folders.kernel_log(&id)];
    let mut at = [0u64; 2];
    loop {
        for (file, at) in files.iter().zip(&mut at) {
            *at = print_from(file, *at).map_err(|e| Error::new(ErrorKind::StoreFailed, e.to_string()))?;
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
}

fn print_from(file: &Path, at: u64) -> std::io::Result<u64> {
    use std::io::{Read, Seek, SeekFrom};
    let mut open = match std::fs::File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(at),
        Err(e) => return Err(e),
    };
    let length = open.metadata()?.len();
    // A log that was begun anew.
    let mut at = if length < at { 0 } else { at };
    open.seek(SeekFrom::Start(at))?;
    let mut some = vec![0; 64 << 10];
    loop {
        let read = open.read(&mut some)?;
        if read == 0 {
            return Ok(at);
        }
        // A character that is only begun is read again with its rest; what is none is shown so.
        let whole = match std::str::from_utf8(&some[..read]) {
            Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => e.valid_up_to(),
            _ => read,
        };
        say::log(&String::from_utf8_lossy(&some[..whole]));
        at = open.seek(SeekFrom::Start(at + whole as u64))?;
    }
}

/// What was typed, or standard input where that is "-".
fn read_or_typed(typed: &str) -> Result<String, Error> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    std::io::read_to_string(std::io::stdin()).map_err(|e| Error::new(ErrorKind::InvalidParams, e.to_string()))
}

/// A notebook as it was typed.
fn name(path: &Path) -> Result<NotebookName, Error> {
    let absolute =
        std::path::absolute(path).map_err(|e| Error::new(ErrorKind::InvalidParams, e.to_string()))?;
    NotebookName::from_path(&absolute).map_err(|e| Error::new(ErrorKind::InvalidParams, e))
}

/// Whether colours belong into the output.
fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The exit code of a command that ran code.
fn code(succeeded: bool) -> ExitCode {
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
