//! All windows of the user: which there are, which repository and issue they are about, and whether they are there.
//!
//! A window with a sidecar is there while that gives signs of life. One that only others told of is there while its
//! editor's process is; the same PID with another start is another process.

use std::collections::BTreeSet;

use super::windows::{Document, Said, sidecar};
use super::{Sessions, invalid, repository, store_failed};
use crate::protocol::{
    AboutWindow, Error, ErrorKind, ListWindowsParams, Session, Time, Window, WindowChange, WindowState,
    limits,
};
use crate::registry::{Event, Window as WindowRow};

/// Milliseconds for which a window of another host counts as there.
const ELSEWHERE: i64 = 300_000;

impl Sessions {
    /// The windows that fit, those seen last first, and how many of them have an editor that runs.
    pub fn windows(&self, asked: &ListWindowsParams) -> Result<(Vec<Window>, u32), Error> {
        let rows = self.registry().windows().map_err(store_failed)?;
        let (mut windows, mut active) = (Vec::new(), 0);
        for row in rows {
            let said = Said::of(&row);
            let window = self.shown(&row, &said);
            let is_gone = window.state == WindowState::Disconnected;
            let other = |asked: &Option<String>, is: &Option<String>| asked.is_some() && asked != is;
            if is_gone && !asked.include_disconnected.unwrap_or(false)
                || asked.repo.as_ref().is_some_and(|repo| !is_same(repo, window.repo.as_deref()))
                || other(&asked.folder, &window.folder)
                || asked.issue_number.is_some() && asked.issue_number != window.issue_number
            {
                continue;
            }
            active += u32::from(!is_gone && self.has_editor(&row, &said));
            windows.push(window);
        }
        Ok((windows, active))
    }

    /// One window. `NotFound`.
    pub fn window_of(&self, id: &str) -> Result<Window, Error> {
        let row = self.registry().window(id).map_err(store_failed)?.ok_or_else(|| no_window(id))?;
        Ok(self.shown(&row, &Said::of(&row)))
    }

    /// Adds a window that has no sidecar, or changes the one that the folder has already.
    pub async fn add_window(&self, folder: &str, change: WindowChange) -> Result<Window, Error> {
        self.put_window(folder, change, None).await
    }

    /// The same with the moment at which it was started, where that is known.
    pub(super) async fn put_window(
        &self,
        folder: &str,
        change: WindowChange,
        started_at: Option<Time>,
    ) -> Result<Window, Error> {
        if folder.is_empty() {
            return Err(invalid("folder", "a window needs a folder"));
        }
        super::check_length("folder", Some(folder), limits::URI)?;
        check(&change)?;
        let now = Time::now();
        let about = AboutWindow { folder: Some(folder.to_owned()), ..AboutWindow::default() };
        let new = WindowRow {
            id: crate::ids::session(),
            host: crate::process::host(),
            boot: crate::process::boot_id(),
            document: "{}".into(),
            about: Said { about: repository::complete(&about), editor: None }.to_json(),
            started_at: started_at.unwrap_or(now),
            ..WindowRow::default()
        };
        let (id, host) = (new.id.clone(), new.host.clone());
        let is_it = |row: &WindowRow| {
            let is_same = Said::of(row).about.folder.as_deref() == Some(folder) && row.host == host;
            is_same && (!row.has_sidecar || self.state_of(row) == WindowState::Active)
        };
        let change = |row: &mut WindowRow| {
            row.last_seen = now;
            apply(row, &change, started_at);
            if !row.has_sidecar {
                row.disconnected_at = None;
            }
        };
        let added = self.write(|registry| registry.add_window(&new, is_it, change)).await;
        let row = added.map_err(store_failed)?;
        if row.id == id {
            self.note_window("windowConnected", &row.id, Some(folder), None);
        }
        self.ring();
        Ok(self.shown(&row, &Said::of(&row)))
    }

    /// Changes what a window is said to be. `NotFound`.
    pub async fn change_window(&self, id: &str, change: &WindowChange) -> Result<Window, Error> {
        check(change)?;
        let change = |row: &mut WindowRow| {
            apply(row, change, None);
            if !row.has_sidecar {
                row.last_seen = Time::now();
                row.disconnected_at = None;
            }
            row.clone()
        };
        let changed = self.write(|registry| registry.change_window(id, change)).await;
        let row = changed.map_err(store_failed)?.ok_or_else(|| no_window(id))?;
        self.ring();
        Ok(self.shown(&row, &Said::of(&row)))
    }

    /// Forgets a folder's windows that have no living sidecar. False: there was none.
    pub async fn forget_window(&self, folder: &str) -> Result<bool, Error> {
        let mut removed = false;
        for row in self.registry().windows().map_err(store_failed)? {
            let is_its = Said::of(&row).about.folder.as_deref() == Some(folder);
            let is_there = row.has_sidecar && row.disconnected_at.is_none() && sidecar(&row).is_alive();
            if is_its && !is_there {
                let done = self.write(|registry| registry.remove_window(&row.id)).await;
                removed |= done.map_err(store_failed)?;
            }
        }
        if removed {
            self.ring();
        }
        Ok(removed)
    }

    /// The row as faces show it.
    fn shown(&self, row: &WindowRow, said: &Said) -> Window {
        let state = self.state_of(row);
        let has_it =
            |windows: &[crate::protocol::AttachedWindow]| windows.iter().any(|w| w.window_id == row.id);
        let sessions: BTreeSet<String> = match state {
            WindowState::Active => {
                self.live.iter().filter(|l| has_it(&l.session.windows)).map(|l| l.key().clone()).collect()
            }
            WindowState::Disconnected => Document::of(row).attached.into_iter().collect(),
        };
        let about = &said.about;
        Window {
            window_id: row.id.clone(),
            folder: about.folder.clone(),
            repo: about.repo.clone(),
            issue_number: about.issue_number,
            status: about.status.clone(),
            is_intervention: about.is_intervention.unwrap_or(false),
            editor_pid: about.editor_pid,
            editor_name: about.editor_name.clone(),
            started_at: row.started_at,
            last_seen_at: row.last_seen,
            reconnect_count: row.reconnect_count,
            state,
            sessions: sessions.into_iter().collect(),
            this_window: row.id == self.window_id(),
        }
    }

    pub(super) fn state_of(&self, row: &WindowRow) -> WindowState {
        // Who says it seldom is not held to be silent by one that says it often.
        let signs = Document::of(row).sign_every.saturating_mul(3) as i64;
        let silent_after = (self.settings().silent_after.as_millis() as i64).max(signs);
        let is_there = if row.host != crate::process::host() {
            Time::now().since(row.last_seen) < ELSEWHERE
        } else if row.has_sidecar {
            let silent = silence(row.seen_awake, crate::process::awake_milliseconds());
            silent <= silent_after && sidecar(row).is_alive()
        } else {
            let said = Said::of(row);
            said.about.editor_pid.is_none() || self.has_editor(row, &said)
        };
        match row.disconnected_at.is_none() && is_there {
            true => WindowState::Active,
            false => WindowState::Disconnected,
        }
    }

    /// Whether the window's editor runs, as far as that can be seen from this host.
    fn has_editor(&self, row: &WindowRow, said: &Said) -> bool {
        row.host == crate::process::host()
            && said.editor.as_ref().is_some_and(|e| crate::process::editor_of(e.pid).as_ref() == Some(e))
    }

    /// Puts what a window did among the recent events.
    pub(super) fn note_window(&self, kind: &str, id: &str, folder: Option<&str>, detail: Option<String>) {
        self.note(Event {
            kind: kind.into(),
            window_id: Some(id.to_owned()),
            label: folder.map(str::to_owned),
            detail,
            ..Event::default()
        });
    }

    /// The same for what became of a session.
    pub(super) fn note_session(&self, kind: &str, session: &Session, detail: Option<String>) {
        self.note(Event {
            kind: kind.into(),
            session_id: Some(session.id.clone()),
            window_id: Some(self.window_id()),
            label: Some(session.label.clone()),
            detail,
            ..Event::default()
        });
    }

    /// Puts something among the recent events; what people look at is not worth a failure.
    pub(super) fn note(&self, event: Event) {
        let event = Event { at: Time::now(), ..event };
        self.write_later(move |registry| registry.note(&event));
    }
}

/// For how long a sidecar has been silent, in milliseconds that the machine was awake. What cannot be known, from an
/// earlier version, is not held against it.
pub(super) fn silence(seen_awake: Option<i64>, now_awake: i64) -> i64 {
    seen_awake.map_or(0, |seen| now_awake - seen)
}

/// Every window is told what one is said to be: no text of it may be large.
fn check(change: &WindowChange) -> Result<(), Error> {
    let texts = [
        ("folder", &change.folder, limits::URI),
        ("repo", &change.repo, limits::NAME),
        ("status", &change.status, limits::NAME),
        ("editorName", &change.editor_name, limits::NAME),
    ];
    for (field, text, most) in texts {
        super::check_length(field, text.as_ref().and_then(Option::as_deref), most)?;
    }
    Ok(())
}

/// Carries out a change. A PID is that of the process that has it now; one that began after the window is another's.
fn apply(row: &mut WindowRow, change: &WindowChange, started_at: Option<Time>) {
    let mut said = Said::of(row);
    let WindowChange { folder, repo, issue_number, status, is_intervention, editor_pid, editor_name } =
        change.clone();
    let about = &mut said.about;
    about.folder = folder.unwrap_or(about.folder.take());
    about.repo = repo.unwrap_or(about.repo.take());
    about.issue_number = issue_number.unwrap_or(about.issue_number);
    about.status = status.unwrap_or(about.status.take());
    about.is_intervention = is_intervention.unwrap_or(about.is_intervention);
    about.editor_name = editor_name.unwrap_or(about.editor_name.take());
    if let Some(pid) = editor_pid {
        about.editor_pid = pid;
        said.editor = pid
            .and_then(crate::process::editor_of)
            .filter(|editor| started_at.is_none_or(|at| crate::process::started_before(editor, at)));
    }
    if let Some(at) = started_at.filter(|_| !row.has_sidecar) {
        row.started_at = at;
    }
    row.about = said.to_json();
}

/// Names on hosting sites do not differ by case alone.
fn is_same(asked: &str, repo: Option<&str>) -> bool {
    repo.is_some_and(|repo| repo.eq_ignore_ascii_case(asked))
}

pub(super) fn no_window(id: &str) -> Error {
    let shown: String = id.chars().take(40).collect();
    let what = format!("there is no window \"{shown}\": list them to see which there are");
    Error::new(ErrorKind::NotFound, what).with("what", "window").with("windowId", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_time_awake() {
        let check = |seen: Option<i64>, now: i64, expect: i64| assert_eq!(silence(seen, now), expect);
        check(Some(1_000), 301_000, 300_000);
        // Asleep from Friday to Monday: the clock that counts stood still.
        check(Some(1_000), 2_000, 1_000);
        check(None, 9_999_999, 0);
    }
}
