//! Waiting for another process that writes, without holding up the thread.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{Error, Result};

/// How long one waits in all, and for how long between two attempts.
const WAITS: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(15);

/// The turns of those of one process that wait for one database.
#[derive(Default)]
pub(super) struct Patience(Mutex<()>);

impl Patience {
    /// Does it at once where nobody waits; else in the order in which it was asked for, [`Error::Busy`] where that takes too
    /// long.
    pub(super) async fn wait<S: ?Sized, T>(
        &self,
        store: &S,
        mut act: impl FnMut(&S) -> Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + WAITS;
        let _turn = self.turn().await;
        loop {
            match act(store) {
                Err(Error::Busy) if Instant::now() < deadline => tokio::time::sleep(AGAIN).await,
                done => return done,
            }
        }
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        match self.0.try_lock() {
            Ok(turn) => turn,
            // Unconstrained: a task that was busy for long must not lose its place.
            Err(_) => tokio::task::unconstrained(self.0.lock()).await,
        }
    }
}
