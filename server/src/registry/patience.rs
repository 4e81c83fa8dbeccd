//! Waiting for other processes that write, without holding up the thread.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{Error, Result};

/// How long one waits while nobody writes anything: then whoever keeps the file is frozen, for all that can be known. While
/// others get on, their turn is waited for.
const WAITS: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(5);

/// The turns of those of one process that wait for one database.
#[derive(Default)]
pub(super) struct Patience(Mutex<Progress>);

/// What was seen of others' changes.
#[derive(Default)]
struct Progress {
    counter: Option<i64>,
    seen: Option<Instant>,
}

impl Progress {
    fn note(&mut self, counter: Option<i64>) {
        if self.counter != counter {
            *self = Progress { counter, seen: Some(Instant::now()) };
        }
    }
}

impl Patience {
    /// Does it at once where nobody waits; else in the order in which it was asked for, [`Error::Busy`] where that takes too
    /// long. `counter` differs whenever anything was committed.
    pub(super) async fn wait<S: ?Sized, T>(
        &self,
        store: &S,
        counter: impl Fn(&S) -> Result<i64>,
        mut act: impl FnMut(&S) -> Result<T>,
    ) -> Result<T> {
        let came = Instant::now();
        let mut progress = self.turn().await;
        loop {
            match act(store) {
                Err(Error::Busy) => {}
                done => return done,
            }
            progress.note(counter(store).ok());
            if progress.seen.map_or(came, |seen| seen.max(came)).elapsed() >= WAITS {
                return Err(Error::Busy);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn turn(&self) -> MutexGuard<'_, Progress> {
        match self.0.try_lock() {
            Ok(turn) => turn,
            // Unconstrained: a task that was busy for long must not lose its place.
            Err(_) => tokio::task::unconstrained(self.0.lock()).await,
        }
    }
}
