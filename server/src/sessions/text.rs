//! Sentences for people: times in the user's own time zone.

use jiff::tz::TimeZone;

use crate::protocol::{EndReason, Execution, ExecutionStatus, Session, Time};

/// A moment as people say it: "Jan 26, 17:00" this year, "Jan 26, 2025, 17:00" else.
pub fn since(time: Time, now: Time, zone: &TimeZone) -> String {
    let local = |t: Time| jiff::Timestamp::from_millisecond(t.0).unwrap_or_default().to_zoned(zone.clone());
    let (time, now) = (local(time), local(now));
    let format = if time.year() == now.year() { "%b %-d, %H:%M" } else { "%b %-d, %Y, %H:%M" };
    time.strftime(format).to_string()
}

/// A moment in the user's time zone.
pub(super) fn local(time: Time) -> String {
    since(time, Time::now(), &TimeZone::system())
}

fn kernel(session: &Session) -> String {
    format!("{}'s kernel{}", session.label, pid(session))
}

fn pid(session: &Session) -> String {
    session.pid.map_or_else(String::new, |pid| format!(" (PID {pid})"))
}

/// The question of a `resume` offer. `running` is what `running` says; `is_elsewhere`: another window shows it.
pub fn resume(
    session: &Session,
    kernel_name: Option<&str>,
    running: Option<&str>,
    is_elsewhere: bool,
) -> String {
    let mut text = format!("{} has been running since {}", kernel(session), local(session.started_at));
    let other = kernel_name.filter(|name| !name.eq_ignore_ascii_case(&session.kernel.name));
    if other.is_some() {
        text.push_str(&format!(", with {}", session.kernel.display_name));
    }
    if let Some(running) = running {
        text.push_str(&format!("; {running}"));
    }
    text.push_str(if is_elsewhere { ". It is open and live in another window. " } else { ". " });
    match other {
        // Chosen on purpose: what becomes of the one that there is.
        Some(other) => text.push_str(&format!(
            "It goes on until it is stopped: choose {} again to get back to it. Stop it, and start {other} instead?",
            session.kernel.display_name
        )),
        None => text.push_str("Resume?"),
    }
    text
}

/// What runs in a kernel, and for how long: "cell 5 has been running for 20 s".
pub fn running(session: &Session, now: Time) -> Option<String> {
    let current = session.current_execution.as_ref()?;
    let what = current.cell_index.map_or_else(|| "code".to_owned(), |index| format!("cell {}", index + 1));
    if current.input.is_some() {
        return Some(format!("{what} is waiting for input"));
    }
    let taken = current.started_at.map_or(0, |started| now.0 - started.0);
    Some(format!("{what} has been running for {}", duration(taken)))
}

/// A time that something takes: "20 s", "3 min", "2 h 5 min".
fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match (seconds, seconds / 60) {
        (0..60, _) => format!("{} s", seconds.max(1)),
        (_, minutes @ 0..60) => format!("{minutes} min"),
        (_, minutes) => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// The question of a `migrate` offer, between two paths; `is_guess`: the new notebook only looks like the old one.
pub fn migrate(session: &Session, old: &str, new: &str, is_guess: bool) -> String {
    let pid = session.pid.map_or_else(String::new, |pid| format!("PID {pid}, "));
    let (old, new_name) = apart(old, new);
    let label = if old.ends_with(&session.label) { String::new() } else { format!(" {}", session.label) };
    let what = match is_guess {
        true => format!("{new_name} looks like {old}, which is gone."),
        false => format!("{old} is now {new_name}."),
    };
    format!("{what} Its kernel{label} ({pid}since {}) is still running.", local(session.started_at))
}

/// Two paths from where they part: the names alone in one folder.
fn apart<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let common = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    match old.as_bytes()[..common].iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&old[at + 1..], &new[at + 1..]),
        None => (old, new),
    }
}

/// The question of a `pick` offer between kernels whose notebooks are gone.
pub fn pick_session(name: &str, count: usize) -> String {
    format!(
        "{name} looks like the notebooks of {count} kernels that are still running. Which one is its own?"
    )
}

/// A kernel as one of several to choose from.
pub fn kernel_of(session: &Session) -> String {
    format!("{}, since {}", kernel(session), local(session.started_at))
}

/// The question of a `replace` offer: what would be stopped.
pub fn replace(holder: &Session, target: &str) -> String {
    let busy = if holder.current_execution.is_some() { ", which is busy," } else { "" };
    let pid = holder.pid.map_or_else(String::new, |pid| format!(" (PID {pid})"));
    let since = local(holder.started_at);
    format!(
        "{target} has a kernel of its own{pid}{busy} running since {since}. Stop that one, and attach this one instead?"
    )
}

/// The question of a `recover` offer: how the kernel ended, and what ran last.
pub fn recover(name: &str, session: &Session, last: Option<&Execution>) -> String {
    let how = if session.end_reason == Some(EndReason::Crashed) { "crashed" } else { "was lost" };
    let at = local(session.ended_at.unwrap_or(session.last_activity_at));
    let kernel = match session.notebooks.len() {
        0 | 1 => kernel(session),
        count => format!("{name}'s kernel{}, which {count} notebooks shared", pid(session)),
    };
    let begun = local(session.started_at);
    let mut text = format!("{kernel}, running since {begun}, {how} ({at}).");
    if let Some(last) = last {
        let cell = last.cell_index.map_or_else(|| "the last code".to_owned(), |i| format!("cell {}", i + 1));
        let ended = match last.status {
            ExecutionStatus::Ok => "had finished".to_owned(),
            ExecutionStatus::Error => {
                format!("had failed: {}", last.error.as_ref().map_or("an error", |e| e.ename.as_str()))
            }
            ExecutionStatus::Lost | ExecutionStatus::Running => "was running".to_owned(),
            ExecutionStatus::Aborted | ExecutionStatus::Pending => "had not run".to_owned(),
        };
        text.push_str(&format!(" Last, {cell} {ended}."));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_they_part() {
        for (old, new, expect) in [
            ("/w/draft.ipynb", "/w/final.ipynb", ("draft.ipynb", "final.ipynb")),
            ("/w/lot/n.ipynb", "/w/moved/n.ipynb", ("lot/n.ipynb", "moved/n.ipynb")),
            ("/w/n.ipynb", "/w/sub/n.ipynb", ("n.ipynb", "sub/n.ipynb")),
            ("/w/é.ipynb", "/w/è.ipynb", ("é.ipynb", "è.ipynb")),
            ("/w/n.ipynb", "/x/n.ipynb", ("w/n.ipynb", "x/n.ipynb")),
        ] {
            assert_eq!(apart(old, new), expect);
        }
    }

    #[test]
    fn how_long_a_cell_runs_is_said_in_one_unit_or_two() {
        for (seconds, expect) in
            [(0, "1 s"), (20, "20 s"), (59, "59 s"), (185, "3 min"), (7500, "2 h 5 min"), (-5, "1 s")]
        {
            assert_eq!(duration(seconds * 1000), expect);
        }
    }

    #[test]
    fn the_year_is_said_when_it_is_another_one() {
        let at = |t: &str| Time::parse(t).unwrap();
        let zone = TimeZone::UTC;
        let now = at("2026-02-01T00:00:00Z");
        assert_eq!(since(at("2026-01-26T17:00:00Z"), now, &zone), "Jan 26, 17:00");
        assert_eq!(since(at("2025-12-05T07:05:00Z"), now, &zone), "Dec 5, 2025, 07:05");
    }
}
