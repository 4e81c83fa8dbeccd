//! A test's own world: state and runtime folder, notebooks, kernelspecs, windows, the command line, and the processes
//! that belong to it.
//!
//! It is strict: dropping it stops all its kernels, and fails the test when a process is left running.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;

/// One test's folders.
pub struct World {
    root: tempfile::TempDir,
    windows: AtomicU32,
    /// Processes are expected to be left: the test kills things so that they cannot be stopped in the usual way.
    pub kill_what_is_left: bool,
}

/// A process of this world.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub command: String,
}

/// The binary under test: the one that is shipped where `npm test` names it, else the one built with the tests.
fn program() -> PathBuf {
    let shipped = std::env::var_os("KERNEL_KEEPER_BINARY").filter(|path| !path.is_empty());
    shipped.map_or_else(|| env!("CARGO_BIN_EXE_kernel-keeper").into(), PathBuf::from)
}

impl World {
    pub fn new() -> World {
        let root = tempfile::Builder::new().prefix("kk-").tempdir().expect("a temporary folder");
        for dir in ["work", "home", "logs"] {
            std::fs::create_dir(root.path().join(dir)).expect("a folder");
        }
        let world = World { root, windows: AtomicU32::new(0), kill_what_is_left: false };
        kernels::install(&world.jupyter());
        world
    }

    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub fn runtime(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// Where the notebooks are: the workspace folder.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Where kernelspecs are found.
    pub fn jupyter(&self) -> PathBuf {
        self.root.path().join("jupyter")
    }

    /// Where other programs' kernels have their connection files.
    pub fn runtime_of_jupyter(&self) -> PathBuf {
        self.root.path().join("home/jupyter/runtime")
    }

    /// A session's folder in the state folder.
    pub fn session_dir(&self, id: &str) -> PathBuf {
        self.state().join("sessions").join(id)
    }

    /// The binary, in this world.
    pub fn command(&self) -> Command {
        let home = self.root.path().join("home");
        let mut command = Command::new(program());
        command
            .env("KERNEL_KEEPER_STATE_DIR", self.state())
            .env("KERNEL_KEEPER_RUNTIME_DIR", self.runtime())
            .env("JUPYTER_PATH", self.jupyter())
            .env("JUPYTER_DATA_DIR", home.join("jupyter"))
            .env("JUPYTER_CONFIG_DIR", home.join("config"))
            .env("IPYTHONDIR", home.join("ipython"))
            .env("HOME", &home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("VIRTUAL_ENV")
            .current_dir(self.work());
        command
    }

    /// Runs the command line to its end.
    pub fn cli<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        self.command().args(arguments).stdin(std::process::Stdio::null()).output().expect("the command runs")
    }

    /// The same, which must succeed; its standard output.
    pub fn cli_ok<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let done = self.cli(arguments.iter().copied());
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        assert!(done.status.success(), "{arguments:?}: {:?}\n{out}\n{err}", done.status);
        out
    }

    /// An agent; with more variables of its environment.
    pub fn agent(&self, variables: &[(&str, &str)]) -> Window {
        let number = self.windows.fetch_add(1, Ordering::Relaxed);
        let mut command = self.command();
        command.envs(variables.iter().copied());
        let log = self.root.path().join(format!("logs/agent-{number}.log"));
        let mut agent = Window::spawn_face(command, "mcp", log);
        let own = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": own });
        agent.initialized = agent.ok("initialize", params);
        agent.notify("notifications/initialized", json!({}));
        agent
    }

    /// A window on the workspace folder.
    pub fn window(&self) -> Window {
        self.window_with(json!({}))
    }

    /// A window with these initialization options.
    pub fn window_with(&self, options: Value) -> Window {
        self.window_on(&[self.work()], options)
    }

    /// A window on these folders.
    pub fn window_on(&self, folders: &[PathBuf], options: Value) -> Window {
        let mut window = self.spawn();
        window.initialize(initialize(folders, options));
        window
    }

    /// A sidecar that nobody has spoken to yet.
    pub fn spawn(&self) -> Window {
        self.spawn_with(self.command())
    }

    /// The same, from a command made ready before.
    pub fn spawn_with(&self, command: Command) -> Window {
        let number = self.windows.fetch_add(1, Ordering::Relaxed);
        Window::spawn(command, self.root.path().join("logs").join(format!("window-{number}.log")))
    }

    /// Writes a notebook with these code cells, whose ids are `c0`, `c1`, …; its path.
    pub fn notebook(&self, name: &str, cells: &[&str]) -> PathBuf {
        let path = self.work().join(name);
        write_notebook(&path, cells);
        path
    }

    /// The session's record on disk.
    pub fn record(&self, id: &str) -> Value {
        self.try_record(id).expect("session.json")
    }

    /// The same, which may not be there yet.
    pub fn try_record(&self, id: &str) -> Option<Value> {
        let text = std::fs::read(self.session_dir(id).join("session.json")).ok()?;
        Some(serde_json::from_slice(&text).expect("session.json is JSON"))
    }

    /// Every process whose command line, environment or working folder lies in this world.
    pub fn processes(&self) -> Vec<Process> {
        let root = self.root.path().to_string_lossy().into_owned();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
        let ours = pids.filter(|pid| *pid != std::process::id()).filter_map(|pid| {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).map(|b| text(&b)).ok();
            let command = read("cmdline").filter(|c| !c.is_empty())?.replace('\0', " ");
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            let here = command.contains(&root)
                || cwd.starts_with(&root)
                || read("environ").is_some_and(|e| e.contains(&root));
            here.then_some(Process { pid, command })
        });
        ours.collect()
    }

    fn kill_all(&self) {
        for process in self.processes() {
            kill(process.pid, "KILL");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
            self.kill_all();
            return;
        }
        if self.kill_what_is_left {
            return self.kill_all();
        }
        let done = self.cli(["stop", "--all"]);
        let mut left = self.processes();
        let mut waits = 0;
        // What was told to end may need a moment to be gone.
        while !left.is_empty() && waits < 500 {
            std::thread::park_timeout(Duration::from_millis(10));
            left = self.processes();
            waits += 1;
        }
        if !left.is_empty() || !done.status.success() {
            self.show_logs();
            self.kill_all();
            panic!("left running after `stop --all` ({done:?}): {left:#?}");
        }
    }
}

impl World {
    /// What the keepers wrote, for the one who looks into a failure.
    fn show_logs(&self) {
        for entry in std::fs::read_dir(self.state().join("sessions")).into_iter().flatten().flatten() {
            for name in ["keeper.log", "kernel.log"] {
                let log = std::fs::read(entry.path().join(name)).map(|b| text(&b)).unwrap_or_default();
                let tail: String = log.chars().skip(log.chars().count().saturating_sub(1_500)).collect();
                eprintln!("--- {}/{name}\n{tail}", entry.file_name().to_string_lossy());
            }
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The parameters of `initialize`.
pub fn initialize(folders: &[PathBuf], options: Value) -> Value {
    let named: Vec<Value> = folders.iter().map(|f| json!({ "uri": uri(f), "name": "work" })).collect();
    json!({
        "processId": std::process::id(), "capabilities": {}, "workspaceFolders": named, "rootUri": null,
        "initializationOptions": options,
    })
}

/// Writes a notebook file; code cells with the ids `c0`, `c1`, ….
pub fn write_notebook(path: &Path, cells: &[&str]) {
    let cells: Vec<Value> = cells
        .iter()
        .enumerate()
        .map(|(i, source)| {
            json!({ "cell_type": "code", "id": format!("c{i}"), "metadata": {}, "execution_count": null,
                "outputs": [], "source": source })
        })
        .collect();
    let kernelspec = json!({ "name": kernels::PYTHON, "display_name": "Kept Python", "language": "python" });
    let notebook = json!({ "cells": cells, "metadata": { "kernelspec": kernelspec }, "nbformat": 4, "nbformat_minor": 5 });
    std::fs::write(path, serde_json::to_string_pretty(&notebook).expect("JSON"))
        .expect("a notebook is written");
}

/// A path as editors spell it.
pub fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).expect("an absolute path").to_string()
}

/// Sends a signal.
pub fn kill(pid: u32, signal: &str) {
    let done = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).output();
    done.expect("kill runs");
}

/// Whether a process is there, and no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|s| s != "Z" && s != "X")
}

/// A number of /proc/PID/status or smaps_rollup, in bytes.
pub fn memory(pid: u32, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let numbers: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            Some((name, rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024))
        })
        .collect();
    *numbers.get(name).unwrap_or_else(|| panic!("{name} of {pid} in {file}"))
}

/// What editors ask for most, in a line each.
impl Window {
    /// Starts a Python session on a notebook.
    pub fn start(&mut self, notebook: &Path) -> Value {
        let asked = json!({ "notebookUri": uri(notebook), "kernelName": kernels::PYTHON });
        self.ok("keeper/startSession", asked)["session"].clone()
    }

    /// Submits code; the execution's id.
    pub fn execute(&mut self, session: &str, code: &str) -> String {
        let asked = json!({ "sessionId": session, "code": code });
        id_of(&self.ok("keeper/execute", asked)["executionId"])
    }

    /// Submits a cell's code; the execution's id.
    pub fn execute_cell(&mut self, session: &str, cell: u32, code: &str) -> String {
        let cell = json!({ "id": format!("c{cell}"), "index": cell });
        let asked = json!({ "sessionId": session, "code": code, "cell": cell });
        id_of(&self.ok("keeper/execute", asked)["executionId"])
    }

    /// An execution as the history has it.
    pub fn execution(&mut self, session: &str, execution: &str) -> Value {
        let history = self.ok("keeper/executionHistory", json!({ "sessionId": session, "limit": 2_000 }));
        let found = history["executions"].as_array().into_iter().flatten();
        let found = found.into_iter().find(|e| e["executionId"] == execution);
        found.unwrap_or_else(|| panic!("no execution {execution} in the history")).clone()
    }

    /// Waits until an execution has one of these states.
    pub fn until_status(&mut self, session: &str, execution: &str, states: &[&str]) -> Value {
        eventually(&format!("{execution} is one of {states:?}"), PATIENCE, || {
            let found = self.execution(session, execution);
            states.iter().any(|s| found["status"] == *s).then_some(found)
        })
    }

    /// Waits for an execution's end. The history is read from disk, and the session told of: a moment may lie between.
    pub fn done(&mut self, session: &str, execution: &str) -> Value {
        let done = self.until_status(session, execution, &["ok", "error", "aborted", "lost"]);
        eventually(&format!("{execution} runs no more"), PATIENCE, || {
            (self.session(session)["currentExecution"]["executionId"] != execution).then_some(done.clone())
        })
    }

    /// Runs code that must succeed, to its end.
    pub fn run(&mut self, session: &str, code: &str) -> Value {
        let execution = self.execute(session, code);
        let done = self.done(session, &execution);
        assert_eq!(done["status"], "ok", "{code}: {done}");
        done
    }

    /// What an expression is worth in the kernel, as `repr` has it.
    pub fn value_of(&mut self, session: &str, expression: &str) -> String {
        let cell = json!({ "id": "probe", "index": 999 });
        let asked = json!({ "sessionId": session, "code": expression, "cell": cell });
        let execution = id_of(&self.ok("keeper/execute", asked)["executionId"]);
        let done = self.done(session, &execution);
        assert_eq!(done["status"], "ok", "{expression}: {done}");
        let outputs = self.outputs(session, "probe");
        outputs[0]["data"]["text/plain"].as_str().unwrap_or_default().to_owned()
    }

    /// A session as it is.
    pub fn session(&mut self, id: &str) -> Value {
        let all = self.ok("keeper/listSessions", json!({ "includeEnded": true }));
        let found = all["sessions"].as_array().into_iter().flatten().find(|s| s["id"] == id);
        found.unwrap_or_else(|| panic!("no session {id} in {all}")).clone()
    }

    /// The ids of the sessions that live.
    pub fn live(&mut self) -> Vec<String> {
        let all = self.ok("keeper/listSessions", json!({}));
        all["sessions"].as_array().into_iter().flatten().map(|s| id_of(&s["id"])).collect()
    }

    /// A cell's outputs as they stand; empty where it has none.
    pub fn outputs(&mut self, session: &str, cell: &str) -> Value {
        let all =
            self.ok("keeper/cellOutputs", json!({ "sessionId": session, "maxBytesPerCell": 1u64 << 32 }));
        let found = all["cells"].as_array().into_iter().flatten().find(|c| c["cellId"] == cell);
        found.map_or_else(|| json!([]), |c| c["outputs"].clone())
    }

    /// The stream text of a cell.
    pub fn stream(&mut self, session: &str, cell: &str) -> String {
        let outputs = self.outputs(session, cell);
        let streams = outputs.as_array().into_iter().flatten().filter(|o| o["output_type"] == "stream");
        streams.map(|o| o["text"].as_str().expect("text").to_owned()).collect()
    }

    /// `notebookDocument/didOpen`.
    pub fn open(&mut self, notebook: &Path) {
        let document =
            json!({ "uri": uri(notebook), "notebookType": "jupyter-notebook", "version": 1, "cells": [] });
        self.notify(
            "notebookDocument/didOpen",
            json!({ "notebookDocument": document, "cellTextDocuments": [] }),
        );
    }

    /// `notebookDocument/didClose`.
    pub fn close_notebook(&mut self, notebook: &Path) {
        let document = json!({ "uri": uri(notebook) });
        self.notify(
            "notebookDocument/didClose",
            json!({ "notebookDocument": document, "cellTextDocuments": [] }),
        );
    }

    pub fn subscribe(&mut self, session: &str, after: u64) -> u64 {
        let asked = json!({ "sessionId": session, "afterSeq": after });
        self.ok("keeper/subscribe", asked)["lastSeq"].as_u64().expect("lastSeq")
    }
}

/// A string that must be one.
pub fn id_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).to_owned()
}

/// A process id that must be one.
pub fn pid_of(value: &Value) -> u32 {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_else(|| panic!("no PID: {value}"))
}
