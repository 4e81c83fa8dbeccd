//! `exec` and `run`: code from a shell, its outputs on the terminal.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::print::Printer;
use super::say::{self, note};
use super::{code, name, read_or_typed};
use crate::protocol::{CellRef, Error, ErrorKind, EventBody, ExecuteParams, ExecutionStatus};
use crate::sessions::{Feed, NotebookCode, Sessions, Start, plain};

/// `exec`: runs code, prints what it puts out. Ctrl-C interrupts the execution, not this program alone.
pub async fn exec(sessions: &Arc<Sessions>, which: &str, typed: &str) -> Result<ExitCode, Error> {
    let id = super::session(sessions, which).await?;
    let source = read_or_typed(typed)?;
    let (feed, _) = sessions.feed(&id, None)?;
    let execution = submit(sessions, &id, source, None).await?;
    let awaited = Awaited { place: "the code".to_owned(), may_raise: false };
    let mut print = Print::new(HashMap::from([(execution.clone(), awaited)]));
    tokio::select! {
        done = print.follow(sessions, &id, feed) => done?,
        _ = tokio::signal::ctrl_c() => {
            note!("\ninterrupted");
            sessions.cancel(&id, &execution).await?;
            return Ok(ExitCode::from(130));
        }
    }
    Ok(code(!print.failed))
}

/// `run`: all code cells, in order, in a session that stays.
pub async fn run_notebook(
    sessions: &Arc<Sessions>,
    path: &Path,
    kernel: Option<String>,
    detach: bool,
) -> Result<ExitCode, Error> {
    let notebook = name(path)?;
    let file = NotebookCode::read(path).map_err(|e| Error::new(ErrorKind::InvalidParams, e.to_string()))?;
    sessions.note_spelling(&notebook);
    let found = sessions.find_active(&notebook).await?;
    let found = match found.r#match.as_deref() {
        // It was renamed: its kernel is this one's, and no other is started.
        Some("file") => sessions.ensure(&notebook, None, false).await?.session,
        _ => found.session,
    };
    let found = found.filter(|session| session.notebook_path == notebook.path_text());
    let session = match found {
        Some(session) => {
            if kernel.as_ref().is_some_and(|kernel| !kernel.eq_ignore_ascii_case(&session.kernel.name)) {
                let what = format!(
                    "{} has a live kernel, {}: stop it first",
                    plain::line(&session.label),
                    session.kernel.display_name
                );
                return Err(Error::new(ErrorKind::NotebookHasSession, what));
            }
            session
        }
        None => {
            let kernel_name = match kernel {
                Some(kernel) => kernel,
                None => sessions.kernel_for(&notebook).await?,
            };
            sessions.start(&notebook, Start { kernel_name, ..Start::default() }).await?
        }
    };
    let (feed, _) = sessions.feed(&session.id, None)?;
    let mut waits = HashMap::new();
    let batch = crate::ids::unique();
    let mut skipped = 0;
    for cell in file.cells.into_iter().filter(|cell| !cell.source.trim().is_empty()) {
        if cell.tags.is_skipped {
            skipped += 1;
            continue;
        }
        let may_raise = cell.tags.may_raise;
        let awaited = Awaited { place: format!("cell {}", cell.index + 1), may_raise };
        let of = OfNotebook { cell: CellRef { id: cell.id, index: cell.index }, batch: &batch, may_raise };
        let submitted = submit(sessions, &session.id, cell.source, Some(of));
        waits.insert(submitted.await?, awaited);
    }
    let pid = session.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
    let less = if skipped > 0 { format!("; {skipped} tagged skip-execution") } else { String::new() };
    let (count, label) = (waits.len(), plain::line(&session.label));
    note!("Running {count} cells of {label} in session {}{pid}{less}.", session.id);
    if detach {
        note!("Follow it with: kernel-keeper history {}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut print = Print::new(waits);
    tokio::select! {
        done = print.follow(sessions, &session.id, feed) => done?,
        _ = tokio::signal::ctrl_c() => {
            note!("\nNot waiting any more: the kernel runs on. Stop it with: kernel-keeper stop {}", session.id);
            return Ok(ExitCode::from(130));
        }
    }
    Ok(code(!print.failed))
}

/// A cell that runs with the others of its notebook.
struct OfNotebook<'a> {
    cell: CellRef,
    batch: &'a str,
    may_raise: bool,
}

async fn submit(
    sessions: &Arc<Sessions>,
    session_id: &str,
    source: String,
    of: Option<OfNotebook<'_>>,
) -> Result<String, Error> {
    let (stop_on_error, batch) = match &of {
        Some(of) => (!of.may_raise, Some(of.batch.to_owned())),
        None => (true, None),
    };
    let asked = ExecuteParams {
        session_id: session_id.to_owned(),
        code: source,
        notebook_uri: None,
        cell: of.map(|of| of.cell),
        stop_on_error: Some(stop_on_error),
        batch,
        agent: None,
    };
    sessions.submitted(session_id, sessions.submit(asked)?).await
}

/// What is waited for.
struct Awaited {
    place: String,
    /// Its failure is as it should be.
    may_raise: bool,
}

/// Prints what the awaited executions put out.
struct Print {
    waits: HashMap<String, Awaited>,
    printer: Printer,
    failed: bool,
}

impl Print {
    fn new(waits: HashMap<String, Awaited>) -> Print {
        Print { waits, printer: Printer::default(), failed: false }
    }

    async fn follow(
        &mut self,
        sessions: &Arc<Sessions>,
        session_id: &str,
        mut feed: Feed,
    ) -> Result<(), Error> {
        while !self.waits.is_empty() {
            let Some(events) = feed.next().await? else {
                let what = "the session ended before the code did";
                return Err(Error::new(ErrorKind::SessionEnded, what));
            };
            for event in events {
                match (&event.execution_id, event.event) {
                    (None, EventBody::Gap { .. }) => note!("warning: some output may be missing here"),
                    (Some(id), body) if self.waits.contains_key(id) => {
                        if let EventBody::InputRequest { prompt, password } = &body {
                            answer(sessions, session_id, id, prompt, *password).await?;
                        }
                        self.print(id, body);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, id: &str, body: EventBody) {
        match body {
            EventBody::Output { output } => self.printer.put(output),
            EventBody::NextInput { text, .. } => self.printer.next_input(&text),
            EventBody::Finished { status, .. } => {
                let Some(Awaited { place, may_raise }) = self.waits.remove(id) else { return };
                match status {
                    ExecutionStatus::Ok => return,
                    ExecutionStatus::Error if may_raise => {
                        return note!("{place}: failed, which its tag raises-exception allows");
                    }
                    ExecutionStatus::Error => note!("{place}: failed"),
                    other => note!("{place}: {}", other.as_str()),
                }
                self.failed = true;
            }
            _ => {}
        }
    }
}

async fn answer(
    sessions: &Arc<Sessions>,
    session_id: &str,
    id: &str,
    prompt: &str,
    is_secret: bool,
) -> Result<(), Error> {
    if !std::io::stdin().is_terminal() {
        note!(
            "The code asks for input ({}): answer it in the editor, or run this in a terminal.",
            plain::line(prompt)
        );
        return Ok(());
    }
    // Before it is asked, or what is typed at once would be shown.
    let unseen = is_secret.then(Unseen::begin).transpose()?;
    say::ask(prompt);
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = read.await.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    if unseen.is_some() {
        // The terminal did not show the end of the line, either.
        note!("");
    }
    drop(unseen);
    let line = line.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    sessions.reply_input(session_id, id, line.trim_end_matches(['\r', '\n'])).await
}

/// While it lives the terminal does not show what is typed; also where the question is given up, it does so again.
struct Unseen(#[cfg(unix)] rustix::termios::Termios);

impl Unseen {
    /// # Errors
    /// `Internal`: a secret is not asked for where it would be shown.
    #[cfg(unix)]
    fn begin() -> Result<Unseen, Error> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let failed = |e: rustix::io::Errno| {
            let what = format!("the terminal cannot hide what is typed: {e}; answer it in the editor");
            Error::new(ErrorKind::Internal, what)
        };
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead was shown already: it is no answer to this question.
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).map_err(failed)?;
        Ok(Unseen(before))
    }

    #[cfg(not(unix))]
    fn begin() -> Result<Unseen, Error> {
        Err(Error::new(
            ErrorKind::Internal,
            "a secret cannot be typed here: answer it in the editor, or in console",
        ))
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
