//! Rows into tables: what each event changes. Leaves out when they are written, and what waits (`writer.rs`).

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Result;
use super::assets::Run;
use super::schema::kind;
use super::writer::NewExecution;
use crate::protocol::{EventBody, Output, StreamName, Time};

/// A body as the file has it.
pub(super) fn json(body: &EventBody) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

/// An execution that waits; its ordinal.
pub(super) fn insert_execution(db: &Transaction<'_>, new: &NewExecution) -> Result<i64> {
    db.prepare_cached(
        "INSERT INTO executions (execution_id, notebook, cell_id, cell_index, code, origin, stop_on_error, status, queued_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8)",
    )?
    .execute(params![
        new.execution_id,
        new.notebook,
        new.cell.as_ref().map(|c| &c.id),
        new.cell.as_ref().map(|c| c.index),
        new.code,
        new.origin,
        new.stop_on_error,
        new.queued_at.0,
    ])?;
    Ok(db.last_insert_rowid())
}

/// The ordinal of an execution, where it is known.
pub(super) fn ordinal_of(db: &Connection, execution_id: &str) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached("SELECT ordinal FROM executions WHERE execution_id = ?1")?;
    Ok(statement.query_row([execution_id], |row| row.get(0)).optional()?)
}

/// A piece that lies in an asset.
pub(super) type Slice<'a> = Option<(&'a str, u64, u64)>;

/// One row of `events`.
pub(super) fn put_event(
    db: &Connection,
    seq: u64,
    execution: Option<i64>,
    kind: i64,
    at: Time,
    body: &str,
    slice: Slice<'_>,
) -> Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO events (seq, execution, kind, at, body, asset, start, length)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        seq as i64,
        execution,
        kind,
        at.0,
        body,
        slice.map(|s| s.0),
        slice.map(|s| s.1 as i64),
        slice.map(|s| s.2 as i64),
    ])?;
    Ok(())
}

/// What happened: its row, and what it changes in the tables beside. Text of a long stream goes to its asset.
pub(super) fn put(
    db: &Transaction<'_>,
    dir: &Path,
    runs: &mut HashMap<i64, Run>,
    (seq, at): (u64, Time),
    execution: Option<i64>,
    body: &EventBody,
) -> Result<()> {
    let row = |kind| put_event(db, seq, execution, kind, at, &json(body), None);
    if let (EventBody::Output { output: Output::Stream { name, text } }, Some(ordinal)) = (body, execution) {
        let run = Run::of(runs, ordinal, *name, seq);
        return match run.add(db, dir, ordinal, text)? {
            None => row(kind::OUTPUT),
            Some(start) => {
                let (asset, _) = run.asset.clone().unwrap_or_default();
                let name = if *name == StreamName::Stderr { "stderr" } else { "stdout" };
                put_event(
                    db,
                    seq,
                    execution,
                    kind::OUTPUT,
                    at,
                    name,
                    Some((&asset, start, text.len() as u64)),
                )
            }
        };
    }
    if let Some(ordinal) = execution
        && matches!(
            body,
            EventBody::Output { .. } | EventBody::ClearOutput { .. } | EventBody::Finished { .. }
        )
    {
        runs.remove(&ordinal);
    }
    match body {
        EventBody::Queued { .. } => row(kind::QUEUED),
        EventBody::Started { started_at, execution_count } => {
            row(kind::STARTED)?;
            db.prepare_cached(
                "UPDATE executions SET status = 'running', started_at = ?2, execution_count = ?3
                 WHERE ordinal = ?1 AND status = 'pending'",
            )?
            .execute(params![execution, started_at.0, execution_count])?;
            db.prepare_cached(
                "INSERT OR REPLACE INTO cells (notebook, cell_id, execution)
                 SELECT notebook, cell_id, ordinal FROM executions WHERE ordinal = ?1 AND cell_id IS NOT NULL",
            )?
            .execute([execution])?;
            Ok(())
        }
        EventBody::Output { .. } => row(kind::OUTPUT),
        EventBody::ClearOutput { .. } => row(kind::CLEAR),
        EventBody::UpdateDisplay { display_id, .. } => {
            row(kind::UPDATE)?;
            db.prepare_cached("UPDATE events SET display_id = ?2 WHERE seq = ?1")?
                .execute(params![seq as i64, display_id])?;
            Ok(())
        }
        EventBody::InputRequest { .. } => row(kind::INPUT_REQUEST),
        EventBody::InputReplied {} => row(kind::INPUT_REPLIED),
        EventBody::Comm { .. } => row(kind::COMM),
        EventBody::WidgetOutput { .. } | EventBody::WidgetCleared { .. } => row(kind::WIDGET),
        EventBody::NextInput { .. } => row(kind::NEXT_INPUT),
        EventBody::Finished { status, completed_at, error, execution_count } => {
            row(kind::FINISHED)?;
            let error = error.as_ref().and_then(|e| serde_json::to_string(e).ok());
            db.prepare_cached(
                "UPDATE executions SET status = ?2, completed_at = ?3, error = ?4,
                 execution_count = COALESCE(?5, execution_count) WHERE ordinal = ?1",
            )?
            .execute(params![
                execution,
                status.as_str(),
                completed_at.0,
                error,
                execution_count
            ])?;
            Ok(())
        }
        EventBody::Gap { .. } => row(kind::GAP),
    }
}
