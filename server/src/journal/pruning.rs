//! Keeping a journal within its limit: what no longer stands goes first, what stands in a cell goes last, and says so.
//!
//! In this order: messages that could not be read; what was cleared, updated or written over; what widgets said; outputs of
//! what is not a cell's latest execution; what stands, from the oldest on. Code, errors and how things ended stay, and do
//! not count. A number that was given is never given again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::assets::{self, LONG, file_of, keep_tail, marker, read_slice, set_text};
use super::fold::Text;
use super::schema::kind;
use super::{Limits, Result};
use crate::protocol::{EventBody, Output, StreamName, Time};

/// A limit is kept by taking away until this share of it is left.
const LEFT_AFTER_PRUNING: f64 = 0.9;
/// Text that was written over is taken away where so many bytes go.
const WORTH: u64 = 4 << 10;

/// Rows that stand in no cell: of executions that are not their cell's latest, or of none.
const OVERTAKEN: &str = "(execution IS NULL OR execution NOT IN (SELECT execution FROM cells)
    AND execution NOT IN (SELECT ordinal FROM executions WHERE status IN ('pending', 'running')))";

/// What was taken away.
#[derive(Default)]
pub(super) struct Pruned {
    /// Assets that lost rows.
    pub assets: BTreeSet<String>,
    /// Executions whose text was folded.
    pub folded: BTreeSet<i64>,
}

/// Takes away what is beyond the limit. `examined`: executions that have ended, and whose text was looked through before.
pub(super) fn prune(
    db: &mut Connection,
    dir: &Path,
    limits: &Limits,
    examined: &mut BTreeSet<i64>,
) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let used = |db: &Connection| assets::used_bytes(db, dir);
    if used(db)? > limits.max_bytes {
        assets::remove_copies(dir);
    }
    let found = used(db)?;
    if found <= limits.max_bytes {
        return Ok(pruned);
    }
    let stays = fixed_bytes(db)?;
    if found.saturating_sub(stays) > limits.max_bytes {
        let most = stays + (limits.max_bytes as f64 * LEFT_AFTER_PRUNING) as u64;
        let surplus = |db: &Connection| Ok::<_, super::Error>(used(db)?.saturating_sub(most));
        remove_unnamed(db, dir)?;
        prune_raw(db, surplus(db)?)?;
        if surplus(db)? > 0 {
            prune_cleared(db, dir)?;
            prune_updated(db)?;
        }
        if surplus(db)? > 0 {
            prune_written_over(db, dir, examined, &mut pruned)?;
        }
        let overtaken = format!("kind IN (3, 4, 6, 7, 12) AND {OVERTAKEN}");
        // An update stands in other cells, too: it goes last.
        for which in ["kind IN (8, 11)", &overtaken, "kind IN (3, 4, 6, 7, 12)", "kind = 5"] {
            // Rows that share a page with others free less than they are long.
            loop {
                let left = surplus(db)?;
                if left == 0 {
                    break;
                }
                let (mut touched, removed) = prune_oldest(db, dir, left, which)?;
                pruned.assets.append(&mut touched);
                if removed == 0 {
                    break;
                }
            }
        }
        tracing::info!(found, left = used(db)?, "the journal reached its limit");
    }
    give_back(db, limits.max_bytes + stays)?;
    Ok(pruned)
}

/// Bytes of what is never taken away: code, and how things began and ended, with the pages that they take.
fn fixed_bytes(db: &Connection) -> Result<u64> {
    let taken = |column: &str| {
        format!(
            "CASE WHEN octet_length({column}) BETWEEN 8000 AND 16300 THEN 16384
                 ELSE coalesce(octet_length({column}), 0) * 33 / 32 + 128 END"
        )
    };
    let sum = format!(
        "SELECT (SELECT coalesce(sum({} + coalesce(octet_length(error), 0)), 0) FROM executions)
              + (SELECT coalesce(sum({}), 0) FROM events WHERE kind IN (1, 2, 9, 10))",
        taken("code"),
        taken("body"),
    );
    Ok(db.query_row(&sum, [], |row| row.get::<_, i64>(0))? as u64)
}

/// Removes the oldest of the messages that could not be read until about `surplus` bytes are free.
fn prune_raw(db: &Connection, surplus: u64) -> Result<()> {
    let (mut freed, mut last) = (0, None);
    {
        let mut statement = db.prepare("SELECT id, octet_length(body) + 64 FROM raw ORDER BY id")?;
        let mut rows = statement.query([])?;
        while freed < surplus
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, i64>(0)?);
            freed += row.get::<_, i64>(1)? as u64;
        }
    }
    db.execute("DELETE FROM raw WHERE id <= ?1", [last])?;
    Ok(())
}

/// Gives the disk what is free in the file beyond the limit.
fn give_back(db: &Connection, limit: u64) -> Result<()> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let beyond = pragma("page_count")? - limit as i64 / pragma("page_size")?;
    if beyond > 0 {
        // It gives a row a page. A file that was made by an earlier version gives none, and uses them again.
        let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({beyond})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        // Until the log is written back the file is as long as it was. Nobody who reads is waited for.
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// The last number given, and when.
fn newest(db: &Connection) -> Result<Option<(i64, Time)>> {
    let newest = "SELECT seq, at FROM events ORDER BY seq DESC LIMIT 1";
    Ok(db.query_row(newest, [], |row| Ok((row.get(0)?, Time(row.get(1)?)))).optional()?)
}

/// Makes a change, after which the last number stays taken: who has read so far must not wait for numbers that come again.
fn changing<T>(db: &mut Connection, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let transaction = db.transaction()?;
    let before = newest(&transaction)?;
    let changed = change(&transaction)?;
    if let Some((seq, at)) = before
        && newest(&transaction)? != before
    {
        let gap = super::rows::json(&EventBody::Gap { from: at, to: at, lost_at_most: None });
        super::rows::put_event(&transaction, seq as u64, None, kind::GAP, at, &gap, None)?;
    }
    transaction.commit()?;
    Ok(changed)
}

/// Removes what `clear_output` took away.
fn prune_cleared(db: &mut Connection, dir: &Path) -> Result<()> {
    let gone = changing(db, |db| {
        let mut statement =
            db.prepare("SELECT DISTINCT execution FROM events WHERE kind = 4 AND execution IS NOT NULL")?;
        let executions =
            statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut gone = BTreeSet::new();
        for execution in executions {
            let Some(cleared) = cleared_before(db, execution)? else { continue };
            let mut assets = db.prepare_cached(
                "SELECT asset FROM events WHERE execution = ?1 AND asset IS NOT NULL GROUP BY asset HAVING max(seq) < ?2",
            )?;
            let assets = assets.query_map([execution, cleared], |row| row.get::<_, String>(0))?;
            gone.extend(assets.collect::<rusqlite::Result<Vec<_>>>()?);
            db.prepare_cached("DELETE FROM events WHERE execution = ?1 AND kind IN (3, 4) AND seq < ?2")?
                .execute([execution, cleared])?;
        }
        Ok(gone)
    })?;
    remove(dir, &gone);
    Ok(())
}

/// The number of the last `clear_output` of an execution that took effect.
fn cleared_before(db: &Connection, execution: i64) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, CASE kind WHEN 4 THEN body END FROM events WHERE execution = ?1 AND kind IN (3, 4) ORDER BY seq DESC",
    )?;
    let mut rows = statement.query([execution])?;
    let mut is_followed = false;
    while let Some(row) = rows.next()? {
        let Some(body) = row.get::<_, Option<String>>(1)? else {
            is_followed = true;
            continue;
        };
        let waits = matches!(serde_json::from_str(&body), Ok(EventBody::ClearOutput { wait: true }));
        if is_followed || !waits {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}

/// Removes updates of displays that a later one has overtaken.
fn prune_updated(db: &mut Connection) -> Result<()> {
    changing(db, |db| {
        let mut statement = db.prepare(
            "SELECT display_id, max(seq) FROM events WHERE display_id IS NOT NULL GROUP BY display_id",
        )?;
        let latest = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        for (display, seq) in latest.collect::<rusqlite::Result<Vec<_>>>()? {
            db.prepare_cached("DELETE FROM events WHERE display_id = ?1 AND kind = 5 AND seq < ?2")?
                .execute(params![display, seq])?;
        }
        Ok(())
    })
}

/// Text of one stream, without another output in between, as it is folded.
struct Folding {
    name: StreamName,
    rows: Vec<i64>,
    assets: BTreeSet<String>,
    bytes: u64,
    text: Text,
}

/// Replaces text that was written over, as a progress bar's is, by what stands.
fn prune_written_over(
    db: &mut Connection,
    dir: &Path,
    examined: &mut BTreeSet<i64>,
    pruned: &mut Pruned,
) -> Result<()> {
    let executions: Vec<(i64, bool)> = {
        let mut statement =
            db.prepare("SELECT ordinal, status NOT IN ('pending', 'running') FROM executions")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (execution, has_ended) in executions {
        if !examined.contains(&execution) && fold_texts(db, dir, execution, pruned)? {
            pruned.folded.insert(execution);
        }
        if has_ended {
            examined.insert(execution);
        }
    }
    Ok(())
}

/// Folds an execution's texts where that is worth it; whether any was.
fn fold_texts(db: &mut Connection, dir: &Path, execution: i64, pruned: &mut Pruned) -> Result<bool> {
    let mut found: Vec<Folding> = Vec::new();
    {
        let mut statement = db.prepare_cached(
            "SELECT seq, kind, body, asset, start, length FROM events WHERE execution = ?1 AND kind IN (3, 4) ORDER BY seq",
        )?;
        let mut rows = statement.query([execution])?;
        let mut is_open = false;
        while let Some(row) = rows.next()? {
            let asset: Option<String> = row.get(3)?;
            let body = row.get_ref(2)?.as_str_or_null().ok().flatten().unwrap_or_default();
            let piece = match &asset {
                Some(asset) => {
                    let (start, length) = (row.get::<_, i64>(4)? as u64, row.get::<_, i64>(5)? as u64);
                    let name = if body == "stderr" { StreamName::Stderr } else { StreamName::Stdout };
                    if is_open && found.last().is_some_and(|last| last.name == name && last.is_too_long()) {
                        continue;
                    }
                    // What cannot be read just now is not given up for it.
                    let Some(text) = read_slice(dir, asset, start, length) else { return Ok(false) };
                    Some((name, text))
                }
                None if body.starts_with(STREAM) => match serde_json::from_str(body) {
                    Ok(EventBody::Output { output: Output::Stream { name, text } }) => Some((name, text)),
                    _ => None,
                },
                None => None,
            };
            let Some((name, text)) = piece else {
                is_open = false;
                continue;
            };
            if !is_open || found.last().is_none_or(|last| last.name != name) {
                found.retain(Folding::is_worth_it);
                found.push(Folding::new(name));
                is_open = true;
            }
            if let Some(last) = found.last_mut() {
                last.rows.push(row.get(0)?);
                last.assets.extend(asset);
                last.bytes += text.len() as u64;
                last.text.add(&text);
            }
        }
    }
    found.retain(Folding::is_worth_it);
    if found.is_empty() {
        return Ok(false);
    }
    let assets: BTreeSet<String> = found.iter().flat_map(|folding| folding.assets.iter().cloned()).collect();
    changing(db, |db| {
        for folding in found {
            let (Some(first), Some(last)) = (folding.rows.first(), folding.rows.last()) else { continue };
            set_text(db, *first, folding.name, &folding.text.into_typed())?;
            if first == last {
                continue;
            }
            // Its number stays taken.
            set_text(db, *last, folding.name, "")?;
            let rest = "DELETE FROM events WHERE execution = ?1 AND kind = 3 AND seq > ?2 AND seq < ?3";
            db.execute(rest, params![execution, first, last])?;
        }
        Ok(())
    })?;
    remove(dir, &assets);
    pruned.assets.extend(assets);
    Ok(true)
}

/// How a row of stream text begins.
const STREAM: &str = r#"{"kind":"output","output":{"output_type":"stream","#;

impl Folding {
    fn new(name: StreamName) -> Folding {
        // What stands is not worth it where it is as long as what lies in an asset.
        Folding { name, rows: Vec::new(), assets: BTreeSet::new(), bytes: 0, text: Text::new(2 * LONG) }
    }

    /// Whatever is written over: of the rest of a flood nothing need be read.
    fn is_too_long(&self) -> bool {
        self.text.ended() > LONG
    }

    fn is_worth_it(&self) -> bool {
        let stands = self.text.total();
        stands <= LONG && stands < self.bytes / 2 && self.bytes - stands > WORTH
    }
}

/// Removes the oldest rows of a kind until about `surplus` bytes are free. The names of assets that lost rows, and how many
/// rows went.
fn prune_oldest(
    db: &mut Connection,
    dir: &Path,
    surplus: u64,
    which: &str,
) -> Result<(BTreeSet<String>, usize)> {
    let (touched, removed) = changing(db, |db| {
        let (mut freed, mut last, mut touched) = (0u64, 0i64, BTreeSet::new());
        let mut removed = 0;
        {
            let mut statement = db.prepare(&format!(
                "SELECT seq, coalesce(octet_length(body), 0) + coalesce(length, 0) + 64, asset FROM events
                 WHERE {which} ORDER BY seq"
            ))?;
            let mut rows = statement.query([])?;
            while freed < surplus
                && let Some(row) = rows.next()?
            {
                last = row.get(0)?;
                freed = freed.saturating_add(row.get::<_, i64>(1)?.max(0) as u64);
                touched.extend(row.get::<_, Option<String>>(2)?);
            }
        }
        let mark = format!(
            "UPDATE executions SET pruned = 1 WHERE ordinal IN
             (SELECT execution FROM events WHERE seq <= ?1 AND kind = 3 AND {which})"
        );
        db.execute(&mark, [last])?;
        // An asset goes as a whole, and its rows with it: but for the newest where the limit cuts through it.
        for name in &touched {
            let end = "SELECT max(seq) FROM events WHERE asset = ?1";
            let end: Option<i64> = db.query_row(end, [name], |row| row.get(0))?;
            if end > Some(last) {
                keep_tail(db, dir, name, LONG)?;
            }
            removed += db.execute("DELETE FROM events WHERE asset = ?1", [name])?;
        }
        // Whether a question is open is what its execution's last row of the two says.
        let delete = format!(
            "DELETE FROM events WHERE seq <= ?1 AND {which} AND (kind NOT IN (6, 7) OR seq <
             (SELECT max(seq) FROM events AS later WHERE later.execution = events.execution AND later.kind IN (6, 7)))"
        );
        removed += db.execute(&delete, [last])?;
        Ok((touched, removed))
    })?;
    remove(dir, &touched);
    Ok((touched, removed))
}

/// Removes assets that no row names: whoever is killed between a commit and their removal leaves them.
fn remove_unnamed(db: &Connection, dir: &Path) -> Result<()> {
    let mut statement = db.prepare("SELECT DISTINCT asset FROM events WHERE asset IS NOT NULL")?;
    let named = statement.query_map([], |row| row.get::<_, String>(0))?;
    let named = named.collect::<rusqlite::Result<BTreeSet<_>>>()?;
    let files = fs::read_dir(dir.join("assets")).into_iter().flatten().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    remove(dir, &names.filter(|name| !named.contains(name)).collect());
    Ok(())
}

/// Removes assets that no row names any more.
fn remove(dir: &Path, names: &BTreeSet<String>) {
    for path in names.iter().filter_map(|name| file_of(dir, name)) {
        let _ = fs::remove_file(marker(&path));
        if let Err(e) = fs::remove_file(&path) {
            tracing::warn!("{} could not be removed: {e}", path.display());
        }
    }
}
