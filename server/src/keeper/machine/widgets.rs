//! What an `Output` widget takes: a widget that has a request's id takes what that request puts out, and its clears, until it
//! gives the id back. It stands in the widget then, and not in the cell.
//!
//! The widget's own protocol: its state `msg_id`, of ipywidgets' `OutputModel`.

use serde_json::value::RawValue;

use super::Machine;
use crate::protocol::{EventBody, Fields, Json, fields_of, string_of};

/// Widgets that take output at once. A kernel that names more is not believed.
const MOST: usize = 256;

/// A widget that takes what a request puts out.
#[derive(Debug)]
pub struct Taker {
    comm_id: String,
    msg_id: String,
}

impl Machine {
    /// Where output of a request stands: an event of a widget where one has taken it.
    pub(super) fn placed(&mut self, kind: &str, parent: &str, body: EventBody) -> EventBody {
        let taker = || self.takers.iter().rev().find(|taker| taker.msg_id == parent);
        match body {
            EventBody::Comm { message } => {
                self.heard_of_widget(kind, &message);
                EventBody::Comm { message }
            }
            EventBody::Output { output } => match taker() {
                Some(taker) => EventBody::WidgetOutput { comm_id: taker.comm_id.clone(), output },
                None => EventBody::Output { output },
            },
            EventBody::ClearOutput { wait } => match taker() {
                Some(taker) => EventBody::WidgetCleared { comm_id: taker.comm_id.clone(), wait },
                None => EventBody::ClearOutput { wait },
            },
            other => other,
        }
    }

    /// A widget takes an id, gives it back, or is closed. `message`: as the journal has it.
    pub fn heard_of_widget(&mut self, kind: &str, message: &Json) {
        let closes = kind == "comm_close";
        let fields = message.fields();
        let Some(content) = field(&fields, "content") else { return };
        // Few messages say anything of it, and some are large.
        if !closes && !content.get().contains("\"msg_id\"") {
            return;
        }
        let content = fields_of(content);
        let Some(comm_id) = field(&content, "comm_id").and_then(string_of) else { return };
        let state = field(&content, "data").map(fields_of).unwrap_or_default();
        let state = field(&state, "state").map(fields_of).unwrap_or_default();
        let msg_id = field(&state, "msg_id").and_then(string_of);
        let Some(msg_id) = (if closes { Some("".into()) } else { msg_id }) else { return };
        self.takers.retain(|taker| taker.comm_id != comm_id);
        if !msg_id.is_empty() {
            self.takers.push(Taker { comm_id: comm_id.into_owned(), msg_id: msg_id.into_owned() });
            if self.takers.len() > MOST {
                self.takers.remove(0);
            }
        }
    }
}

fn field<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
}
