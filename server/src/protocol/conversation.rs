//! Conversations: what people and agents said to each other about a notebook.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::requests::wire;
use super::{Time, Variable};

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
    System,
    Tool,
}

wire! {
    /// `keeper/conversation/append`
    AppendTurnParams {
        conversation_id: String,
        /// The first turn names a session or a notebook; later ones need not, and it is not looked at.
        session_id: Option<String>,
        notebook_uri: Option<String>,
        role: Role,
        content: String,
    }
    AppendTurnResult { turn_count: u32 }

    /// One thing that was said.
    Turn { role: Role, content: String, at: Time }
    /// `keeper/conversation/history`
    ConversationHistoryParams {
        conversation_id: String,
        /// The latest ones; default 100.
        max_turns: Option<u32>,
    }
    /// Oldest first. `turnCount` is of all of them.
    ConversationHistoryResult { conversation_id: String, turn_count: u32, history: Vec<Turn> }

    /// `keeper/conversation/info`, `clear` and `export`.
    ConversationParams { conversation_id: String }
    ConversationInfo {
        conversation_id: String,
        #[cfg_attr(test, ts(type = "string | null"))]
        session_id: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        notebook_path: Option<String>,
        turn_count: u32,
        last_activity_at: Time,
        /// The kernel's, asked now; none where there is no session.
        variables: Vec<Variable>,
        /// The kernel is busy or gone: these are the last known.
        variables_stale: bool,
    }

    /// `keeper/conversation/list`
    ListConversationsParams { session_id: Option<String>, notebook_uri: Option<String> }
    /// One conversation, without its turns.
    Conversation {
        conversation_id: String,
        #[cfg_attr(test, ts(type = "string | null"))]
        session_id: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        notebook_uri: Option<String>,
        #[cfg_attr(test, ts(type = "string | null"))]
        notebook_path: Option<String>,
        turn_count: u32,
        started_at: Time,
        last_activity_at: Time,
        /// The beginning of its first turn, in one line.
        title: String,
    }
    /// The latest first.
    ConversationsResult { conversations: Vec<Conversation> }

    /// False: there was none.
    ClearConversationResult { cleared: bool }

    /// `keeper/conversation/branch`
    BranchConversationParams {
        conversation_id: String,
        /// How many turns the branch begins with.
        at_turn: u32,
    }
    /// Of `branch` and `import`.
    ConversationIdResult { conversation_id: String }

    ExportConversationResult {
        markdown: String,
        /// What `import` takes, as text.
        json: String,
    }
    /// `keeper/conversation/import`
    ImportConversationParams {
        /// What `export` gave, as text or as it is.
        #[cfg_attr(test, ts(type = "JsonValue"))]
        json: Value,
        /// What it is to belong to; by default what it says, where that is still there.
        session_id: Option<String>,
        notebook_uri: Option<String>,
    }
}
