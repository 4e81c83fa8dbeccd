//! Snapshots: the variables of a Python kernel, kept in a file; and undo.

use serde::{Deserialize, Serialize};

use super::requests::wire;
use super::{Rebuild, Session, Time};

wire! {
    /// A variable that is not in a snapshot, or was not restored from it.
    SkippedVariable { name: String, reason: String }
    /// What a snapshot holds.
    Snapshot {
        name: String,
        /// The session that it was taken of.
        session_id: String,
        at: Time,
        #[cfg_attr(test, ts(type = "number"))]
        bytes: u64,
        /// Their names.
        variables: Vec<String>,
        /// What could not be pickled.
        skipped: Vec<SkippedVariable>,
    }

    /// `keeper/snapshot/save`
    SaveSnapshotParams { session_id: String, name: String }
    SnapshotResult { snapshot: Snapshot }
    /// `keeper/snapshot/restore`
    RestoreSnapshotParams {
        session_id: String,
        name: String,
        /// Restart the kernel first; default false. A session that has ended is started in any case.
        restart: Option<bool>,
    }
    RestoreSnapshotResult {
        session: Session,
        variables: Vec<String>,
        skipped: Vec<SkippedVariable>,
        /// Sentences for people: another version of Python or of a package than the snapshot was taken with.
        warnings: Vec<String>,
    }
    /// Of `keeper/snapshot/list`: of all the notebook's sessions, the latest first.
    SnapshotsResult { snapshots: Vec<Snapshot> }
    /// `keeper/snapshot/remove`
    RemoveSnapshotParams { session_id: String, name: String }
    /// False: there was none.
    RemoveSnapshotResult { removed: bool }

    /// `keeper/replayTo`
    ReplayToParams { session_id: String, execution_id: String }
    /// The fresh kernel's session, and what was queued there.
    ReplayToResult { session: Session, rebuild: Rebuild }
}
