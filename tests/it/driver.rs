//! A client of the sidecar, and of the face of agents: LSP or MCP over the real standard input and output of the real
//! binary.
//!
//! It is what an editor is to the sidecar, as seen from outside: nothing of the library is used. Every notification is
//! kept, in the order of arrival. Waiting is always for something to be so, with a deadline: never a sleep.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take that is not measured: much, because the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What comes at once comes within this also where the machine has ten times as much to do as it can; what is wrong takes longer.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `look` finds what it looks for.
pub fn eventually<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// An error as JSON-RPC has it.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

impl Failure {
    /// Its stable name.
    pub fn kind(&self) -> &str {
        self.data["kind"].as_str().unwrap_or_default()
    }

    /// The field that is named by `InvalidParams`.
    pub fn field(&self) -> &str {
        self.data["field"].as_str().unwrap_or_default()
    }
}

#[derive(Default)]
struct Inbox {
    answers: HashMap<i64, Result<Value, Failure>>,
    /// Method, parameters, moment of arrival.
    told: Vec<(String, Value, Instant)>,
    /// The client does not read for now.
    stalled: bool,
    /// The sidecar closed its output.
    closed: bool,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One editor window and its sidecar.
pub struct Window {
    /// As `initialize` told it.
    pub id: String,
    /// The answer to `initialize`.
    pub initialized: Value,
    child: Child,
    input: Option<ChildStdin>,
    /// A message a line, rather than behind a header.
    by_lines: bool,
    shared: Arc<Shared>,
    next: i64,
    log: PathBuf,
    /// It was killed, or told to go: its end is no fault.
    ended: bool,
}

impl Window {
    /// Starts a sidecar without a word to it.
    pub fn spawn(command: Command, log: PathBuf) -> Window {
        Window::spawn_face(command, "lsp", log)
    }

    /// The same for another face; that of agents has a message a line.
    pub fn spawn_face(mut command: Command, face: &str, log: PathBuf) -> Window {
        let stderr = std::fs::File::create(&log).expect("the sidecar's log");
        command.arg(face).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the sidecar starts");
        let shared = Arc::new(Shared::default());
        let output = child.stdout.take().expect("piped");
        let reader = shared.clone();
        let by_lines = face == "mcp";
        std::thread::spawn(move || read_all(&reader, BufReader::new(output), by_lines));
        let input = child.stdin.take();
        let id = String::new();
        Window { id, initialized: Value::Null, child, input, by_lines, shared, next: 1, log, ended: false }
    }

    /// `initialize` and `initialized`.
    pub fn initialize(&mut self, params: Value) {
        self.initialized = self.ok("initialize", params);
        let ours = &self.initialized["capabilities"]["experimental"]["kernelKeeper"];
        self.id = ours["windowId"].as_str().expect("a window id").to_owned();
        self.notify("initialized", json!({}));
    }

    /// The sidecar's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request; its answer is taken with [`finish`](Self::finish).
    pub fn begin(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The answer to a request.
    pub fn finish(&self, id: i64) -> Result<Value, Failure> {
        self.until(&format!("the answer to request {id}"), PATIENCE, |inbox| inbox.answers.remove(&id))
    }

    /// Whether a request is answered by now.
    pub fn is_answered(&self, id: i64) -> bool {
        self.shared.lock().answers.contains_key(&id)
    }

    /// Whether a request was answered before the sidecar ended, as it must.
    pub fn answered_before_its_end(&self, id: i64) -> bool {
        eventually("the end of the sidecar's output", PATIENCE, || self.shared.lock().closed.then_some(()));
        self.shared.lock().answers.remove(&id).is_some_and(|answer| answer.is_ok())
    }

    /// A request and its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        let id = self.begin(method, params);
        self.finish(id)
    }

    /// A request that must succeed.
    pub fn ok(&mut self, method: &str, params: Value) -> Value {
        let shown: String = params.to_string().chars().take(300).collect();
        match self.request(method, params) {
            Ok(answer) => answer,
            Err(e) => panic!("{method} {shown}: {} {} {}", e.code, e.message, e.data),
        }
    }

    /// A request that must fail, with this kind.
    pub fn fails(&mut self, method: &str, params: Value, kind: &str) -> Failure {
        let shown: String = params.to_string().chars().take(300).collect();
        match self.request(method, params) {
            Ok(answer) => panic!("{method} {shown} must fail with {kind}, but: {answer}"),
            Err(e) => {
                assert_eq!(e.kind(), kind, "{method} {shown}: {e:?}");
                assert_eq!(e.code, code_of(kind), "{method} {shown}: {e:?}");
                assert!(!e.message.is_empty());
                e
            }
        }
    }

    /// A request that must be refused as ill-formed, naming the field.
    pub fn refuses(&mut self, method: &str, params: Value, field: &str) {
        let shown: String = params.to_string().chars().take(300).collect();
        let failure = self.fails(method, params, "InvalidParams");
        assert_eq!(failure.field(), field, "{method} {shown}: {failure:?}");
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Writes a body as it is, well-formed or not.
    pub fn send_raw(&mut self, body: &[u8]) {
        let input = self.input.as_mut().expect("the sidecar's input is open");
        let head = match self.by_lines {
            true => String::new(),
            false => format!("Content-Length: {}\r\n\r\n", body.len()),
        };
        let tail: &[u8] = if self.by_lines { b"\n" } else { b"" };
        let written = input.write_all(&[head.as_bytes(), body, tail].concat());
        written.and_then(|()| input.flush()).expect("the sidecar reads");
    }

    fn send(&mut self, message: &Value) {
        self.send_raw(message.to_string().as_bytes());
    }

    /// The notifications of a method so far: their parameters, in order.
    pub fn told(&self, method: &str) -> Vec<Value> {
        let inbox = self.shared.lock();
        inbox.told.iter().filter(|(name, ..)| name == method).map(|(_, params, _)| params.clone()).collect()
    }

    /// How many notifications have arrived.
    pub fn mark(&self) -> usize {
        self.shared.lock().told.len()
    }

    /// Waits for a notification, one of those before included; its parameters.
    pub fn wait_for(&self, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.wait_after(0, method, is_it)
    }

    /// Waits for a notification after a mark.
    pub fn wait_after(&self, mark: usize, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.wait_timed(mark, method, is_it).0
    }

    /// The same, with the moment at which it arrived.
    pub fn wait_timed(&self, mark: usize, method: &str, is_it: impl Fn(&Value) -> bool) -> (Value, Instant) {
        let found = |inbox: &mut Inbox| {
            let after = inbox.told.iter().skip(mark);
            let mut ours = after.filter(|(name, params, _)| name == method && is_it(params));
            ours.next().map(|(_, params, at)| (params.clone(), *at))
        };
        self.until(&format!("a notification {method}"), PATIENCE, found)
    }

    /// The same, for what may take longer than usual.
    pub fn wait_for_long(&self, deadline: Duration, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        // What was looked at once need not be looked at again: there may be very much.
        let mut seen = 0;
        self.until(&format!("a notification {method}"), deadline, |inbox| {
            let found = inbox.told[seen..].iter().find(|(name, params, _)| name == method && is_it(params));
            seen = inbox.told.len();
            found.map(|(_, params, _)| params.clone())
        })
    }

    /// The events of a session so far, checked to be in order.
    pub fn events(&self, session: &str) -> Vec<Value> {
        let all = self.told("keeper/executionEvent");
        let events: Vec<Value> = all.into_iter().filter(|e| e["sessionId"] == session).collect();
        for pair in events.windows(2) {
            assert!(
                pair[0]["seq"].as_u64() < pair[1]["seq"].as_u64(),
                "out of order, or twice: {} then {}",
                pair[0],
                pair[1]
            );
        }
        events
    }

    /// Waits until a session's execution is told as finished; the event.
    pub fn wait_finished(&self, execution: &str) -> Value {
        let ours = |e: &Value| e["executionId"] == execution && e["event"]["kind"] == "finished";
        self.wait_for("keeper/executionEvent", ours)
    }

    /// From now on the client reads nothing, until it is told to.
    pub fn stall(&self, stalled: bool) {
        self.shared.lock().stalled = stalled;
        self.shared.changed.notify_all();
    }

    /// SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.ended = true;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Closes the sidecar's input, as an editor's end does; how long the sidecar took to exit.
    pub fn close(&mut self) -> Duration {
        let begun = Instant::now();
        self.input = None;
        self.wait_exit();
        begun.elapsed()
    }

    /// Waits for the sidecar's own end; its exit code.
    pub fn wait_exit(&mut self) -> Option<i32> {
        self.ended = true;
        eventually("the sidecar's exit", PATIENCE, || self.child.try_wait().expect("our child")).code()
    }

    fn until<T>(&self, what: &str, deadline: Duration, mut look: impl FnMut(&mut Inbox) -> Option<T>) -> T {
        let begun = Instant::now();
        let mut inbox = self.shared.lock();
        loop {
            if let Some(found) = look(&mut inbox) {
                return found;
            }
            assert!(!inbox.closed, "the sidecar ended before {what}; it wrote: {}", self.log_tail());
            let left = deadline.checked_sub(begun.elapsed());
            let Some(left) = left else {
                let told: Vec<String> = inbox.told.iter().rev().take(5).map(|t| cut(&t.1)).collect();
                panic!("not within {deadline:?}: {what}; told last: {told:?}; it wrote: {}", self.log_tail())
            };
            let waited = self.shared.changed.wait_timeout(inbox, left);
            inbox = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// The end of what the sidecar wrote to standard error.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(3_000)..]).into_owned()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.input = None;
        self.stall(false);
        let begun = Instant::now();
        while !self.ended && begun.elapsed() < Duration::from_secs(10) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.ended && !std::thread::panicking() {
            panic!("the sidecar did not exit when its input ended; it wrote: {}", self.log_tail());
        }
    }
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

/// The codes, as docs/protocol.md has them.
fn code_of(kind: &str) -> i64 {
    match kind {
        "InvalidParams" => -32602,
        "SessionNotFound" => -32001,
        "NotebookHasSession" => -32002,
        "KernelspecNotFound" => -32003,
        "KernelFailed" => -32004,
        "SessionEnded" => -32005,
        "TokenRejected" => -32006,
        "LimitReached" => -32007,
        "StoreFailed" => -32008,
        "OfferGone" => -32009,
        "SessionMoved" => -32010,
        "NotWaiting" => -32011,
        "NotFound" => -32012,
        "ForeignHost" => -32013,
        "Refused" => -32014,
        other => panic!("no such kind: {other}"),
    }
}

fn read_all(shared: &Shared, mut output: BufReader<impl Read>, by_lines: bool) {
    let read = if by_lines { read_line } else { read_message };
    while let Some(message) = read(&mut output) {
        let mut inbox = shared.lock();
        while inbox.stalled {
            inbox = shared.changed.wait(inbox).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let id = message["id"].as_i64();
        if let Some(method) = message["method"].as_str() {
            inbox.told.push((method.to_owned(), message["params"].clone(), Instant::now()));
        } else if let Some(error) = message.get("error") {
            let failure = Failure {
                code: error["code"].as_i64().unwrap_or(0),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
                data: error["data"].clone(),
            };
            // A body that cannot be read has no id to answer to.
            inbox.answers.insert(id.unwrap_or(0), Err(failure));
        } else if let Some(id) = id {
            inbox.answers.insert(id, Ok(message["result"].clone()));
        }
        shared.changed.notify_all();
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}

fn read_line<R: Read>(output: &mut BufReader<R>) -> Option<Value> {
    let mut line = String::new();
    if output.read_line(&mut line).ok()? == 0 {
        return None;
    }
    Some(serde_json::from_str(&line).expect("JSON, a line each, and nothing else on standard output"))
}

fn read_message<R: Read>(output: &mut BufReader<R>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length.expect("a Content-Length")];
    output.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("the sidecar writes JSON, and nothing else to standard output"))
}
