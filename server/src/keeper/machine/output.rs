//! The journal's form of what a kernel puts out.

use serde_json::Value;

use super::Incoming;
use crate::jupyter::Shown;
use crate::protocol::{EventBody, ExecutionError, Json, Output, StreamName};

/// Bytes that a kernel may put into a cell: `%load` of a larger file is refused.
const LONGEST_INPUT: usize = 1 << 20;

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

/// The journal's form of an iopub message; `None` where it has none, and then nothing was taken out of it.
pub(super) fn event_of(m: &mut Incoming) -> Option<EventBody> {
    let c = &mut *m.content;
    let display_id = c["transient"]["display_id"].as_str().map(str::to_owned);
    let output = match (m.kind, m.shown.take()) {
        ("display_data", Some(Shown::Bundle { data, metadata })) => {
            Output::DisplayData { data, metadata, display_id }
        }
        ("execute_result", Some(Shown::Bundle { data, metadata })) => Output::ExecuteResult {
            data,
            metadata,
            execution_count: c["execution_count"].as_u64().map(|n| n as u32),
            display_id,
        },
        ("update_display_data", Some(Shown::Bundle { data, metadata })) if display_id.is_some() => {
            return Some(EventBody::UpdateDisplay { display_id: display_id?, data, metadata });
        }
        (_, Some(Shown::Comm(content))) => {
            let envelope = Json::from(m.envelope.take());
            let fields = envelope.fields();
            let named = fields.iter().map(|(name, value)| (&**name, *value));
            let message = Json::object(named.chain([("content", content.raw())]));
            return Some(EventBody::Comm { message });
        }
        ("stream", None) => Output::Stream {
            // Some kernels name streams of their own: what was printed is shown all the same.
            name: if c["name"] == "stderr" { StreamName::Stderr } else { StreamName::Stdout },
            text: match c.get_mut("text") {
                Some(Value::String(text)) => std::mem::take(text),
                _ => return None,
            },
        },
        ("error", None) => {
            let error = error_of(c);
            Output::Error { ename: error.ename, evalue: error.evalue, traceback: error.traceback }
        }
        ("clear_output", None) => {
            return Some(EventBody::ClearOutput { wait: c["wait"].as_bool().unwrap_or(false) });
        }
        (_, shown) => {
            m.shown = shown;
            return None;
        }
    };
    Some(EventBody::Output { output })
}

/// What a reply asks of a front end beside the cell's end.
#[derive(Default)]
pub(super) struct Payloads {
    pub events: Vec<EventBody>,
    /// The code asked the kernel to end.
    pub ends_kernel: bool,
}

/// Reads the payloads of an `execute_reply`: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#payloads>. Of several
/// next inputs the last one counts, as there is one next input.
pub(super) fn payloads_of(content: &Value) -> Payloads {
    let mut payloads = Payloads::default();
    let mut next = None;
    for payload in content["payload"].as_array().into_iter().flatten() {
        match payload["source"].as_str() {
            Some("ask_exit") => payloads.ends_kernel = true,
            Some("page") if payload["data"].is_object() => {
                let data = payload["data"].clone().into();
                let output = Output::DisplayData { data, metadata: Json::default(), display_id: None };
                payloads.events.push(EventBody::Output { output });
            }
            Some("set_next_input") => next = payload["text"].as_str().map(|text| (text, &payload["replace"])),
            _ => {}
        }
    }
    payloads.events.extend(next.map(|(text, replace)| match text.len() <= LONGEST_INPUT {
        true => EventBody::NextInput { text: text.to_owned(), replace: replace.as_bool().unwrap_or(false) },
        false => {
            let text = format!("[{} bytes were to be the next input: no cell gets so many]\n", text.len());
            EventBody::Output { output: Output::Stream { name: StreamName::Stderr, text } }
        }
    }));
    payloads
}
