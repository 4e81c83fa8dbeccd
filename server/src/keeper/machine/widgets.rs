//! What an `Output` widget takes: a widget that has a request's id takes what that request puts out, and its clears, until it
//! gives the id back. It stands in the widget then, and not in the cell.
//!
//! The widget's own protocol: its state `msg_id`, of ipywidgets' `OutputModel`.

use serde::Deserialize;

use super::Machine;
use crate::protocol::{EventBody, Json};

/// Widgets that take output at once. A kernel that names more is not believed.
const MOST: usize = 256;

/// A widget that takes what a request puts out.
#[derive(Debug)]
pub struct Taker {
    comm_id: String,
    msg_id: String,
}

/// The part of a comm message that says so.
#[derive(Deserialize)]
struct Content {
    comm_id: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    msg_id: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Content,
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
        // Few messages say anything of it, and some are large.
        if !closes && !message.text().contains("\"msg_id\"") {
            return;
        }
        let Ok(Message { content }) = serde_json::from_str(message.text()) else { return };
        let Some(msg_id) = content.data.state.msg_id.or(closes.then(String::new)) else { return };
        self.takers.retain(|taker| taker.comm_id != content.comm_id);
        if !msg_id.is_empty() {
            self.takers.push(Taker { comm_id: content.comm_id, msg_id });
            if self.takers.len() > MOST {
                self.takers.remove(0);
            }
        }
    }
}
