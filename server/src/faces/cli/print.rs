//! What code puts out, on a terminal: text as it is, of everything else the plain form.
//!
//! Leaves out whose outputs are printed, and when: that is its users' part.

use std::io::Write;

use serde_json::Value;

use crate::protocol::{Output, StreamName};

/// Prints outputs.
#[derive(Default)]
pub(super) struct Printer {}

impl Printer {
    /// Prints one output at once, whole.
    pub(super) fn put(&mut self, output: Output) {
        match output {
            Output::Stream { name: StreamName::Stdout, text } => self.text(&text),
            Output::Stream { name: StreamName::Stderr, text } => eprint!("{text}"),
            Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => {
                self.text(&format!("{}\n", plain(&data)));
            }
            Output::Error { traceback, ename, evalue } => match traceback.is_empty() {
                true => eprintln!("{ename}: {evalue}"),
                false => eprintln!("{}", traceback.join("\n")),
            },
        }
    }

    /// Writes text to standard output.
    pub(super) fn text(&mut self, text: &str) {
        let mut out = std::io::stdout();
        let _ = write!(out, "{text}");
        let _ = out.flush();
    }
}

/// A MIME bundle on a terminal.
pub(super) fn plain(data: &Value) -> String {
    match data["text/plain"].as_str() {
        Some(text) => text.to_owned(),
        None => {
            let kinds: Vec<&str> =
                data.as_object().into_iter().flatten().map(|(mime, _)| mime.as_str()).collect();
            format!("<{}>", kinds.join(", "))
        }
    }
}
