//! The requests `keeper/…`: one table from name to handler. A handler parses, makes one call into `sessions`, converts.
//!
//! A panic in one ends that request alone. What must keep the order of requests is done before the first `.await`.

use std::panic::AssertUnwindSafe;
use std::sync::PoisonError;

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;
use tower_lsp::ls_types::MessageType;
use tower_lsp::{LspServiceBuilder, jsonrpc};

use super::backend::Backend;
use super::conversations::*;
use super::methods_snapshots::{list_snapshots, remove_snapshot, replay_to, restore_snapshot, save_snapshot};
use super::params::{notebook, optional_notebook, parse, to_rpc};
use super::transport::Wrapped;
use super::{outgoing, params};
use crate::protocol::*;
use crate::sessions::{Sessions, Start};

type Answer<T> = Result<T, Error>;

/// The answer of a request that has none: `{}`.
#[derive(Serialize)]
struct Nothing {}

/// Stream text of one cell beyond this is cut in its middle, unless the request says otherwise.
const BYTES_PER_CELL: u64 = 10 << 20;

macro_rules! table {
    ($builder:ident: $($name:literal => $handler:ident -> $answer:ty),* $(,)?) => {$(
        let $builder = {
            async fn guarded(backend: &Backend, params: Value) -> jsonrpc::Result<Wrapped> {
                // A fault in one request must not end the window's sidecar.
                let answer: Result<Answer<$answer>, _> =
                    AssertUnwindSafe($handler(backend, params)).catch_unwind().await;
                match answer {
                    Ok(answer) => answer.and_then(|answer| Wrapped::answer($name, &answer)).map_err(to_rpc),
                    Err(_) => {
                        tracing::error!(method = $name, "the handler panicked");
                        let what = concat!($name, " failed by a fault of Kernel Keeper; its log has more");
                        Err(to_rpc(Error::new(ErrorKind::Internal, what)))
                    }
                }
            }
            $builder.custom_method($name, guarded)
        };
    )*};
}

/// Adds all of ours to the standard methods.
pub fn register(builder: LspServiceBuilder<Backend>) -> LspServiceBuilder<Backend> {
    table! { builder:
        "keeper/listSessions" => list_sessions -> SessionsResult,
        "keeper/findActiveSession" => find_active_session -> FindActiveSessionResult,
        "keeper/listKernelspecs" => list_kernelspecs -> KernelspecsResult,
        "keeper/ensureSession" => ensure_session -> EnsureResult,
        "keeper/answerOffer" => answer_offer -> EnsureResult,
        "keeper/openOffers" => open_offers -> OffersResult,
        "keeper/startSession" => start_session -> SessionResult,
        "keeper/attachSession" => attach_session -> AttachSessionResult,
        "keeper/detachSession" => detach_session -> Nothing,
        "keeper/stopSession" => stop_session -> SessionResult,
        "keeper/stopAllSessions" => stop_all_sessions -> StopAllResult,
        "keeper/interruptSession" => interrupt_session -> SessionResult,
        "keeper/restartSession" => restart_session -> SessionResult,
        "keeper/labelSession" => label_session -> SessionResult,
        "keeper/pinSession" => pin_session -> SessionResult,
        "keeper/execute" => execute -> ExecuteResult,
        "keeper/cancelExecution" => cancel_execution -> ExecutionResult,
        "keeper/replyInput" => reply_input -> Nothing,
        "keeper/executionHistory" => execution_history -> ExecutionsResult,
        "keeper/cellOutputs" => cell_outputs -> CellOutputsResult,
        "keeper/subscribe" => subscribe -> SubscribeResult,
        "keeper/unsubscribe" => unsubscribe -> Nothing,
        "keeper/sessionVariables" => session_variables -> SessionVariablesResult,
        "keeper/inspect" => inspect -> InspectResult,
        "keeper/listOtherKernels" => list_other_kernels -> OtherKernelsResult,
        "keeper/adoptKernel" => adopt_kernel -> SessionResult,
        "keeper/setVisible" => set_visible -> Nothing,
        "keeper/health" => health -> Health,
        "keeper/listWindows" => list_windows -> WindowsResult,
        "keeper/addWindow" => add_window -> WindowResult,
        "keeper/updateWindow" => update_window -> WindowResult,
        "keeper/removeWindow" => remove_window -> RemoveWindowResult,
        "keeper/reconnectToken" => reconnect_token -> ReconnectTokenResult,
        "keeper/reconnect" => reconnect -> ReconnectResult,
        "keeper/pruneStore" => prune_store -> PruneStoreResult,
        "keeper/conversation/append" => append_turn -> AppendTurnResult,
        "keeper/conversation/history" => conversation_history -> ConversationHistoryResult,
        "keeper/conversation/info" => conversation_info -> ConversationInfo,
        "keeper/conversation/list" => list_conversations -> ConversationsResult,
        "keeper/conversation/clear" => clear_conversation -> ClearConversationResult,
        "keeper/conversation/branch" => branch_conversation -> ConversationIdResult,
        "keeper/conversation/export" => export_conversation -> ExportConversationResult,
        "keeper/conversation/import" => import_conversation -> ConversationIdResult,
        "keeper/snapshot/save" => save_snapshot -> SnapshotResult,
        "keeper/snapshot/restore" => restore_snapshot -> RestoreSnapshotResult,
        "keeper/snapshot/list" => list_snapshots -> SnapshotsResult,
        "keeper/snapshot/remove" => remove_snapshot -> RemoveSnapshotResult,
        "keeper/replayTo" => replay_to -> ReplayToResult,
    }
    builder
}

fn session_answer(session: Session) -> Answer<SessionResult> {
    Ok(SessionResult { session })
}

async fn list_sessions(backend: &Backend, params: Value) -> Answer<SessionsResult> {
    let asked: ListSessionsParams = parse(params)?;
    backend.looked().await;
    let sessions = backend.sessions()?.list(asked.include_ended.unwrap_or(false)).await?;
    Ok(SessionsResult { sessions })
}

async fn find_active_session(backend: &Backend, params: Value) -> Answer<FindActiveSessionResult> {
    let asked: NotebookParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    backend.looked().await;
    backend.sessions()?.find_active(&name).await
}

async fn list_kernelspecs(backend: &Backend, params: Value) -> Answer<KernelspecsResult> {
    let asked: ListKernelspecsParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    let named: Vec<_> = asked.environments.into_iter().flatten().map(std::path::PathBuf::from).collect();
    let sessions = backend.sessions()?;
    let kernelspecs = match asked.offered.unwrap_or(true) {
        true => sessions.offer_kernelspecs(name.as_ref(), &named).await?,
        false => sessions.kernelspecs(name.as_ref(), &named).await?,
    };
    Ok(KernelspecsResult { kernelspecs })
}

async fn ensure_session(backend: &Backend, params: Value) -> Answer<EnsureResult> {
    let asked: EnsureSessionParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    backend.looked().await;
    let sessions = backend.sessions()?;
    sessions.ensure(&name, asked.kernel_name.as_deref(), asked.ask.unwrap_or(true)).await
}

async fn answer_offer(backend: &Backend, params: Value) -> Answer<EnsureResult> {
    let asked: AnswerOfferParams = parse(params)?;
    backend.sessions()?.answer(&asked.offer_id, &asked.action).await
}

async fn open_offers(backend: &Backend, _: Value) -> Answer<OffersResult> {
    backend.looked().await;
    Ok(OffersResult { offers: backend.sessions()?.open_offers()? })
}

async fn start_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: StartSessionParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    let start = Start {
        kernel_name: asked.kernel_name,
        label: asked.label,
        cwd: asked.cwd,
        env: asked.env.unwrap_or_default(),
        rebuild_from: None,
    };
    session_answer(backend.sessions()?.start(&name, start).await?)
}

async fn attach_session(backend: &Backend, params: Value) -> Answer<AttachSessionResult> {
    let asked: AttachSessionParams = parse(params)?;
    backend.looked().await;
    backend.sessions()?.attach(&asked).await
}

async fn detach_session(backend: &Backend, params: Value) -> Answer<Nothing> {
    let asked: DetachSessionParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    backend.sessions()?.detach(&asked.session_id, name.as_ref()).await?;
    Ok(Nothing {})
}

async fn stop_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.stop(&asked.session_id).await?)
}

async fn stop_all_sessions(backend: &Backend, _: Value) -> Answer<StopAllResult> {
    Ok(StopAllResult { stopped: backend.sessions()?.stop_all().await? })
}

async fn interrupt_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.interrupt(&asked.session_id).await?)
}

async fn restart_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.restart(&asked.session_id).await?)
}

async fn label_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: LabelSessionParams = parse(params)?;
    session_answer(backend.sessions()?.label(&asked.session_id, &asked.label).await?)
}

async fn pin_session(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: PinSessionParams = parse(params)?;
    session_answer(backend.sessions()?.pin(&asked.session_id, asked.pinned).await?)
}

async fn execute(backend: &Backend, params: Value) -> Answer<ExecuteResult> {
    let asked: ExecuteParams = parse(params)?;
    let session_id = asked.session_id.clone();
    let sessions = backend.sessions()?;
    // On its way before the first `.await`: that is what keeps the order of requests.
    let sent = sessions.submit(asked)?;
    Ok(ExecuteResult { execution_id: sessions.submitted(&session_id, sent).await? })
}

async fn cancel_execution(backend: &Backend, params: Value) -> Answer<ExecutionResult> {
    let asked: CancelExecutionParams = parse(params)?;
    let execution = backend.sessions()?.cancel(&asked.session_id, &asked.execution_id).await?;
    Ok(ExecutionResult { execution })
}

async fn reply_input(backend: &Backend, params: Value) -> Answer<Nothing> {
    let asked: ReplyInputParams = parse(params)?;
    backend.sessions()?.reply_input(&asked.session_id, &asked.execution_id, &asked.value).await?;
    Ok(Nothing {})
}

async fn execution_history(backend: &Backend, params: Value) -> Answer<ExecutionsResult> {
    let asked: ExecutionHistoryParams = parse(params)?;
    let limit = Sessions::limit(asked.limit)?;
    let sessions = backend.sessions()?;
    let executions = match (asked.notebook_uri.as_deref(), asked.session_id.as_deref()) {
        (Some(uri), None) => sessions.notebook_history(&notebook("notebookUri", uri)?, limit)?,
        (None, Some(id)) => sessions.session_history(id, limit)?,
        _ => {
            let what = "sessionId: exactly one of notebookUri and sessionId is needed";
            return Err(Error::new(ErrorKind::InvalidParams, what).with("field", "sessionId"));
        }
    };
    Ok(ExecutionsResult { executions })
}

async fn cell_outputs(backend: &Backend, params: Value) -> Answer<CellOutputsResult> {
    let asked: CellOutputsParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    let most = asked.max_bytes_per_cell.unwrap_or(BYTES_PER_CELL);
    let one = asked.execution_id.as_deref();
    backend.sessions()?.cell_outputs_of(&asked.session_id, name.as_ref(), one, most).await
}

async fn subscribe(backend: &Backend, params: Value) -> Answer<SubscribeResult> {
    let asked: SubscribeParams = params::parse(params)?;
    let sessions = backend.sessions()?;
    let (mut feed, last_seq) = sessions.feed(&asked.session_id, asked.after_seq)?;
    let client = backend.client.clone();
    let mut subscriptions = backend.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(old) = subscriptions.remove(&asked.session_id) {
        old.abort();
    }
    let task = tokio::spawn(async move {
        loop {
            match feed.next().await {
                Ok(Some(events)) => {
                    for event in events {
                        outgoing::executed(&client, event).await;
                    }
                }
                // Ended; a restart of the session goes on where it was.
                Ok(None) => feed.more().await,
                Err(_) if feed.is_removed() => return,
                // It may be on a disk that is away for a while: who follows it misses nothing.
                Err(e) => {
                    let what = format!("Kernel Keeper cannot read what a kernel said, and tries again: {e}");
                    client.log_message(MessageType::WARNING, what).await;
                }
            }
        }
    });
    subscriptions.insert(asked.session_id, task.abort_handle());
    Ok(SubscribeResult { last_seq })
}

async fn unsubscribe(backend: &Backend, params: Value) -> Answer<Nothing> {
    let asked: SessionParams = parse(params)?;
    backend.sessions()?.must_exist(&asked.session_id)?;
    let mut subscriptions = backend.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(task) = subscriptions.remove(&asked.session_id) {
        task.abort();
    }
    Ok(Nothing {})
}

async fn session_variables(backend: &Backend, params: Value) -> Answer<SessionVariablesResult> {
    let asked: SessionParams = parse(params)?;
    backend.sessions()?.variables(&asked.session_id).await
}

async fn inspect(backend: &Backend, params: Value) -> Answer<InspectResult> {
    let asked: InspectParams = parse(params)?;
    backend.sessions()?.inspect(&asked.session_id, &asked.code, asked.cursor).await
}

async fn list_other_kernels(backend: &Backend, _: Value) -> Answer<OtherKernelsResult> {
    backend.looked().await;
    let sessions = backend.sessions()?;
    Ok(OtherKernelsResult { kernels: sessions.other_kernels().await?, folder: sessions.others_folder() })
}

async fn adopt_kernel(backend: &Backend, params: Value) -> Answer<SessionResult> {
    let asked: AdoptKernelParams = parse(params)?;
    backend.looked().await;
    session_answer(backend.sessions()?.adopt(&asked).await?)
}

async fn set_visible(backend: &Backend, params: Value) -> Answer<Nothing> {
    let asked: SetVisibleParams = parse(params)?;
    backend.sessions()?.set_visible(asked.visible);
    Ok(Nothing {})
}

async fn health(backend: &Backend, _: Value) -> Answer<Health> {
    backend.looked().await;
    backend.sessions()?.health().await
}

async fn list_windows(backend: &Backend, params: Value) -> Answer<WindowsResult> {
    let asked: ListWindowsParams = parse(params)?;
    backend.looked().await;
    let (windows, active) = backend.sessions()?.windows(&asked)?;
    Ok(WindowsResult { windows, active })
}

async fn add_window(backend: &Backend, params: Value) -> Answer<WindowResult> {
    let asked: AddWindowParams = parse(params.clone())?;
    Ok(WindowResult { window: backend.sessions()?.add_window(&asked.folder, parse(params)?).await? })
}

async fn update_window(backend: &Backend, params: Value) -> Answer<WindowResult> {
    let asked: UpdateWindowParams = parse(params.clone())?;
    let change: WindowChange = parse(params)?;
    Ok(WindowResult { window: backend.sessions()?.change_window(&asked.window_id, &change).await? })
}

async fn remove_window(backend: &Backend, params: Value) -> Answer<RemoveWindowResult> {
    let asked: RemoveWindowParams = parse(params)?;
    Ok(RemoveWindowResult { removed: backend.sessions()?.forget_window(&asked.folder).await? })
}

async fn reconnect_token(backend: &Backend, _: Value) -> Answer<ReconnectTokenResult> {
    backend.sessions()?.reconnect_token().await
}

async fn reconnect(backend: &Backend, params: Value) -> Answer<ReconnectResult> {
    let asked: ReconnectParams = parse(params)?;
    backend.looked().await;
    backend.sessions()?.reconnect(&asked.token).await
}

async fn prune_store(backend: &Backend, params: Value) -> Answer<PruneStoreResult> {
    let asked: PruneStoreParams = parse(params)?;
    let (removed_sessions, freed_bytes) = backend.sessions()?.prune(asked.ended_before).await?;
    Ok(PruneStoreResult { removed_sessions, freed_bytes })
}
