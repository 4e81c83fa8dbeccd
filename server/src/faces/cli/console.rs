//! `console`: a terminal on a kernel. Reads lines, runs them, and leaves the kernel as it is.
//!
//! The kernel says whether a line is complete, and what may stand at the cursor; what it cannot say while it is busy is
//! guessed (`console/text.rs`). The history is the session's own, and nothing is written besides. Leaving never stops,
//! restarts or interrupts anything. Leaves out how a line runs (`console/running.rs`).

mod editor;
mod news;
mod running;
mod text;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use self::editor::{LineEditor, Reading, Tab, Typed};
use self::news::{Following, News};
use super::print::Printer;
use super::say::{note, say};
use crate::protocol::{Error, ErrorKind, Execution, Session};
use crate::sessions::{Event, Sessions, plain};

/// How many executions of before the arrow keys bring back.
const PAST: u32 = 500;
/// How long a free kernel may take to say what it is asked: who typed waits for that.
const PATIENCE: Duration = Duration::from_secs(3);

/// `console`
pub async fn console(
    sessions: &Arc<Sessions>,
    events: mpsc::UnboundedReceiver<Event>,
    which: &str,
) -> Result<ExitCode, Error> {
    let is_dumb =
        std::env::var("TERM").is_ok_and(|term| ["dumb", "cons25", "emacs"].contains(&term.as_str()));
    if is_dumb || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        note!("error: console needs a terminal; for a script use exec");
        return Ok(ExitCode::from(2));
    }
    let id = super::session(sessions, which).await?;
    let session = sessions.get(&id)?;
    if session.ended_at.is_some() {
        return Err(news::over(&session));
    }
    if !sessions.live_ids().contains(&id) {
        let what = format!("session {id} lives on {}: use it there", session.host);
        return Err(Error::new(ErrorKind::ForeignHost, what));
    }
    let (tabs, asked) = mpsc::unbounded_channel();
    tokio::spawn(answer_tabs(sessions.clone(), id.clone(), asked));
    let editor = LineEditor::open(past(sessions, &id), tabs).await?;
    let mut console = Console {
        sessions: sessions.clone(),
        editor,
        news: Following::new(events, &session),
        over: None,
        interrupts: listen_for_interrupts().await,
        printer: Printer::default(),
        id,
    };
    console.printer.text(&greeting(&session));
    console.stay().await?;
    say!("The kernel runs on.");
    Ok(ExitCode::SUCCESS)
}

/// Somebody at a console.
struct Console {
    sessions: Arc<Sessions>,
    id: String,
    editor: LineEditor,
    news: Following,
    /// The session has ended, which is still to be told.
    over: Option<Error>,
    /// Ctrl+C while no line is read.
    interrupts: mpsc::Receiver<()>,
    printer: Printer,
}

impl Console {
    /// Until the person leaves, or the session ends.
    async fn stay(&mut self) -> Result<(), Error> {
        loop {
            let Some(code) = self.read_code().await? else { return Ok(()) };
            let code = code.trim_end();
            match code.trim_start() {
                "" => continue,
                // In a cell they end the kernel; who types them here wants to go.
                "exit" | "quit" | "exit()" | "quit()" => return Ok(()),
                _ => {}
            }
            self.editor.remember(code.to_owned());
            match self.run(code).await {
                // Nothing ran, and the session is there: a full disk, a keeper that does not answer.
                Err(e) if e.kind != ErrorKind::SessionEnded => note!("error: {}", super::words(&e)),
                done => done?,
            }
            self.printer.fresh_line();
        }
    }

    /// Reads lines until they are complete. `None`: the person leaves.
    async fn read_code(&mut self) -> Result<Option<String>, Error> {
        // What was pressed while the last code ended is over with it.
        while self.interrupts.try_recv().is_ok() {}
        let prompt = self.prompt();
        let mut code = String::new();
        let mut reading = Reading { prompt: prompt.clone(), ..Reading::default() };
        loop {
            match self.read(reading).await? {
                Typed::Line(line) => code += &line,
                Typed::Left if code.is_empty() => return Ok(None),
                Typed::Interrupted | Typed::Left => return Ok(Some(self.forgo(&code))),
            }
            let indent = tokio::select! {
                indent = goes_on(&self.sessions, &self.id, &code) => indent,
                Some(()) = self.interrupts.recv() => return Ok(Some(self.forgo(&code))),
            };
            let Some(indent) = indent else { return Ok(Some(code)) };
            code.push('\n');
            reading = Reading {
                prompt: text::continued(&prompt),
                before: code.clone(),
                initial: indent,
                ..Reading::default()
            };
        }
    }

    /// Nothing is run. Lines that were complete can be brought back, to be mended.
    fn forgo(&self, code: &str) -> String {
        if !code.is_empty() {
            self.editor.remember(code.trim_end().to_owned());
        }
        String::new()
    }

    /// Reads one line, and tells what happens meanwhile.
    async fn read(&mut self, reading: Reading) -> Result<Typed, Error> {
        let mut typed = self.editor.read(reading);
        loop {
            tokio::select! {
                line = &mut typed => return Ok(line.unwrap_or(Typed::Left)),
                news = self.news.next() => match news {
                    News::Said(sentence) => self.editor.say(sentence).await,
                    News::Over(error) => {
                        self.editor.give_up(typed).await;
                        return Err(error);
                    }
                },
            }
        }
    }

    /// With the number that comes next, where that is known.
    fn prompt(&self) -> String {
        self.next_number().map_or_else(|| ">>> ".into(), |number| format!("In [{number}]: "))
    }

    fn next_number(&self) -> Option<u32> {
        let session = self.sessions.get(&self.id).ok()?;
        let history = self.sessions.session_history(&self.id, PAST).ok()?;
        // What was in a journal that is lost is not known.
        if history.is_empty() && session.busy_seconds > 0.0 {
            return None;
        }
        // What ran before in this very kernel: another one counts anew.
        let began = |execution: &&Execution| execution.started_at.is_some_and(|at| at >= session.started_at);
        let mut ran = history.iter().filter(began).peekable();
        match ran.peek() {
            None => Some(1),
            Some(_) => ran.find_map(|execution| execution.execution_count).map(|count| count + 1),
        }
    }
}

/// Whether another line follows, with its indent.
async fn goes_on(sessions: &Arc<Sessions>, id: &str, code: &str) -> Option<String> {
    if code.trim().is_empty() {
        return None;
    }
    let asked = json!({ "code": code });
    let reply = sessions.question_within(PATIENCE, id, "is_complete_request", asked).await;
    match reply.as_ref().and_then(|reply| reply["status"].as_str()) {
        Some("incomplete") => {
            let indent = reply?["indent"].as_str().unwrap_or_default().to_owned();
            Some(indent.chars().filter(|c| matches!(c, ' ' | '\t')).collect())
        }
        // What is wrong is run: the kernel says best what is wrong.
        Some("complete" | "invalid") => None,
        _ => text::goes_on(code),
    }
}

/// What ran in the session, oldest first.
fn past(sessions: &Sessions, id: &str) -> Vec<String> {
    // A history that cannot be read keeps nobody from typing.
    let history = sessions.session_history(id, PAST).unwrap_or_default();
    let code = history.into_iter().rev().map(|execution| execution.code.trim_end().to_owned());
    // Brought back, it would be written to the terminal as it is.
    let is_shown = |code: &str| !code.chars().any(|c| plain::is_order(c) && !matches!(c, '\n' | '\t'));
    code.filter(|code| !code.is_empty() && is_shown(code)).collect()
}

fn greeting(session: &Session) -> String {
    let pid = session.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
    let (label, kernel) = (plain::line(&session.label), plain::line(&session.kernel.display_name));
    format!("The kernel of {label}: {kernel}{pid}. Ctrl+D leaves, and the kernel runs on.\n")
}

/// Asks the kernel what may stand at the cursor.
async fn answer_tabs(sessions: Arc<Sessions>, id: String, mut tabs: mpsc::UnboundedReceiver<Tab>) {
    while let Some(tab) = tabs.recv().await {
        let asked = json!({ "code": tab.code, "cursor_pos": tab.cursor });
        let reply = sessions.question_within(PATIENCE, &id, "complete_request", asked).await;
        let _ = tab.answer.send(reply);
    }
}

/// Listens from now on, so that Ctrl+C never ends this program; one that is not taken counts once.
async fn listen_for_interrupts() -> mpsc::Receiver<()> {
    let (heard, interrupts) = mpsc::channel(1);
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut ready = Some(ready);
        loop {
            let mut next = std::pin::pin!(tokio::signal::ctrl_c());
            // Polled once, it listens.
            let _ = tokio::time::timeout(Duration::ZERO, &mut next).await;
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
            if next.await.is_err() {
                return;
            }
            let _ = heard.try_send(());
        }
    });
    let _ = is_ready.await;
    interrupts
}
