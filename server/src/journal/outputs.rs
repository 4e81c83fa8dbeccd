//! A cell's outputs as they stand, out of the journal's rows.
//!
//! Of a cell that will be cut no stream is whole in memory, nor what finds no room in the answer. Leaves out the folding
//! itself (`fold.rs`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use serde::Deserialize;

use super::Result;
use super::assets::{self, COPY, read_slice};
use super::fold::{Fold, Folded, Text};
use super::large::{self, Bounds, Whole};
use super::schema::kind;
use crate::protocol::limits::{json_bytes, left_out};
use crate::protocol::{EventBody, Output, StreamName};

/// Where an execution's rows are.
pub(super) struct StoredOutput<'a> {
    pub dir: &'a Path,
    pub db: &'a Connection,
    pub ordinal: i64,
    /// Some of its outputs were removed to keep the journal's limit.
    pub pruned: bool,
}

/// What stands in a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    pub outputs: Vec<Output>,
    /// The bytes of what was cut, and the file that has them all.
    pub truncated: Option<Whole>,
    /// How many outputs are left out because the answer is full.
    pub left_out: u64,
    /// Some of it was removed to keep the journal's limit, or cannot be read.
    pub is_incomplete: bool,
}

/// Folds an execution's rows. Stream text beyond `most` bytes in all is cut in its middle. What finds no room in the answer
/// is left out as one; where there is no end of `room`, nothing is.
pub(super) fn fold_execution(
    stored: &StoredOutput<'_>,
    execution_id: &str,
    most: u64,
    room: &mut Option<u64>,
    bounds: Bounds,
) -> Result<Standing> {
    let most = if room.is_some() { most.min(bounds.output) } else { most };
    let mut fold = Fold::new(most);
    if stored.pruned {
        fold.stream(StreamName::Stderr, "[Older output was removed: the journal had reached its limit.]\n");
    }
    let is_whole = stored.each(|seq, row| match row {
        Row::Stream { name, text, .. } => fold.stream(name, text),
        Row::Other => fold.other(seq),
        Row::Clear(wait) => fold.clear(wait),
    })?;
    let total: u64 =
        fold.outputs.iter().map(|o| if let Folded::Stream { text, .. } = o { text.total() } else { 0 }).sum();
    let is_cut = total > most;
    let share_of = |text: &Text| match is_cut {
        // Each stream keeps its share.
        true => (most as f64 * text.total() as f64 / total.max(1) as f64) as u64,
        false => u64::MAX,
    };
    let mut standing = Standing { is_incomplete: stored.pruned || !is_whole, ..Standing::default() };
    let mut folded = fold.outputs.into_iter();
    while let Some(next) = folded.next() {
        let Some((seq, mut output)) = stored.output(next, share_of)? else {
            standing.is_incomplete = true;
            continue;
        };
        if let Some(left) = room.as_mut() {
            let aside = large::output(stored.dir, seq, &mut output, bounds);
            standing.truncated = standing.truncated.max(aside);
            let bytes = json_bytes(&output);
            if bytes > *left {
                *left = 0;
                let rest = folded.map(|next| stored.output(next, share_of));
                standing.leave_out(stored.dir, execution_id, output, rest);
                break;
            }
            *left -= bytes;
        }
        standing.outputs.push(output);
    }
    if is_cut {
        standing.truncated = Some((total, stored.whole(execution_id)?));
    }
    Ok(standing)
}

impl Standing {
    /// Puts what finds no room into one file, as JSON, and says so.
    fn leave_out(
        &mut self,
        dir: &Path,
        execution_id: &str,
        first: Output,
        rest: impl Iterator<Item = Result<Option<(u64, Output)>>>,
    ) {
        let (count, mut bytes) = (&mut self.left_out, 0);
        let written = assets::make_copy(dir, &format!("{COPY}{execution_id}.json"), |file| {
            for output in std::iter::once(Ok(Some((0, first)))).chain(rest) {
                let Some((_, output)) = output.map_err(std::io::Error::other)? else { continue };
                file.write_all(if *count == 0 { b"[" } else { b",\n" })?;
                serde_json::to_writer(&mut *file, &output)?;
                *count += 1;
                bytes += json_bytes(&output);
            }
            file.write_all(b"]\n")
        });
        let path = written.inspect_err(|e| tracing::warn!("what was left out was not copied: {e}")).ok();
        // On a full disk nobody counted them all.
        self.left_out = self.left_out.max(1);
        let what = format!("The rest, {} outputs,", self.left_out);
        let text = large::words(&what, bytes, path.as_deref());
        self.outputs.push(Output::Stream { name: StreamName::Stderr, text });
        self.truncated = self.truncated.take().or(path.map(|path| (bytes, path)));
    }
}

/// A row that changes what stands in the cell.
enum Row<'a> {
    Stream {
        name: StreamName,
        text: &'a str,
        asset: Option<&'a str>,
    },
    /// Another output.
    Other,
    Clear(bool),
}

/// The part of an output's row that says what it is.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    output: HeadOutput<'a>,
}

#[derive(Deserialize)]
struct HeadOutput<'a> {
    output_type: &'a str,
}

impl StoredOutput<'_> {
    /// False: some of it cannot be read.
    fn each(&self, mut take: impl FnMut(u64, Row<'_>)) -> Result<bool> {
        let mut is_whole = true;
        let mut statement = self.db.prepare_cached(
            "SELECT seq, kind, body, asset, start, length FROM events WHERE execution = ?1 AND kind IN (3, 4) ORDER BY seq",
        )?;
        let mut rows = statement.query([self.ordinal])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            // Not copied: most of it may be left out.
            let body = row.get_ref(2)?.as_str_or_null().ok().flatten().unwrap_or_default();
            if let Some(asset) = row.get::<_, Option<String>>(3)? {
                let (start, length) = (row.get::<_, i64>(4)? as u64, row.get::<_, i64>(5)? as u64);
                let slice = read_slice(self.dir, &asset, start, length);
                is_whole &= slice.is_some();
                let text = slice.unwrap_or_else(|| left_out(length));
                let name = if body == "stderr" { StreamName::Stderr } else { StreamName::Stdout };
                take(seq, Row::Stream { name, text: &text, asset: Some(&asset) });
                continue;
            }
            let is_stream = || {
                serde_json::from_str::<Head<'_>>(body).is_ok_and(|head| head.output.output_type == "stream")
            };
            if row.get::<_, i64>(1)? == kind::OUTPUT && !is_stream() {
                take(seq, Row::Other);
                continue;
            }
            match serde_json::from_str(body) {
                Ok(EventBody::Output { output: Output::Stream { name, text } }) => {
                    take(seq, Row::Stream { name, text: &text, asset: None });
                }
                Ok(EventBody::ClearOutput { wait }) => take(seq, Row::Clear(wait)),
                _ => {
                    is_whole = false;
                    tracing::warn!(seq, "a row of the journal cannot be read");
                }
            }
        }
        Ok(is_whole)
    }

    /// One output that stands, with the number of the row that has its data; `None` where that cannot be read.
    fn output(&self, folded: Folded, share_of: impl Fn(&Text) -> u64) -> Result<Option<(u64, Output)>> {
        let seq = match folded {
            Folded::Stream { name, text } => {
                let share = share_of(&text);
                return Ok(Some((0, Output::Stream { name, text: text.into_text(share) })));
            }
            Folded::Other { seq } => seq,
        };
        let mut statement = self.db.prepare_cached("SELECT body FROM events WHERE seq = ?1")?;
        let mut rows = statement.query([seq as i64])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let body = row.get_ref(0)?.as_str_or_null().ok().flatten().unwrap_or_default();
        match serde_json::from_str(body) {
            Ok(EventBody::Output { output }) => self.updated(seq, output).map(Some),
            _ => {
                tracing::warn!(seq, "a row of the journal cannot be read");
                Ok(None)
            }
        }
    }

    /// An output with the newest data of its display id, from whichever cell that came.
    fn updated(&self, seq: u64, mut output: Output) -> Result<(u64, Output)> {
        let (Output::DisplayData { data, metadata, display_id: Some(id) }
        | Output::ExecuteResult { data, metadata, display_id: Some(id), .. }) = &mut output
        else {
            return Ok((seq, output));
        };
        let mut statement = self.db.prepare_cached(
            "SELECT seq, body FROM events WHERE display_id = ?1 AND seq > ?2 ORDER BY seq DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![&*id, seq as i64])?;
        let Some(row) = rows.next()? else { return Ok((seq, output)) };
        let body = row.get_ref(1)?.as_str_or_null().ok().flatten().unwrap_or_default();
        if let Ok(EventBody::UpdateDisplay { data: new, metadata: with, .. }) = serde_json::from_str(body) {
            (*data, *metadata) = (new, with);
            return Ok((row.get::<_, i64>(0)? as u64, output));
        }
        Ok((seq, output))
    }

    /// A file with all stream text of the execution: its asset where there is one stream, else one made now.
    fn whole(&self, execution_id: &str) -> Result<PathBuf> {
        let (mut names, mut sources, mut alone) = (BTreeSet::new(), BTreeSet::new(), true);
        self.each(|_, row| match row {
            Row::Stream { name, asset, .. } => {
                names.insert(name == StreamName::Stderr);
                sources.extend(asset.map(str::to_owned));
            }
            Row::Other | Row::Clear(_) => alone = false,
        })?;
        if let (true, 1, Some(asset), 1) =
            (alone && !self.pruned, names.len(), sources.first(), sources.len())
            && let Some(path) = assets::file_of(self.dir, asset)
        {
            assets::touch(&path);
            return Ok(path);
        }
        assets::make_copy(self.dir, &format!("{execution_id}.txt"), |file| {
            let mut written = Ok(());
            let read = self.each(|_, row| {
                if let (Row::Stream { text, .. }, Ok(())) = (row, &written) {
                    written = file.write_all(text.as_bytes());
                }
            });
            read.map_err(std::io::Error::other)?;
            written
        })
    }
}

/// Kinds that stand in a cell; the queries above name them by number.
const _: () = assert!(kind::OUTPUT == 3 && kind::CLEAR == 4 && kind::UPDATE == 5 && kind::COMM == 8);
