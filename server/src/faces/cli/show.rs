//! Tables.
//!
//! For people only: what programs read is the JSON, so a table may change at any time.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use crate::protocol::{
    Conversation, EndReason, Execution, ExecutionStatus, Kernelspec, OtherKernel, RecentEvent, Session,
    SessionState, Snapshot, Time, Variable, Window, WindowState,
};
use crate::sessions::{plain, since};

/// Sessions, one a line.
pub fn sessions(sessions: &[Session]) -> Table {
    let mut table =
        table(&["SESSION", "LABEL", "STATE", "PID", "SINCE", "KERNEL", "MEMORY", "CPU", "NOTEBOOK"]);
    for session in sessions {
        let gone = match (session.replaced, session.notebook_exists) {
            (true, _) => " (has another kernel)",
            (false, true) => "",
            (false, false) => " (gone)",
        };
        let place = session.notebook_path.clone().unwrap_or_else(|| session.notebook_uri.clone());
        table.add_row([
            cell(&session.id),
            cell(&session.label).add_attribute(Attribute::Bold),
            state(session),
            cell(session.pid.map(|pid| pid.to_string()).unwrap_or_default()),
            cell(when(session.started_at)),
            cell(&session.kernel.display_name),
            cell(session.memory_bytes.map(bytes).unwrap_or_default()),
            cell(session.cpu_percent.map(|c| format!("{c:.0} %")).unwrap_or_default()),
            cell(format!("{place}{gone}")),
        ]);
    }
    table
}

fn state(session: &Session) -> Cell {
    let (word, color) = match (session.state, session.end_reason) {
        (SessionState::Ended, Some(EndReason::Stopped)) => ("stopped", Color::DarkGrey),
        (SessionState::Ended, Some(EndReason::Exited)) => ("exited", Color::DarkGrey),
        (SessionState::Ended, Some(EndReason::Crashed)) => ("crashed", Color::Red),
        (SessionState::Ended, _) => ("lost", Color::Red),
        _ if !session.responding => ("not responding", Color::Red),
        (SessionState::Busy, _) => ("busy", Color::Yellow),
        (SessionState::Idle, _) => ("idle", Color::Green),
        (SessionState::Starting, _) => ("starting", Color::Blue),
        (SessionState::Restarting, _) => ("restarting", Color::Blue),
    };
    coloured(word, color)
}

/// Executions, one a line.
pub fn executions(executions: &[Execution]) -> Table {
    let mut table = table(&["WHEN", "CELL", "COUNT", "STATUS", "TOOK", "CODE"]);
    for execution in executions {
        let (word, color) = match execution.status {
            ExecutionStatus::Ok => ("ok", Color::Green),
            ExecutionStatus::Error => ("error", Color::Red),
            ExecutionStatus::Lost => ("lost", Color::Red),
            ExecutionStatus::Running => ("running", Color::Yellow),
            ExecutionStatus::Pending => ("pending", Color::Blue),
            ExecutionStatus::Aborted => ("aborted", Color::DarkGrey),
        };
        let name = execution.error.as_ref().map(|e| format!("{word}: {}", e.ename));
        let first = execution.code.trim().lines().next().unwrap_or_default();
        let more = if execution.code.trim().lines().count() > 1 { " …" } else { "" };
        let took =
            execution.started_at.zip(execution.completed_at).map(|(from, to)| duration(to.since(from)));
        table.add_row([
            cell(when(execution.started_at.unwrap_or(execution.queued_at))),
            cell(execution.cell_index.map_or_else(|| execution.origin.clone(), |i| (i + 1).to_string())),
            cell(execution.execution_count.map(|n| format!("[{n}]")).unwrap_or_default()),
            coloured(&name.unwrap_or_else(|| word.to_owned()), color),
            cell(took.unwrap_or_default()),
            cell(format!("{}{more}", first.chars().take(60).collect::<String>())),
        ]);
    }
    table
}

/// Kernelspecs, one a line.
pub fn kernelspecs(all: &[Kernelspec]) -> Table {
    let mut table = table(&["NAME", "KERNEL", "LANGUAGE", "SOURCE", "READY"]);
    for spec in all {
        let ready = match &spec.provisioner {
            Some(provisioner) => &format!("no: for {provisioner}"),
            None if spec.ready => "yes",
            None => "no ipykernel",
        };
        table.add_row([&*spec.name, &spec.display_name, &spec.language, &spec.source, ready].map(cell));
    }
    table
}

/// Snapshots, one a line.
pub fn snapshots(all: &[Snapshot]) -> Table {
    let mut table = table(&["NAME", "SAVED", "SIZE", "VARIABLES", "LEFT OUT", "SESSION"]);
    for snapshot in all {
        table.add_row([
            cell(&snapshot.name).add_attribute(Attribute::Bold),
            cell(when(snapshot.at)),
            cell(bytes(snapshot.bytes)),
            cell(snapshot.variables.len()),
            cell(snapshot.skipped.len()),
            cell(&snapshot.session_id),
        ]);
    }
    table
}

/// Windows, one a line.
pub fn windows(all: &[Window]) -> Table {
    let mut table =
        table(&["WINDOW", "STATE", "FOLDER", "REPOSITORY", "ISSUE", "STATUS", "EDITOR", "SINCE", "KERNELS"]);
    for window in all {
        let (word, color) = match window.state {
            WindowState::Active => ("active", Color::Green),
            WindowState::Disconnected => ("disconnected", Color::DarkGrey),
        };
        let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
        let number = |n: Option<u32>| cell(n.map(|n| n.to_string()).unwrap_or_default());
        table.add_row([
            cell(&window.window_id),
            coloured(word, color),
            text(&window.folder),
            text(&window.repo),
            number(window.issue_number),
            text(&window.status),
            number(window.editor_pid),
            cell(when(window.started_at)),
            cell(window.sessions.len()),
        ]);
    }
    table
}

/// Conversations, one a line.
pub fn conversations(all: &[Conversation]) -> Table {
    let mut table = table(&["CONVERSATION", "TURNS", "LAST", "SESSION", "NOTEBOOK", "TITLE"]);
    for one in all {
        let place = one.notebook_path.as_ref().or(one.notebook_uri.as_ref());
        table.add_row([
            cell(&one.conversation_id),
            cell(one.turn_count),
            cell(when(one.last_activity_at)),
            cell(one.session_id.as_deref().unwrap_or_default()),
            cell(place.map_or("", String::as_str)),
            cell(&one.title),
        ]);
    }
    table
}

/// Variables, one a line.
pub fn variables(all: &[Variable]) -> Table {
    let mut table = table(&["NAME", "TYPE", "SIZE", "VALUE"]);
    for one in all {
        let size = one.size.map(bytes).unwrap_or_default();
        table.add_row([&one.name, &one.r#type, &size, &one.preview].map(cell));
    }
    table
}

/// Kernels of other programs, one a line.
pub fn others(all: &[OtherKernel]) -> Table {
    let mut table = table(&["PID", "KERNEL", "SINCE", "STARTED BY", "NOTEBOOK", "CONNECTION FILE"]);
    for kernel in all {
        let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
        table.add_row([
            cell(kernel.pid),
            cell(&kernel.display_name),
            cell(when(kernel.started_at)),
            text(&kernel.started_by),
            text(&kernel.notebook_path),
            cell(&kernel.connection_file),
        ]);
    }
    table
}

/// What happened, newest first.
pub fn events(all: &[RecentEvent]) -> Table {
    let mut table = table(&["WHEN", "WHAT", "WHICH", "DETAIL"]);
    for event in all {
        let words = match event.kind.as_str() {
            "windowConnected" => "window connected",
            "windowReconnected" => "window reconnected",
            "windowDisconnected" => "window disconnected",
            "tokenExpired" => "token expired",
            "tokenRejected" => "token refused",
            "sessionStarted" => "kernel started",
            "sessionAdopted" => "kernel adopted",
            "sessionMigrated" => "kernel moved",
            "sessionEnded" => "kernel ended",
            other => other,
        };
        let which = event.label.as_ref().or(event.session_id.as_ref()).or(event.window_id.as_ref());
        table.add_row([
            cell(when(event.at)),
            cell(words),
            cell(which.map_or("", String::as_str)),
            cell(event.detail.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| {
        let cell = cell(name);
        if super::is_colourful() { cell.fg(Color::DarkGrey) } else { cell }
    }));
    if !super::is_colourful() {
        table.force_no_tty();
    }
    table
}

/// A cell: whatever stands in it, it is one line, and nothing that a terminal would obey.
fn cell(text: impl ToString) -> Cell {
    Cell::new(plain::line(&text.to_string()))
}

fn coloured(word: &str, color: Color) -> Cell {
    if super::is_colourful() { cell(word).fg(color) } else { cell(word) }
}

fn when(time: Time) -> String {
    since(time, Time::now(), &jiff::tz::TimeZone::system())
}

/// Bytes as people read them.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    if unit < 3 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn duration(milliseconds: i64) -> String {
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(
            [bytes(12), bytes(999_600), bytes(812_000_000), bytes(1_100_000_000)],
            ["12 B", "1 MB", "812 MB", "1.1 GB"]
        );
        assert_eq!([duration(7), duration(1_500), duration(61_000)], ["7 ms", "1.5 s", "1 min 1 s"]);
    }
}
