//! How it all is: counts, ages, what happened lately, and what it takes on disk.

use std::sync::Arc;

use super::{Sessions, store_failed};
use crate::journal;
use crate::protocol::{
    Ages, Error, Health, LastDay, RecentEvent, SessionCounts, SessionState, StoreSizes, Time, WindowCounts,
    WindowState,
};

/// Milliseconds since a window was last heard of.
const HEALTHY: i64 = 2 * 60_000;
const AGING: i64 = 10 * 60_000;
const DAY: i64 = 24 * 3_600_000;
const RECENT: u32 = 50;

impl Sessions {
    pub async fn health(self: &Arc<Self>) -> Result<Health, Error> {
        let now = Time::now();
        let all = self.list(true).await?;
        let live = all.iter().filter(|session| session.state != SessionState::Ended);
        let (mut active, mut count) = (0, 0);
        for session in live {
            count += 1;
            active += u32::from(session.has_window());
        }
        let total = all.len() as u32;
        let sessions = SessionCounts { active, disconnected: count - active, ended: total - count, total };
        let rows = self.registry().windows().map_err(store_failed)?;
        let there = rows.iter().filter(|row| self.state_of(row) == WindowState::Active).count() as u32;
        let mut ages = Ages { healthy: 0, aging: 0, stale: 0 };
        for row in &rows {
            match now.since(row.last_seen) {
                age if age < HEALTHY => ages.healthy += 1,
                age if age < AGING => ages.aging += 1,
                _ => ages.stale += 1,
            }
        }
        let total = rows.len() as u32;
        let windows = WindowCounts { active: there, disconnected: total - there, total };
        let counts = self.registry().event_counts(Time(now.0 - DAY)).map_err(store_failed)?;
        let counted = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        let last24h = LastDay {
            connects: counted("windowConnected"),
            disconnects: counted("windowDisconnected"),
            reconnects: counted("windowReconnected"),
            expired_tokens: counted("tokenExpired"),
            rejected_tokens: counted("tokenRejected"),
        };
        let recent = self.registry().events(RECENT).map_err(store_failed)?;
        let recent = recent.into_iter().map(|event| RecentEvent {
            at: event.at,
            kind: event.kind,
            session_id: event.session_id,
            window_id: event.window_id,
            label: event.label,
            detail: event.detail,
        });
        let store = self.store_sizes().await?;
        Ok(Health { sessions, windows, ages, last24h, recent: recent.collect(), store })
    }

    /// Looked up on the disk, beside what else goes on: there may be thousands of sessions.
    async fn store_sizes(self: &Arc<Self>) -> Result<StoreSizes, Error> {
        let folders = self.folders.clone();
        let measured = tokio::task::spawn_blocking(move || {
            let size = |name: &str| std::fs::metadata(folders.state.join(name)).map_or(0, |m| m.len());
            let registry_bytes = ["registry.db", "registry.db-wal", "registry.db-shm"].map(size).iter().sum();
            let (mut journal_bytes, mut asset_bytes) = (0, 0);
            for id in folders.session_ids().unwrap_or_default() {
                let (journal, assets) = journal::sizes(&folders.session(&id));
                journal_bytes += journal;
                asset_bytes += assets;
            }
            StoreSizes { registry_bytes, journal_bytes, asset_bytes }
        });
        measured.await.map_err(store_failed)
    }
}
