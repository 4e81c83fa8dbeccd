//! Questions for the user: raised by the sidecar, shown by a client, answered by a request.

use serde::{Deserialize, Serialize};

use super::{Session, Time};

/// An open question about one notebook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    pub offer_id: String,
    pub kind: OfferKind,
    /// The whole question, for people, times in the user's time zone.
    pub message: String,
    /// The notebook it is about; of a `migrate` the new one.
    pub notebook_uri: String,
    /// Of a `migrate`: what the kernel's notebook was called before; null else.
    #[serde(default)]
    pub from_notebook_uri: Option<String>,
    /// The kernelspec that `fresh` would start, where one is known.
    pub kernel_name: Option<String>,
    /// What can be answered. `dismiss` is valid for every kind, listed or not.
    pub actions: Vec<Action>,
    /// The sessions it is about.
    pub sessions: Vec<Session>,
    pub raised_at: Time,
    /// Of a `resume` whose kernel is busy: the part of `message` that says so, as "cell 5 has been running for 20 s".
    #[serde(default)]
    pub running: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum OfferKind {
    Resume,
    Recover,
    Migrate,
    Replace,
    Pick,
}

/// One answer: what is sent, and what the button says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Action {
    pub action: String,
    pub title: String,
}

/// The actions' ids.
pub mod actions {
    pub const RESUME: &str = "resume";
    pub const FRESH: &str = "fresh";
    pub const RESTORE: &str = "restore";
    pub const REBUILD: &str = "rebuild";
    pub const HISTORY: &str = "history";
    pub const MIGRATE: &str = "migrate";
    pub const REPLACE: &str = "replace";
    pub const DISMISS: &str = "dismiss";
    /// Before a kernelspec's name, in an offer of kind `pick`.
    pub const KERNEL_PREFIX: &str = "kernel:";
    /// Before a session's id, in an offer of kind `pick`.
    pub const SESSION_PREFIX: &str = "session:";
}
