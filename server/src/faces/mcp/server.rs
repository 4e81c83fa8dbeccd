//! The server: what the MCP library asks of it. Each tool is parsed, makes its calls into `sessions`, and is converted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rmcp::handler::server::ServerHandler;
use rmcp::model::*;
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::calls::{Call, Calls};
use super::{bounds, resources, tools};
use crate::protocol::{Error, ErrorKind, NotebookName};
use crate::sessions::Sessions;

/// What an agent is told at first.
const INSTRUCTIONS: &str = "Jupyter kernels that outlive the editor. You share them with your user: look for a notebook's \
    kernel with find_active_session before you start one, and run code in it with execute_code. Name the notebook by its \
    absolute path in each call. What you run appears in the user's window and in the notebook's history.";

/// Bytes of an answer that are not sent twice.
const LARGE: usize = 1 << 20;
/// Changes of the sessions that may wait to be told.
const UNTOLD: usize = 64;

/// One agent's server.
pub struct Server {
    pub sessions: Arc<Sessions>,
    /// The user lets agents interrupt, restart and stop what a window has open.
    pub may_stop_open: bool,
    pub calls: Calls,
    /// Held until what is to run is with the keeper, so that calls keep their order. Whoever comes first has it first.
    pub order: tokio::sync::Mutex<()>,
    /// Resources that the agent follows, by the older of MCP's two ways. Owned by `subscriptions.rs`.
    pub followed: Mutex<HashMap<String, AbortHandle>>,
    /// Something is different with the sessions; true: there is one more or less.
    pub changes: broadcast::Sender<bool>,
}

/// What a tool answers.
pub type Answer = Result<CallToolResult, Error>;

impl Server {
    pub fn new(sessions: Arc<Sessions>, may_stop_open: bool) -> Arc<Server> {
        let changes = broadcast::Sender::new(UNTOLD);
        Arc::new(Server {
            sessions,
            may_stop_open,
            calls: Calls::new(),
            order: Default::default(),
            followed: Mutex::default(),
            changes,
        })
    }

    /// Tells those who follow the sessions.
    pub fn sessions_changed(&self, is_another: bool) {
        // Nobody may follow.
        let _ = self.changes.send(is_another);
    }

    async fn call(&self, name: &str, arguments: Value, call: &Call<'_>) -> Answer {
        match name {
            "find_active_session" => self.find_active_session(parse(arguments)?).await,
            "list_all_sessions" => self.list_all_sessions(parse(arguments)?).await,
            "attach_session" => self.attach_session(parse(arguments)?).await,
            "get_execution_history" => self.get_execution_history(parse(arguments)?),
            "execute_code" => self.execute_code(parse(arguments)?, call).await,
            "get_outputs" => self.get_outputs(parse(arguments)?).await,
            "list_variables" => self.list_variables(parse(arguments)?).await,
            "inspect_variable" => self.inspect_variable(parse(arguments)?).await,
            "start_session" => self.start_session(parse(arguments)?).await,
            "interrupt_session" => self.interrupt_session(parse(arguments)?).await,
            "restart_session" => self.restart_session(parse(arguments)?).await,
            "stop_session" => self.stop_session(parse(arguments)?).await,
            "append_turn" => self.append_turn(parse(arguments)?).await,
            "get_conversation" => self.get_conversation(parse(arguments)?).await,
            "conversation_info" => self.conversation_info(parse(arguments)?).await,
            "list_conversations" => self.list_conversations(parse(arguments)?).await,
            "clear_conversation" => self.clear_conversation(parse(arguments)?).await,
            "branch_conversation" => self.branch_conversation(parse(arguments)?).await,
            "export_conversation" => self.export_conversation(parse(arguments)?).await,
            "reconnect_session" => self.reconnect_session(parse(arguments)?).await,
            "session_health" => answer(&self.sessions.health().await?),
            _ => Err(Error::new(ErrorKind::Internal, format!("the tool {name} does nothing"))),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .build();
        let own = Implementation::new("kernel-keeper", env!("CARGO_PKG_VERSION")).with_title("Kernel Keeper");
        ServerConfig::new(capabilities).with_server_info(own).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        if !tools::all().iter().any(|tool| tool.name == name) {
            let shown: String = bounds::short(name).chars().take(60).collect();
            return Err(ErrorData::invalid_params(format!("there is no tool \"{shown}\""), None));
        }
        let call = self.calls.begin(context.id.clone());
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let done = self.call(name, arguments, &call).await;
        Ok(done.unwrap_or_else(|e| refusal(name, &e)).into())
    }

    async fn on_cancelled(&self, what: CancelledNotificationParam, _: NotificationContext<RoleServer>) {
        if let Some(id) = &what.request_id {
            self.calls.take_back(id);
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let sessions = self.sessions.list(false).await.map_err(to_rpc)?;
        Ok(ListResourcesResult::with_all_items(resources::all(&sessions)))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(self.read(&request.uri).await?.into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.follow(&request.uri, context.peer)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.unfollow(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(self.accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.tell_listener(&context).await;
        Ok(())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = bounds::short(&request.method).chars().take(60).collect();
        // The library takes what it cannot read for a method that it does not know.
        if ["tools/call", "resources/read", "resources/subscribe", "resources/unsubscribe"]
            .contains(&&*method)
        {
            let what = format!("{method}: the parameters are not as the protocol has them");
            return Err(ErrorData::invalid_params(what, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method \"{method}\""), None))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.tell_of_sessions(context.peer);
    }
}

impl Server {
    /// Tells an agent of the older way that there are other resources.
    fn tell_of_sessions(&self, peer: Peer<RoleServer>) {
        let mut changes = self.changes.subscribe();
        tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(false) => continue,
                    Ok(true) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
                if peer.notify_resource_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A tool's arguments.
pub(super) fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(arguments).map_err(|e| {
        let field = e.path().to_string();
        let what = e.into_inner().to_string();
        let named = if field == "." { what } else { format!("{field}: {what}") };
        Error::new(ErrorKind::InvalidParams, named).with("field", field)
    })
}

/// An answer for people and programs: the object as JSON text, and as it is, within bounds.
pub fn answer(what: &impl Serialize) -> Answer {
    let value = serde_json::to_value(what).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    whole_answer(bounds::bounded(&value))
}

/// One that is as long as it is; one that is large is not sent twice.
pub fn whole_answer(value: Value) -> Answer {
    let text = value.to_string();
    let is_large = text.len() > LARGE;
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    if is_large {
        return Ok(result);
    }
    // Structured content is an object: a list is its `result`.
    result.structured_content = Some(if value.is_object() { value } else { json!({ "result": value }) });
    Ok(result)
}

/// A failure that the agent reads: what happened, and the way out.
fn refusal(tool: &str, error: &Error) -> CallToolResult {
    let way = match error.kind {
        ErrorKind::SessionNotFound => Some("list_all_sessions shows which sessions there are"),
        ErrorKind::SessionEnded => Some("start_session starts a kernel, restart_session the same session's"),
        ErrorKind::NotebookHasSession => Some("find_active_session shows the kernel that it has"),
        ErrorKind::NotFound if error.data.get("what").is_some_and(|what| what == "conversation") => {
            Some("list_conversations shows which there are")
        }
        _ => None,
    };
    let text = way.map_or(error.message.clone(), |way| format!("{} ({way})", error.message));
    let mut body = bounds::bounded(&json!({ "error": text, "kind": error.kind.name(), "data": error.data }));
    if tool == "attach_session" || tool == "reconnect_session" {
        body["success"] = false.into();
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(body.to_string())]);
    result.structured_content = Some(body);
    result
}

/// A failure of something else than a tool.
pub fn to_rpc(error: Error) -> ErrorData {
    let code = ErrorCode(i32::try_from(error.kind.code()).unwrap_or(ErrorCode::INTERNAL_ERROR.0));
    let mut data = error.data;
    data.insert("kind".into(), error.kind.name().into());
    ErrorData::new(code, bounds::short(&error.message), Some(bounds::bounded(&Value::Object(data))))
}

/// A notebook as tools name it.
pub fn notebook(field: &str, path: &str) -> Result<NotebookName, Error> {
    NotebookName::from_path(std::path::Path::new(path))
        .map_err(|e| Error::new(ErrorKind::InvalidParams, format!("{field}: {e}")).with("field", field))
}
