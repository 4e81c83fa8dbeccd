//! The journal's form of what a kernel puts out.

use serde_json::{Map, Value};

use super::Incoming;
use crate::protocol::{EventBody, ExecutionError, Output, StreamName};

/// The exception as the kernel told it, whole.
pub(super) fn error_of(content: &Value) -> ExecutionError {
    let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
    ExecutionError { ename: text("ename"), evalue: text("evalue"), traceback: lines(&content["traceback"]) }
}

fn lines(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|l| l.as_str().map_or_else(|| l.to_string(), str::to_owned))
        .collect()
}

fn object(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { Value::Object(Map::new()) }
}

/// The journal's form of an iopub message; `None` where it has none, and then nothing was taken out of it.
pub(super) fn event_of(m: &mut Incoming) -> Option<EventBody> {
    let c = &mut *m.content;
    let display_id = c["transient"]["display_id"].as_str().map(str::to_owned);
    let has_data = c["data"].is_object();
    let output = match m.kind {
        "stream" => Output::Stream {
            // Some kernels name streams of their own: what was printed is shown all the same.
            name: if c["name"] == "stderr" { StreamName::Stderr } else { StreamName::Stdout },
            text: match c.get_mut("text") {
                Some(Value::String(text)) => std::mem::take(text),
                _ => return None,
            },
        },
        "display_data" if has_data => {
            Output::DisplayData { metadata: object(&c["metadata"]), data: c["data"].take(), display_id }
        }
        "execute_result" if has_data => Output::ExecuteResult {
            metadata: object(&c["metadata"]),
            execution_count: c["execution_count"].as_u64().map(|n| n as u32),
            data: c["data"].take(),
            display_id,
        },
        "error" => {
            let error = error_of(c);
            Output::Error { ename: error.ename, evalue: error.evalue, traceback: error.traceback }
        }
        "clear_output" => return Some(EventBody::ClearOutput { wait: c["wait"].as_bool().unwrap_or(false) }),
        "update_display_data" if has_data => {
            let (display_id, metadata) = (display_id?, object(&c["metadata"]));
            return Some(EventBody::UpdateDisplay { display_id, data: c["data"].take(), metadata });
        }
        "comm_open" | "comm_msg" | "comm_close" => {
            let mut message = m.envelope.take();
            message["content"] = c.take();
            return Some(EventBody::Comm { message });
        }
        _ => return None,
    };
    Some(EventBody::Output { output })
}
