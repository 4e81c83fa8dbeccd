//! The registry: one SQLite file (`registry.db`) that indexes all of a user's sessions, windows and offers. Beside it,
//! in a file of their own because they are no index of anything, the conversations.
//!
//! Many processes use it at once, each with a connection of its own, in short transactions. It is an index and
//! never the truth: a missing or broken file is made anew, and the caller fills it again from the session
//! folders. What it does decide is who wins: of two that want one notebook, or answer one offer, exactly one does.
//! It knows nothing of kernels, keepers or what lies in the JSON documents that it stores for its callers.

mod bindings;
mod conversations;
mod error;
mod events;
mod file;
mod offers;
mod sessions;
mod windows;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};

pub use bindings::{Binding, FileIdentity};
pub use conversations::{ConversationRow, Conversations, Seen, Subject, Terms};
pub use error::Error;
pub use events::Event;
pub use offers::{BEING_MADE_MILLISECONDS, OfferRow, Raised, being_made};
pub use sessions::SessionRow;
pub use windows::Window;

use file::{Database, Schema};

static SCHEMA: Schema = Schema {
    file: "registry.db",
    migrations: &[include_str!("registry/schema-1.sql")],
    additions: &[include_str!("registry/additions-1.sql")],
    tables: &["sessions", "bindings", "windows", "offers", "dismissals", "events"],
    synchronous: "NORMAL",
    name: "The registry",
    loss: "no kernel and no output is lost",
};

/// What every call gives.
pub type Result<T> = std::result::Result<T, Error>;

/// One process's access to the registry. It can be shared between threads; calls take turns.
pub struct Registry {
    /// The one owner of the connection. Nothing is awaited and no file but the registry is touched under it.
    database: Mutex<Database>,
}

/// An opened registry, and what the opening found.
pub struct Opened {
    pub registry: Registry,
    /// The registry was missing or broken and is empty now: fill it from the session folders.
    pub rebuilt: bool,
    /// Sentences for the user, of what was repaired.
    pub warnings: Vec<String>,
}

impl Registry {
    /// Opens the registry of this state folder, which is made where it is missing. A broken file is set aside
    /// beside it; a newer one is refused and left as it is.
    pub fn open(state_dir: &Path) -> Result<Opened> {
        let (database, warnings) = Database::open(&SCHEMA, state_dir)?;
        let rebuilt = database.rebuilt;
        Ok(Opened { registry: Registry { database: Mutex::new(database) }, rebuilt, warnings })
    }

    /// After [`Error::Corrupt`]: sets the broken file aside and goes on with a fresh one, or with the one that
    /// another process has made meanwhile. Gives a sentence for the user; see [`Registry::take_rebuilt`].
    pub fn recover(&self) -> Result<Vec<String>> {
        self.lock().recover()
    }

    /// True once after the registry became empty under our feet (somebody deleted it, or it was recovered):
    /// whoever is told fills it from the session folders.
    pub fn take_rebuilt(&self) -> bool {
        let mut database = self.lock();
        // Where it cannot be opened, whatever is asked next says so.
        let _ = database.refresh();
        std::mem::take(&mut database.rebuilt)
    }

    /// A number that differs whenever anything was committed since, by this process or another. Costs
    /// microseconds; means nothing to other processes.
    pub fn change_counter(&self) -> Result<i64> {
        self.lock().change_counter()
    }

    /// One look at the registry.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.lock().read(look)
    }

    /// One transaction that writes: what `change` reads cannot be overtaken before it writes.
    fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.lock().write(change)
    }

    /// A panic under the lock leaves at worst a transaction that SQLite rolls back: the lock stays usable.
    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
