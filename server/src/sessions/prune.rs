//! Room on the disk: ended sessions that are kept no longer, and whole streams whose lease is over.
//!
//! Never a live session, nor another host's, nor one with snapshots that a person made: they go when these are removed.
//! A session's lock is held while it goes.

use super::{Sessions, store_failed};
use crate::journal;
use crate::keeper::{holds_snapshots, take_lock};
use crate::protocol::{Error, Time};

impl Sessions {
    /// Removes ended sessions, those that ended before a moment or all. Live ones never; of another host none; none that
    /// has snapshots of a person.
    pub async fn prune(&self, ended_before: Option<Time>) -> Result<(u32, u64), Error> {
        let (mut removed, mut freed) = (0, 0);
        let host = crate::process::host();
        for row in self.registry().sessions(true).map_err(store_failed)? {
            let old = row.ended_at.is_some_and(|at| ended_before.is_none_or(|limit| at < limit));
            if row.live || !old || row.host != host || holds_snapshots(&self.folders, &row.id) {
                continue;
            }
            // The lock keeps a restart of this very session out until it is gone.
            let Ok(Some(_lock)) = take_lock(&self.folders, &row.id) else { continue };
            let dir = self.folders.session(&row.id);
            let (journal, assets) = journal::sizes(&dir);
            freed += journal + assets;
            if let Err(e) = std::fs::remove_dir_all(&dir)
                && e.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(session = %row.id, "its folder could not be removed: {e}");
                continue;
            }
            self.conversations_outlive(&row.id);
            self.write(|registry| registry.remove_session(&row.id)).await.map_err(store_failed)?;
            let _ = std::fs::remove_dir_all(self.folders.run(&row.id));
            removed += 1;
        }
        if removed > 0 {
            self.ring();
        }
        Ok((removed, freed))
    }

    /// What a window does once, at its start: ended sessions older than the setting go, and expired conversations, and
    /// leases end.
    pub async fn housekeeping(&self) {
        let now = Time::now();
        let keep = i64::from(self.settings().keep_ended_days) * 24 * 3_600_000;
        if let Err(e) = self.prune(Some(Time(now.0 - keep))).await {
            tracing::warn!("old sessions could not be removed: {e}");
        }
        if let Err(e) = self.forget_expired() {
            tracing::warn!("expired conversations could not be removed: {e}");
        }
        let Ok(rows) = self.registry().sessions(true) else { return };
        for row in rows.into_iter().filter(|row| row.ended_at.is_some()) {
            // An earlier version left them. The lock keeps a restart out.
            if self.folders.has_kernel_sockets(&row.id)
                && let Ok(Some(_lock)) = take_lock(&self.folders, &row.id)
                && self.record(&row.id).is_ok_and(|record| record.ended_at.is_some())
            {
                self.folders.remove_kernel_sockets(&row.id);
            }
            if let Err(e) = journal::sweep_assets(&self.folders.session(&row.id), row.ended_at, now) {
                tracing::warn!(session = %row.id, "its assets could not be swept: {e}");
            }
        }
    }
}
