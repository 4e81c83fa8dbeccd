//! The requests `keeper/…`: one table from name to handler. A handler parses, makes one call into `sessions`, converts.

use std::panic::AssertUnwindSafe;
use std::sync::PoisonError;

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use tower_lsp::{LspServiceBuilder, jsonrpc};

use super::backend::Backend;
use super::params::{notebook, optional_notebook, parse, to_rpc};
use super::{outgoing, params};
use crate::protocol::*;
use crate::sessions::{Sessions, Start};

type Answer = Result<Value, Error>;

/// Stream text of one cell beyond this is cut in its middle, unless the request says otherwise.
const BYTES_PER_CELL: u64 = 10 << 20;

macro_rules! table {
    ($builder:ident: $($name:literal => $handler:ident),* $(,)?) => {$(
        let $builder = {
            async fn guarded(backend: &Backend, params: Value) -> jsonrpc::Result<Value> {
                // A fault in one request must not end the window's sidecar.
                match AssertUnwindSafe($handler(backend, params)).catch_unwind().await {
                    Ok(answer) => answer.map_err(to_rpc),
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
        "keeper/listSessions" => list_sessions,
        "keeper/findActiveSession" => find_active_session,
        "keeper/listKernelspecs" => list_kernelspecs,
        "keeper/ensureSession" => ensure_session,
        "keeper/answerOffer" => answer_offer,
        "keeper/openOffers" => open_offers,
        "keeper/startSession" => start_session,
        "keeper/attachSession" => attach_session,
        "keeper/detachSession" => detach_session,
        "keeper/stopSession" => stop_session,
        "keeper/stopAllSessions" => stop_all_sessions,
        "keeper/interruptSession" => interrupt_session,
        "keeper/restartSession" => restart_session,
        "keeper/labelSession" => label_session,
        "keeper/pinSession" => pin_session,
        "keeper/execute" => execute,
        "keeper/cancelExecution" => cancel_execution,
        "keeper/replyInput" => reply_input,
        "keeper/executionHistory" => execution_history,
        "keeper/cellOutputs" => cell_outputs,
        "keeper/subscribe" => subscribe,
        "keeper/unsubscribe" => unsubscribe,
        "keeper/pruneStore" => prune_store,
    }
    builder
}

fn to_value(answer: impl Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
}

fn session_answer(session: Session) -> Answer {
    to_value(SessionResult { session })
}

async fn list_sessions(backend: &Backend, params: Value) -> Answer {
    let asked: ListSessionsParams = parse(params)?;
    backend.looked().await;
    let sessions = backend.sessions()?.list(asked.include_ended.unwrap_or(false)).await?;
    to_value(SessionsResult { sessions })
}

async fn find_active_session(backend: &Backend, params: Value) -> Answer {
    let asked: NotebookParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    backend.looked().await;
    to_value(backend.sessions()?.find_active(&name).await?)
}

async fn list_kernelspecs(backend: &Backend, params: Value) -> Answer {
    let asked: ListKernelspecsParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    to_value(KernelspecsResult { kernelspecs: backend.sessions()?.kernelspecs(name.as_ref()) })
}

async fn ensure_session(backend: &Backend, params: Value) -> Answer {
    let asked: EnsureSessionParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    backend.looked().await;
    let sessions = backend.sessions()?;
    to_value(sessions.ensure(&name, asked.kernel_name.as_deref(), asked.ask.unwrap_or(true)).await?)
}

async fn answer_offer(backend: &Backend, params: Value) -> Answer {
    let asked: AnswerOfferParams = parse(params)?;
    to_value(backend.sessions()?.answer(&asked.offer_id, &asked.action).await?)
}

async fn open_offers(backend: &Backend, _: Value) -> Answer {
    backend.looked().await;
    to_value(OffersResult { offers: backend.sessions()?.open_offers()? })
}

async fn start_session(backend: &Backend, params: Value) -> Answer {
    let asked: StartSessionParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    let start = Start {
        kernel_name: asked.kernel_name,
        label: asked.label,
        cwd: asked.cwd,
        env: asked.env.unwrap_or_default(),
    };
    session_answer(backend.sessions()?.start(&name, start).await?)
}

async fn attach_session(backend: &Backend, params: Value) -> Answer {
    let asked: AttachSessionParams = parse(params)?;
    backend.looked().await;
    to_value(backend.sessions()?.attach(&asked).await?)
}

async fn detach_session(backend: &Backend, params: Value) -> Answer {
    let asked: DetachSessionParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    backend.sessions()?.detach(&asked.session_id, name.as_ref()).await?;
    Ok(json!({}))
}

async fn stop_session(backend: &Backend, params: Value) -> Answer {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.stop(&asked.session_id).await?)
}

async fn stop_all_sessions(backend: &Backend, _: Value) -> Answer {
    to_value(StopAllResult { stopped: backend.sessions()?.stop_all().await? })
}

async fn interrupt_session(backend: &Backend, params: Value) -> Answer {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.interrupt(&asked.session_id).await?)
}

async fn restart_session(backend: &Backend, params: Value) -> Answer {
    let asked: SessionParams = parse(params)?;
    session_answer(backend.sessions()?.restart(&asked.session_id).await?)
}

async fn label_session(backend: &Backend, params: Value) -> Answer {
    let asked: LabelSessionParams = parse(params)?;
    session_answer(backend.sessions()?.label(&asked.session_id, &asked.label).await?)
}

async fn pin_session(backend: &Backend, params: Value) -> Answer {
    let asked: PinSessionParams = parse(params)?;
    session_answer(backend.sessions()?.pin(&asked.session_id, asked.pinned).await?)
}

async fn execute(backend: &Backend, params: Value) -> Answer {
    let asked: ExecuteParams = parse(params)?;
    let session_id = asked.session_id.clone();
    let sessions = backend.sessions()?;
    // On its way before the first `.await`: that is what keeps the order of requests.
    let sent = sessions.submit(asked)?;
    to_value(ExecuteResult { execution_id: sessions.submitted(&session_id, sent).await? })
}

async fn cancel_execution(backend: &Backend, params: Value) -> Answer {
    let asked: CancelExecutionParams = parse(params)?;
    let execution = backend.sessions()?.cancel(&asked.session_id, &asked.execution_id).await?;
    to_value(ExecutionResult { execution })
}

async fn reply_input(backend: &Backend, params: Value) -> Answer {
    let asked: ReplyInputParams = parse(params)?;
    backend.sessions()?.reply_input(&asked.session_id, &asked.execution_id, &asked.value).await?;
    Ok(json!({}))
}

async fn execution_history(backend: &Backend, params: Value) -> Answer {
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
    to_value(ExecutionsResult { executions })
}

async fn cell_outputs(backend: &Backend, params: Value) -> Answer {
    let asked: CellOutputsParams = parse(params)?;
    let name = optional_notebook("notebookUri", asked.notebook_uri.as_deref())?;
    let most = asked.max_bytes_per_cell.unwrap_or(BYTES_PER_CELL);
    to_value(backend.sessions()?.cell_outputs(&asked.session_id, name.as_ref(), most).await?)
}

async fn subscribe(backend: &Backend, params: Value) -> Answer {
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
                    for event in &events {
                        outgoing::executed(&client, event).await;
                    }
                }
                Ok(None) => return,
                Err(e) => {
                    tracing::error!("a subscription ended: {e}");
                    return;
                }
            }
        }
    });
    subscriptions.insert(asked.session_id, task.abort_handle());
    to_value(SubscribeResult { last_seq })
}

async fn unsubscribe(backend: &Backend, params: Value) -> Answer {
    let asked: SessionParams = parse(params)?;
    backend.sessions()?.must_exist(&asked.session_id)?;
    let mut subscriptions = backend.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(task) = subscriptions.remove(&asked.session_id) {
        task.abort();
    }
    Ok(json!({}))
}

async fn prune_store(backend: &Backend, params: Value) -> Answer {
    let asked: PruneStoreParams = parse(params)?;
    let (removed_sessions, freed_bytes) = backend.sessions()?.prune(asked.ended_before)?;
    to_value(PruneStoreResult { removed_sessions, freed_bytes })
}
