//! The command line's words.
//!
//! What it says is what `--help`, the completions and the man page say. Leaves out what the words do.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Jupyter kernels that outlive the editor.
#[derive(Debug, Parser)]
#[command(name = "kernel-keeper", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the kernels that are kept
    List {
        /// As a JSON array of sessions
        #[arg(long)]
        json: bool,
        /// Also those that have ended
        #[arg(long)]
        all: bool,
    },
    /// Stop kernels: asked first, killed if they do not end
    Stop {
        /// Which: a session's id or label, a kernel's PID, or a notebook; a path means its notebook alone
        #[arg(value_name = "SESSION|PID|NOTEBOOK", required_unless_present = "all", conflicts_with = "all")]
        which: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Give a kernel to another notebook, with its variables and its history; a terminal is asked first
    Attach {
        #[arg(value_name = "SESSION|PID")]
        which: String,
        /// The notebook that is to have it
        notebook: PathBuf,
        /// Stop the kernel that the notebook has
        #[arg(long)]
        replace: bool,
        /// The notebook that it has now keeps it, too
        #[arg(long)]
        share: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what ran in a notebook, newest first
    History {
        notebook: PathBuf,
        /// How many executions
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// As a JSON array of executions
        #[arg(long)]
        json: bool,
    },
    /// Run code in a kernel, and print what it puts out
    Exec {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        /// The code; "-" reads it from standard input
        code: String,
    },
    /// Type code into a kernel, line by line; leaving lets it run on
    Console {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
    },
    /// Run all code cells of a notebook in a kept kernel; outputs go into its journal
    Run {
        notebook: PathBuf,
        /// The kernelspec; by default the notebook's own
        #[arg(long)]
        kernel: Option<String>,
        /// Return at once, and let it run
        #[arg(long)]
        detach: bool,
    },
    /// Write what a notebook's kernel put out into the notebook's file
    Save {
        notebook: PathBuf,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show a session's logs: its keeper's, and what the kernel wrote past its channels
    Logs {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        /// Go on as it grows
        #[arg(short, long)]
        follow: bool,
    },
    /// Keep what a Python kernel's variables are, and take it back
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Run a notebook's history again, up to one execution, in a new kernel; the old one runs on without the notebook
    Replay {
        notebook: PathBuf,
        /// Its id, as `history --json` has it; one that succeeded
        execution: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the kernels that could be started
    Kernelspecs {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// List the editor windows, and tell of those that have no Kernel Keeper
    #[command(args_conflicts_with_subcommands = true)]
    Windows {
        #[command(subcommand)]
        command: Option<WindowsCommand>,
        /// As a JSON object
        #[arg(long)]
        json: bool,
        /// Also those that are gone
        #[arg(long)]
        all: bool,
        /// Those of a repository, "owner/name"
        #[arg(long)]
        repo: Option<String>,
        /// Those of an issue
        #[arg(long)]
        issue: Option<u32>,
        /// Those of a folder
        #[arg(long)]
        folder: Option<String>,
    },
    /// What people and agents said about a notebook
    Conversation {
        #[command(subcommand)]
        command: ConversationCommand,
    },
    /// Show how it all is: kernels, windows, what happened lately, and the space on disk
    Health {
        /// As a JSON object
        #[arg(long)]
        json: bool,
        /// Go on as it changes
        #[arg(long)]
        watch: bool,
    },
    /// List the kernels of yours that other programs started and that are not kept
    Others {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Keep a kernel that another program started: what it puts out from now on is journaled
    Adopt {
        #[arg(value_name = "PID|CONNECTION_FILE")]
        which: String,
        /// The notebook that is to have it; by default the one that it was started for
        notebook: Option<PathBuf>,
    },
    /// Let an agent see and use the kernels: the Model Context Protocol on standard input and output
    Mcp {
        /// Also interrupt, restart and stop kernels that a window has open
        #[arg(long, env = "KERNEL_KEEPER_AGENTS_MAY_STOP_OPEN", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_value = "false", default_missing_value = "true", hide_env = false)]
        may_stop_open: bool,
    },
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the man page
    Man,
    /// Serve an editor window: LSP on standard input and output
    Lsp,
    /// Keep one kernel (started by the other commands)
    #[command(hide = true)]
    Keep {
        #[arg(long)]
        session: String,
        #[arg(long, value_parser = ["start", "adopt", "join"])]
        purpose: String,
        #[arg(long)]
        launch: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Save a kernel's variables under a name; an earlier snapshot of that name is replaced
    Save {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        name: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put them back: into the kernel as it is, or into a new one where it has ended
    Restore {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        name: String,
        /// Restart the kernel first
        #[arg(long)]
        restart: bool,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the snapshots of a notebook, the latest first
    List {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove a notebook's latest snapshot of a name
    Remove {
        #[arg(value_name = "SESSION|PID|NOTEBOOK")]
        which: String,
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum WindowsCommand {
    /// Tell of a window that has no Kernel Keeper, or change the one that the folder has
    Add {
        folder: PathBuf,
        #[command(flatten)]
        about: AboutArgs,
    },
    /// Change what a window is said to be
    Set {
        /// Its id, as `windows` lists it
        window: String,
        #[command(flatten)]
        about: AboutArgs,
    },
    /// Forget a folder's windows that are not open
    Remove { folder: PathBuf },
    /// Write all windows into a coordinator's file
    Export { file: PathBuf },
    /// Take in the windows of a coordinator's file; by default its own place
    Import { file: Option<PathBuf> },
}

#[derive(Debug, Subcommand)]
pub enum ConversationCommand {
    /// List them, the latest first
    List {
        #[command(flatten)]
        of: OfArgs,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print one as Markdown
    Show {
        conversation: String,
        /// The latest turns only
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        turns: Option<u32>,
        /// The turns as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what one belongs to, with the kernel's variables
    Info {
        conversation: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Add a turn; the first one names the session or the notebook
    Append {
        conversation: String,
        /// What was said; "-" reads it from standard input
        text: String,
        #[arg(long, value_parser = ["user", "assistant", "system", "tool"])]
        role: String,
        #[command(flatten)]
        of: OfArgs,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Forget conversations
    Clear {
        #[arg(required = true)]
        conversation: Vec<String>,
    },
    /// Begin a new one with the first turns of another, and print its id
    Branch {
        conversation: String,
        /// How many turns
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        turns: u32,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write one into a private file, or to standard output, as JSON that `import` takes
    Export {
        conversation: String,
        file: Option<PathBuf>,
        /// As Markdown
        #[arg(long)]
        markdown: bool,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Take in an exported one as a new conversation, and print its id
    Import {
        file: PathBuf,
        #[command(flatten)]
        of: OfArgs,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// What a conversation belongs to.
#[derive(Debug, clap::Args)]
pub struct OfArgs {
    #[arg(long, value_name = "SESSION|PID|NOTEBOOK")]
    pub session: Option<String>,
    #[arg(long)]
    pub notebook: Option<PathBuf>,
}

/// What a window is said to be; what is not given stays as it is, an empty word takes it away.
#[derive(Debug, clap::Args)]
pub struct AboutArgs {
    /// "owner/name"
    #[arg(long)]
    pub repo: Option<String>,
    #[arg(long)]
    pub issue: Option<u32>,
    #[arg(long)]
    pub status: Option<String>,
    /// The editor's process
    #[arg(long)]
    pub editor_pid: Option<u32>,
    #[arg(long)]
    pub editor_name: Option<String>,
    /// Whether a person has to look
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub intervention: Option<bool>,
    /// As a JSON object
    #[arg(long)]
    pub json: bool,
}
