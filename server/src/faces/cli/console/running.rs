//! One piece of code at a console: from when it is submitted until it has ended.
//!
//! Its outputs are printed as they come. Ctrl+C takes it back where it waits, and interrupts it where it runs; it is
//! followed until the kernel says that it has ended. What it asks for with `input()` is asked here.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::super::say::note;
use super::Console;
use super::editor::{Kind, Reading, Typed};
use super::news::{self, News};
use crate::protocol::{
    Error, ErrorKind, EventBody, ExecuteParams, Execution, ExecutionEvent, ExecutionStatus, NotebookName,
    Output, Session, SessionState,
};
use crate::sessions::{Feed, plain};

/// How long code may wait until it is said what it waits for.
const SOON: Duration = Duration::from_millis(300);

/// What is known of the code that runs.
struct Run {
    execution: String,
    has_started: bool,
    /// It was said what it waits for.
    is_explained: bool,
    /// Ctrl+C, on its way to the kernel.
    cancelling: Option<JoinHandle<Result<Execution, Error>>>,
    /// It was asked for by Ctrl+C that it ends.
    is_cancelled: bool,
}

impl Console {
    /// Runs code, and prints what it puts out until it has ended.
    pub(super) async fn run(&mut self, code: &str) -> Result<(), Error> {
        let (mut feed, _) = self.sessions.feed(&self.id, None)?;
        let asked = ExecuteParams {
            session_id: self.id.clone(),
            code: code.to_owned(),
            notebook_uri: None,
            cell: None,
            stop_on_error: Some(true),
            batch: None,
            agent: None,
        };
        let execution = self.sessions.submitted(&self.id, self.sessions.submit(asked)?).await?;
        let mut run =
            Run { execution, has_started: false, is_explained: false, cancelling: None, is_cancelled: false };
        let status = self.follow(&mut run, &mut feed).await?;
        self.printer.fresh_line();
        if let Some(error) = self.over.take() {
            return Err(error);
        }
        match status {
            ExecutionStatus::Aborted if run.has_started => {
                note!("The kernel was stopped or restarted while it ran.");
            }
            ExecutionStatus::Aborted if run.is_cancelled => note!("Taken back."),
            ExecutionStatus::Aborted => {
                note!("It did not run: what ran before it failed, or it was taken back.")
            }
            ExecutionStatus::Lost => note!("The kernel went while it ran: how far it came is not known."),
            _ => {}
        }
        Ok(())
    }

    async fn follow(&mut self, run: &mut Run, feed: &mut Feed) -> Result<ExecutionStatus, Error> {
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + SOON, SOON);
        loop {
            tokio::select! {
                events = feed.next() => {
                    let Some(events) = events? else {
                        self.printer.fresh_line();
                        let over = self.over.take();
                        return Err(over.unwrap_or(news::over(&self.sessions.get(&self.id)?)));
                    };
                    for event in events {
                        match (&event.execution_id, event.event) {
                            (None, EventBody::Gap { .. }) => {
                                note!("warning: some output may be missing here");
                            }
                            (Some(id), EventBody::Finished { status, .. }) if *id == run.execution => {
                                return Ok(status);
                            }
                            (Some(id), body) if *id == run.execution => {
                                self.take(run, event.seq, body).await?;
                            }
                            _ => {}
                        }
                    }
                }
                Some(()) = self.interrupts.recv() => {
                    // The terminal has written ^C.
                    self.printer.was_written_to();
                    self.cancel(run);
                }
                cancelled = settled(&mut run.cancelling) => self.cancelled(run, cancelled),
                news = self.news.next(), if self.over.is_none() => match news {
                    News::Said(sentence) => {
                        self.printer.fresh_line();
                        note!("{sentence}");
                    }
                    // What it still said is printed first: the feed has an end then.
                    News::Over(error) => self.over = Some(error),
                },
                _ = look.tick(), if !run.has_started && !run.is_explained => self.explain(run),
            }
        }
    }

    async fn take(&mut self, run: &mut Run, seq: u64, body: EventBody) -> Result<(), Error> {
        match body {
            EventBody::Started { .. } => run.has_started = true,
            EventBody::Output { output } => self.print(output),
            EventBody::NextInput { text, .. } => self.printer.next_input(&text),
            EventBody::InputRequest { prompt, password } => {
                let kind = if password { Kind::Secret } else { Kind::Answer };
                let prompt = plain::coloured(&prompt);
                let (later, _) = self.sessions.feed(&self.id, Some(seq))?;
                self.answer(run, Reading { kind, prompt, ..Reading::default() }, later).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A result has its number, and lines below each other where it has several.
    fn print(&mut self, output: Output) {
        if let Output::ExecuteResult { data, execution_count: Some(count), .. } = &output {
            let is_long = data.str("text/plain").is_some_and(|text| text.contains('\n'));
            self.printer.fresh_line();
            self.printer.text(&format!("Out[{count}]:{}", if is_long { "\n" } else { " " }));
        } else if matches!(output, Output::Error { .. }) {
            self.printer.fresh_line();
        }
        self.printer.put(output);
    }

    fn cancel(&mut self, run: &mut Run) {
        if run.cancelling.is_none() {
            let (sessions, id, execution) = (self.sessions.clone(), self.id.clone(), run.execution.clone());
            run.cancelling = Some(tokio::spawn(async move { sessions.cancel(&id, &execution).await }));
            run.is_cancelled = true;
        }
    }

    fn cancelled(&mut self, run: &mut Run, now: Result<Execution, Error>) {
        run.cancelling = None;
        let sentence = match now {
            Ok(execution) if execution.status.is_final() => return,
            Ok(_) => "It was interrupted, and has not ended yet. Ctrl+C interrupts it again.".to_owned(),
            Err(e) => format!("error: {}", super::super::words(&e)),
        };
        self.printer.fresh_line();
        note!("{sentence}");
    }

    /// Says what the code waits for, once there is something to say.
    fn explain(&mut self, run: &mut Run) {
        let Ok(session) = self.sessions.get(&self.id) else { return };
        if let Some(reason) = reason(&session, &run.execution) {
            self.printer.fresh_line();
            note!("Waiting: {reason} (Ctrl+C takes the line back)");
            run.is_explained = true;
        }
    }

    /// Asks for what the code wants, unless somebody else answers first: `later` tells what comes after the question.
    async fn answer(&mut self, run: &mut Run, reading: Reading, mut later: Feed) -> Result<(), Error> {
        self.printer.fresh_line();
        let mut typed = self.editor.read(reading);
        let mut is_moot = false;
        let typed = loop {
            tokio::select! {
                line = &mut typed => break line.unwrap_or(Typed::Left),
                news = self.news.next() => match news {
                    News::Said(sentence) => self.editor.say(sentence).await,
                    News::Over(error) => {
                        self.editor.give_up(typed).await;
                        return Err(error);
                    }
                },
                events = later.next(), if !is_moot => {
                    let Some(events) = events? else {
                        // The session's end is told, too.
                        is_moot = true;
                        continue;
                    };
                    is_moot = events.iter().any(|event| is_end_of_question(event, &run.execution));
                    if is_moot {
                        self.editor.say("It is not asked any more. Enter goes on.".into()).await;
                    }
                }
            }
        };
        let replied = match typed {
            _ if is_moot => return Ok(()),
            Typed::Interrupted => {
                self.cancel(run);
                return Ok(());
            }
            Typed::Line(line) => self.sessions.reply_input(&self.id, &run.execution, &line).await,
            Typed::Left => self.sessions.reply_input(&self.id, &run.execution, "").await,
        };
        match replied {
            // Somebody was faster.
            Err(e) if e.kind == ErrorKind::NotWaiting => note!("It was answered elsewhere."),
            replied => replied?,
        }
        Ok(())
    }
}

/// The end of what is on its way; where nothing is, never.
async fn settled(cancelling: &mut Option<JoinHandle<Result<Execution, Error>>>) -> Result<Execution, Error> {
    match cancelling {
        Some(task) => task.await.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))),
        None => std::future::pending().await,
    }
}

/// What keeps the kernel from an execution; `None` where nothing is known to.
fn reason(session: &Session, execution: &str) -> Option<String> {
    match session.state {
        SessionState::Starting | SessionState::Restarting => return Some("the kernel is starting".into()),
        _ if !session.responding => return Some("the kernel does not answer".into()),
        _ => {}
    }
    let current = session.current_execution.as_ref().filter(|current| current.execution_id != execution)?;
    let notebook = NotebookName::parse(&current.notebook_uri).map(|name| plain::line(&name.file_name()));
    let place = match (current.cell_index, notebook) {
        (Some(index), Ok(notebook)) => format!("cell {} of {notebook}", index + 1),
        _ => "code that came from no cell".into(),
    };
    let asks = if current.input.is_some() { ", which asks for input" } else { "" };
    Some(format!("the kernel is busy with {place}{asks}"))
}

fn is_end_of_question(event: &ExecutionEvent, execution: &str) -> bool {
    event.execution_id.as_deref() == Some(execution)
        && matches!(event.event, EventBody::InputReplied {} | EventBody::Finished { .. })
}
