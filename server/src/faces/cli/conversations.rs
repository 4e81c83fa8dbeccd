//! `conversation`: what was said about a notebook, from a shell.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::say::{self, say};
use super::{name, print_json, read_or_typed, show};
use crate::protocol::{
    AppendTurnParams, Error, ErrorKind, ImportConversationParams, ListConversationsParams, Role,
};
use crate::sessions::{Sessions, plain};

/// What a conversation belongs to, as it was typed.
pub struct Of<'a> {
    pub session: Option<&'a str>,
    pub notebook: Option<&'a Path>,
}

impl Of<'_> {
    async fn resolve(&self, sessions: &Arc<Sessions>) -> Result<(Option<String>, Option<String>), Error> {
        let session = match self.session {
            Some(word) => Some(super::session(sessions, word).await?),
            None => None,
        };
        Ok((session, self.notebook.map(|path| name(path).map(|name| name.uri)).transpose()?))
    }
}

/// `conversation list`
pub async fn list(sessions: &Arc<Sessions>, of: Of<'_>, json: bool) -> Result<(), Error> {
    let (session_id, notebook_uri) = of.resolve(sessions).await?;
    let listed = sessions.conversations(&ListConversationsParams { session_id, notebook_uri }).await?;
    if json {
        return print_json(&listed);
    }
    match listed.is_empty() {
        true => say!("No conversations are kept."),
        false => say::table(&show::conversations(&listed)),
    }
    Ok(())
}

/// `conversation show`
pub async fn show(sessions: &Arc<Sessions>, id: &str, turns: Option<u32>, json: bool) -> Result<(), Error> {
    if json {
        return print_json(&sessions.conversation_history(id, turns).await?);
    }
    say::out(sessions.conversation_markdown(id, turns).await?.trim_end_matches('\n'));
    Ok(())
}

/// `conversation info`
pub async fn info(sessions: &Arc<Sessions>, id: &str, json: bool) -> Result<(), Error> {
    let info = sessions.conversation_info(id).await?;
    if json {
        return print_json(&info);
    }
    say!("Conversation {}: {} turn(s).", plain::line(&info.conversation_id), info.turn_count);
    say!("Notebook: {}", plain::line(info.notebook_path.as_deref().unwrap_or("none")));
    say!("Session: {}", info.session_id.as_deref().unwrap_or("none"));
    if !info.variables.is_empty() {
        let note = if info.variables_stale { ", as they were last" } else { "" };
        say!("Variables{note}:");
        say::table(&show::variables(&info.variables));
    }
    Ok(())
}

/// `conversation append`
pub async fn append(
    sessions: &Arc<Sessions>,
    id: &str,
    role: &str,
    of: Of<'_>,
    typed: &str,
    json: bool,
) -> Result<(), Error> {
    let role: Role = serde_json::from_value(json!(role))
        .map_err(|e| Error::new(ErrorKind::InvalidParams, e.to_string()).with("field", "role"))?;
    let (session_id, notebook_uri) = of.resolve(sessions).await?;
    let content = read_or_typed(typed)?;
    let conversation_id = id.to_owned();
    let asked = AppendTurnParams { conversation_id, session_id, notebook_uri, role, content };
    let done = sessions.append_turn(&asked).await?;
    if json {
        return print_json(&done);
    }
    say!("{} has {} turn(s).", plain::line(id), done.turn_count);
    Ok(())
}

/// `conversation clear`
pub async fn clear(sessions: &Arc<Sessions>, which: &[String]) -> Result<(), Error> {
    for id in which {
        match sessions.clear_conversation(id).await? {
            true => say!("Forgot {}.", plain::line(id)),
            false => say!("No conversation {} is kept.", plain::line(id)),
        }
    }
    Ok(())
}

/// `conversation branch`
pub async fn branch(sessions: &Arc<Sessions>, id: &str, at_turn: u32, json: bool) -> Result<(), Error> {
    made(&sessions.branch_conversation(id, at_turn).await?, json)
}

/// `conversation export`: to standard output where no file is named.
pub async fn export(
    sessions: &Arc<Sessions>,
    id: &str,
    file: Option<&Path>,
    markdown: bool,
    force: bool,
) -> Result<(), Error> {
    let export = sessions.export_conversation(id).await?;
    let text = if markdown { export.markdown } else { export.json };
    let Some(file) = file else {
        say::out(text.trim_end_matches('\n'));
        return Ok(());
    };
    write_private(file, &text, force).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let what = format!("{} is there already: --force writes over it", file.display());
            Error::new(ErrorKind::InvalidParams, what)
        }
        _ => Error::new(ErrorKind::StoreFailed, format!("{}: {e}", file.display())),
    })?;
    say!("Wrote {} into {}.", plain::line(id), file.display());
    Ok(())
}

/// No larger file is imported.
const LARGEST_IMPORT: u64 = 256 << 20;

/// `conversation import`
pub async fn import(sessions: &Arc<Sessions>, file: &Path, of: Of<'_>, json: bool) -> Result<(), Error> {
    let (session_id, notebook_uri) = of.resolve(sessions).await?;
    let text = crate::foreign::read_text(file, LARGEST_IMPORT)
        .map_err(|e| Error::new(ErrorKind::InvalidParams, format!("the conversation cannot be read: {e}")))?;
    let asked = ImportConversationParams { json: json!(text), session_id, notebook_uri };
    made(&sessions.import_conversation(&asked).await?, json)
}

fn made(id: &str, json: bool) -> Result<(), Error> {
    if json {
        return print_json(&json!({ "conversationId": id }));
    }
    say!("{id}");
    Ok(())
}

/// Whole or not at all, and for this user alone.
fn write_private(file: &Path, text: &str, over: bool) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    made.write_all(text.as_bytes())?;
    made.as_file().sync_all()?;
    match over {
        true => made.persist(file).map_err(|e| e.error)?,
        false => made.persist_noclobber(file).map_err(|e| e.error)?,
    };
    Ok(())
}
