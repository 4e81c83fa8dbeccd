//! Assets: long streams in files of their own, so that they can be opened whole, and room on the disk.
//!
//! A stream over 1 MiB goes into `assets/<execution>-<seq>.txt`, all of it: rows beyond the first MiB only say where in
//! that file their text is. The file stays as long as the journal; once somebody was given it (`<file>.read` says when),
//! its lease is 24 hours from the later of that and the session's end. Then head and tail stay. Copies that were made to be
//! opened lie beside them: the journal can do without.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, params};

use super::schema::{self, kind};
use super::{Error, Result};
use crate::protocol::{EventBody, Output, StreamName, Time};

/// Where a stream becomes an asset.
pub(super) const LONG: u64 = 1 << 20;
/// What stays of the tail when an asset goes.
const TAIL: u64 = 64 << 10;
/// Milliseconds for which an asset stays that somebody was given.
const LEASE: i64 = 24 * 3_600_000;

/// How the name of a copy begins, which the journal can do without.
pub(super) const COPY: &str = "copy-";
/// What one row says of an asset is never more: pieces are of 64 KiB.
const LONGEST_SLICE: u64 = 1 << 20;

/// One stream of one execution, as far as it was written without another output in between.
#[derive(Clone, Debug)]
pub(super) struct Run {
    name: StreamName,
    first_seq: u64,
    bytes: u64,
    /// File name and length.
    pub asset: Option<(String, u64)>,
}

impl Run {
    /// The run that a piece belongs to.
    pub fn of(runs: &mut HashMap<i64, Run>, execution: i64, name: StreamName, seq: u64) -> &mut Run {
        let new = || Run { name, first_seq: seq, bytes: 0, asset: None };
        let run = runs.entry(execution).or_insert_with(new);
        if run.name != name {
            *run = new();
        }
        run
    }

    /// Takes a piece. Where in the asset it is; `None` while the stream is short: the row has the text.
    pub fn add(&mut self, db: &Connection, dir: &Path, execution: i64, text: &str) -> Result<Option<u64>> {
        self.bytes += text.len() as u64;
        if self.bytes <= LONG {
            return Ok(None);
        }
        let folder = dir.join("assets");
        if self.asset.is_none() {
            crate::paths::make_private(&folder)
                .map_err(|source| Error::Io { path: folder.clone(), source })?;
            let id: String =
                db.query_row("SELECT execution_id FROM executions WHERE ordinal = ?1", [execution], |row| {
                    row.get(0)
                })?;
            let name = format!("{id}-{}.txt", self.first_seq);
            let begun = self.begun(db, execution)?;
            write_at(&folder.join(&name), 0, begun.as_bytes())?;
            self.asset = Some((name, begun.len() as u64));
        }
        let Some((name, length)) = &mut self.asset else { return Ok(None) };
        let start = *length;
        write_at(&folder.join(&*name), start, text.as_bytes())?;
        *length += text.len() as u64;
        Ok(Some(start))
    }

    /// What the run's rows have so far.
    fn begun(&self, db: &Connection, execution: i64) -> Result<String> {
        let mut statement = db.prepare_cached(
            "SELECT body FROM events WHERE execution = ?1 AND seq >= ?2 AND kind = 3 AND asset IS NULL ORDER BY seq",
        )?;
        let rows =
            statement.query_map(params![execution, self.first_seq as i64], |row| row.get::<_, String>(0))?;
        let mut text = String::new();
        for body in rows {
            if let Ok(EventBody::Output { output: Output::Stream { text: piece, .. } }) =
                serde_json::from_str(&body?)
            {
                text.push_str(&piece);
            }
        }
        Ok(text)
    }
}

/// Writes at a place, whatever a killed predecessor had written beyond it.
fn write_at(path: &Path, start: u64, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}

/// The file of an asset that a row names. `None` where no asset of ours can be called so: a row can be forged, and names
/// nothing outside the session's own folder.
pub(super) fn file_of(dir: &Path, name: &str) -> Option<PathBuf> {
    let (id, seq) = name.strip_suffix(".txt")?.split_once('-')?;
    let is_ours = crate::ids::is_id(id) && !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
    let path = dir.join("assets").join(name);
    // A link would lead out of it.
    let is_file = || fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    (is_ours && is_file()).then_some(path)
}

/// A row's text out of its asset; `None` where the file is gone. A forged length takes no memory.
pub(super) fn read_slice(dir: &Path, name: &str, start: u64, length: u64) -> Option<String> {
    let path = file_of(dir, name)?;
    let read = || -> io::Result<String> {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let there = file.metadata()?.len().saturating_sub(start);
        let most = length.min(LONGEST_SLICE);
        // Made at once: nothing is copied as it fills.
        let mut bytes = Vec::with_capacity(most.min(there) as usize);
        file.take(most).read_to_end(&mut bytes)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    };
    read().ok()
}

/// How long a file is; `None` where there is none.
pub(super) fn length(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}

/// Makes a file that is there to be opened, whole or not at all.
pub(super) fn make_copy(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<PathBuf> {
    let folder = dir.join("assets");
    let path = folder.join(name);
    let failed = |source| Error::Io { path: path.clone(), source };
    crate::paths::make_private(&folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".whole-").tempfile_in(&folder).map_err(failed)?;
    let mut buffer = io::BufWriter::new(&mut file);
    write(&mut buffer).and_then(|()| buffer.flush()).map_err(failed)?;
    drop(buffer);
    file.persist(&path).map_err(|e| failed(e.error))?;
    touch(&path);
    Ok(path)
}

/// Notes that somebody is given an asset.
pub(super) fn touch(path: &Path) {
    let marker = marker(path);
    let noted = crate::paths::open_private(&marker).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(e) = noted {
        tracing::debug!("the lease of {} could not be noted: {e}", path.display());
    }
}

pub(super) fn marker(path: &Path) -> PathBuf {
    path.with_extension("txt.read")
}

/// Bytes in use, those that the database would use again left out.
pub(super) fn used_bytes(db: &Connection, dir: &Path) -> Result<u64> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?) as u64 + folder_bytes(&dir.join("assets")))
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|m| m.len()).sum()
}

/// What a session's folder takes on the disk: its journal with all beside it, and its assets.
pub fn sizes(dir: &Path) -> (u64, u64) {
    (folder_bytes(dir), folder_bytes(&dir.join("assets")))
}

/// Removes the files that were made to be opened and that the journal can do without: see `StoredOutput::whole`.
pub(super) fn remove_copies(dir: &Path) {
    for entry in fs::read_dir(dir.join("assets")).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(COPY) || crate::ids::is_id(name) && path.extension().is_some_and(|e| e == "txt") {
            let _ = fs::remove_file(marker(&path));
            let _ = fs::remove_file(&path);
        }
    }
}

/// Ends the leases of an ended session's assets. Nothing is done while the session lives.
pub fn sweep_assets(dir: &Path, ended_at: Option<Time>, now: Time) -> Result<()> {
    let Some(ended_at) = ended_at else { return Ok(()) };
    for entry in fs::read_dir(dir.join("assets")).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.ends_with(".read")) else {
            continue;
        };
        let Ok(read) = fs::metadata(marker(&path)).and_then(|m| m.modified()) else { continue };
        let read = read.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        if now.0 - read.max(ended_at.0) < LEASE {
            continue;
        }
        if !name.starts_with(COPY) {
            let_go(dir, name)?;
        }
        let _ = fs::remove_file(marker(&path));
        fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
    }
    Ok(())
}

/// Takes an asset's tail into the rows again, and says what is left out.
fn let_go(dir: &Path, name: &str) -> Result<()> {
    let mut db = schema::open_writer(dir)?;
    let transaction = db.transaction()?;
    keep_tail(&transaction, dir, name, TAIL)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn keep_tail(transaction: &Connection, dir: &Path, name: &str, most: u64) -> Result<()> {
    let rows: Vec<(i64, String, u64, u64)> = {
        let mut statement = transaction.prepare(
            "SELECT seq, body, start, length FROM events WHERE asset = ?1 AND kind = ?2 ORDER BY seq DESC",
        )?;
        let rows = statement.query_map(params![name, kind::OUTPUT], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let (mut kept, mut left_out, mut place) = (0, 0_u64, None);
    for (seq, stream, start, length) in rows {
        let stream = if stream == "stderr" { StreamName::Stderr } else { StreamName::Stdout };
        if kept < most {
            kept = kept.saturating_add(length);
            let text = read_slice(dir, name, start, length).unwrap_or_default();
            set_text(transaction, seq, stream, &text)?;
        } else {
            left_out = left_out.saturating_add(length);
            if let Some((old, _)) = place.replace((seq, stream)) {
                transaction.execute("DELETE FROM events WHERE seq = ?1", [old])?;
            }
        }
    }
    if let Some((seq, stream)) = place {
        set_text(transaction, seq, stream, &crate::protocol::limits::left_out(left_out))?;
    }
    Ok(())
}

pub(super) fn set_text(db: &Connection, seq: i64, name: StreamName, text: &str) -> Result<()> {
    let body = EventBody::Output { output: Output::Stream { name, text: text.to_owned() } };
    let body = serde_json::to_string(&body).unwrap_or_default();
    db.prepare_cached(
        "UPDATE events SET body = ?2, asset = NULL, start = NULL, length = NULL WHERE seq = ?1",
    )?
    .execute(params![seq, body])?;
    Ok(())
}
