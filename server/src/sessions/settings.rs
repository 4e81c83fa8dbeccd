//! The user's settings, section `kernelKeeper`.
//!
//! Reading never fails: what makes no sense is as by default.

use std::time::Duration;

use serde_json::Value;

/// How often a window says that it is there, at least.
const SIGN: Duration = Duration::from_secs(5);

/// What happens when a notebook whose kernel lives is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOpen {
    #[default]
    Ask,
    Resume,
    /// Acts at the first run, and asks where the old kernel is busy or attached elsewhere.
    Fresh,
}

/// What happens when a notebook was renamed on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRename {
    #[default]
    Ask,
    Migrate,
    Ignore,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub on_open: OnOpen,
    pub on_rename: OnRename,
    /// Bytes of one session's journal; beyond, its oldest outputs go.
    pub journal_max_bytes: u64,
    /// Days for which an ended session is kept.
    pub keep_ended_days: u32,
    /// A kernel that is idle, attached nowhere and not pinned is stopped after so long; `None`: never.
    pub stop_idle_after: Option<Duration>,
    /// A kernel's variables are saved before a person stops it.
    pub snapshot_on_stop: bool,
    /// Live sessions that there may be.
    pub max_sessions: u32,
    /// A window whose sidecar gave no sign for so long is disconnected; sleep does not count.
    pub silent_after: Duration,
    /// How often windows are looked at for that.
    pub clean_up_interval: Duration,
    /// A disconnected window is forgotten after so long.
    pub forget_after: Duration,
    /// A conversation that a turn is added to here is forgotten so long after its last one, and never while its session
    /// lives. `None`: nobody says, and what was said of it elsewhere counts.
    pub conversation_expire_after: Option<Duration>,
    /// How many turns of one are told where nobody says how many.
    pub conversation_max_turns: u32,
    /// Conversations that there may be.
    pub max_conversations: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            on_open: OnOpen::default(),
            on_rename: OnRename::default(),
            journal_max_bytes: 1 << 30,
            keep_ended_days: 30,
            stop_idle_after: None,
            snapshot_on_stop: false,
            max_sessions: 1_000,
            silent_after: Duration::from_secs(300),
            clean_up_interval: Duration::from_secs(60),
            forget_after: Duration::from_secs(24 * 3_600),
            conversation_expire_after: environment("KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS")
                .and_then(|hours| length(hours, 3_600.0)),
            conversation_max_turns: environment("KERNEL_KEEPER_CONVERSATION_MAX_TURNS")
                .and_then(count)
                .unwrap_or(100),
            max_conversations: environment("KERNEL_KEEPER_MAX_CONVERSATIONS")
                .and_then(count)
                .unwrap_or(1_000),
        }
    }
}

impl Settings {
    /// How often a window says that it is there: often enough for its limit.
    pub fn sign_every(&self) -> Duration {
        SIGN.min(self.silent_after / 3).max(Duration::from_millis(50))
    }

    /// Reads the section. What is absent or makes no sense is as by default; nested (`journal: { … }`) or dotted names.
    pub fn read(section: &Value) -> Settings {
        let defaults = Settings::default();
        let get = |name: &str| {
            let nested = name.split('.').fold(section, |value, part| &value[part]);
            if nested.is_null() { section[name].clone() } else { nested.clone() }
        };
        let seconds = |name: &str, unit: f64| length(get(name).as_f64()?, unit);
        Settings {
            on_open: match get("onOpen").as_str() {
                Some("resume") => OnOpen::Resume,
                Some("fresh") => OnOpen::Fresh,
                _ => OnOpen::Ask,
            },
            on_rename: match get("onRename").as_str() {
                Some("migrate") => OnRename::Migrate,
                Some("ignore") => OnRename::Ignore,
                _ => OnRename::Ask,
            },
            journal_max_bytes: get("journal.maxBytesPerSession")
                .as_u64()
                .map_or(defaults.journal_max_bytes, |n| n.max(1 << 20)),
            keep_ended_days: get("journal.keepEndedDays")
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(defaults.keep_ended_days),
            stop_idle_after: seconds("stopIdleAfter", 60.0),
            snapshot_on_stop: get("snapshotOnStop") == true,
            max_sessions: get("maxSessions")
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(defaults.max_sessions),
            silent_after: seconds("windows.silentAfterSeconds", 1.0).unwrap_or(defaults.silent_after),
            clean_up_interval: seconds("windows.cleanUpIntervalSeconds", 1.0)
                .unwrap_or(defaults.clean_up_interval),
            forget_after: seconds("windows.forgetAfterHours", 3_600.0).unwrap_or(defaults.forget_after),
            conversation_expire_after: seconds("conversations.expireAfterHours", 3_600.0)
                .or(defaults.conversation_expire_after),
            conversation_max_turns: get("conversations.maxTurns")
                .as_f64()
                .and_then(count)
                .unwrap_or(defaults.conversation_max_turns),
            max_conversations: get("conversations.maxConversations")
                .as_f64()
                .and_then(count)
                .unwrap_or(defaults.max_conversations),
        }
    }
}

/// A figure for where there is no editor, and so no setting.
fn environment(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

fn length(number: f64, unit: f64) -> Option<Duration> {
    // Beyond a century it is for ever.
    Some(number).filter(|n| *n > 0.0).and_then(|n| Duration::try_from_secs_f64((n * unit).min(3.2e9)).ok())
}

fn count(number: f64) -> Option<u32> {
    Some(number as u32).filter(|n| *n > 0 && f64::from(*n) == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nonsense_is_as_by_default() {
        assert_eq!(Settings::read(&json!(null)), Settings::default());
        assert_eq!(Settings::read(&json!({"onOpen": 3, "journal": "x"})), Settings::default());
        assert_eq!(Settings::read(&json!({"onOpen": "resume"})).on_open, OnOpen::Resume);
        assert_eq!(Settings::read(&json!({"journal": {"keepEndedDays": 2}})).keep_ended_days, 2);
        let quick =
            Settings::read(&json!({"windows": {"silentAfterSeconds": 0.5, "cleanUpIntervalSeconds": -1}}));
        assert_eq!(quick.silent_after, Duration::from_millis(500));
        assert_eq!(quick.clean_up_interval, Settings::default().clean_up_interval);
        assert_eq!(Settings::read(&json!({"journal.keepEndedDays": 2})).keep_ended_days, 2);
        let few =
            |most| Settings::read(&json!({"conversations": {"maxConversations": most}})).max_conversations;
        assert_eq!(
            [few(json!(3)), few(json!(0)), few(json!(1.5)), few(json!("3"))],
            [3, 1_000, 1_000, 1_000]
        );
    }
}
