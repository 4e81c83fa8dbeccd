//! `windows`: which editor windows there are, and those that other programs tell of.

use std::path::Path;
use std::sync::Arc;

use super::say::{self, note, say};
use super::{print_json, show};
use crate::protocol::{Error, ListWindowsParams, WindowChange};
use crate::sessions::{Sessions, default_store, plain};

/// `windows`
pub fn windows(sessions: &Arc<Sessions>, asked: &ListWindowsParams, json: bool) -> Result<(), Error> {
    let (windows, active) = sessions.windows(asked)?;
    if json {
        return print_json(&serde_json::json!({ "windows": windows, "active": active }));
    }
    if windows.is_empty() {
        say!("No windows are open.");
    } else {
        say::table(&show::windows(&windows));
    }
    Ok(())
}

/// `windows add`
pub async fn add(
    sessions: &Arc<Sessions>,
    folder: &Path,
    change: WindowChange,
    json: bool,
) -> Result<(), Error> {
    let window = sessions.add_window(&absolute(folder), change).await?;
    if json {
        return print_json(&window);
    }
    say!("Window {} is {}.", window.window_id, plain::line(&absolute(folder)));
    Ok(())
}

/// `windows set`
pub async fn set(
    sessions: &Arc<Sessions>,
    which: &str,
    change: &WindowChange,
    json: bool,
) -> Result<(), Error> {
    let window = sessions.change_window(which, change).await?;
    if json {
        return print_json(&window);
    }
    say!("Changed window {}.", window.window_id);
    Ok(())
}

/// `windows remove`
pub async fn remove(sessions: &Arc<Sessions>, folder: &Path) -> Result<(), Error> {
    let folder = absolute(folder);
    match sessions.forget_window(&folder).await? {
        true => say!("Forgot {}.", plain::line(&folder)),
        false => say!("No window of {} is known that is not open.", plain::line(&folder)),
    }
    Ok(())
}

/// `windows export`
pub fn export(sessions: &Arc<Sessions>, file: &Path) -> Result<(), Error> {
    let count = sessions.export_windows(file)?;
    say!("Wrote {count} window(s) into {}.", file.display());
    Ok(())
}

/// `windows import`
pub async fn import(sessions: &Arc<Sessions>, file: Option<&Path>) -> Result<(), Error> {
    let file = file.map_or_else(default_store, Path::to_owned);
    let (count, warnings) = sessions.import_windows(&file).await?;
    for warning in warnings {
        note!("warning: {}", plain::line(&warning));
    }
    say!("Took in {count} window(s) from {}.", file.display());
    Ok(())
}

fn absolute(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let text = absolute.to_string_lossy().into_owned();
    let bare = text.trim_end_matches('/');
    if bare.is_empty() { text } else { bare.to_owned() }
}
