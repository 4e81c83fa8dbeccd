//! What crosses a process boundary: the types of docs/protocol.md, version 1.
//!
//! A leaf: plain data with serde, no I/O, nothing else of ours. The TypeScript under
//! `editor-client/src/protocol/` is generated from these types by `cargo test protocol::typescript`.

mod conversation;
mod error;
mod event;
mod execution;
mod json;
pub mod limits;
mod notebook;
mod offer;
mod requests;
mod session;
mod snapshot;
mod time;
#[cfg(test)]
mod typescript;
mod window;

pub use conversation::*;
pub use error::{Error, ErrorKind};
pub use event::{EventBody, ExecutionEvent, StoredEvent};
pub use execution::{
    CellOutputs, CellRef, Execution, ExecutionError, ExecutionStatus, Output, StreamName, Truncated,
};
pub use json::{Fields, Json, fields_of, string_of};
pub use notebook::{NotebookName, NotebookRef};
pub use offer::{Action, Offer, OfferKind, actions};
pub use requests::*;
pub use session::{
    AGENT, AttachedWindow, CurrentExecution, EndReason, InputPrompt, KernelInfo, Session, SessionState,
};
pub use snapshot::*;
pub use time::Time;
pub use window::{AboutWindow, Window, WindowChange, WindowState};

/// The protocol version that `initialize` reports.
pub const PROTOCOL_VERSION: u32 = 1;
