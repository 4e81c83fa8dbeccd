//! The requests `keeper/conversation/…`.

use serde_json::Value;

use super::backend::Backend;
use super::params::parse;
use crate::protocol::*;

type Answer<T> = Result<T, Error>;

pub async fn append_turn(backend: &Backend, params: Value) -> Answer<AppendTurnResult> {
    let asked: AppendTurnParams = parse(params)?;
    // Committed before the first `.await`: turns stand in the order of their requests.
    backend.sessions()?.append_turn(&asked).await
}

pub async fn conversation_history(backend: &Backend, params: Value) -> Answer<ConversationHistoryResult> {
    let asked: ConversationHistoryParams = parse(params)?;
    backend.sessions()?.conversation_history(&asked.conversation_id, asked.max_turns).await
}

pub async fn conversation_info(backend: &Backend, params: Value) -> Answer<ConversationInfo> {
    let asked: ConversationParams = parse(params)?;
    backend.sessions()?.conversation_info(&asked.conversation_id).await
}

pub async fn list_conversations(backend: &Backend, params: Value) -> Answer<ConversationsResult> {
    let asked: ListConversationsParams = parse(params)?;
    Ok(ConversationsResult { conversations: backend.sessions()?.conversations(&asked).await? })
}

pub async fn clear_conversation(backend: &Backend, params: Value) -> Answer<ClearConversationResult> {
    let asked: ConversationParams = parse(params)?;
    let cleared = backend.sessions()?.clear_conversation(&asked.conversation_id).await?;
    Ok(ClearConversationResult { cleared })
}

pub async fn branch_conversation(backend: &Backend, params: Value) -> Answer<ConversationIdResult> {
    let asked: BranchConversationParams = parse(params)?;
    let sessions = backend.sessions()?;
    let conversation_id = sessions.branch_conversation(&asked.conversation_id, asked.at_turn).await?;
    Ok(ConversationIdResult { conversation_id })
}

pub async fn export_conversation(backend: &Backend, params: Value) -> Answer<ExportConversationResult> {
    let asked: ConversationParams = parse(params)?;
    backend.sessions()?.export_conversation(&asked.conversation_id).await
}

pub async fn import_conversation(backend: &Backend, params: Value) -> Answer<ConversationIdResult> {
    let asked: ImportConversationParams = parse(params)?;
    Ok(ConversationIdResult { conversation_id: backend.sessions()?.import_conversation(&asked).await? })
}
