//! Taking a window up again by its token: a reload of the editor's window, which keeps its kernels without a question.
//!
//! A token is good once, for 15 minutes, the latest of its window alone, and only while that window is gone. Who takes a
//! window up has its id and its attachments; where two try at once, one does.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::token::{LIFETIME, Refused, Secret, fingerprint, is_same};
use super::{Sessions, store_failed};
use crate::protocol::{Error, ErrorKind, ReconnectResult, ReconnectTokenResult, Time, WindowState};
use crate::registry::{Registry, Window as WindowRow};

/// The editor starts the new sidecar of a window while the old one is on its way out.
const OLD_ONE_LEAVES: Duration = Duration::from_secs(2);
/// So many used tokens of a window are known as such.
const USED_KEPT: usize = 32;

/// What the registry keeps of a window's token.
#[derive(Serialize, Deserialize)]
struct Kept {
    fingerprint: String,
    boot: String,
    /// Milliseconds since that boot.
    issued: i64,
}

/// Why a window was not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    Expired,
    Invalid,
    Used,
    /// The window is there.
    Lives,
}

impl Rejected {
    /// The word on the wire.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Invalid | Self::Lives => "invalid",
            Self::Used => "used",
        }
    }
}

impl Sessions {
    /// A fresh token for this window; the one before is void.
    pub async fn reconnect_token(&self) -> Result<ReconnectTokenResult, Error> {
        let id = self.window_id();
        let secret = Secret::open(&self.folders.state).map_err(store_failed)?;
        let (token, claims) = secret.issue(&id, Time::now());
        let kept = Kept {
            fingerprint: fingerprint(&token),
            boot: crate::process::boot_id(),
            issued: crate::process::elapsed_milliseconds(),
        };
        let kept = serde_json::to_string(&kept).map_err(store_failed)?;
        let keep = |registry: &Registry| registry.change_window(&id, |row| row.token = Some(kept.clone()));
        if self.write(keep).await.map_err(store_failed)?.is_none() {
            // The registry was made anew since.
            self.register_window()?;
            let kept = self.write(keep).await.map_err(store_failed)?;
            kept.ok_or_else(|| super::all_windows::no_window(&id))?;
        }
        Ok(ReconnectTokenResult { token, expires_at: Time(claims.exp * 1000) })
    }

    /// This process becomes the window of the token.
    ///
    /// # Errors
    /// `TokenRejected`: it stays the window that it is.
    pub async fn reconnect(self: &Arc<Self>, token: &str) -> Result<ReconnectResult, Error> {
        let before = self.window_id();
        let row = match self.take_up(token).await? {
            Ok(row) => row,
            Err(why) => {
                let what = match why {
                    Rejected::Expired => "the token has expired: the window goes on as a new one",
                    Rejected::Used => "the token was used already: the window goes on as a new one",
                    Rejected::Invalid => {
                        "the token is none of this user's latest: the window goes on as a new one"
                    }
                    Rejected::Lives => "the window of this token is still there",
                };
                return Err(Error::new(ErrorKind::TokenRejected, what).with("reason", why.reason()));
            }
        };
        if before != row.id {
            self.write(|registry| registry.remove_window(&before)).await.map_err(store_failed)?;
        }
        self.register_window()?;
        let attached: Vec<String> = self.attached.iter().map(|id| id.clone()).collect();
        for id in attached.into_iter().filter(|id| self.live.contains_key(id)) {
            if let Err(e) = self.attach_window(&id).await {
                tracing::warn!(session = %id, "not attached again: {e}");
            }
        }
        self.review_offers();
        self.ring();
        Ok(ReconnectResult { window: self.window_of(&row.id)?, reconnect_count: row.reconnect_count })
    }

    /// Sessions that ended while the window was away are its no more.
    pub fn forget_ended_attachments(&self) {
        self.attached.retain(|id| self.live.contains_key(id));
    }

    /// The same before anything is attached or registered: the id and the attachments of the token's window are ours.
    pub async fn take_up(self: &Arc<Self>, token: &str) -> Result<Result<WindowRow, Rejected>, Error> {
        let begun = Instant::now();
        let taken = loop {
            match self.try_take_up(token).await? {
                Err(Rejected::Lives) if begun.elapsed() < OLD_ONE_LEAVES => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => break done,
            }
        };
        let own = self.window_id();
        match &taken {
            Ok(row) => {
                self.window.write().unwrap_or_else(PoisonError::into_inner).id.clone_from(&row.id);
                self.say_anew();
                for id in Self::attached_by(row) {
                    self.attached.insert(id);
                }
                let detail = format!("{} times", row.reconnect_count);
                self.note_window(
                    "windowReconnected",
                    &row.id,
                    self.this_window().about.folder.as_deref(),
                    Some(detail),
                );
            }
            Err(Rejected::Expired) => self.note_window("tokenExpired", &own, None, None),
            Err(why) => self.note_window("tokenRejected", &own, None, Some(why.reason().to_owned())),
        }
        Ok(taken)
    }

    async fn try_take_up(&self, token: &str) -> Result<Result<WindowRow, Rejected>, Error> {
        let secret = Secret::open(&self.folders.state).map_err(store_failed)?;
        let claims = match secret.check(token, Time::now()) {
            Ok(claims) => claims,
            Err(Refused::Expired) => return Ok(Err(Rejected::Expired)),
            Err(Refused::Invalid) => return Ok(Err(Rejected::Invalid)),
        };
        let Some(process) = crate::process::identity_of(std::process::id()) else {
            return Ok(Err(Rejected::Invalid));
        };
        // In one transaction: of two that present it at once, one is first.
        let take = |row: &mut WindowRow| {
            let fingerprint = fingerprint(token);
            if row.used_tokens.iter().any(|used| is_same(used, &fingerprint)) {
                return Err(Rejected::Used);
            }
            let kept: Option<Kept> = row.token.as_deref().and_then(|kept| serde_json::from_str(kept).ok());
            let Some(kept) = kept.filter(|kept| is_same(&kept.fingerprint, &fingerprint)) else {
                return Err(Rejected::Invalid);
            };
            // Whatever the wall clock was set to.
            if kept.boot == process.boot && crate::process::elapsed_milliseconds() - kept.issued >= LIFETIME {
                return Err(Rejected::Expired);
            }
            if self.state_of(row) == WindowState::Active {
                return Err(Rejected::Lives);
            }
            row.used_tokens.push(fingerprint);
            let surplus = row.used_tokens.len().saturating_sub(USED_KEPT);
            row.used_tokens.drain(..surplus);
            row.token = None;
            row.reconnect_count += 1;
            (row.pid, row.start, row.boot) = (process.pid, process.start, process.boot.clone());
            row.host = crate::process::host();
            (row.disconnected_at, row.has_left) = (None, false);
            row.seen_awake = Some(crate::process::awake_milliseconds());
            row.last_seen = Time::now();
            Ok(row.clone())
        };
        let taken = self.write(|registry| registry.change_window(&claims.sub, take)).await;
        Ok(taken.map_err(store_failed)?.unwrap_or(Err(Rejected::Invalid)))
    }
}
