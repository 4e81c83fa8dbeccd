//! What happens to the session while somebody sits at its console: its end, and a new kernel under it.
//!
//! Leaves out what code does: that is in the journal.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::protocol::{EndReason, Error, ErrorKind, Session, Time};
use crate::sessions::{Event, plain};

/// A thing to tell.
pub enum News {
    /// A sentence; the console goes on.
    Said(String),
    /// The session has ended.
    Over(Error),
}

/// Follows one session.
pub struct Following {
    id: String,
    events: UnboundedReceiver<Event>,
    /// Since when the kernel runs that was told of last.
    started_at: Time,
}

impl Following {
    pub fn new(events: UnboundedReceiver<Event>, session: &Session) -> Following {
        Following { id: session.id.clone(), events, started_at: session.started_at }
    }

    /// Waits for news. Nothing is lost where it is not awaited to its end.
    pub async fn next(&mut self) -> News {
        while let Some(event) = self.events.recv().await {
            match event {
                Event::Ended(session) if session.id == self.id => return News::Over(over(&session)),
                Event::Updated(session)
                    if session.id == self.id
                        && session.pid.is_some()
                        && session.started_at != self.started_at =>
                {
                    self.started_at = session.started_at;
                    return News::Said("The kernel was restarted: its variables are gone.".into());
                }
                _ => {}
            }
        }
        std::future::pending().await
    }
}

/// Why the console ends.
pub fn over(session: &Session) -> Error {
    let how = match session.end_reason {
        Some(EndReason::Stopped) => "was stopped",
        Some(EndReason::Exited) => "has exited",
        Some(EndReason::Crashed) => "has crashed",
        Some(EndReason::Lost) => "was lost",
        None => "has ended",
    };
    let what = format!("the kernel of {} {how}", plain::line(&session.label));
    Error::new(ErrorKind::SessionEnded, what).with("sessionId", session.id.as_str())
}
