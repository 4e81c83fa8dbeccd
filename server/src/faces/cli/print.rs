//! What code puts out, on a terminal: text as it is, of everything else the plain form.
//!
//! Leaves out whose outputs are printed, and when: that is its users' part.

use std::io::Write;

use crate::protocol::{Json, Output, StreamName};

/// Prints outputs, and knows whether the last of them ended its line.
#[derive(Default)]
pub(super) struct Printer {
    is_mid_line: bool,
}

impl Printer {
    /// Prints one output at once, whole.
    pub(super) fn put(&mut self, output: Output) {
        match output {
            Output::Stream { name: StreamName::Stdout, text } => self.text(&text),
            Output::Stream { name: StreamName::Stderr, text } => {
                eprint!("{text}");
                self.note(&text);
            }
            Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => {
                self.text(&format!("{}\n", plain(&data)));
            }
            Output::Error { traceback, ename, evalue } => {
                match traceback.is_empty() {
                    true => eprintln!("{ename}: {evalue}"),
                    false => eprintln!("{}", traceback.join("\n")),
                }
                self.is_mid_line = false;
            }
        }
    }

    /// Writes text to standard output.
    pub(super) fn text(&mut self, text: &str) {
        let mut out = std::io::stdout();
        let _ = write!(out, "{text}");
        let _ = out.flush();
        self.note(text);
    }

    /// Code that the kernel has for the next input: a person at a terminal reads it there.
    pub(super) fn next_input(&mut self, text: &str) {
        self.fresh_line();
        self.text(&format!("{}\n", text.trim_end_matches('\n')));
    }

    /// Begins a line where text stands in the present one.
    pub(super) fn fresh_line(&mut self) {
        if self.is_mid_line {
            self.text("\n");
        }
    }

    /// The terminal itself wrote into the present line, as it does with `^C`.
    pub(super) fn was_written_to(&mut self) {
        self.is_mid_line = true;
    }

    fn note(&mut self, text: &str) {
        self.is_mid_line = match text.chars().next_back() {
            Some(last) => last != '\n',
            None => self.is_mid_line,
        };
    }
}

/// A MIME bundle on a terminal.
pub(super) fn plain(data: &Json) -> String {
    match data.str("text/plain") {
        Some(text) => text.into_owned(),
        None => {
            let fields = data.fields();
            let kinds: Vec<&str> = fields.iter().map(|(mime, _)| &**mime).collect();
            format!("<{}>", kinds.join(", "))
        }
    }
}
