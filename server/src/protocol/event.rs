//! What happens in a session, in order: the journal's rows, and what subscribers get.
//!
//! Stored and sent in the same form, so replay and live cannot differ.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::{CellRef, ExecutionError, ExecutionStatus, Json, Output, Time};

/// One thing that happened. The journal stores exactly this.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventBody {
    /// An execution is in the journal, waiting for its turn.
    Queued { code: String, origin: String },
    /// The kernel has begun with it.
    Started { started_at: Time, execution_count: Option<u32> },
    /// An output to append. Two `stream` outputs of one name that follow each other are one output.
    Output { output: Output },
    /// `clear_output()`; with `wait` the outputs go when the next one comes.
    ClearOutput { wait: bool },
    /// New data for every output with this display id, in whichever cell.
    UpdateDisplay {
        display_id: String,
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        data: Json,
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        metadata: Json,
    },
    /// The kernel waits for a line from the user.
    InputRequest { prompt: String, password: bool },
    /// It has got it, or waits no longer.
    InputReplied {},
    /// A raw comm message, for widgets.
    Comm {
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        message: Json,
    },
    /// An output that stands in an `Output` widget, not in the cell.
    WidgetOutput { comm_id: String, output: Output },
    /// `clear_output()` of what stands in one.
    WidgetCleared { comm_id: String, wait: bool },
    /// The kernel has code for a person to run next (`%load`, `set_next_input`): in place of the cell's own where it `replace`s,
    /// else in a cell below.
    NextInput { text: String, replace: bool },
    /// It has ended.
    Finished {
        status: ExecutionStatus,
        completed_at: Time,
        error: Option<ExecutionError>,
        /// Where `started` came before it was known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        execution_count: Option<u32>,
    },
    /// Output may be missing here; no execution is named.
    Gap {
        from: Time,
        to: Time,
        /// Messages that are missing at most; null where it cannot be known.
        #[cfg_attr(test, ts(type = "number | null"))]
        lost_at_most: Option<u64>,
    },
}

/// Read in one go, as [`Output`] is.
impl<'de> Deserialize<'de> for EventBody {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<EventBody, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        enum Kind {
            Queued,
            Started,
            Output,
            ClearOutput,
            UpdateDisplay,
            InputRequest,
            InputReplied,
            Comm,
            WidgetOutput,
            WidgetCleared,
            NextInput,
            Finished,
            Gap,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Any {
            kind: Kind,
            code: Option<String>,
            origin: Option<String>,
            started_at: Option<Time>,
            execution_count: Option<u32>,
            output: Option<Output>,
            wait: Option<bool>,
            display_id: Option<String>,
            #[serde(default, deserialize_with = "super::json::given")]
            data: Option<Json>,
            #[serde(default, deserialize_with = "super::json::given")]
            metadata: Option<Json>,
            prompt: Option<String>,
            password: Option<bool>,
            #[serde(default, deserialize_with = "super::json::given")]
            message: Option<Json>,
            comm_id: Option<String>,
            text: Option<String>,
            replace: Option<bool>,
            status: Option<ExecutionStatus>,
            completed_at: Option<Time>,
            error: Option<ExecutionError>,
            from: Option<Time>,
            to: Option<Time>,
            lost_at_most: Option<u64>,
        }
        fn given<T, E: serde::de::Error>(field: Option<T>, name: &'static str) -> Result<T, E> {
            field.ok_or_else(|| E::missing_field(name))
        }
        let any = Any::deserialize(from)?;
        Ok(match any.kind {
            Kind::Queued => {
                EventBody::Queued { code: given(any.code, "code")?, origin: given(any.origin, "origin")? }
            }
            Kind::Started => EventBody::Started {
                started_at: given(any.started_at, "startedAt")?,
                execution_count: any.execution_count,
            },
            Kind::Output => EventBody::Output { output: given(any.output, "output")? },
            Kind::ClearOutput => EventBody::ClearOutput { wait: given(any.wait, "wait")? },
            Kind::UpdateDisplay => EventBody::UpdateDisplay {
                display_id: given(any.display_id, "displayId")?,
                data: given(any.data, "data")?,
                metadata: given(any.metadata, "metadata")?,
            },
            Kind::InputRequest => EventBody::InputRequest {
                prompt: given(any.prompt, "prompt")?,
                password: given(any.password, "password")?,
            },
            Kind::InputReplied => EventBody::InputReplied {},
            Kind::Comm => EventBody::Comm { message: given(any.message, "message")? },
            Kind::WidgetOutput => EventBody::WidgetOutput {
                comm_id: given(any.comm_id, "commId")?,
                output: given(any.output, "output")?,
            },
            Kind::WidgetCleared => EventBody::WidgetCleared {
                comm_id: given(any.comm_id, "commId")?,
                wait: given(any.wait, "wait")?,
            },
            Kind::NextInput => EventBody::NextInput {
                text: given(any.text, "text")?,
                replace: given(any.replace, "replace")?,
            },
            Kind::Finished => EventBody::Finished {
                status: given(any.status, "status")?,
                completed_at: given(any.completed_at, "completedAt")?,
                error: any.error,
                execution_count: any.execution_count,
            },
            Kind::Gap => EventBody::Gap {
                from: given(any.from, "from")?,
                to: given(any.to, "to")?,
                lost_at_most: any.lost_at_most,
            },
        })
    }
}

impl EventBody {
    /// An end that tells no count.
    pub fn finished(status: ExecutionStatus, completed_at: Time, error: Option<ExecutionError>) -> EventBody {
        EventBody::Finished { status, completed_at, error, execution_count: None }
    }
}

/// A journal row.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// From 1, no number missing but by pruning, never used twice.
    pub seq: u64,
    /// The execution it belongs to; `None` for what has no known parent.
    pub execution_id: Option<String>,
    /// Number of the execution's notebook within the session.
    pub notebook: Option<u32>,
    pub cell: Option<CellRef>,
    pub body: EventBody,
}

/// `keeper/executionEvent`: one event, to subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ExecutionEvent {
    pub session_id: String,
    /// Goes on from 1 over restart and adoption.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// Null for a `gap`, and for what belongs to no execution.
    pub execution_id: Option<String>,
    /// The notebook under its present name; null where the event belongs to none.
    pub notebook_uri: Option<String>,
    pub cell: Option<CellRef>,
    pub event: EventBody,
}
