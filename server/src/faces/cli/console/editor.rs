//! The line editor, on a thread of its own: it waits for keys, which nothing else may.
//!
//! One line is read at a time. What was typed ahead is kept for the next one. Completions are asked for through a
//! channel; while it waits for them it reads no keys. The editor writes no file: what it remembers was told by its user.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, CompletionType, Config, Context, Editor, EventHandler, ExternalPrinter, Helper, KeyCode,
    KeyEvent, Modifiers,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::text;
use crate::protocol::{Error, ErrorKind};
use crate::sessions::plain;

/// Lines that are remembered: what ran before, and what is typed.
const REMEMBERED: usize = 2_000;
/// How long the editor may take to leave its line when it is told to.
const LEAVING: Duration = Duration::from_secs(1);

/// A question of the one who types: what may stand at the cursor, which is counted in code points.
pub struct Tab {
    pub code: String,
    pub cursor: usize,
    /// A `complete_reply`.
    pub answer: oneshot::Sender<Option<Value>>,
}

/// What a line is for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Code: with history and completion.
    #[default]
    Code,
    /// What `input()` asks for.
    Answer,
    /// The same, which nobody may see.
    Secret,
}

/// How a line is read.
#[derive(Default)]
pub struct Reading {
    pub kind: Kind,
    pub prompt: String,
    /// The lines of code that it follows on, each with its end.
    pub before: String,
    /// What stands there already.
    pub initial: String,
}

/// What came of reading a line.
pub enum Typed {
    Line(String),
    /// Ctrl+C
    Interrupted,
    /// Ctrl+D in an empty line, or a terminal that is gone.
    Left,
}

enum Order {
    Read(Reading, oneshot::Sender<Typed>),
    Remember(String),
}

type Say = Arc<Mutex<Box<dyn FnMut(String) + Send>>>;

/// The way to the editor's thread.
pub struct LineEditor {
    orders: std_mpsc::Sender<Order>,
    say: Say,
}

impl LineEditor {
    /// Takes hold of the terminal. `past`: what ran before, oldest first.
    pub async fn open(past: Vec<String>, tabs: mpsc::UnboundedSender<Tab>) -> Result<LineEditor, Error> {
        let (orders, received) = std_mpsc::channel();
        let (ready, is_ready) = oneshot::channel();
        // Not one of the runtime's threads: it lives as long as the console.
        let thread = std::thread::Builder::new().name("line editor".into());
        let spawned = thread.spawn(move || match open_editor(past, tabs) {
            Ok((editor, say)) => {
                let _ = ready.send(Ok(say));
                obey(editor, &received);
            }
            Err(e) => {
                let _ = ready.send(Err(e));
            }
        });
        spawned.map_err(failed)?;
        let say = is_ready.await.map_err(failed)?.map_err(failed)?;
        Ok(LineEditor { orders, say })
    }

    /// Reads a line; the answer comes when one is typed.
    pub fn read(&self, reading: Reading) -> oneshot::Receiver<Typed> {
        let (answer, typed) = oneshot::channel();
        // A thread that is gone drops the answer, which its receiver sees.
        let _ = self.orders.send(Order::Read(reading, answer));
        typed
    }

    /// Puts code into the history.
    pub fn remember(&self, code: String) {
        let _ = self.orders.send(Order::Remember(code));
    }

    /// Writes a line above the one that is being typed.
    pub async fn say(&self, line: String) {
        let say = self.say.clone();
        // It waits where the editor waits for a completion, which comes from this thread.
        let said = tokio::task::spawn_blocking(move || {
            (say.lock().unwrap_or_else(PoisonError::into_inner))(format!("{line}\n"));
        });
        let _ = said.await;
    }

    /// Gives up a line that is being read, so that the terminal is as it was before.
    pub async fn give_up(&self, mut typed: oneshot::Receiver<Typed>) {
        let given_up = async {
            // The editor listens for this signal while it reads: asked again, should it just have begun.
            #[cfg(unix)]
            loop {
                let _ =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
                if tokio::time::timeout(Duration::from_millis(50), &mut typed).await.is_ok() {
                    return;
                }
            }
            #[cfg(not(unix))]
            let _ = (&mut typed).await;
        };
        let _ = tokio::time::timeout(LEAVING, given_up).await;
    }
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the terminal cannot be used: {e}"))
}

type Lines = Editor<Assistant, MemHistory>;

fn open_editor(past: Vec<String>, tabs: mpsc::UnboundedSender<Tab>) -> rustyline::Result<(Lines, Say)> {
    // A prompt has its colours, and a secret its mask, from us alone.
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .color_mode(ColorMode::Forced)
        .max_history_size(REMEMBERED)?
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    for code in past {
        editor.add_history_entry(code)?;
    }
    let newline = EventHandler::Simple(Cmd::Newline);
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), newline);
    editor.set_helper(Some(Assistant { tabs, reading: RefCell::default() }));
    let mut printer = editor.create_external_printer()?;
    let say: Box<dyn FnMut(String) + Send> = Box::new(move |line| {
        let _ = printer.print(line);
    });
    Ok((editor, Arc::new(Mutex::new(say))))
}

/// The thread: until nobody can give orders any more.
fn obey(mut editor: Lines, orders: &std_mpsc::Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Remember(code) => {
                let _ = editor.add_history_entry(code);
            }
            Order::Read(reading, answer) => {
                let _ = answer.send(read(&mut editor, reading));
            }
        }
    }
}

fn read(editor: &mut Lines, reading: Reading) -> Typed {
    // The first says how wide it is.
    let prompt = (plain::unordered(&reading.prompt), coloured(&reading));
    let initial = reading.initial.clone();
    let is_code = reading.kind == Kind::Code;
    // An answer is no code: the arrow keys bring none.
    let history = (!is_code).then(|| std::mem::take(editor.history_mut()));
    if let Some(assistant) = editor.helper() {
        assistant.reading.replace(reading);
    }
    let line = editor.readline_with_initial(&prompt, (&initial, ""));
    if let Some(history) = history {
        *editor.history_mut() = history;
    }
    match line {
        Ok(line) => Typed::Line(line),
        Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Typed::Interrupted,
        Err(_) => Typed::Left,
    }
}

fn coloured(reading: &Reading) -> String {
    match reading.kind == Kind::Code && super::super::is_colourful() {
        true => format!("\u{1b}[32m{}\u{1b}[0m", reading.prompt),
        false => reading.prompt.clone(),
    }
}

/// What the line editor asks while a line is typed.
struct Assistant {
    tabs: mpsc::UnboundedSender<Tab>,
    reading: RefCell<Reading>,
}

impl rustyline::completion::Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let reading = self.reading.borrow();
        if reading.kind != Kind::Code {
            return Ok((cursor, Vec::new()));
        }
        let this_line = line[..cursor].rsplit('\n').next().unwrap_or_default();
        if this_line.trim().is_empty() {
            return Ok((cursor, vec!["    ".into()]));
        }
        let code = format!("{}{line}", reading.before);
        let (answer, answered) = oneshot::channel();
        let asked = Tab { cursor: text::to_points(&code, reading.before.len() + cursor), code, answer };
        let reply = self.tabs.send(asked).ok().and_then(|()| answered.blocking_recv().ok().flatten());
        Ok(text::completions(&reply.unwrap_or_default(), &reading.before, line, cursor))
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.reading.borrow().kind {
            // As long as what it hides: the editor puts its cursor by that.
            Kind::Secret => Cow::Owned("*".repeat(line.chars().count())),
            _ => Cow::Borrowed(line),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.reading.borrow().kind == Kind::Secret
    }
}

impl Hinter for Assistant {
    type Hint = String;
}
impl Validator for Assistant {}
impl Helper for Assistant {}
