//! What the kernel is asked beside executions: completions, inspections, and which variables there are.
//!
//! Asked only while the kernel is idle, so that nothing waits behind a running cell, and no cell behind many questions.
//! A question is no execution: it is not in the journal, and no activity. The variables that were known last are kept in
//! the session's folder, for the time after its end.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::frames::Question;
use super::kernel;
use super::run::Keeper;
use crate::jupyter::{self, Channel, Message};
use crate::paths::Folders;
use crate::protocol::{SessionState, SessionVariablesResult, Time, Variable};

/// How long a kernel may take over a question until nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that is kept so long, for who asks again.
const LARGEST_KEPT: usize = 64 << 10;
/// How long after the last execution the variables are looked at though nobody asked, in milliseconds.
const SETTLED: i64 = 1_000;
/// Of how many questions what the kernel says of them is passed over.
const REMEMBERED: usize = 16;
/// Characters of a name's part that say that its value is to stay out of files.
const SECRETS: [&str; 8] = ["pass", "secret", "token", "key", "credential", "auth", "pwd", "cookie"];

/// The questions that are with the kernel. Owned by the keeper.
#[derive(Default)]
pub(super) struct Questions {
    asked: HashMap<String, Asked>,
    /// What waits until the kernel has answered the last one, of one connection and kind the newest: connection, request, and
    /// what is asked. Nobody waits any more for what was asked before the next letter.
    next: VecDeque<(u64, u64, Question)>,
    /// The last one that the kernel has answered, and when. Who did not wait for a slow kernel has it when asking again.
    last: Option<(Question, Value, Instant)>,
    /// The latest questions' ids.
    recent: VecDeque<String>,
    known: Option<SessionVariablesResult>,
    /// Something ran since the variables were looked at.
    is_due: bool,
    /// Who waits for the variables: connection and request.
    waiting: Vec<(u64, u64)>,
}

struct Asked {
    /// Connection and request; `None`: the variables, for whoever waits.
    by: Option<(u64, u64)>,
    question: Option<Question>,
    since: Instant,
}

impl Questions {
    /// With what was known of the variables when the last keeper ended.
    pub(super) fn new(folders: &Folders, id: &str) -> Questions {
        let known = read_variables(&folders.variables_file(id));
        Questions { known, is_due: true, ..Questions::default() }
    }

    /// Whether a message answers a question, or came about by one.
    pub(super) fn concerns(&self, parent: &str) -> bool {
        self.asked.contains_key(parent) || self.recent.iter().any(|id| id == parent)
    }
}

/// What was known last; the kernel is not asked.
pub fn read_variables(path: &Path) -> Option<SessionVariablesResult> {
    let read: SessionVariablesResult = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(SessionVariablesResult { stale: true, ..read })
}

impl Keeper {
    /// Whether the kernel would answer at once.
    pub(super) fn is_free(&self) -> bool {
        self.state == SessionState::Idle
            && self.channels.is_some()
            && self.ending.is_none()
            && !self.rejoining
            && !self.machine.is_busy()
            && self.machine.queue.is_empty()
    }

    pub(super) fn ask(&mut self, connection: u64, id: u64, question: Question) {
        let known = ["complete_request", "inspect_request", "is_complete_request"];
        if !self.is_free() || !known.contains(&question.message.as_str()) {
            return self.answer(connection, id, json!({ "reply": null }));
        }
        let last = self.questions.last.as_ref();
        if let Some((_, reply, _)) = last.filter(|(last, _, at)| *last == question && at.elapsed() < PATIENCE)
        {
            let reply = reply.clone();
            return self.answer(connection, id, json!({ "reply": reply }));
        }
        if self.questions.asked.values().all(|asked| asked.by.is_none()) {
            return self.send_asked(connection, id, question);
        }
        let is_older =
            |(of, _, older): &(u64, u64, Question)| *of == connection && older.message == question.message;
        let older =
            self.questions.next.iter().position(is_older).and_then(|at| self.questions.next.remove(at));
        self.questions.next.push_back((connection, id, question));
        if let Some((connection, id, _)) = older {
            self.answer(connection, id, json!({ "reply": null }));
        }
    }

    fn ask_next(&mut self) {
        while let Some((connection, id, question)) = self.questions.next.pop_front() {
            if self.is_free() {
                return self.send_asked(connection, id, question);
            }
            self.answer(connection, id, json!({ "reply": null }));
        }
    }

    fn send_asked(&mut self, connection: u64, id: u64, question: Question) {
        let message = kernel::question(&question.message, question.content.clone());
        let asked = Asked { by: Some((connection, id)), question: Some(question), since: Instant::now() };
        self.send_question(message, asked);
    }

    pub(super) fn variables(&mut self, connection: u64, id: u64) {
        if !kernel::is_python(&self.record.kernel.language) {
            let none =
                SessionVariablesResult { variables: Vec::new(), supported: false, stale: false, as_of: None };
            return self.answer_variables(connection, id, &none);
        }
        if !self.is_free() {
            return self.answer_known(connection, id);
        }
        if !self.questions.is_due
            && let Some(known) = self.questions.known.as_ref().filter(|known| !known.stale)
        {
            // Nothing ran since.
            let known = known.clone();
            return self.answer_variables(connection, id, &known);
        }
        self.questions.waiting.push((connection, id));
        self.look_at_variables();
    }

    /// Something ran: what is known of the variables may be so no more.
    pub(super) fn variables_may_differ(&mut self) {
        self.questions.is_due = true;
        self.questions.last = None;
    }

    /// Another kernel: it has none.
    pub(super) fn variables_are_gone(&mut self) {
        (self.questions.known, self.questions.is_due, self.questions.last) = (None, true, None);
    }

    /// Whether the kernel is still to be asked unasked, or to answer.
    pub(super) fn has_questions(&self) -> bool {
        let questions = &self.questions;
        let is_due = questions.is_due && self.journal.last_seq() > 0;
        is_due && kernel::is_python(&self.record.kernel.language) || !questions.asked.is_empty()
    }

    /// From time to time: a question that the kernel leaves open is answered for it, and after the last execution the
    /// variables are looked at, so that they are known when the kernel is busy or gone.
    pub(super) fn tick_questions(&mut self, now: Time) {
        let open: Vec<String> = self
            .questions
            .asked
            .iter()
            .filter(|(_, a)| a.since.elapsed() > PATIENCE)
            .map(|(id, _)| id.clone())
            .collect();
        for id in open {
            self.answered(&id, &Value::Null);
        }
        let is_settled = now.since(self.record.last_activity_at) > SETTLED;
        if is_settled && self.questions.is_due && self.has_questions() {
            self.look_at_variables();
        }
    }

    /// The kernel is gone: nothing is answered any more.
    pub(super) fn forget_questions(&mut self) {
        self.snapshot_lost("the kernel ended");
        for (connection, id, _) in std::mem::take(&mut self.questions.next) {
            self.answer(connection, id, json!({ "reply": null }));
        }
        for id in self.questions.asked.keys().cloned().collect::<Vec<_>>() {
            self.answered(&id, &Value::Null);
        }
    }

    fn look_at_variables(&mut self) {
        if self.is_free() && self.questions.asked.values().all(|asked| asked.by.is_some()) {
            self.questions.is_due = false;
            let asked = Asked { by: None, question: None, since: Instant::now() };
            self.send_question(kernel::variables_request(), asked);
        }
    }

    fn send_question(&mut self, message: Message, asked: Asked) {
        let id = self.send_unnoticed(message);
        self.questions.asked.insert(id, asked);
    }

    /// Sends what is no execution: what the kernel says of it is passed over. Gives its id.
    pub(super) fn send_unnoticed(&mut self, message: Message) -> String {
        let recent = &mut self.questions.recent;
        let id = message.header.msg_id.clone();
        recent.push_back(id.clone());
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        self.outbox.push((Channel::Shell, message));
        id
    }

    /// The kernel's reply to a question; null where there is none.
    pub(super) fn answered(&mut self, id: &str, content: &Value) {
        if self.snapshot_answered(id, content) {
            return;
        }
        let Some(asked) = self.questions.asked.remove(id) else { return };
        self.stirs += 1;
        if let Some((connection, id)) = asked.by {
            // Null stands for no answer.
            let is_kept = || content.is_object() && content.to_string().len() <= LARGEST_KEPT;
            self.questions.last = asked
                .question
                .filter(|_| is_kept())
                .map(|question| (question, content.clone(), Instant::now()));
            self.answer(connection, id, json!({ "reply": content }));
            return self.ask_next();
        }
        let found = jupyter::variables_of(content);
        let variables =
            found.and_then(|found| serde_json::from_slice::<(Vec<Variable>, Vec<usize>)>(&found).ok());
        let waiting = std::mem::take(&mut self.questions.waiting);
        let Some((variables, worded)) = variables else {
            if let Some(known) = &mut self.questions.known {
                known.stale = true;
            }
            for (connection, id) in waiting {
                self.answer_known(connection, id);
            }
            return;
        };
        let now =
            SessionVariablesResult { variables, supported: true, stale: false, as_of: Some(Time::now()) };
        for (connection, id) in waiting {
            self.answer_variables(connection, id, &now);
        }
        let is_news = self.questions.known.as_ref().is_none_or(|known| known.variables != now.variables);
        if is_news {
            let (path, known) = (self.folders.variables_file(&self.record.id), now.clone());
            let write = move || {
                if let Err(e) = write_variables(&path, known, &worded) {
                    tracing::warn!("what is known of the variables cannot be written: {e}");
                }
            };
            // Nobody waits for the disk.
            let _ = std::thread::Builder::new().name("variables".into()).stack_size(256 << 10).spawn(write);
        }
        self.questions.known = Some(now);
    }

    fn answer_known(&mut self, connection: u64, id: u64) {
        let nothing =
            SessionVariablesResult { variables: Vec::new(), supported: true, stale: true, as_of: None };
        let known = self.questions.known.clone().unwrap_or(nothing);
        self.answer_variables(connection, id, &SessionVariablesResult { stale: true, ..known });
    }

    /// As text in the answer: of ten thousand variables each step between objects and text would be felt.
    fn answer_variables(&mut self, connection: u64, id: u64, variables: &SessionVariablesResult) {
        let text = serde_json::to_string(variables).unwrap_or_default();
        self.answer(connection, id, json!({ "json": text }));
    }
}

/// Replaces the file whole. Nobody has shown these texts: so what may be anybody's words is left out, with the numbers
/// whose names say that they are secret.
fn write_variables(path: &Path, mut known: SessionVariablesResult, worded: &[usize]) -> std::io::Result<()> {
    for (place, variable) in known.variables.iter_mut().enumerate() {
        let name = variable.name.to_lowercase();
        if worded.binary_search(&place).is_ok() || SECRETS.iter().any(|part| name.contains(part)) {
            variable.preview = "…".into();
        }
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".variables-").tempfile_in(folder)?;
    file.write_all(&serde_json::to_vec(&known)?)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
