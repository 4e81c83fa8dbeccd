//! What the tools take. Their schemas are made of these types, the comments being what the agent reads.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;

/// A tool's arguments.
macro_rules! arguments {
    ($($name:ident { $($(#[$doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Debug, Deserialize, JsonSchema)]
        #[schemars(crate = "rmcp::schemars")]
        pub struct $name { $($(#[$doc])* pub $field: $type),* }
    )*};
}

arguments! {
    Nothing {}
    Notebook {
        /// Absolute path of the notebook (.ipynb).
        notebook_path: String,
    }
    ListSessions {
        /// Also kernels that have ended; default false.
        include_ended: Option<bool>,
    }
    Attach {
        /// Absolute path of the notebook that is to have the kernel; it must exist.
        target_notebook_path: String,
        /// The kernel's PID, as find_active_session and list_all_sessions show it.
        source_pid: u32,
    }
    History {
        /// Absolute path of the notebook (.ipynb).
        notebook_path: String,
        /// How many executions at most, the latest ones; default 50.
        limit: Option<u32>,
    }
    Target {
        /// Absolute path of the notebook (.ipynb). Exactly one of notebook_path and session_id is needed.
        notebook_path: Option<String>,
        /// The session's id.
        session_id: Option<String>,
    }
    Execute {
        /// Absolute path of the notebook (.ipynb) whose kernel runs it. Exactly one of notebook_path and session_id is needed.
        notebook_path: Option<String>,
        /// The session whose kernel runs it.
        session_id: Option<String>,
        /// The code. Where the notebook has exactly one code cell with this very source, its outputs appear in that cell.
        code: String,
        /// Seconds to wait for the end; default 60. The code runs on after that.
        timeout_s: Option<f64>,
        /// The notebook's cell that this is the code of, by its id; only where the source alone does not tell.
        cell_id: Option<String>,
    }
    Outputs {
        /// Absolute path of the notebook (.ipynb). Exactly one of notebook_path and session_id is needed.
        notebook_path: Option<String>,
        /// The session's id.
        session_id: Option<String>,
        /// One execution's outputs; default: of each cell those of its latest execution.
        execution_id: Option<String>,
        /// Those of one cell, by its position in the notebook, from 0.
        cell_index: Option<u32>,
    }
    Inspect {
        /// Absolute path of the notebook (.ipynb). Exactly one of notebook_path and session_id is needed.
        notebook_path: Option<String>,
        /// The session's id.
        session_id: Option<String>,
        /// The variable, or an expression of names and dots, such as "df.columns".
        name: String,
    }
    StartSession {
        /// Absolute path of the notebook (.ipynb); the file may be absent yet.
        notebook_path: String,
        /// The kernelspec; default: the one that the notebook names, else the only installed one of its language.
        kernel_name: Option<String>,
    }
    Append {
        /// The conversation's id, of your choice, and one notebook's only: make the notebook's name part of it. A new one begins with its first turn.
        conversation_id: String,
        /// Who said it.
        #[schemars(extend("enum" = ["user", "assistant", "system", "tool"]))]
        role: String,
        /// What was said.
        content: String,
        /// Absolute path of the notebook that it belongs to; needed for the first turn, or session_id. Refused where the id is another notebook's.
        notebook_path: Option<String>,
        /// The session that it belongs to.
        session_id: Option<String>,
    }
    Conversation {
        /// The conversation's id.
        conversation_id: String,
    }
    ConversationTurns {
        /// The conversation's id.
        conversation_id: String,
        /// How many turns at most, the latest ones; default 100.
        max_turns: Option<u32>,
    }
    Conversations {
        /// Only those of this notebook: its absolute path.
        notebook_path: Option<String>,
        /// Only those of this session.
        session_id: Option<String>,
    }
    Branch {
        /// The conversation's id.
        conversation_id: String,
        /// How many of its turns the new conversation begins with.
        at_turn: u32,
    }
    Reconnect {
        /// The session to attach.
        session_id: String,
        /// The window's token.
        token: String,
    }
}
