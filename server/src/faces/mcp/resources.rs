//! The resources `kernel://…`: all sessions, a session's history, an execution's outputs, each as JSON of the protocol.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde::Serialize;
use serde_json::{Value, json};

use super::bounds;
use super::server::{Server, to_rpc};
use crate::protocol::Session;

/// All sessions.
pub const SESSIONS: &str = "kernel://sessions";
const JSON: &str = "application/json";
/// Executions of a history.
const EXECUTIONS: u32 = 1_000;
/// Bytes of stream text of an execution.
const WHOLE: u64 = 64 << 20;

/// Which resource is meant.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant<'a> {
    Sessions,
    History { session_id: &'a str },
    Outputs { session_id: &'a str, execution_id: &'a str },
}

impl<'a> Meant<'a> {
    /// Reads a URI; `None` of any other.
    pub fn parse(uri: &'a str) -> Option<Meant<'a>> {
        if uri == SESSIONS {
            return Some(Meant::Sessions);
        }
        let parts: Vec<&str> = uri.strip_prefix(SESSIONS)?.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            [session_id, "history"] => Some(Meant::History { session_id }),
            [session_id, "outputs", execution_id] => Some(Meant::Outputs { session_id, execution_id }),
            _ => None,
        }
    }
}

/// Where a session's history is.
pub fn history_uri(session_id: &str) -> String {
    format!("{SESSIONS}/{session_id}/history")
}

/// Where an execution's outputs are.
pub fn outputs_uri(session_id: &str, execution_id: &str) -> String {
    format!("{SESSIONS}/{session_id}/outputs/{execution_id}")
}

/// What is listed: the sessions, and the history of each that lives.
pub fn all(sessions: &[Session]) -> Vec<Resource> {
    let listed = Resource::new(SESSIONS, "sessions")
        .with_title("Kernels")
        .with_description("All running kernels, newest activity first")
        .with_mime_type(JSON);
    let history = |session: &Session| {
        Resource::new(history_uri(&session.id), format!("history of {}", bounds::short(&session.label)))
            .with_description("What ran, newest first")
            .with_mime_type(JSON)
    };
    std::iter::once(listed).chain(sessions.iter().map(history)).collect()
}

/// The forms of the others.
pub fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: String, name: &str, what: &str| {
        ResourceTemplate::new(uri, name).with_description(what).with_mime_type(JSON)
    };
    vec![
        template(history_uri("{id}"), "history", "What ran in a session, newest first"),
        template(
            outputs_uri("{id}", "{execution}"),
            "outputs",
            "All that one execution put out, as nbformat has it",
        ),
    ]
}

impl Server {
    /// What a resource holds now.
    pub(super) async fn read(&self, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        let text = match meant(uri)? {
            Meant::Sessions => {
                let sessions = self.sessions.list(false).await.map_err(to_rpc)?;
                text(&json!({ "sessions": sessions }))
            }
            Meant::History { session_id } => {
                let executions = self.sessions.session_history(session_id, EXECUTIONS).map_err(to_rpc)?;
                text(&json!({ "executions": executions }))
            }
            Meant::Outputs { session_id, execution_id } => {
                let read = self.sessions.execution_outputs(session_id, execution_id, WHOLE).await;
                let (execution, outputs, truncated) = read.map_err(to_rpc)?;
                // What is nested too deep for a value is its text.
                let outputs: Vec<Value> = outputs
                    .iter()
                    .map(|output| {
                        serde_json::to_value(output)
                            .unwrap_or_else(|_| json!(serde_json::to_string(output).unwrap_or_default()))
                    })
                    .collect();
                text(&json!({ "execution": execution, "outputs": outputs, "truncated": truncated }))
            }
        };
        let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
        Ok(ReadResourceResult::new(vec![contents]))
    }
}

/// The resource of a URI, or the refusal of one that is none.
pub fn meant(uri: &str) -> Result<Meant<'_>, ErrorData> {
    Meant::parse(uri).ok_or_else(|| {
        let shown: String = bounds::short(uri).chars().take(200).collect();
        let what = format!("there is no resource {shown}: list the resources and their templates");
        ErrorData::resource_not_found(what, Some(json!({ "uri": shown })))
    })
}

fn text(value: &impl Serialize) -> String {
    bounds::plain(&serde_json::to_value(value).unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_as_they_are_made() {
        assert_eq!(Meant::parse(SESSIONS), Some(Meant::Sessions));
        assert_eq!(Meant::parse(&history_uri("a")), Some(Meant::History { session_id: "a" }));
        let outputs = Meant::Outputs { session_id: "a", execution_id: "b" };
        assert_eq!(Meant::parse(&outputs_uri("a", "b")), Some(outputs));
        for other in [
            "kernel://session",
            "kernel://sessions/",
            "kernel://sessionsx",
            "kernel://sessions/a",
            "file:///a",
        ] {
            assert_eq!(Meant::parse(other), None, "{other}");
        }
    }
}
