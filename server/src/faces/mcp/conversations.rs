//! The tools about conversations: what people and agents said about a notebook.

use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::*;
use super::bounds;
use super::server::{Answer, Server, answer, notebook, parse, whole_answer};
use crate::protocol::{AppendTurnParams, Error, ListConversationsParams, Role};

impl Server {
    pub(super) async fn append_turn(&self, asked: Append) -> Answer {
        let role: Role = parse(json!({ "role": asked.role })).map(|named: Named| named.role)?;
        let done = self
            .sessions
            .append_turn(&AppendTurnParams {
                notebook_uri: uri(asked.notebook_path.as_deref())?,
                conversation_id: asked.conversation_id,
                session_id: asked.session_id,
                role,
                content: asked.content,
            })
            .await?;
        snake(&done)
    }

    pub(super) async fn get_conversation(&self, asked: ConversationTurns) -> Answer {
        snake(&self.sessions.conversation_history(&asked.conversation_id, asked.max_turns).await?)
    }

    pub(super) async fn conversation_info(&self, asked: Conversation) -> Answer {
        snake(&self.sessions.conversation_info(&asked.conversation_id).await?)
    }

    pub(super) async fn list_conversations(&self, asked: Conversations) -> Answer {
        let notebook_uri = uri(asked.notebook_path.as_deref())?;
        let wanted = ListConversationsParams { session_id: asked.session_id, notebook_uri };
        let found = self.sessions.conversations(&wanted).await?;
        snake(&found)
    }

    pub(super) async fn clear_conversation(&self, asked: Conversation) -> Answer {
        answer(&json!({ "cleared": self.sessions.clear_conversation(&asked.conversation_id).await? }))
    }

    pub(super) async fn branch_conversation(&self, asked: Branch) -> Answer {
        let id = self.sessions.branch_conversation(&asked.conversation_id, asked.at_turn).await?;
        answer(&json!({ "conversation_id": id }))
    }

    pub(super) async fn export_conversation(&self, asked: Conversation) -> Answer {
        let whole = self.sessions.export_conversation(&asked.conversation_id).await?;
        let value = serde_json::to_value(&whole).unwrap_or_default();
        whole_answer(bounds::plain(&renamed(value)))
    }
}

#[derive(serde::Deserialize)]
struct Named {
    role: Role,
}

fn uri(path: Option<&str>) -> Result<Option<String>, Error> {
    path.map(|path| notebook("notebook_path", path).map(|name| name.uri)).transpose()
}

/// An object of the protocol, with names as tools have them.
fn snake(what: &impl Serialize) -> Answer {
    answer(&renamed(serde_json::to_value(what).unwrap_or_default()))
}

fn renamed(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(renamed).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (snake_case(&name), renamed(value))).collect()
        }
        other => other,
    }
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}
