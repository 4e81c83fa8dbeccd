//! What happens in a session, in order: the journal's rows, and what subscribers get.
//!
//! Stored and sent in the same form, so replay and live cannot differ.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CellRef, ExecutionError, ExecutionStatus, Output, Time};

/// One thing that happened. The journal stores exactly this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    UpdateDisplay { display_id: String, data: Value, metadata: Value },
    /// The kernel waits for a line from the user.
    InputRequest { prompt: String, password: bool },
    /// It has got it, or waits no longer.
    InputReplied {},
    /// A raw comm message, for widgets.
    Comm { message: Value },
    /// It has ended.
    Finished { status: ExecutionStatus, completed_at: Time, error: Option<ExecutionError> },
    /// Output may be missing here; no execution is named.
    Gap {
        from: Time,
        to: Time,
        /// Messages that are missing at most; null where it cannot be known.
        #[cfg_attr(test, ts(type = "number | null"))]
        lost_at_most: Option<u64>,
    },
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
