//! The tools: what each is called, says, takes, and may do.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use rmcp::schemars::JsonSchema;
use serde_json::Value;

use super::arguments::*;

/// What a tool may do to what is there.
enum May {
    /// Nothing.
    Look,
    /// Adds to it, or changes it so that nothing is lost.
    Add,
    /// Something can be lost.
    Destroy,
}

/// All tools, in the order in which they are listed.
pub fn all() -> Vec<Tool> {
    use May::{Add, Destroy, Look};
    vec![
        tool::<Notebook>(
            "find_active_session",
            "Find a notebook's kernel",
            Look,
            "Whether a notebook has a running kernel, and which. Call this first, before you start a kernel: the user's own \
             kernel has the notebook's state. match is \"path\", or \"file\" where the notebook was renamed since. candidates \
             are kernels whose notebook is gone and whose cells are this notebook's: attach_session gives one to it.",
        ),
        tool::<ListSessions>(
            "list_all_sessions",
            "List all kernels",
            Look,
            "All running kernels of this user, newest activity first: notebook, PID, start, status, what runs.",
        ),
        tool::<Attach>(
            "attach_session",
            "Give a kernel to another notebook",
            Add,
            "Binds a running kernel, with its variables and history, to another notebook, as after a rename. It does not stop \
             the kernel that the notebook may have: then it fails.",
        ),
        tool::<History>(
            "get_execution_history",
            "What ran in a notebook",
            Look,
            "The notebook's executions, newest first, over all its kernels: code, status, time, error, and who ran it (a \
             window's id, \"cli\" or \"mcp\").",
        ),
        tool::<Execute>(
            "execute_code",
            "Run code",
            Destroy,
            "Runs code in the notebook's present kernel, which the user uses, too: it waits its turn, and the user sees it and \
             its outputs. Returns the outputs. After timeout_s it says that the code still runs: get_outputs has the rest \
             later. Cancelling the call interrupts this code alone.",
        ),
        tool::<Outputs>(
            "get_outputs",
            "Read outputs",
            Look,
            "What executions put out, from the journal, also while no editor was open: of one execution, of one cell, or of \
             each cell its latest.",
        ),
        tool::<Target>(
            "list_variables",
            "List variables",
            Look,
            "The variables in the kernel, with type, shape and a preview. A busy kernel is not asked: then they are the last \
             known ones, and the answer says so.",
        ),
        tool::<Inspect>(
            "inspect_variable",
            "Inspect a variable",
            Look,
            "What the kernel says of one name: its value in short, or its documentation. A busy kernel is not asked, and the \
             answer says so.",
        ),
        tool::<StartSession>(
            "start_session",
            "Start a kernel",
            Add,
            "Starts a kernel for a notebook that has none: a program, which runs as the user. Fails where it has one: use that. \
             Only what the user has is started: installed kernelspecs, and environments that a window of theirs offers or that a \
             kernel of theirs for this notebook had.",
        ),
        tool::<Target>(
            "interrupt_session",
            "Interrupt a kernel",
            Destroy,
            "Interrupts what the kernel runs, whoever ran it. Refused where a window has the notebook open, unless the user \
             allowed it in the settings. To end your own execute_code, cancel that call.",
        ),
        tool::<Target>(
            "restart_session",
            "Restart a kernel",
            Destroy,
            "Replaces the kernel by a fresh one: all its variables are lost, its history stays. Refused where a window has the \
             notebook open, unless the user allowed it in the settings.",
        ),
        tool::<Target>(
            "stop_session",
            "Stop a kernel",
            Destroy,
            "Ends the kernel: all its variables are lost, its history and outputs stay. Refused where a window has the notebook \
             open, unless the user allowed it in the settings.",
        ),
        tool::<Append>(
            "append_turn",
            "Add to a conversation",
            Add,
            "Keeps one turn of a conversation with the notebook that it is about; it survives restarts and renames.",
        ),
        tool::<ConversationTurns>(
            "get_conversation",
            "Read a conversation",
            Look,
            "A conversation's latest turns, oldest first.",
        ),
        tool::<Conversation>(
            "conversation_info",
            "About a conversation",
            Look,
            "Which session and notebook a conversation belongs to, how long it is, and the kernel's real variables now.",
        ),
        tool::<Conversations>(
            "list_conversations",
            "List conversations",
            Look,
            "The conversations that are kept, the latest first; of one notebook or session where it is named.",
        ),
        tool::<Conversation>(
            "clear_conversation",
            "Forget a conversation",
            Destroy,
            "Forgets a conversation and all its turns.",
        ),
        tool::<Branch>(
            "branch_conversation",
            "Branch a conversation",
            Add,
            "A new conversation that begins with the first turns of another.",
        ),
        tool::<Conversation>(
            "export_conversation",
            "Export a conversation",
            Look,
            "A whole conversation as Markdown and as JSON.",
        ),
        tool::<Reconnect>(
            "reconnect_session",
            "Reconnect a window",
            Add,
            "Takes up a window that is gone by its token, which is good once, and attaches a session to it.",
        ),
        tool::<Nothing>(
            "session_health",
            "Health",
            Look,
            "How it all is: kernels and windows, their ages, what happened lately, the space on disk.",
        ),
    ]
}

fn tool<T: JsonSchema + 'static>(
    name: &'static str,
    title: &str,
    may: May,
    description: &'static str,
) -> Tool {
    let annotations = match may {
        May::Look => ToolAnnotations::with_title(title).read_only(true).destructive(false).idempotent(true),
        May::Add => ToolAnnotations::with_title(title).read_only(false).destructive(false),
        May::Destroy => ToolAnnotations::with_title(title).read_only(false).destructive(true),
    };
    // Code may reach anything, and so may a program that is started; all else stays on this machine.
    let is_open = ["execute_code", "start_session", "restart_session"].contains(&name);
    let annotations = annotations.open_world(is_open);
    Tool::new(name, description, schema::<T>()).with_title(title).with_annotations(annotations)
}

fn schema<T: JsonSchema + 'static>() -> Arc<JsonObject> {
    // Of the types of `arguments.rs` it cannot fail; what is no object would take anything.
    let mut schema = schema_for_input::<T>().unwrap_or_default();
    let fields = Arc::make_mut(&mut schema).get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(|fields| fields.values_mut()) {
        // What may be left out may be null, too; not every model's provider takes a list of types.
        let only = field["type"].as_array().and_then(|types| types.first()).cloned();
        if let Some(only) = only {
            field["type"] = only;
        }
    }
    schema
}
