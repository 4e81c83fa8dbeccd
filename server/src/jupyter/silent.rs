//! Silent requests, which are no executions: the one that opens an endpoint where ipykernel drops no output, the one that
//! lists the user's variables, and those that save and restore them.
//!
//! ipykernel publishes over a socket that drops what is more than 1000 messages ahead of its reader (its high-water mark).
//! Lifting the mark of a socket that has connections is no way: libzmq writes it into pipes that its other thread may be
//! taking down, and the kernel dies (SIGSEGV, 1 to 4 of 1,000 clients that end just then). What listens takes the mark along
//! that is set when it begins to. So the mark is lifted once, before anybody subscribes, and the socket listens at one more
//! endpoint from then on: every connection there is without a limit. Other kernels are not asked.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::message::Message;
use crate::protocol::InputPrompt;

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

/// Altair's charts come as data, which the editor draws, where the user leaves it to Altair how: that would be HTML which
/// loads what draws it over the network. IPython is told by name, so that nothing is imported before the user does.
const FIGURES: &str = "
def figures(shell):
    def bundle(chart, include=None, exclude=None):
        import altair
        if altair.renderers.active != 'default':
            return chart._repr_mimebundle_(include=include, exclude=exclude)
        with altair.renderers.enable('mimetype'):
            return chart._repr_mimebundle_(include=include, exclude=exclude)
    formatter = shell.display_formatter.mimebundle_formatter
    for version in range(4, 10):
        formatter.for_type_by_name('altair.vegalite.v%i.api' % version, 'TopLevelMixin', bundle)
try:
    figures(get_ipython())
except Exception:
    pass
";

/// Lifts the mark in the socket's own thread, since ZMQ sockets are not thread-safe, and listens at the first endpoint that
/// can be had. Both happen once in the kernel's life; where the file of the endpoint was removed meanwhile it listens anew,
/// with the mark that it has. A process that may open hardly any more files dies of one too many (ipykernel has 62 with
/// our connections, of 64): its mark stays for good, since it is in use from now on. The result is the endpoint, or what went wrong.
const LISTEN: &str = "
def listen(thread, endpoints):
    import os, threading, zmq
    done = threading.Event()
    said = []
    def has_room():
        try:
            import resource
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            return most == resource.RLIM_INFINITY or most - len(os.listdir('/dev/fd')) >= 8
        except OSError:
            return False
        except Exception:
            return True
    def bind():
        try:
            known = getattr(thread, '_kernel_keeper_iopub', None)
            if known and (not known.startswith('ipc://') or os.path.exists(known[6:])):
                return said.append(known)
            if known is None:
                thread._kernel_keeper_iopub = known = has_room() and ''
                if known == '':
                    thread.socket.setsockopt(zmq.SNDHWM, 0)
            if known is False:
                return said.append('the process may open too few files')
            for endpoint in endpoints:
                try:
                    thread.socket.bind(endpoint)
                except zmq.ZMQError as error:
                    said[:] = ['%s: %s' % (endpoint, error)]
                    continue
                bound = thread.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b'\\0').decode()
                if bound.startswith('ipc://'):
                    os.chmod(bound[6:], 0o600)
                thread._kernel_keeper_iopub = bound
                said[:] = [bound]
                return
        except Exception as error:
            said[:] = [repr(error)]
        finally:
            done.set()
    thread.schedule(bind)
    done.wait(2)
    return said[0] if said else 'no answer'
result = listen(thread, endpoints)
";

/// Is evaluated in the namespace of the user, so it leaves no name behind.
const CODE: &str = "(lambda thread, inline, space: (\
exec(OURS, {'thread': thread, 'get_ipython': get_ipython}), \
inline and inline.show.__dict__.pop('_kernel_keeper', False) and setattr(inline.show, '_draw_called', True), \
space.update(thread=thread, endpoints=ENDPOINTS), exec(LISTEN, space), space['result'])[4])(\
get_ipython().kernel.iopub_thread, __import__('sys').modules.get('matplotlib_inline.backend_inline'), {})";

/// Run in a namespace of its own, with the built-in functions whatever the user calls by their names. Figures that wait
/// to be drawn are told again, as above.
const BEFORE: &str = "(lambda builtins, space, inline: (\
builtins.setattr(inline.show, '_draw_called', inline.show.__dict__.pop('_kernel_keeper', False)) if inline else None, \
builtins.exec(";
const AFTER: &str = ")[2])(\
__import__('builtins'), {}, __import__('sys').modules.get('matplotlib_inline.backend_inline'))";
const VARIABLES_SOURCE: &str = include_str!("variables.py");
const SNAPSHOT_SOURCE: &str = include_str!("snapshot.py");

/// The request for ipykernel to tell its output at one of `endpoints` too, without a limit; of client session `session`;
/// counts as no execution. To be sent before anybody subscribes to a kernel's output for the first time. On the shell channel
/// it runs when the kernel is idle. On control it runs at once, also beside a running cell (ipykernel 7.4: 6 ms), whose
/// outputs stay its own: for adoption.
/// With `is_ours` ipykernel's port for forked children becomes a socket beside the connection file, and charts come as data.
pub fn iopub_without_limit(session: &str, endpoints: &[String], is_ours: bool) -> Message {
    // JSON strings and lists of them are those of Python, too.
    let ours = if is_ours { format!("{MOVE_PIPE}{FIGURES}") } else { String::new() };
    let code = CODE
        .replace("LISTEN", &json!(LISTEN).to_string())
        .replace("OURS", &json!(ours).to_string())
        .replace("ENDPOINTS", &json!(endpoints).to_string());
    request(session, &code)
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

/// A thread of ipykernel's that waits for a line is in this method; the prompt is for people, so a part of it will do.
const INPUT_SOURCE: &str = "
def waiting():
    import base64, json, sys
    from IPython import get_ipython
    kernel = get_ipython().kernel
    found = None
    for frame in sys._current_frames().values():
        while frame is not None:
            if frame.f_code.co_name == '_input_request' and frame.f_locals.get('self') is kernel:
                found = {
                    'prompt': str(frame.f_locals.get('prompt', ''))[:4096],
                    'password': bool(frame.f_locals.get('password')),
                }
            frame = frame.f_back
    return base64.b64encode(json.dumps(found).encode()).decode()
";

/// Asks what line a running execution waits for. For Python kernels, on control.
pub fn ask_for_input(session: &str) -> Message {
    request(session, &in_own_namespace(INPUT_SOURCE, "waiting", &[]))
}

/// Reads the content of its reply: the prompt, `Some(None)` where it waits for no line; `None` where the kernel cannot tell.
pub fn input_of(content: &Value) -> Option<Option<InputPrompt>> {
    serde_json::from_slice(&variables_of(content)?).ok()
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

/// Reads the content of its `execute_reply`: JSON, the variables and the places of those whose previews have words;
/// `None` where the kernel cannot tell.
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

/// Reads the content of its `execute_reply`: the endpoint, one of those that were asked for (a port `*` is any).
///
/// # Errors
/// Why there is none: lost output is possible then, and only counted.
pub fn iopub_without_limit_of(content: &Value, endpoints: &[String]) -> Result<String, String> {
    let result = &content["user_expressions"][EXPRESSION];
    if let Some(said) = result["data"]["text/plain"].as_str() {
        let said = said.trim_matches(['\'', '"']);
        let is_asked_for = |asked: &String| match asked.strip_suffix('*') {
            Some(before) => said.strip_prefix(before).is_some_and(|port| port.parse::<u16>().is_ok()),
            None => said == asked,
        };
        // It is code of the user's that answers: we connect to nothing else.
        return endpoints.iter().any(is_asked_for).then(|| said.to_owned()).ok_or(said.to_owned());
    }
    let reason = [&result["evalue"], &content["evalue"], &content["status"]];
    Err(reason.into_iter().find_map(Value::as_str).unwrap_or("no answer in the reply").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_outcome() {
        let endpoints = ["ipc:///run/a/kernel-7".to_owned(), "tcp://127.0.0.1:*".to_owned()];
        let check = |content: Value, expect: Result<&str, &str>| {
            let found = iopub_without_limit_of(&content, &endpoints);
            assert_eq!(found.as_deref().map_err(String::as_str), expect, "{content}");
        };
        let said = |text: &str| {
            let done = json!({ "status": "ok", "data": { "text/plain": format!("'{text}'") } });
            json!({ "status": "ok", "user_expressions": { EXPRESSION: done } })
        };
        check(said("ipc:///run/a/kernel-7"), Ok("ipc:///run/a/kernel-7"));
        check(said("tcp://127.0.0.1:4711"), Ok("tcp://127.0.0.1:4711"));
        check(said("tcp://127.0.0.1:x"), Err("tcp://127.0.0.1:x"));
        check(said("tcp://192.0.2.1:4711"), Err("tcp://192.0.2.1:4711"));
        check(said("no answer"), Err("no answer"));
        let failed = json!({ "status": "error", "evalue": "no iopub_thread" });
        check(json!({ "status": "ok", "user_expressions": { EXPRESSION: failed } }), Err("no iopub_thread"));
        check(json!({ "status": "aborted" }), Err("aborted"));
        check(json!(null), Err("no answer in the reply"));
    }
}
