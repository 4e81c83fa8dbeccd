//! `console`: somebody at a terminal, on a kernel that others use, too.
//!
//! The real binary on a real pseudo-terminal: Python's `pty` opens it, writes there what is typed, and says here what is
//! shown. What is shown is compared without the sequences that move cursors and set colours.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;
use crate::world::{World, id_of, text};

/// Runs its arguments on a terminal of their own, and exits as they do.
const ON_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const UP: &str = "\u{1b}[A";

/// A terminal with a console in it.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of it was waited for.
    seen: usize,
}

impl Terminal {
    fn open(world: &World, which: &str) -> Terminal {
        Terminal::with(world, &["console", which])
    }

    /// Any command of the binary.
    fn with(world: &World, arguments: &[&str]) -> Terminal {
        let mut command = world.command();
        command.args(arguments);
        Terminal::of(world, command)
    }

    /// A shell that has the binary as `$0`, and `first` as `$1`.
    fn in_a_shell(world: &World, script: &str, first: &str) -> Terminal {
        let binary = world.command();
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]).arg(binary.get_program()).arg(first);
        command.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Terminal::of(world, command)
    }

    fn of(world: &World, console: std::process::Command) -> Terminal {
        let mut command = std::process::Command::new(kernels::python());
        command.args(["-c", ON_A_TERMINAL]).arg(console.get_program()).args(console.get_args());
        for (name, value) in console.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm").current_dir(world.work());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("a terminal");
        let (keys, mut output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let all = shown.clone();
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut some) {
                all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&some[..length]);
            }
        });
        Terminal { child, keys, shown, seen: 0 }
    }

    fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("the terminal takes keys");
    }

    fn shown(&self) -> String {
        visible(&text(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Waits until this is shown, after what was waited for before; what was shown up to its end.
    fn until(&mut self, wanted: &str) -> String {
        self.until_one_of(&[wanted])
    }

    fn until_one_of(&mut self, wanted: &[&str]) -> String {
        let begun = std::time::Instant::now();
        loop {
            let shown = self.shown();
            let new = &shown[self.seen..];
            if let Some(end) = wanted.iter().filter_map(|w| new.find(w).map(|at| at + w.len())).min() {
                self.seen += end;
                return new[..end].to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "not shown: {wanted:?}; after {new:?}");
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }

    /// Waits for the console's end; its exit code.
    fn end(&mut self) -> Option<i32> {
        eventually("the console ends", PATIENCE, || self.child.try_wait().expect("our child")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without what only moves the cursor or sets colours.
fn visible(text: &str) -> String {
    let mut left = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' if characters.next() == Some('[') => {
                characters.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\u{1b}' | '\r' => {}
            c => left.push(c),
        }
    }
    left
}

fn history(window: &mut Window, id: &str) -> Vec<Value> {
    let all = window.ok("keeper/executionHistory", json!({ "sessionId": id, "limit": 100 }));
    all["executions"].as_array().expect("executions").clone()
}

#[test]
fn lines_run_and_the_kernel_stays() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "größe_eins = 41");
    let mut terminal = Terminal::open(&world, "draft.ipynb");
    terminal.until("The kernel of draft.ipynb");
    terminal.until("In [2]: ");
    terminal.press("1 + 1\r");
    terminal.until("Out[2]: 2\n");
    // Several lines, until an empty one: the kernel indents.
    terminal.until("In [3]: ");
    terminal.press("def twice(x):\r");
    terminal.until("   ...:     ");
    terminal.press("return 2 * x\r");
    terminal.until("   ...:     ");
    terminal.press("\r");
    terminal.until("In [4]: ");
    // Characters of more than one byte before the cursor.
    terminal.press("'🦀', twice(größe_e");
    terminal.until("größe_e");
    // The kernel's completer may take long to load: the terminal's bell says that nothing was found yet.
    while {
        terminal.press("\t");
        terminal.until_one_of(&["größe_eins", "\u{7}"]).ends_with('\u{7}')
    } {}
    terminal.press(")\r");
    terminal.until("Out[4]: ('🦀', 82)\n");
    terminal.until("In [5]: ");
    terminal.press("1/0\r");
    terminal.until("ZeroDivisionError: division by zero");
    // What ran before comes back, whoever ran it: five pieces of code up, one of two lines, is the window's.
    terminal.until("In [6]: ");
    terminal.press(&UP.repeat(6));
    terminal.until("größe_eins = 41");
    terminal.press("0\r");
    terminal.until("In [7]: ");
    terminal.press("gone");
    terminal.press(CTRL_C);
    terminal.until("In [7]: ");
    terminal.press("größe_eins\r");
    terminal.until("Out[7]: 410\n");
    // Alt+Enter is a new line in any case; what is pasted is one piece, and what is typed ahead waits.
    terminal.until("In [8]: ");
    terminal
        .press("a = 1\u{1b}\rb = 2\r\u{1b}[200~def thrice(x):\r    return 3 * x\r\u{1b}[201~\rthrice(b)\r");
    terminal.until("Out[10]: 6\n");
    terminal.until("In [11]: ");
    terminal.press(CTRL_D);
    terminal.until("The kernel runs on.");
    assert_eq!(terminal.end(), Some(0));

    let ran = history(&mut window, &id);
    let told: Vec<(&str, &str)> =
        ran.iter().map(|e| (e["origin"].as_str().unwrap(), e["code"].as_str().unwrap())).collect();
    let expected = [
        ("cli", "thrice(b)"),
        ("cli", "def thrice(x):\n    return 3 * x"),
        ("cli", "a = 1\nb = 2"),
        ("cli", "größe_eins"),
        ("cli", "größe_eins = 410"),
        ("cli", "1/0"),
        ("cli", "'🦀', twice(größe_eins)"),
        ("cli", "def twice(x):\n    return 2 * x"),
        ("cli", "1 + 1"),
        (window.id.as_str(), "größe_eins = 41"),
    ];
    assert_eq!(told, expected);
    assert_eq!(window.value_of(&id, "twice(größe_eins)"), "820");
    // Again, and left in words: they are not run.
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("In [12]: ");
    terminal.press("exit()\r");
    terminal.until("The kernel runs on.");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(window.session(&id)["state"], "idle");
}

#[test]
fn interrupts_and_questions() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("In [1]: ");
    terminal.press("import time; print('sleeps', end=''); time.sleep(60)\r");
    terminal.until("60)\nsleeps");
    terminal.press(CTRL_C);
    terminal.until("KeyboardInterrupt");
    terminal.until("In [2]: ");
    terminal.press("name = input('Who? ')\r");
    terminal.until("\nWho? ");
    terminal.press("Ada\r");
    terminal.until("In [3]: ");
    terminal.press("name\r");
    terminal.until("Out[3]: 'Ada'");
    terminal.until("In [4]: ");
    terminal.press("import getpass; word = getpass.getpass('Word? ')\r");
    terminal.until("\nWord? ");
    terminal.press("swordfish\r");
    terminal.until("In [5]: ");
    assert!(!terminal.shown().contains("sw"), "{}", terminal.shown());
    terminal.press("len(word)\r");
    terminal.until("Out[5]: 9");
    // Ctrl+C instead of an answer.
    terminal.until("In [6]: ");
    terminal.press("input('More? ')\r");
    terminal.until("\nMore? ");
    terminal.press(CTRL_C);
    terminal.until("KeyboardInterrupt");
    // Code that does not listen is followed all the same.
    terminal.until("In [7]: ");
    terminal
        .press("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf'); time.sleep(5)\r");
    terminal.until("\ndeaf\n");
    terminal.press(CTRL_C);
    terminal.until("It was interrupted, and has not ended yet. Ctrl+C interrupts it again.");
    // Lines that were begun come back to be mended.
    terminal.until("In [8]: ");
    terminal.press("def wrong():\r");
    terminal.until("...:     ");
    terminal.press(CTRL_C);
    terminal.until("In [8]: ");
    terminal.press(UP);
    terminal.until("def wrong():");
    terminal.press(CTRL_C);
    // Answered by somebody else.
    terminal.until("In [8]: ");
    terminal.press("input('Else? ')\r");
    terminal.until("\nElse? ");
    let asking = eventually("the question is told", PATIENCE, || {
        let current = window.session(&id)["currentExecution"].clone();
        (current["input"]["prompt"] == "Else? ").then(|| id_of(&current["executionId"]))
    });
    let answer = json!({ "sessionId": id, "executionId": asking, "value": "42" });
    window.ok("keeper/replyInput", answer);
    terminal.until("It is not asked any more. Enter goes on.");
    terminal.press("\r");
    terminal.until("Out[8]: '42'");
    terminal.until("In [9]: ");
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_busy_kernel_is_waited_for() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1", "2", "3"]))["id"]);
    let go = world.work().join("go");
    let waits = format!("import os, time\nwhile not os.path.exists({go:?}): time.sleep(0.02)");
    let long = window.execute_cell(&id, 2, &waits);
    window.until_status(&id, &long, &["running"]);
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("In [");
    // The kernel cannot be asked whether more follows, nor what could stand there.
    terminal.press("def f():\r");
    terminal.until("...:     ");
    terminal.press("return 7\r\r");
    terminal.until("Waiting: the kernel is busy with cell 3 of draft.ipynb (Ctrl+C takes the line back)");
    terminal.press(CTRL_C);
    terminal.until("Taken back.");
    terminal.until("In [");
    assert_eq!(window.execution(&id, &long)["status"], "running");
    terminal.press("print('my', 'turn')\r");
    terminal.until("Waiting: the kernel is busy with cell 3");
    std::fs::write(&go, "").unwrap();
    terminal.until("my turn\n");
    terminal.until("In [");
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), Some(0));
    let statuses: Vec<Value> = history(&mut window, &id).iter().map(|e| e["status"].clone()).collect();
    assert_eq!(json!(statuses), json!(["ok", "aborted", "ok"]));
}

#[test]
fn a_session_that_restarts_or_ends() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    window.run(&id, "x = 1");
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("In [2]: ");
    terminal.press("half");
    terminal.until("half");
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    terminal.until("The kernel was restarted: its variables are gone.\nIn [2]: half");
    // Another kernel counts anew.
    terminal.press(CTRL_C);
    terminal.until("In [1]: ");
    terminal.press("x\r");
    terminal.until("NameError");
    terminal.until("In [2]: ");
    terminal.press("typing");
    terminal.until("typing");
    world.cli_ok(["stop", &id]);
    terminal.until("error: the kernel of draft.ipynb was stopped");
    assert_eq!(terminal.end(), Some(1));
    // While code runs; and of one that has ended there is no console.
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("In [1]: ");
    terminal.press("import time; print('sleeps'); time.sleep(60)\r");
    terminal.until("\nsleeps\n");
    world.cli_ok(["stop", &id]);
    terminal.until("error: the kernel of draft.ipynb was stopped");
    assert_eq!(terminal.end(), Some(1));
    let mut terminal = Terminal::open(&world, &id);
    terminal.until("error: the kernel of draft.ipynb was stopped");
    assert_eq!(terminal.end(), Some(1));
}

#[test]
fn no_console_without_a_terminal() {
    let world = World::new();
    let done = world.cli(["console", "draft.ipynb"]);
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(text(&done.stderr), "error: console needs a terminal; for a script use exec\n");
}

#[test]
fn exec_and_run_show_no_secret_and_obey_no_prompt() {
    let world = World::new();
    let asks = "import getpass\nv = getpass.getpass('To\x1b[2J\x1b]0;T\x07\x1b[31mken: ')\nprint('got', len(v))\n\
                w = input('Name: ')\nprint('name', w)";
    let notebook = world.notebook("draft.ipynb", &[asks]);
    let path = notebook.to_str().unwrap();
    for arguments in [&["run", path][..], &["exec", path, asks]] {
        let mut terminal = Terminal::with(&world, arguments);
        terminal.until("ken: ");
        terminal.press("my-secret\n");
        terminal.until("got 9");
        terminal.until("Name: ");
        // What is no secret is shown, as ever.
        terminal.press("Ana\n");
        terminal.until("Ana\n");
        terminal.until("name Ana");
        assert_eq!(terminal.end(), Some(0));
        let raw = text(&terminal.shown.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(!raw.contains("my-secret"), "{raw:?}");
        assert!(
            raw.contains("\u{1b}[31mken: ") && !raw.contains("\u{1b}[2J") && !raw.contains("\u{1b}]0"),
            "{raw:?}"
        );
    }
    // Given up with Ctrl+C, the terminal shows again what is typed.
    let code = "import getpass\ngetpass.getpass('Token: ')";
    let shell = format!("trap : INT; \"$0\" exec '{path}' \"$1\"; echo ended $?; read line; echo read $line");
    let mut terminal = Terminal::in_a_shell(&world, &shell, code);
    terminal.until("Token: ");
    terminal.press(CTRL_C);
    terminal.until("ended 130");
    terminal.press("seen\n");
    terminal.until("seen\n");
    terminal.until("read seen");
    terminal.end();
    world.cli_ok(["stop", "--all"]);
}
