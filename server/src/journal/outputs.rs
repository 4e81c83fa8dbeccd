//! A cell's outputs as they stand, out of the journal's rows.
//!
//! Of a cell that will be cut no stream is whole in memory. Leaves out the folding itself (`fold.rs`).

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::assets::{self, read_slice};
use super::fold::{Fold, Folded};
use super::schema::kind;
use super::{Error, Result};
use crate::protocol::{EventBody, Output, StreamName};

/// Where an execution's rows are.
pub(super) struct StoredOutput<'a> {
    pub dir: &'a Path,
    pub db: &'a Connection,
    pub ordinal: i64,
    /// Some of its outputs were removed to keep the journal's limit.
    pub pruned: bool,
}

/// What stands in the cell, and where all of it is when it was cut.
pub(super) type Standing = (Vec<Output>, Option<(u64, PathBuf)>);

/// Folds an execution's rows. Stream text beyond `most` bytes in all is cut in its middle.
pub(super) fn fold_execution(stored: &StoredOutput<'_>, execution_id: &str, most: u64) -> Result<Standing> {
    let mut fold = Fold::new(most);
    if stored.pruned {
        fold.stream(StreamName::Stderr, "[Older output was removed: the journal had reached its limit.]\n");
    }
    stored.each(|seq, row| match row {
        Row::Stream { name, text, .. } => fold.stream(name, text),
        Row::Output(output) => fold.output(seq, output),
        Row::Clear(wait) => fold.clear(wait),
    })?;
    let total: u64 =
        fold.outputs.iter().map(|o| if let Folded::Stream { text, .. } = o { text.total() } else { 0 }).sum();
    let is_cut = total > most;
    let mut outputs = Vec::new();
    for folded in fold.outputs {
        outputs.push(match folded {
            Folded::Stream { name, text } if is_cut => {
                // Each stream keeps its share.
                let share = (most as f64 * text.total() as f64 / total.max(1) as f64) as u64;
                Output::Stream { name, text: text.into_text(share) }
            }
            Folded::Stream { name, text } => Output::Stream { name, text: text.into_text(u64::MAX) },
            Folded::Other { seq, output } => stored.updated(seq, output)?,
        });
    }
    let truncated = is_cut.then(|| stored.whole(execution_id)).transpose()?.map(|path| (total, path));
    Ok((outputs, truncated))
}

/// A row that changes what stands in the cell.
enum Row<'a> {
    Stream { name: StreamName, text: &'a str, asset: Option<&'a str> },
    Output(Output),
    Clear(bool),
}

impl StoredOutput<'_> {
    fn each(&self, mut take: impl FnMut(u64, Row<'_>)) -> Result<()> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, kind, body, asset, start, length FROM events WHERE execution = ?1 AND kind IN (3, 4) ORDER BY seq",
        )?;
        let mut rows = statement.query([self.ordinal])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            let body: String = row.get::<_, Option<String>>(2)?.unwrap_or_default();
            if let Some(asset) = row.get::<_, Option<String>>(3)? {
                let (start, length) = (row.get::<_, i64>(4)? as u64, row.get::<_, i64>(5)? as u64);
                let text = read_slice(self.dir, &asset, start, length)
                    .unwrap_or_else(|| super::fold::left_out(length));
                let name = if body == "stderr" { StreamName::Stderr } else { StreamName::Stdout };
                take(seq, Row::Stream { name, text: &text, asset: Some(&asset) });
                continue;
            }
            match serde_json::from_str(&body) {
                Ok(EventBody::Output { output: Output::Stream { name, text } }) => {
                    take(seq, Row::Stream { name, text: &text, asset: None });
                }
                Ok(EventBody::Output { output }) => take(seq, Row::Output(output)),
                Ok(EventBody::ClearOutput { wait }) => take(seq, Row::Clear(wait)),
                _ => tracing::warn!(seq, "a row of the journal cannot be read"),
            }
        }
        Ok(())
    }

    /// An output with the newest data of its display id, from whichever cell that came.
    fn updated(&self, seq: u64, mut output: Output) -> Result<Output> {
        let (Output::DisplayData { data, metadata, display_id: Some(id) }
        | Output::ExecuteResult { data, metadata, display_id: Some(id), .. }) = &mut output
        else {
            return Ok(output);
        };
        let update: Option<String> = self
            .db
            .prepare_cached(
                "SELECT body FROM events WHERE display_id = ?1 AND seq > ?2 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row(params![&*id, seq as i64], |row| row.get(0))
            .optional()?;
        if let Some(EventBody::UpdateDisplay { data: new, metadata: with, .. }) =
            update.and_then(|body| serde_json::from_str(&body).ok())
        {
            (*data, *metadata) = (new, with);
        }
        Ok(output)
    }

    /// A file with all stream text of the execution: its asset where there is one stream, else one made now.
    fn whole(&self, execution_id: &str) -> Result<PathBuf> {
        let (mut names, mut sources, mut alone) = (BTreeSet::new(), BTreeSet::new(), true);
        self.each(|_, row| match row {
            Row::Stream { name, asset, .. } => {
                names.insert(name == StreamName::Stderr);
                sources.extend(asset.map(str::to_owned));
            }
            Row::Output(_) | Row::Clear(_) => alone = false,
        })?;
        let folder = self.dir.join("assets");
        if let (true, 1, Some(asset), 1) =
            (alone && !self.pruned, names.len(), sources.first(), sources.len())
        {
            let path = folder.join(asset);
            assets::touch(&path);
            return Ok(path);
        }
        let path = folder.join(format!("{execution_id}.txt"));
        let failed = |source| Error::Io { path: path.clone(), source };
        crate::paths::make_private(&folder).map_err(failed)?;
        let mut file = tempfile::Builder::new().prefix(".whole-").tempfile_in(&folder).map_err(failed)?;
        let mut problem = None;
        self.each(|_, row| {
            if let Row::Stream { text, .. } = row
                && let Err(e) = file.write_all(text.as_bytes())
            {
                problem = Some(e);
            }
        })?;
        if let Some(e) = problem {
            return Err(failed(e));
        }
        file.persist(&path).map_err(|e| failed(e.error))?;
        assets::touch(&path);
        Ok(path)
    }
}

/// Kinds that stand in a cell; the queries above name them by number.
const _: () = assert!(kind::OUTPUT == 3 && kind::CLEAR == 4 && kind::UPDATE == 5 && kind::COMM == 8);
