//! Parameters and results of the requests, and what notifications carry. One pair a method, in the order of docs/protocol.md.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::{CellOutputs, CellRef, Execution, Offer, RestoreSnapshotResult, Session, Time, Window};

macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
    )*};
}
pub(super) use wire;

wire! {
    /// `keeper/listSessions`
    ListSessionsParams {
        /// Also those that have ended; default false.
        include_ended: Option<bool>,
    }
    /// Newest activity first.
    SessionsResult { sessions: Vec<Session> }

    /// `keeper/findActiveSession`, and other requests about one notebook.
    NotebookParams { notebook_uri: String }
    /// A live session whose notebook is gone and whose executed cells are this notebook's.
    Candidate {
        session: Session,
        /// Always "content".
        r#match: String,
        /// Share of the executed cells that the notebook has, 0 to 1.
        score: f64,
    }

    /// `keeper/listKernelspecs`
    ListKernelspecsParams {
        notebook_uri: Option<String>,
        /// Folders or interpreters of Python environments that the editor knows.
        environments: Option<Vec<String>>,
        /// Whether a person may start them here, and so may agents; default true. False in an untrusted workspace.
        offered: Option<bool>,
    }
    /// A kernel that could be started.
    Kernelspec {
        name: String,
        display_name: String,
        language: String,
        /// "jupyter" (an installed kernelspec) or "environment" (a Python environment of the workspace).
        source: String,
        /// The program that runs it; null where it is unknown.
        #[cfg_attr(test, ts(type = "string | null"))]
        interpreter: Option<String>,
        /// False: the environment lacks ipykernel.
        ready: bool,
        /// The kernel provisioner that is to start it, which is refused: it is not for this machine.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        provisioner: Option<String>,
    }
    KernelspecsResult { kernelspecs: Vec<Kernelspec> }

    /// `keeper/ensureSession`
    EnsureSessionParams {
        notebook_uri: String,
        /// Absent: the one that the notebook names, else the only one of its language, else an offer `pick`.
        kernel_name: Option<String>,
        /// Default true. False: by path resumed, by file migrated, else started; nothing is stopped or asked.
        ask: Option<bool>,
    }
    /// Of `ensureSession` and `answerOffer`.
    EnsureResult {
        /// attached | resumed | migrated | started | ask | dismissed
        outcome: String,
        #[cfg_attr(test, ts(type = "Session | null"))]
        session: Option<Session>,
        /// The session's latest execution.
        #[cfg_attr(test, ts(type = "Execution | null"))]
        last_execution: Option<Execution>,
        /// The question, where `outcome` is "ask".
        #[cfg_attr(test, ts(type = "Offer | null"))]
        offer: Option<Offer>,
        /// What was queued, where the answer was "rebuild".
        #[cfg_attr(test, ts(type = "Rebuild | null"))]
        rebuild: Option<Rebuild>,
        /// What the answer "restore" brought back; null too where that failed.
        #[cfg_attr(test, ts(type = "RestoreSnapshotResult | null"))]
        restored: Option<RestoreSnapshotResult>,
    }
    /// Executions of an earlier kernel that were queued again, in their order.
    Rebuild { execution_ids: Vec<String> }
    /// `keeper/answerOffer`
    AnswerOfferParams { offer_id: String, action: String }
    OffersResult { offers: Vec<Offer> }

    /// `keeper/startSession`
    StartSessionParams {
        notebook_uri: String,
        kernel_name: String,
        label: Option<String>,
        /// The kernel's working folder; default the notebook's own.
        cwd: Option<String>,
        /// Added to the kernel's environment.
        env: Option<BTreeMap<String, String>>,
    }
    SessionResult { session: Session }

    /// `keeper/attachSession`; exactly one of `sourcePid` and `sessionId`.
    AttachSessionParams {
        target_notebook_uri: String,
        source_pid: Option<u32>,
        session_id: Option<String>,
        /// `SessionMoved` where the session is bound to another notebook by now.
        expected_notebook_uri: Option<String>,
        /// Stop the kernel that lives on the target.
        replace: Option<bool>,
        /// The old notebook keeps it too.
        share: Option<bool>,
    }
    AttachSessionResult {
        success: bool,
        /// Native path; null for an untitled notebook.
        #[cfg_attr(test, ts(type = "string | null"))]
        old_path: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        new_path: Option<String>,
        session: Session,
    }

    /// `keeper/detachSession`
    DetachSessionParams {
        session_id: String,
        /// A shared notebook that lets go; absent: this window does.
        notebook_uri: Option<String>,
    }
    /// `keeper/stopSession`, `interruptSession`, `restartSession`, `unsubscribe`
    SessionParams { session_id: String }
    StopAllResult { stopped: u32 }
    /// `keeper/labelSession`
    LabelSessionParams {
        session_id: String,
        /// Empty: derived from the notebook's name again.
        label: String,
    }
    /// `keeper/pinSession`
    PinSessionParams { session_id: String, pinned: bool }

    /// `keeper/execute`
    ExecuteParams {
        session_id: String,
        code: String,
        /// Default: the session's first notebook.
        notebook_uri: Option<String>,
        cell: Option<CellRef>,
        /// Default true: a failure makes what waits from the same notebook `aborted`.
        stop_on_error: Option<bool>,
        /// One name for all that was asked to run together: after a failure what arrives later of it is `aborted` too.
        batch: Option<String>,
        /// Default false: an agent asks for it through this window; its origin is "mcp".
        agent: Option<bool>,
    }
    ExecuteResult { execution_id: String }
    /// `keeper/cancelExecution`
    CancelExecutionParams { session_id: String, execution_id: String }
    ExecutionResult { execution: Execution }
    /// `keeper/replyInput`
    ReplyInputParams { session_id: String, execution_id: String, value: String }

    /// `keeper/executionHistory`; exactly one of `notebookUri` and `sessionId`.
    ExecutionHistoryParams {
        notebook_uri: Option<String>,
        session_id: Option<String>,
        /// Default 50.
        limit: Option<u32>,
    }
    /// Newest first.
    ExecutionsResult { executions: Vec<Execution> }

    /// `keeper/cellOutputs`
    CellOutputsParams {
        session_id: String,
        notebook_uri: Option<String>,
        /// Of the cell with this execution alone: what an answer about all cells has no room for.
        execution_id: Option<String>,
        /// Stream text of a cell is cut in its middle beyond this; default 10485760.
        #[cfg_attr(test, ts(optional, type = "number"))]
        max_bytes_per_cell: Option<u64>,
    }
    CellOutputsResult {
        /// Subscribe after this to miss nothing.
        #[cfg_attr(test, ts(type = "number"))]
        last_seq: u64,
        cells: Vec<CellOutputs>,
    }
    /// `keeper/subscribe`
    SubscribeParams {
        session_id: String,
        /// Absent: from now.
        #[cfg_attr(test, ts(optional, type = "number"))]
        after_seq: Option<u64>,
    }
    SubscribeResult {
        #[cfg_attr(test, ts(type = "number"))]
        last_seq: u64,
    }

    /// `keeper/inspect`
    InspectParams {
        session_id: String,
        code: String,
        /// Position in `code`, in Unicode code points, as Jupyter counts.
        cursor: u32,
    }
    /// Nothing is found where the kernel is busy.
    InspectResult {
        found: bool,
        /// MIME bundle.
        data: Value,
    }
    /// One of the user's variables. Modules, functions, classes and names that begin with `_` are none.
    Variable {
        name: String,
        /// Its class's name.
        r#type: String,
        /// A dimension is null where it is not known; a collection has one, its length; null where there is none.
        #[cfg_attr(test, ts(type = "(number | null)[] | null"))]
        shape: Option<Vec<Option<u64>>>,
        /// Bytes, without what it refers to; null where it is not known.
        #[cfg_attr(test, ts(type = "number | null"))]
        size: Option<u64>,
        /// At most 200 characters; of large objects what they are, not what is in them.
        preview: String,
    }
    /// `keeper/sessionVariables`: in the order in which the user made them.
    SessionVariablesResult {
        variables: Vec<Variable>,
        /// False: this language's kernels cannot be asked.
        supported: bool,
        /// The kernel is busy or ended: this is the last that was known.
        stale: bool,
        /// When it was so; null where nothing is known.
        #[cfg_attr(test, ts(type = "Time | null"))]
        as_of: Option<Time>,
    }

    /// `keeper/listWindows`; each that is given narrows it.
    ListWindowsParams {
        repo: Option<String>,
        issue_number: Option<u32>,
        folder: Option<String>,
        /// Also those that are gone; default false.
        include_disconnected: Option<bool>,
    }
    WindowsResult {
        /// Those seen last first.
        windows: Vec<Window>,
        /// How many of them have an editor that runs.
        active: u32,
    }
    /// `keeper/addWindow`: one that has no sidecar. The folder's, where there is one already.
    /// With it comes what is known of it, as in [`WindowChange`](super::WindowChange).
    AddWindowParams { folder: String }
    /// `keeper/updateWindow`; with it comes what is to change, as in [`WindowChange`](super::WindowChange).
    UpdateWindowParams { window_id: String }
    WindowResult { window: Window }
    /// `keeper/removeWindow`: what is known of windows of this folder that have no living sidecar is forgotten.
    RemoveWindowParams { folder: String }
    RemoveWindowResult { removed: bool }

    /// `keeper/reconnectToken`
    ReconnectTokenResult {
        token: String,
        /// After that it is of no use.
        expires_at: Time,
    }
    /// `keeper/reconnect`
    ReconnectParams { token: String }
    ReconnectResult { window: Window, reconnect_count: u32 }

    /// A living kernel of this user that another program started.
    OtherKernel {
        /// The absolute path of its connection file, by which it is named.
        connection_file: String,
        pid: u32,
        kernel_name: String,
        display_name: String,
        language: String,
        started_at: Time,
        /// The program that started it, such as "jupyter-lab"; null where that is gone.
        #[cfg_attr(test, ts(type = "string | null"))]
        started_by: Option<String>,
        /// The notebook that it was started for, where its program told it.
        #[cfg_attr(test, ts(type = "string | null"))]
        notebook_path: Option<String>,
    }
    /// `keeper/listOtherKernels`: newest first.
    OtherKernelsResult {
        kernels: Vec<OtherKernel>,
        /// Where their connection files are looked for: Jupyter's runtime folder.
        #[cfg_attr(test, ts(type = "string | null"))]
        folder: Option<String>,
    }
    /// `keeper/adoptKernel`
    AdoptKernelParams {
        connection_file: String,
        /// The notebook that is to have it; default: the one that it was started for.
        notebook_uri: Option<String>,
        label: Option<String>,
    }
    /// `keeper/setVisible`: the window shows memory and processor to somebody; they are sampled more often meanwhile.
    SetVisibleParams { visible: bool }
    /// `keeper/health`
    Health {
        sessions: SessionCounts,
        windows: WindowCounts,
        ages: Ages,
        last24h: LastDay,
        /// Newest first, at most 50.
        recent: Vec<RecentEvent>,
        store: StoreSizes,
    }
    /// A live session is disconnected when no window has it attached, else active; `total` counts all of them.
    SessionCounts { active: u32, disconnected: u32, ended: u32, total: u32 }
    WindowCounts { active: u32, disconnected: u32, total: u32 }
    /// Windows by the time since they were last heard of: under 2 minutes, under 10, longer. Of kernels it says nothing: one
    /// that idles for days is well.
    Ages { healthy: u32, aging: u32, stale: u32 }
    /// What windows did in the last 24 hours.
    LastDay { connects: u32, disconnects: u32, reconnects: u32, expired_tokens: u32, rejected_tokens: u32 }
    /// One thing that happened.
    RecentEvent {
        at: Time,
        /// windowConnected | windowReconnected | windowDisconnected | tokenExpired | tokenRejected | sessionStarted |
        /// sessionAdopted | sessionMigrated | sessionEnded
        kind: String,
        #[cfg_attr(test, ts(type = "string | null"))]
        session_id: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        window_id: Option<String>,
        /// The session's label, or the window's folder.
        #[cfg_attr(test, ts(type = "string | null"))]
        label: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        detail: Option<String>,
    }
    /// Bytes on disk.
    StoreSizes {
        #[cfg_attr(test, ts(type = "number"))]
        registry_bytes: u64,
        #[cfg_attr(test, ts(type = "number"))]
        journal_bytes: u64,
        /// Outputs too large for the journal.
        #[cfg_attr(test, ts(type = "number"))]
        asset_bytes: u64,
    }

    /// `keeper/pruneStore`; absent: every ended session.
    PruneStoreParams { ended_before: Option<Time> }
    PruneStoreResult {
        removed_sessions: u32,
        #[cfg_attr(test, ts(type = "number"))]
        freed_bytes: u64,
    }

    /// `keeper/sessionCreated`, `sessionUpdated`, `sessionDisconnected`, `sessionEnded`
    SessionNotification { session: Session }
    /// `keeper/offer`
    OfferNotification { offer: Offer }
    /// `keeper/offerWithdrawn`
    OfferWithdrawn { offer_id: String }
    /// `keeper/followed`: another window answered the question about a notebook that this one shows, too.
    Followed { notebook_uri: String, session: Session }
}

/// `keeper/findActiveSession`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FindActiveSessionResult {
    pub found: bool,
    pub session: Option<Session>,
    /// "path", or "file": its file had another name when the session was bound to it.
    pub r#match: Option<String>,
    pub candidates: Vec<Candidate>,
}
