//! Generates the client's TypeScript types, and fails where the committed ones differ.

use std::collections::BTreeMap;
use std::path::Path;
use ts_rs::{Config, TS};

use super::*;

/// Every type of the wire, in one file: `KERNEL_KEEPER_BLESS=1 cargo test typescript` rewrites it.
#[test]
fn generated_types_are_current() {
    let config = Config::default();
    let mut types = BTreeMap::new();
    macro_rules! declare {
        ($($name:ident),* $(,)?) => {$(
            let docs = <$name as TS>::docs().unwrap_or_default();
            types.insert(stringify!($name), format!("{docs}export {}", <$name as TS>::decl(&config)));
        )*};
    }
    declare!(
        NotebookRef,
        Execution,
        ExecutionStatus,
        ExecutionError,
        CellRef,
        StreamName,
        Output,
        CellOutputs,
        Truncated,
        EventBody,
        ExecutionEvent,
        Session,
        KernelInfo,
        SessionState,
        EndReason,
        CurrentExecution,
        InputPrompt,
        AttachedWindow,
        AboutWindow,
        Window,
        WindowState,
        WindowChange,
        Offer,
        OfferKind,
        Action,
        ListSessionsParams,
        SessionsResult,
        NotebookParams,
        Candidate,
        FindActiveSessionResult,
        ListKernelspecsParams,
        Kernelspec,
        KernelspecsResult,
        EnsureSessionParams,
        EnsureResult,
        AnswerOfferParams,
        OffersResult,
        StartSessionParams,
        SessionResult,
        AttachSessionParams,
        AttachSessionResult,
        DetachSessionParams,
        SessionParams,
        StopAllResult,
        LabelSessionParams,
        PinSessionParams,
        ExecuteParams,
        ExecuteResult,
        CancelExecutionParams,
        ExecutionResult,
        ReplyInputParams,
        ExecutionHistoryParams,
        ExecutionsResult,
        CellOutputsParams,
        CellOutputsResult,
        SubscribeParams,
        SubscribeResult,
        PruneStoreParams,
        PruneStoreResult,
        SessionNotification,
        OfferNotification,
        OfferWithdrawn,
        Followed,
        Rebuild,
        ListWindowsParams,
        WindowsResult,
        AddWindowParams,
        UpdateWindowParams,
        WindowResult,
        RemoveWindowParams,
        RemoveWindowResult,
        ReconnectTokenResult,
        ReconnectParams,
        ReconnectResult,
        OtherKernel,
        OtherKernelsResult,
        AdoptKernelParams,
        SetVisibleParams,
        Health,
        SessionCounts,
        WindowCounts,
        Ages,
        LastDay,
        RecentEvent,
        StoreSizes,
        InspectParams,
        InspectResult,
        Variable,
        SessionVariablesResult,
        Role,
        AppendTurnParams,
        AppendTurnResult,
        Turn,
        ConversationHistoryParams,
        ConversationHistoryResult,
        ConversationParams,
        ConversationInfo,
        ListConversationsParams,
        Conversation,
        ConversationsResult,
        ClearConversationResult,
        BranchConversationParams,
        ConversationIdResult,
        ExportConversationResult,
        ImportConversationParams,
        SkippedVariable,
        Snapshot,
        SaveSnapshotParams,
        SnapshotResult,
        RestoreSnapshotParams,
        RestoreSnapshotResult,
        SnapshotsResult,
        RemoveSnapshotParams,
        RemoveSnapshotResult,
        ReplayToParams,
        ReplayToResult,
    );
    let body: Vec<String> = types.into_values().collect();
    let text = format!(
        "// Generated from server/src/protocol by `npm run protocol`. Do not edit.\n\n\
         /** Any JSON. */\nexport type JsonValue = null | boolean | number | string | JsonValue[] | {{ [key: string]: JsonValue }};\n\
         /** RFC 3339, UTC, milliseconds. */\nexport type Time = string;\n\n{}\n",
        body.join("\n\n")
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("editor-client/src/protocol/types.ts");
    if std::env::var_os("KERNEL_KEEPER_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{} is not what the Rust types say: run `npm run protocol`", path.display());
}
