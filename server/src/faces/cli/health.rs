//! `health`: how it all is, once or as it changes.

use std::sync::Arc;
use std::time::Duration;

use super::say::{self, json_line, say};
use super::{print_json, show};
use crate::protocol::{Error, Health};
use crate::sessions::Sessions;

/// How often it is looked at while it is watched.
const EVERY: Duration = Duration::from_secs(2);

/// `health`
pub async fn health(sessions: &Arc<Sessions>, json: bool, watch: bool) -> Result<(), Error> {
    loop {
        let health = sessions.health().await?;
        if json {
            // One object a line where there are many.
            match watch {
                true => json_line(&health),
                false => print_json(&health)?,
            }
        } else {
            if watch && super::is_colourful() {
                say::clear_screen();
            }
            print(&health);
        }
        if !watch {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
        sessions.refresh(false).await?;
    }
}

fn print(health: &Health) {
    let Health { sessions, windows, ages, last24h, store, .. } = health;
    say!(
        "Kernels   {} in a window, {} without, {} ended",
        sessions.active,
        sessions.disconnected,
        sessions.ended
    );
    say!("Activity  {} within 2 min, {} within 10 min, {} longer ago", ages.healthy, ages.aging, ages.stale);
    say!("Windows   {} open, {} gone", windows.active, windows.disconnected);
    say!(
        "24 hours  {} connected, {} disconnected, {} reconnected, {} expired and {} refused tokens",
        last24h.connects,
        last24h.disconnects,
        last24h.reconnects,
        last24h.expired_tokens,
        last24h.rejected_tokens
    );
    say!(
        "On disk   {} journals, {} large outputs, {} registry",
        show::bytes(store.journal_bytes),
        show::bytes(store.asset_bytes),
        show::bytes(store.registry_bytes)
    );
    if !health.recent.is_empty() {
        say!("");
        say::table(&show::events(&health.recent));
    }
}
