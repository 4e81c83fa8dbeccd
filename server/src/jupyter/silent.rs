//! Silent requests, which are no executions: the one that makes ipykernel lossless by an unlimited high-water mark on its
//! iopub socket, the one that lists the user's variables, and those that save and restore them.
//!
//! ipykernel publishes over a socket that drops what is more than 1000 messages ahead of its reader. The limit is
//! taken from each connection as it is made, so the request has to be sent after ours is connected, and again
//! after each new one. Other kernels are not asked.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::message::Message;

const EXPRESSION: &str = "kernel_keeper";

/// Every request ends with matplotlib showing and closing the figures that were drawn: also those of a cell that
/// still runs when this comes over control. So the inline backend is told that nothing was drawn, until
/// [`CODE`] tells it again. Silent code displays nothing and is no `Out`.
const HIDE_FIGURES: &str = "(lambda inline: inline and (setattr(inline.show, '_kernel_keeper', inline.show._draw_called), \
setattr(inline.show, '_draw_called', False)))(__import__('sys').modules.get('matplotlib_inline.backend_inline'))";

/// ipykernel listens on a port of 127.0.0.1 for what its forked children print, open to every local user. It is moved to
/// a socket in the private folder of the connection file, once; where that fails it stays as it was.
const MOVE_PIPE: &str = "
def move(thread):
    import os, zmq
    from ipykernel.connect import get_connection_file
    if not hasattr(thread, '_setup_pipe_out') or hasattr(thread, '_kernel_keeper'):
        return
    path = os.path.join(os.path.dirname(get_connection_file()), 'kernel-6')
    def connect():
        context = zmq.Context()
        out = context.socket(zmq.PUSH)
        out.linger = 3000
        out.connect('ipc://' + path)
        return context, out
    def rebind():
        thread._pipe_in.socket.bind('ipc://' + path)
        os.chmod(path, 0o600)
        thread._setup_pipe_out = connect
        thread._pipe_in.socket.unbind('tcp://127.0.0.1:%i' % thread._pipe_port)
    thread._kernel_keeper = True
    thread.schedule(rebind)
try:
    move(thread)
except Exception:
    pass
";

/// Is evaluated in the namespace of the user, so it leaves no name behind; the setting happens in the socket's own
/// thread, since ZMQ sockets are not thread-safe.
const CODE: &str = "(lambda thread, zmq, inline: (\
exec(MOVE_PIPE, {'thread': thread}), \
inline and inline.show.__dict__.pop('_kernel_keeper', False) and setattr(inline.show, '_draw_called', True), \
thread.schedule(lambda: thread.socket.setsockopt(zmq.SNDHWM, 0)), 'unlimited')[3])(\
get_ipython().kernel.iopub_thread, __import__('zmq'), __import__('sys').modules.get('matplotlib_inline.backend_inline'))";

/// Run in a namespace of its own, with the built-in functions whatever the user calls by their names. Figures that wait
/// to be drawn are told again, as above.
const BEFORE: &str = "(lambda builtins, space, inline: (\
builtins.setattr(inline.show, '_draw_called', inline.show.__dict__.pop('_kernel_keeper', False)) if inline else None, \
builtins.exec(";
const AFTER: &str = ")[2])(\
__import__('builtins'), {}, __import__('sys').modules.get('matplotlib_inline.backend_inline'))";
const VARIABLES_SOURCE: &str = include_str!("variables.py");
const SNAPSHOT_SOURCE: &str = include_str!("snapshot.py");

/// What became of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlimited {
    Yes,
    /// The kernel cannot: lost output is possible, and only counted.
    No(String),
}

/// The request for ipykernel, of client session `session`; counts as no execution. On the shell channel it runs
/// when the kernel is idle. On control it runs at once, also beside a running cell (ipykernel 7.4: 6 ms), whose
/// outputs stay its own: for adoption, and for [`super::Channels::replace_iopub`].
/// With `move_pipe` ipykernel's port for forked children becomes a socket beside the connection file.
pub fn unlimited_iopub(session: &str, move_pipe: bool) -> Message {
    // A JSON string is a string of Python too.
    let code = if move_pipe { MOVE_PIPE } else { "" };
    request(session, &CODE.replace("MOVE_PIPE", &json!(code).to_string()))
}

/// Asks what variables there are; counts as no execution, and leaves nothing behind. For idle Python kernels.
pub fn list_variables(session: &str) -> Message {
    request(session, &in_own_namespace(VARIABLES_SOURCE, "result", &[]))
}

/// Has the variables pickled into a new file. For idle Python kernels.
pub fn save_snapshot(session: &str, file: &Path) -> Message {
    request(session, &in_own_namespace(SNAPSHOT_SOURCE, "save", &[bytes_of(file)]))
}

/// Has them taken from that file again; `details` is what [`save_snapshot`] answered. For idle Python kernels.
pub fn restore_snapshot(session: &str, file: &Path, details: &Value) -> Message {
    request(session, &in_own_namespace(SNAPSHOT_SOURCE, "restore", &[bytes_of(file), details.to_string()]))
}

/// Reads what either answered. The error is the exception's name and what it says: `KeyboardInterrupt` where it was
/// interrupted.
pub fn snapshot_of(content: &Value) -> Result<Value, (String, String)> {
    if let Some(answer) = variables_of(content).and_then(|json| serde_json::from_slice(&json).ok()) {
        return Ok(answer);
    }
    let result = &content["user_expressions"][EXPRESSION];
    let text = |name: &str| {
        let said = [&result[name], &content[name]].into_iter().find_map(Value::as_str);
        said.unwrap_or_default().to_owned()
    };
    Err((text("ename"), text("evalue")))
}

/// A path may be no text.
fn bytes_of(path: &Path) -> String {
    BASE64_STANDARD.encode(path.as_os_str().as_encoded_bytes())
}

/// An expression that calls a function of some source. A JSON string is a string of Python too.
fn in_own_namespace(source: &str, function: &str, arguments: &[String]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|text| json!(text).to_string()).collect();
    format!("{BEFORE}{}, space), space['{function}']({}){AFTER}", json!(source), arguments.join(", "))
}

/// Reads the content of its `execute_reply`: a JSON array; `None` where the kernel cannot tell.
pub fn variables_of(content: &Value) -> Option<Vec<u8>> {
    let text = content["user_expressions"][EXPRESSION]["data"]["text/plain"].as_str()?;
    BASE64_STANDARD.decode(text.trim_matches(['\'', '"'])).ok()
}

/// Evaluates an expression where the user's code runs, silently.
fn request(session: &str, expression: &str) -> Message {
    Message::request(
        "execute_request",
        session,
        json!({
            "code": HIDE_FIGURES,
            "silent": true,
            "store_history": false,
            "user_expressions": { EXPRESSION: expression },
            // It asks nothing; but ipykernel keeps what the latest request said, and a running cell may ask.
            "allow_stdin": true,
            "stop_on_error": false,
        }),
    )
}

/// Reads the content of its `execute_reply`.
pub fn unlimited_iopub_outcome(content: &Value) -> Unlimited {
    let result = &content["user_expressions"][EXPRESSION];
    if result["data"]["text/plain"] == "'unlimited'" {
        return Unlimited::Yes;
    }
    let reason = [&result["evalue"], &content["evalue"], &content["status"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or("no answer in the reply");
    Unlimited::No(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_outcome() {
        let check = |content: Value, expect: Unlimited| assert_eq!(unlimited_iopub_outcome(&content), expect);
        let no = |reason: &str| Unlimited::No(reason.to_owned());
        let done = json!({ "status": "ok", "data": { "text/plain": "'unlimited'" } });
        check(json!({ "status": "ok", "user_expressions": { EXPRESSION: done } }), Unlimited::Yes);
        let failed = json!({ "status": "error", "evalue": "no iopub_thread" });
        check(json!({ "status": "ok", "user_expressions": { EXPRESSION: failed } }), no("no iopub_thread"));
        check(json!({ "status": "aborted" }), no("aborted"));
        check(json!(null), no("no answer in the reply"));
    }
}
