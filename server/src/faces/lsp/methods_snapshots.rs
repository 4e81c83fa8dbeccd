//! The requests `keeper/snapshot/…` and `keeper/replayTo`, for the table in `methods.rs`.

use serde_json::Value;

use super::backend::Backend;
use super::params::{notebook, parse};
use crate::protocol::*;

pub async fn save_snapshot(backend: &Backend, params: Value) -> Result<SnapshotResult, Error> {
    let asked: SaveSnapshotParams = parse(params)?;
    let snapshot = backend.sessions()?.save_snapshot(&asked.session_id, &asked.name).await?;
    Ok(SnapshotResult { snapshot })
}

pub async fn restore_snapshot(backend: &Backend, params: Value) -> Result<RestoreSnapshotResult, Error> {
    let asked: RestoreSnapshotParams = parse(params)?;
    backend.sessions()?.restore_snapshot(&asked).await
}

pub async fn list_snapshots(backend: &Backend, params: Value) -> Result<SnapshotsResult, Error> {
    let asked: NotebookParams = parse(params)?;
    let name = notebook("notebookUri", &asked.notebook_uri)?;
    backend.looked().await;
    Ok(SnapshotsResult { snapshots: backend.sessions()?.snapshots(&name).await? })
}

pub async fn remove_snapshot(backend: &Backend, params: Value) -> Result<RemoveSnapshotResult, Error> {
    let asked: RemoveSnapshotParams = parse(params)?;
    let removed = backend.sessions()?.remove_snapshot(&asked.session_id, &asked.name).await?;
    Ok(RemoveSnapshotResult { removed })
}

pub async fn replay_to(backend: &Backend, params: Value) -> Result<ReplayToResult, Error> {
    let asked: ReplayToParams = parse(params)?;
    backend.looked().await;
    let (session, rebuild) = backend.sessions()?.replay_to(&asked.session_id, &asked.execution_id).await?;
    Ok(ReplayToResult { session, rebuild })
}
