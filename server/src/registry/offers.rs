//! The open questions: one a notebook over all windows, answered once, and what the user does not want to be asked again.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, Transaction, params};

use super::rows;
use super::windows::{from_json, to_json};
use super::{Registry, Result};
use crate::protocol::{OfferKind, Time};

/// One open offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRow {
    pub id: String,
    pub kind: OfferKind,
    /// The notebook it is about; there is one open offer a notebook.
    pub notebook_key: String,
    pub session_ids: Vec<String>,
    /// The window that shows it; none where it waits for the next that opens the notebook.
    pub window_id: Option<String>,
    /// The caller's own record, as JSON.
    pub document: String,
    pub raised_at: Time,
}

/// What became of an offer that was to be raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raised {
    /// It is open now.
    New,
    /// The same question is open already; this one was not written.
    Existing(OfferRow),
    /// It is open now, and this other question about the notebook no longer is.
    Replaced(OfferRow),
    /// The user does not want to be asked; it was not written.
    Declined,
    /// The session is not where it was to be moved from; it was not written.
    Moot,
}

/// How long an editor may take to make a rename that it announced.
pub const BEING_MADE_MILLISECONDS: i64 = 10_000;
/// Dismissals are forgotten after this long, so that they cannot pile up.
const FORGET_AFTER_MILLISECONDS: i64 = 90 * 24 * 3600 * 1000;
const COLUMNS: &str = "id, kind, notebook_key, session_ids, window_id, document, raised_at";

impl Registry {
    /// Opens a question about a notebook. The same kind about the same sessions is asked once; any other question
    /// about the notebook is overtaken. `move_from_to`: not where this was dismissed, see [`dismiss`](Self::dismiss), or
    /// the session has left that place: whoever sees it late may have looked before.
    pub fn raise_offer(&self, offer: &OfferRow, move_from_to: Option<&str>) -> Result<Raised> {
        self.write(|transaction| {
            if let Some(what) = move_from_to
                && is_dismissed(transaction, &offer.notebook_key, offer.kind, what)?
            {
                return Ok(Raised::Declined);
            }
            if let Some((from, _)) = move_from_to.and_then(|what| what.split_once('\0'))
                && !transaction
                    .prepare_cached("SELECT 1 FROM bindings WHERE session_id = ?1 AND key = ?2")?
                    .exists(params![offer.session_ids.first(), from])?
            {
                return Ok(Raised::Moot);
            }
            let open = one(transaction, "notebook_key", &offer.notebook_key)?;
            let same = |open: &&OfferRow| open.kind == offer.kind && open.session_ids == offer.session_ids;
            if let Some(open) = open.as_ref().filter(same) {
                return Ok(Raised::Existing(open.clone()));
            }
            transaction
                .prepare_cached("DELETE FROM offers WHERE notebook_key = ?1")?
                .execute([&offer.notebook_key])?;
            insert(transaction, offer)?;
            Ok(open.map_or(Raised::New, Raised::Replaced))
        })
    }

    /// All open offers, oldest first.
    pub fn open_offers(&self) -> Result<Vec<OfferRow>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM offers ORDER BY raised_at, rowid"))?;
            rows::all(statement.query_map([], offer_of)?)
        })
    }

    pub fn offer(&self, id: &str) -> Result<Option<OfferRow>> {
        self.read(|connection| one(connection, "id", id))
    }

    /// Takes an offer to answer it: of several at once, one gets it and the others nothing.
    pub fn take_offer(&self, id: &str) -> Result<Option<OfferRow>> {
        self.write(|transaction| {
            let offer = one(transaction, "id", id)?;
            transaction.prepare_cached("DELETE FROM offers WHERE id = ?1")?.execute([id])?;
            Ok(offer)
        })
    }

    /// Closes an offer that is moot. False where it was closed already.
    pub fn withdraw_offer(&self, id: &str) -> Result<bool> {
        self.write(|transaction| {
            Ok(transaction.prepare_cached("DELETE FROM offers WHERE id = ?1")?.execute([id])? > 0)
        })
    }

    /// Gives an offer to another window, or to the next that opens its notebook. False where it was closed already.
    pub fn move_offer(&self, id: &str, window_id: Option<&str>) -> Result<bool> {
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE offers SET window_id = ?2 WHERE id = ?1")?
                .execute(params![id, window_id])?;
            Ok(changed > 0)
        })
    }

    /// The user does not want this kind of question about the notebook; of `migrate`: not about this move
    /// (`move_from_to`, the caller's words; empty for other kinds).
    pub fn dismiss(&self, notebook_key: &str, kind: OfferKind, move_from_to: &str, at: Time) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM dismissals WHERE at < ?1")?
                .execute([at.0 - FORGET_AFTER_MILLISECONDS])?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO dismissals VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![notebook_key, Kind(kind), move_from_to, at.0])?;
            Ok(())
        })
    }

    /// The notebook is back where it was: another move is another question.
    pub fn forget_declined_moves(&self, from_key: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "DELETE FROM dismissals WHERE kind = ?1 AND move = ?2 || char(0) || notebook_key",
                )?
                .execute(params![Kind(OfferKind::Migrate), from_key])?;
            Ok(())
        })
    }

    /// Where to a notebook's kernel was not to follow, by keys: see [`dismiss`](Self::dismiss) of a `migrate`.
    pub fn declined_moves(&self, from_key: &str) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT notebook_key FROM dismissals WHERE kind = ?1 AND move = ?2 || char(0) || notebook_key",
            )?;
            let rows = statement.query_map(params![Kind(OfferKind::Migrate), from_key], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// It may be asked after all.
    pub fn forget_dismissal(&self, notebook_key: &str, kind: OfferKind, move_from_to: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM dismissals WHERE notebook_key = ?1 AND kind = ?2 AND move = ?3")?
                .execute(params![notebook_key, Kind(kind), move_from_to])?;
            Ok(())
        })
    }

    pub fn is_dismissed(&self, notebook_key: &str, kind: OfferKind, move_from_to: &str) -> Result<bool> {
        self.read(|connection| is_dismissed(connection, notebook_key, kind, move_from_to))
    }

    /// The notebook was opened or run anew: all may be asked again but about a move that was declined.
    pub fn clear_dismissal(&self, notebook_key: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM dismissals WHERE notebook_key = ?1 AND kind <> ?2")?
                .execute(params![notebook_key, Kind(OfferKind::Migrate)])?;
            Ok(())
        })
    }
}

fn is_dismissed(connection: &Connection, key: &str, kind: OfferKind, move_from_to: &str) -> Result<bool> {
    let found = connection
        .prepare_cached(
            "SELECT 1 FROM dismissals WHERE notebook_key = ?1 AND kind = ?2
             AND (move = ?3 OR (move = ?3 || char(0) AND at > ?4))",
        )?
        .exists(params![key, Kind(kind), move_from_to, Time::now().0 - BEING_MADE_MILLISECONDS])?;
    Ok(found)
}

/// A move that an editor makes just now, as it stands among the dismissals: not asked about for so long at most, and no
/// person's answer.
pub fn being_made(move_from_to: &str) -> String {
    format!("{move_from_to}\0")
}

fn one(connection: &Connection, column: &str, value: &str) -> Result<Option<OfferRow>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM offers WHERE {column} = ?1"))?;
    rows::one(statement.query_row([value], offer_of))
}

fn insert(transaction: &Transaction<'_>, offer: &OfferRow) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO offers (id, kind, notebook_key, session_ids, window_id, document, raised_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            offer.id,
            Kind(offer.kind),
            offer.notebook_key,
            to_json(&offer.session_ids),
            offer.window_id,
            offer.document,
            offer.raised_at.0,
        ])?;
    Ok(())
}

fn offer_of(row: &Row<'_>) -> rusqlite::Result<OfferRow> {
    Ok(OfferRow {
        id: row.get(0)?,
        kind: row.get::<_, Kind>(1)?.0,
        notebook_key: row.get(2)?,
        session_ids: rows::ids(from_json(&row.get::<_, String>(3)?)),
        window_id: row.get(4)?,
        document: row.get(5)?,
        raised_at: Time(row.get(6)?),
    })
}

/// A kind as it is stored: the protocol's own word.
struct Kind(OfferKind);

const KINDS: [(OfferKind, &str); 5] = [
    (OfferKind::Resume, "resume"),
    (OfferKind::Recover, "recover"),
    (OfferKind::Migrate, "migrate"),
    (OfferKind::Replace, "replace"),
    (OfferKind::Pick, "pick"),
];

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let word = KINDS.iter().find(|(kind, _)| *kind == self.0).map_or("", |(_, word)| word);
        Ok(ToSqlOutput::from(word))
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Kind> {
        let word = value.as_str()?;
        let found = KINDS.iter().find(|(_, known)| *known == word);
        found.map(|(kind, _)| Kind(*kind)).ok_or(FromSqlError::InvalidType)
    }
}
