//! `snapshot save`, `restore`, `list` and `remove`: the variables of a kernel, kept under a name; and `replay`.

use std::path::Path;
use std::sync::Arc;

use super::say::{self, say};
use super::{name, print_json, show};
use crate::protocol::{
    Error, ErrorKind, NotebookName, ReplayToResult, RestoreSnapshotParams, SkippedVariable, Snapshot,
};
use crate::sessions::{Sessions, plain};

/// `snapshot save`
pub async fn save(sessions: &Arc<Sessions>, which: &str, snapshot: &str, json: bool) -> Result<(), Error> {
    let id = super::session(sessions, which).await?;
    let saved = sessions.save_snapshot(&id, snapshot).await?;
    if json {
        return print_json(&saved);
    }
    say!("Saved {} variable(s) as \"{}\".", saved.variables.len(), plain::line(&saved.name));
    print_skipped("Left out", &saved.skipped);
    Ok(())
}

/// `snapshot restore`
pub async fn restore(
    sessions: &Arc<Sessions>,
    which: &str,
    snapshot: &str,
    restart: bool,
    json: bool,
) -> Result<(), Error> {
    let session_id = super::session(sessions, which).await?;
    let asked = RestoreSnapshotParams { session_id, name: snapshot.to_owned(), restart: Some(restart) };
    let restored = sessions.restore_snapshot(&asked).await?;
    if json {
        return print_json(&restored);
    }
    say!("Restored {} variable(s) from \"{}\".", restored.variables.len(), plain::line(snapshot));
    print_skipped("Not restored", &restored.skipped);
    for warning in &restored.warnings {
        say!("{}.", plain::line(warning));
    }
    Ok(())
}

/// `snapshot list`
pub async fn list(sessions: &Arc<Sessions>, which: &str, json: bool) -> Result<(), Error> {
    let found = of_notebook(sessions, which).await?;
    if json {
        return print_json(&found);
    }
    match found.is_empty() {
        true => say!("There are no snapshots of {which}."),
        false => say::table(&show::snapshots(&found)),
    }
    Ok(())
}

/// `snapshot remove`
pub async fn remove(sessions: &Arc<Sessions>, which: &str, snapshot: &str) -> Result<(), Error> {
    let found = of_notebook(sessions, which).await?.into_iter().find(|found| found.name == snapshot);
    let removed = match found {
        Some(found) => sessions.remove_snapshot(&found.session_id, snapshot).await?,
        None => false,
    };
    if !removed {
        let what = format!("{which} has no snapshot \"{}\"", plain::line(snapshot));
        return Err(Error::new(ErrorKind::NotFound, what).with("what", "snapshot"));
    }
    say!("Removed \"{}\".", plain::line(snapshot));
    Ok(())
}

/// `replay`
pub async fn replay(
    sessions: &Arc<Sessions>,
    notebook: &Path,
    execution: &str,
    json: bool,
) -> Result<(), Error> {
    let history = sessions.notebook_history(&name(notebook)?, u32::MAX)?;
    let Some(found) = history.into_iter().find(|found| found.execution_id == execution) else {
        let what =
            format!("{} has no execution \"{}\" in its history", notebook.display(), plain::line(execution));
        return Err(Error::new(ErrorKind::SessionNotFound, what).with("executionId", execution));
    };
    let (session, rebuild) = sessions.replay_to(&found.session_id, execution).await?;
    if json {
        return print_json(&ReplayToResult { session, rebuild });
    }
    let count = rebuild.execution_ids.len();
    say!("{count} execution(s) run again in a new kernel ({}). The old one runs on.", session.id);
    Ok(())
}

/// A notebook's snapshots; it may be named by its session.
async fn of_notebook(sessions: &Arc<Sessions>, which: &str) -> Result<Vec<Snapshot>, Error> {
    let id = super::session(sessions, which).await?;
    let uri = sessions.get(&id)?.notebook_uri;
    let notebook = NotebookName::parse(&uri).map_err(|e| Error::new(ErrorKind::InvalidParams, e))?;
    sessions.snapshots(&notebook).await
}

fn print_skipped(word: &str, skipped: &[SkippedVariable]) {
    for skipped in skipped {
        say!("{word}: {} ({}).", plain::line(&skipped.name), plain::line(&skipped.reason));
    }
}
