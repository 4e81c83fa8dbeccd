//! The registry: one SQLite file (`registry.db`) that indexes all of a user's sessions, windows and offers. Beside it,
//! in a file of their own because they are no index of anything, the conversations.
//!
//! Many processes use it at once, each with a connection of its own, in short transactions. It is an index and
//! never the truth: a missing or broken file is made anew, whenever that is found, of what the caller's [`Source`]
//! gives. What it does decide is who wins: of two that want one notebook, or answer one offer, exactly one does.
//! No call waits long for another process that writes: it fails with [`Error::Busy`], and who must have it done waits
//! with [`Registry::patiently`], which holds up no other task.
//! It knows nothing of kernels, keepers or what lies in the JSON documents that it stores for its callers.

mod bindings;
mod conversations;
mod error;
mod events;
mod file;
mod making;
mod offers;
mod patience;
mod rows;
mod sessions;
mod windows;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};

pub use bindings::{Binding, FileIdentity};
pub use conversations::{ConversationRow, Conversations, Seen, Subject, Terms};
pub use error::Error;
pub use events::Event;
pub use offers::{BEING_MADE_MILLISECONDS, OfferRow, Raised, being_made};
pub use sessions::SessionRow;
pub use windows::Window;

use file::{Database, Schema};
use patience::Patience;

static SCHEMA: Schema = Schema {
    file: "registry.db",
    migrations: &[include_str!("registry/schema-1.sql")],
    additions: &[include_str!("registry/additions-1.sql"), include_str!("registry/additions-2.sql")],
    tables: &["sessions", "bindings", "windows", "offers", "dismissals", "events"],
    synchronous: "NORMAL",
    name: "The registry",
    loss: "no kernel and no output is lost",
};

/// What every call gives.
pub type Result<T> = std::result::Result<T, Error>;

/// What there is to know of the sessions on disk: the registry is filled with it where it has to be made, later ones
/// last. Of two that have one notebook the earlier one keeps it. An error where it cannot be known just now: a registry that
/// leaves sessions out would count as whole.
pub type Source = Arc<dyn Fn() -> Result<Vec<(SessionRow, Vec<Binding>)>> + Send + Sync>;

/// One process's access to the registry. It can be shared between threads; calls take turns.
pub struct Registry {
    /// The one owner of the connection. Nothing is awaited and no file but the registry is touched under it.
    database: Mutex<Database>,
    patience: Patience,
}

impl Registry {
    /// Opens the registry of this state folder, which is made where it is missing. A broken file is set aside
    /// beside it; a newer one is refused and left as it is.
    pub fn open(state_dir: &Path, source: Source) -> Result<Registry> {
        let fill = Arc::new(move |transaction: &Transaction<'_>| sessions::enter(transaction, source()?));
        let database = Mutex::new(Database::open(&SCHEMA, state_dir, fill)?);
        Ok(Registry { database, patience: Patience::default() })
    }

    /// Sentences for the user, of what was repaired since they were taken last.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    /// Does what may meet another process that writes: tried at once, so before anything is awaited, then again until it
    /// is done or [`Error::Busy`] for too long. Those that wait take turns.
    pub async fn patiently<T>(&self, act: impl FnMut(&Registry) -> Result<T>) -> Result<T> {
        self.patience.wait(self, Registry::change_counter, act).await
    }

    /// Whether another file has taken the place of the one that was opened: what was not written into it may be nowhere.
    pub fn was_replaced(&self) -> bool {
        self.lock().was_replaced()
    }

    /// A number that differs whenever anything was committed since, by this process or another. Costs
    /// microseconds; means nothing to other processes.
    pub fn change_counter(&self) -> Result<i64> {
        self.lock().change_counter()
    }

    /// One look at the registry.
    fn read<T>(&self, look: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        self.lock().read(look)
    }

    /// One transaction that writes: what `change` reads cannot be overtaken before it writes. It may be made twice, in a file
    /// that took the place of the first one.
    fn write<T>(&self, change: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.lock().write(change)
    }

    /// A panic under the lock leaves at worst a transaction that SQLite rolls back: the lock stays usable.
    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
