//! The one binary: sidecar, keeper and command line. Parses, dispatches, turns errors into exit codes.

mod args;

use std::io::Write;
use std::process::ExitCode;

use args::{AboutArgs, Args, Command, ConversationCommand, OfArgs, SnapshotCommand, WindowsCommand};
use clap::{CommandFactory, Parser};
use kernel_keeper::faces::{cli, lsp, mcp};
use kernel_keeper::keeper::{self, Purpose};
use kernel_keeper::paths::Folders;
use kernel_keeper::protocol::{Error, ErrorKind, ListWindowsParams, WindowChange};
use kernel_keeper::sessions::plain::is_order;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return refuse(&e),
    };
    if matches!(args.command, Command::Lsp | Command::Mcp { .. } | Command::Keep { launch: false, .. }) {
        kernel_keeper::process::stay_small();
    }
    log_to_stderr(&args.command);
    if !matches!(args.command, Command::Lsp | Command::Mcp { .. } | Command::Keep { .. }) {
        end_when_nobody_reads();
    }
    match dispatch(args.command) {
        Ok(code) => code,
        Err(error) => {
            cli::err(&format!("error: {}", cli::words(&error)));
            if let Some(help) = cli::help(&error) {
                cli::err(&format!("help: {help}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// What was typed wrongly is repeated: it may come from somewhere else, as the name of a file does.
fn refuse(wrong: &clap::Error) -> ExitCode {
    let text = wrong.render().to_string();
    if text.chars().any(|c| c != '\n' && is_order(c)) {
        cli::err(text.trim_end());
        return ExitCode::from(2);
    }
    wrong.exit()
}

fn dispatch(command: Command) -> Result<ExitCode, Error> {
    match &command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "kernel-keeper", &mut script);
            return std::io::stdout().write_all(&script).map(|()| ExitCode::SUCCESS).map_err(io_failed);
        }
        Command::Man => {
            let page = clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout());
            return page.map(|()| ExitCode::SUCCESS).map_err(io_failed);
        }
        _ => {}
    }
    let folders = Folders::from_environment().map_err(io_failed)?;
    let done = match command {
        Command::Lsp => lsp::run(folders).map_err(io_failed),
        Command::Mcp { may_stop_open } => mcp::run(folders, may_stop_open),
        Command::Keep { session, purpose, launch: true } => {
            keeper::run_launcher(&session, &purpose).map_err(io_failed)
        }
        Command::Keep { session, purpose, launch: false } => {
            keeper::run(folders, &session, Purpose::parse(&purpose))
        }
        Command::List { json, all } => cli::run(folders, |s| async move { cli::list(&s, json, all).await }),
        Command::Stop { which, all } => {
            cli::run(folders, |s| async move { cli::stop(&s, &which, all).await })
        }
        Command::Attach { which, notebook, replace, share, yes } => cli::run(folders, |s| async move {
            cli::attach(&s, &which, &notebook, cli::Attach { replace, share, yes }).await
        }),
        Command::History { notebook, limit, json } => {
            cli::run(folders, |s| async move { cli::history(&s, &notebook, limit, json).await })
        }
        Command::Exec { which, code } => {
            return cli::run(folders, |s| async move { cli::exec(&s, &which, &code).await });
        }
        Command::Console { which } => {
            return cli::run_following(
                folders,
                |s, events| async move { cli::console(&s, events, &which).await },
            );
        }
        Command::Run { notebook, kernel, detach } => {
            return cli::run(
                folders,
                |s| async move { cli::run_notebook(&s, &notebook, kernel, detach).await },
            );
        }
        Command::Save { notebook, json } => {
            cli::run(folders, |s| async move { cli::save(&s, &notebook, json).await })
        }
        Command::Logs { which, follow } => {
            cli::run(folders, |s| async move { cli::logs(&s, &which, follow).await })
        }
        Command::Snapshot(command) => cli::run(folders, |s| async move { snapshot(&s, command).await }),
        Command::Replay { notebook, execution, json } => {
            cli::run(
                folders,
                |s| async move { cli::snapshots::replay(&s, &notebook, &execution, json).await },
            )
        }
        Command::Kernelspecs { json } => {
            cli::run(folders, |s| async move { cli::kernelspecs(&s, json).await })
        }
        Command::Windows { command: None, json, all, repo, issue, folder } => {
            cli::run(folders, |s| async move {
                let include_disconnected = Some(all);
                let asked = ListWindowsParams { repo, issue_number: issue, folder, include_disconnected };
                cli::windows::windows(&s, &asked, json)
            })
        }
        Command::Windows { command: Some(command), .. } => {
            cli::run(folders, |s| async move { windows(&s, command).await })
        }
        Command::Conversation { command } => {
            cli::run(folders, |s| async move { conversation(&s, command).await })
        }
        Command::Health { json, watch } => {
            cli::run(folders, |s| async move { cli::health(&s, json, watch).await })
        }
        Command::Others { json } => cli::run(folders, |s| async move { cli::others(&s, json).await }),
        Command::Adopt { which, notebook } => {
            cli::run(folders, |s| async move { cli::adopt(&s, &which, notebook.as_deref()).await })
        }
        Command::Completions { .. } | Command::Man => Ok(()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn snapshot(
    sessions: &std::sync::Arc<kernel_keeper::sessions::Sessions>,
    command: SnapshotCommand,
) -> Result<(), Error> {
    use cli::snapshots::{list, remove, restore, save};
    match command {
        SnapshotCommand::Save { which, name, json } => save(sessions, &which, &name, json).await,
        SnapshotCommand::Restore { which, name, restart, json } => {
            restore(sessions, &which, &name, restart, json).await
        }
        SnapshotCommand::List { which, json } => list(sessions, &which, json).await,
        SnapshotCommand::Remove { which, name } => remove(sessions, &which, &name).await,
    }
}

async fn windows(
    sessions: &std::sync::Arc<kernel_keeper::sessions::Sessions>,
    command: WindowsCommand,
) -> Result<(), Error> {
    match command {
        WindowsCommand::Add { folder, about } => {
            let json = about.json;
            cli::windows::add(sessions, &folder, change(about), json).await
        }
        WindowsCommand::Set { window, about } => {
            let json = about.json;
            cli::windows::set(sessions, &window, &change(about), json).await
        }
        WindowsCommand::Remove { folder } => cli::windows::remove(sessions, &folder).await,
        WindowsCommand::Export { file } => cli::windows::export(sessions, &file),
        WindowsCommand::Import { file } => cli::windows::import(sessions, file.as_deref()).await,
    }
}

async fn conversation(
    sessions: &std::sync::Arc<kernel_keeper::sessions::Sessions>,
    command: ConversationCommand,
) -> Result<(), Error> {
    use cli::conversations as run;
    fn named(of: &OfArgs) -> run::Of<'_> {
        run::Of { session: of.session.as_deref(), notebook: of.notebook.as_deref() }
    }
    match command {
        ConversationCommand::List { of, json } => run::list(sessions, named(&of), json).await,
        ConversationCommand::Show { conversation, turns, json } => {
            run::show(sessions, &conversation, turns, json).await
        }
        ConversationCommand::Info { conversation, json } => run::info(sessions, &conversation, json).await,
        ConversationCommand::Append { conversation, text, role, of, json } => {
            run::append(sessions, &conversation, &role, named(&of), &text, json).await
        }
        ConversationCommand::Clear { conversation } => run::clear(sessions, &conversation).await,
        ConversationCommand::Branch { conversation, turns, json } => {
            run::branch(sessions, &conversation, turns, json).await
        }
        ConversationCommand::Export { conversation, file, markdown, force } => {
            run::export(sessions, &conversation, file.as_deref(), markdown, force).await
        }
        ConversationCommand::Import { file, of, json } => {
            run::import(sessions, &file, named(&of), json).await
        }
    }
}

/// An empty word takes a value away.
fn change(about: AboutArgs) -> WindowChange {
    let text = |text: Option<String>| text.map(|text| Some(text).filter(|text| !text.is_empty()));
    WindowChange {
        folder: None,
        repo: text(about.repo),
        issue_number: about.issue.map(Some),
        status: text(about.status),
        is_intervention: about.intervention.map(Some),
        editor_pid: about.editor_pid.map(Some),
        editor_name: text(about.editor_name),
    }
}

fn io_failed(e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(1);
    }
    Error::new(ErrorKind::StoreFailed, e.to_string())
}

/// `kernel-keeper list | head -1`: printing to a pipe that was closed ends the command, without the report of a bug.
fn end_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.starts_with("failed printing to std")) {
            std::process::exit(1);
        }
        report(panic);
    }));
}

/// Logs go to standard error: of a sidecar the editor's output channel, of a keeper its keeper.log. The command line says
/// what went wrong itself. `KERNEL_KEEPER_LOG` sets another filter.
fn log_to_stderr(command: &Command) {
    let default = match command {
        Command::Lsp | Command::Keep { .. } => "kernel_keeper=info,warn",
        Command::Mcp { .. } => "kernel_keeper=warn",
        _ => "off",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KERNEL_KEEPER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // It would write down what agents send, tokens and all.
    let filter = "rmcp=error".parse().map_or(filter.clone(), |only| filter.add_directive(only));
    // On a full disk a line is lost; complaining of it on the same standard error would end the process.
    let log = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_ansi(false);
    match command {
        Command::Keep { .. } => log.with_writer(std::sync::Mutex::new(keeper::KeeperLog::default())).init(),
        _ => log.with_writer(std::io::stderr).init(),
    }
}
