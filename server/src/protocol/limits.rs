//! How long a text for people may be. Whoever takes one in cuts it, so that the status of a session is small, whatever
//! its code, its kernel and its windows call things; whoever reads one that an earlier version wrote cuts it, too.

use std::io;

use serde::Serialize;

use super::{AboutWindow, Execution, ExecutionError, InputPrompt, NotebookRef, Session};

/// Characters of a session's label.
pub const LABEL: usize = 200;
/// Characters of what `input()` asks.
pub const PROMPT: usize = 4_096;
/// Characters of a name that something else gave: a kernel's, a cell's, a window's status.
pub const NAME: usize = 1_024;
/// Bytes of a URI: a path has 4,096 bytes at most, and each may be encoded.
pub const URI: usize = 16 << 10;
/// Characters of a sentence that warns, and how many there are.
const WARNING: usize = 2_048;
const WARNINGS: usize = 20;
/// Characters of an exception's text, and of all lines of its traceback, where it is no output.
const EVALUE: usize = 8_192;
const TRACEBACK: usize = 64 << 10;
/// Bytes of code in an answer.
const CODE: usize = 1 << 20;

/// Leaves that many characters of a text, the last of them the sign that it was cut.
pub fn cut(text: &mut String, most: usize) {
    if text.len() > most
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        let end = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

/// The words in place of what is left out.
pub fn left_out(bytes: u64) -> String {
    format!("\n… {bytes} bytes left out …\n")
}

/// Code as an answer has it: the journal has all of it.
pub fn cut_code(code: &mut String) {
    if code.len() > CODE {
        let end = code.floor_char_boundary(CODE);
        let words = left_out((code.len() - end) as u64);
        code.truncate(end);
        code.push_str(&words);
        code.shrink_to_fit();
    }
}

/// How many bytes of JSON a value takes.
pub fn json_bytes(value: &impl Serialize) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

impl ExecutionError {
    /// As it stands beside an execution; the cell's output has all of it.
    pub fn cut(&mut self) {
        cut(&mut self.ename, NAME);
        cut(&mut self.evalue, EVALUE);
        // The end says what went wrong.
        let mut left = TRACEBACK;
        let fits = |line: &&String| {
            let fits = left > 0;
            left = left.saturating_sub(line.len() + 1);
            fits
        };
        let from = self.traceback.len() - self.traceback.iter().rev().take_while(fits).count();
        self.traceback.drain(..from);
        if from > 0 {
            self.traceback.insert(0, "…".into());
        }
        self.traceback.iter_mut().for_each(|line| cut(line, TRACEBACK));
    }
}

impl Execution {
    /// As an answer has it.
    pub fn cut(&mut self) {
        cut_code(&mut self.code);
        self.error.iter_mut().for_each(ExecutionError::cut);
    }
}

impl InputPrompt {
    pub fn cut(&mut self) {
        cut(&mut self.prompt, PROMPT);
    }
}

impl AboutWindow {
    pub fn cut(&mut self) {
        self.folder.iter_mut().for_each(|folder| cut(folder, URI));
        for text in [&mut self.repo, &mut self.status, &mut self.editor_name] {
            text.iter_mut().for_each(|text| cut(text, NAME));
        }
    }
}

impl NotebookRef {
    fn cut(&mut self) {
        cut(&mut self.notebook_uri, URI);
        self.notebook_path.iter_mut().for_each(|path| cut(path, URI));
    }
}

impl Session {
    /// Cuts all its texts, so that telling of it takes little, whoever named its parts.
    pub fn cut(&mut self) {
        cut(&mut self.label, LABEL);
        cut(&mut self.notebook_uri, URI);
        self.notebook_path.iter_mut().for_each(|path| cut(path, URI));
        self.notebooks.iter_mut().for_each(NotebookRef::cut);
        cut(&mut self.kernel.name, NAME);
        cut(&mut self.kernel.display_name, LABEL);
        cut(&mut self.kernel.language, LABEL);
        cut(&mut self.host, NAME);
        self.warnings.drain(..self.warnings.len().saturating_sub(WARNINGS));
        self.warnings.iter_mut().for_each(|warning| cut(warning, WARNING));
        self.runs.iter_mut().for_each(|name| cut(name, LABEL));
        for window in &mut self.windows {
            cut(&mut window.window_id, NAME);
            window.folder.iter_mut().for_each(|folder| cut(folder, URI));
        }
        if let Some(current) = &mut self.current_execution {
            cut(&mut current.notebook_uri, URI);
            current.cell_id.iter_mut().for_each(|id| cut(id, NAME));
            current.input.iter_mut().for_each(InputPrompt::cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{AttachedWindow, CurrentExecution, KernelInfo, SessionState, Time};

    #[test]
    fn texts_are_cut_between_characters() {
        let check = |text: &str, most: usize, expect: &str| {
            let mut cut_text = text.to_owned();
            cut(&mut cut_text, most);
            assert_eq!(cut_text, expect, "{text} {most}");
        };
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("äöü", 3, "äöü");
        check("äöüß", 3, "äö…");
        check("🦀🦀", 1, "…");
        check("", 0, "");
        check("a", 0, "…");
    }

    #[test]
    fn an_error_keeps_the_end_of_its_traceback() {
        let traceback = (0..100_000).map(|i| format!("line {i}")).collect();
        let mut error = ExecutionError { ename: "E".repeat(9_999), evalue: "v".repeat(99_999), traceback };
        error.cut();
        assert_eq!(error.traceback.last().unwrap(), "line 99999");
        assert_eq!(error.traceback.first().unwrap(), "…");
        assert!(serde_json::to_vec(&error).unwrap().len() < 200_000);
        let short =
            ExecutionError { ename: "E".into(), evalue: "v".into(), traceback: vec!["a".into(), "b".into()] };
        let mut same = short.clone();
        same.cut();
        assert_eq!(same, short);
    }

    /// The worst that can be: all of it is of hundreds of megabytes, and each character takes six bytes in JSON.
    #[test]
    fn a_status_is_never_large() {
        let huge = || "\u{1}".repeat(3 << 20);
        let notebook =
            NotebookRef { notebook_uri: huge(), notebook_path: Some(huge()), notebook_exists: true };
        let window = AttachedWindow { window_id: huge(), folder: Some(huge()), this_window: false };
        let mut session = Session {
            id: "a".into(),
            label: huge(),
            notebook_uri: huge(),
            notebook_path: Some(huge()),
            notebook_exists: true,
            notebooks: vec![notebook; 20],
            kernel: KernelInfo { name: huge(), display_name: huge(), language: huge() },
            pid: Some(1),
            keeper_pid: Some(1),
            host: huge(),
            started_at: Time(0),
            last_activity_at: Time(0),
            busy_seconds: 0.0,
            state: SessionState::Busy,
            responding: true,
            pinned: false,
            warnings: vec![huge(); 40],
            current_execution: Some(CurrentExecution {
                execution_id: "a".into(),
                notebook_uri: huge(),
                cell_id: Some(huge()),
                cell_index: None,
                started_at: None,
                input: Some(InputPrompt { prompt: huge(), password: false }),
            }),
            queued: 0,
            runs: Some(huge()),
            windows: vec![window; 20],
            memory_bytes: None,
            cpu_percent: None,
            gpu_memory_bytes: None,
            adopted: false,
            replaced: false,
            agent: false,
            stops_at: None,
            ended_at: None,
            end_reason: None,
        };
        session.cut();
        let bytes = serde_json::to_vec(&session).unwrap().len();
        assert!(bytes < 8 << 20, "{bytes}");
    }
}
