//! The keeper's part in the registry, which other processes keep locked now and then, and a frozen one for long. The loop
//! never waits for it: what is asked for waits its turn while output goes on, what is only told is told again later.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::frames::{Answer, Request};
use super::record::open_registry;
use super::run::Keeper;
use crate::protocol::{Error, ErrorKind};
use crate::registry::{self, Registry};

/// How long a request waits for the registry, and for how long between two attempts, each of which holds up the loop.
const WAITS: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(100);
/// How long a keeper whose session is over stays to say so.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What the registry does not know yet.
#[derive(Default)]
pub(super) struct Owed {
    /// Requests that change it, in the order in which they came.
    waiting: VecDeque<Waiting>,
    /// The session's row is not what the record says.
    pub is_behind: bool,
    /// Its notebooks were not compared with the record yet.
    pub is_unsettled: bool,
    /// The end was not told.
    pub is_end_untold: bool,
}

struct Waiting {
    connection: u64,
    id: u64,
    request: Request,
    next: Instant,
    deadline: Instant,
}

impl Owed {
    /// When something is to be tried again.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.next)
    }

    pub fn is_any(&self) -> bool {
        self.is_behind || self.is_unsettled || !self.waiting.is_empty()
    }
}

impl Keeper {
    /// Carries a request out, or lets it wait for those before it and for the registry.
    pub(super) fn take_in_turn(&mut self, connection: u64, id: u64, request: Request) {
        let changes_registry = matches!(
            request,
            Request::Migrate(_)
                | Request::Share(_)
                | Request::Unshare { .. }
                | Request::Take { .. }
                | Request::LetGo { .. }
        );
        if changes_registry {
            let now = Instant::now();
            self.registry.waiting.push_back(Waiting {
                connection,
                id,
                request,
                next: now,
                deadline: now + WAITS,
            });
            if self.registry.waiting.len() == 1 {
                self.try_waiting();
            }
        } else if let Err(error) = self.handle(connection, id, request) {
            self.answers.push((connection, Answer::Failed { id, error: error.into() }));
        }
    }

    /// Tries the requests that wait, until one has to wait on.
    pub(super) fn try_waiting(&mut self) {
        while let Some(mut first) = self.registry.waiting.pop_front() {
            let now = Instant::now();
            match self.handle(first.connection, first.id, first.request.clone()) {
                Ok(()) => {}
                Err(error) if is_busy(&error) && now < first.deadline => {
                    first.next = now + AGAIN;
                    return self.registry.waiting.push_front(first);
                }
                Err(mut error) => {
                    error.data.remove(BUSY);
                    self.answers
                        .push((first.connection, Answer::Failed { id: first.id, error: error.into() }));
                }
            }
        }
    }

    /// From time to time: what could not be told is told.
    pub(super) fn tick_registry(&mut self) {
        if std::mem::take(&mut self.registry.is_unsettled) {
            self.settle_bindings();
            self.save_record();
        }
        if self.registry.is_behind
            && let Ok(registry) = open_registry(&self.folders)
        {
            self.put_row(&registry);
        }
    }

    pub(super) fn put_row(&mut self, registry: &Registry) {
        let put = registry.put_session(&self.record.row());
        self.registry.is_behind = matches!(put, Err(registry::Error::Busy));
        if let Err(e) = put {
            tracing::warn!("the registry's row could not be written: {e}");
        }
    }

    /// Tells the session's end, and remembers where that could not be.
    pub(super) fn tell_end(&mut self) {
        let told = open_registry(&self.folders).and_then(|registry| {
            self.record.end_in(&registry)?;
            registry.note(&self.record.end_event())
        });
        self.registry.is_end_untold = matches!(told, Err(registry::Error::Busy));
        if let Err(e) = told {
            tracing::warn!("the registry does not know the end yet: {e}");
        }
    }

    /// Nothing else is left to do: the registry is waited for, for a moment. After that whoever finds the keeper gone tells
    /// it, by the record.
    pub(super) async fn tell_end_at_last(&mut self) {
        let deadline = Instant::now() + LAST_WORD;
        while self.registry.is_end_untold && Instant::now() < deadline {
            tokio::time::sleep(AGAIN).await;
            self.tell_end();
        }
        let _ = crate::paths::ring(&self.folders.bell());
    }

    pub(super) fn registry(&self) -> Result<Registry, Error> {
        open_registry(&self.folders).map_err(|e| refused(e, ""))
    }
}

/// What the registry's refusal means to who asked.
pub(super) fn refused(e: registry::Error, key: &str) -> Error {
    match e {
        registry::Error::Taken { session_id } => {
            let what = format!("{key} has a live kernel already");
            Error::new(ErrorKind::NotebookHasSession, what).with("sessionId", session_id)
        }
        other => {
            let is_busy = matches!(other, registry::Error::Busy);
            let error =
                Error::new(ErrorKind::StoreFailed, format!("the registry could not be written: {other}"));
            if is_busy { error.with(BUSY, true) } else { error }
        }
    }
}

/// What marks an error that may be none in a moment.
const BUSY: &str = "busy";

pub(super) fn is_busy(error: &Error) -> bool {
    error.data.contains_key(BUSY)
}
