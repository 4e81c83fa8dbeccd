//! The journal's form of an execution's end.

use super::{Effect, Running};
use crate::protocol::{EventBody, ExecutionError, ExecutionStatus, Time};

/// One that never began, or that another program ran.
pub(super) fn finished(id: &str, status: ExecutionStatus, error: Option<ExecutionError>, at: Time) -> Effect {
    Effect::Journal { execution_id: Some(id.into()), body: EventBody::finished(status, at, error) }
}

impl Running {
    /// It has ended: its count is told now, where it came late.
    pub(super) fn finished(
        &self,
        status: ExecutionStatus,
        error: Option<ExecutionError>,
        at: Time,
    ) -> Effect {
        let execution_count = self.late_count;
        let body = EventBody::Finished { status, completed_at: at, error, execution_count };
        Effect::Journal { execution_id: Some(self.job.execution_id.clone()), body }
    }
}

/// Of an execution that the kernel was through with, and never answered.
pub(super) fn interrupted() -> ExecutionError {
    let evalue = "the kernel was interrupted before it had begun, or as it ended".to_owned();
    ExecutionError { ename: "KeyboardInterrupt".into(), evalue, traceback: Vec::new() }
}
