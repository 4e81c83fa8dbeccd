//! The silent request that makes ipykernel lossless: an unlimited high-water mark on its iopub socket.
//!
//! ipykernel publishes over a socket that drops what is more than 1000 messages ahead of its reader. The limit is
//! taken from each connection as it is made, so the request has to be sent after ours is connected, and again
//! after each new one. Other kernels are not asked.

use serde_json::{Value, json};

use super::message::Message;

const EXPRESSION: &str = "kernel_keeper";

/// Runs in the namespace of the user, so it leaves no name behind; the setting happens in the socket's own thread,
/// since ZMQ sockets are not thread-safe.
const CODE: &str = "(lambda thread, zmq: (thread.schedule(lambda: thread.socket.setsockopt(zmq.SNDHWM, 0)), \
'unlimited')[1])(get_ipython().kernel.iopub_thread, __import__('zmq'))";

/// What became of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlimited {
    Yes,
    /// The kernel cannot: lost output is possible, and only counted.
    No(String),
}

/// The request for ipykernel, of client session `session`. Runs as soon as the kernel is idle; counts as no
/// execution.
pub fn unlimited_iopub(session: &str) -> Message {
    Message::request(
        "execute_request",
        session,
        json!({
            "code": "",
            "silent": true,
            "store_history": false,
            "user_expressions": { EXPRESSION: CODE },
            "allow_stdin": false,
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
