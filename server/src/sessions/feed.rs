//! Following a session's events: from the journal, at the reader's own pace. What a slow reader has not taken waits on disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::history::Names;
use super::{Sessions, store_failed};
use crate::journal::Reader;
use crate::protocol::{Error, ExecutionEvent, StoredEvent};

/// Bytes of events that are in memory at once.
const BATCH: usize = 256 << 10;

/// How often a journal that cannot be read is tried again, and how soon at the latest.
const FAILURES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// A subscription's place in a journal.
pub struct Feed {
    sessions: Arc<Sessions>,
    session_id: String,
    reader: Option<Reader>,
    after: u64,
    position: watch::Receiver<u64>,
    /// How often in a row it could not be read.
    failures: u32,
}

impl Feed {
    /// The next events, in order; waits until there are some. `None`: the session has ended and all is read.
    ///
    /// # Errors
    /// The journal could not be read for at least 5 s. Asked again, it goes on from where it was.
    pub async fn next(&mut self) -> Result<Option<Vec<ExecutionEvent>>, Error> {
        loop {
            // Seen before reading, so that what comes while we read wakes us again.
            self.position.borrow_and_update();
            // Read on this thread: a batch is small, and memory that one thread takes and another frees stays taken.
            let events = match self.read() {
                Ok(events) => events,
                Err(e) if self.failures < FAILURES => {
                    // It may be made anew just now.
                    self.failures += 1;
                    tracing::warn!(session = %self.session_id, "not read, and tried again: {e}");
                    let _ = tokio::time::timeout(TRY_AGAIN, self.position.changed()).await;
                    continue;
                }
                Err(e) => {
                    self.failures = 0;
                    return Err(e);
                }
            };
            self.failures = 0;
            if let Some(last) = events.last() {
                self.after = last.seq;
                let names = self.sessions.names(&self.session_id);
                return Ok(Some(events.into_iter().map(|event| self.named(event, &names)).collect()));
            }
            if !self.sessions.live.contains_key(&self.session_id) && self.sessions.has_ended(&self.session_id)
            {
                return Ok(None);
            }
            if self.reader.is_none() {
                // One that is made, or put back, tells nobody.
                let _ = tokio::time::timeout(TRY_AGAIN, self.position.changed()).await;
            } else if self.position.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Whether there is no such session any more.
    pub fn is_removed(&self) -> bool {
        !self.sessions.folders.session(&self.session_id).exists()
    }

    fn read(&mut self) -> Result<Vec<StoredEvent>, Error> {
        // First closed: SQLite shares one file's state between the connections of a process.
        self.reader = self.reader.take().filter(|reader| !reader.is_replaced());
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.sessions.reader(&self.session_id)?,
        };
        let events = reader.events(self.after, BATCH).map_err(store_failed)?;
        // A journal that was not there yet is looked for again.
        self.reader = reader.exists().then_some(reader);
        Ok(events)
    }

    /// After the session's end: waits until it is heard of again, as after a restart.
    pub async fn more(&mut self) {
        if self.position.changed().await.is_err() {
            std::future::pending().await
        }
    }

    fn named(&self, event: StoredEvent, names: &Names) -> ExecutionEvent {
        ExecutionEvent {
            session_id: self.session_id.clone(),
            seq: event.seq,
            execution_id: event.execution_id,
            notebook_uri: event.notebook.and_then(|number| names.get(&number).cloned()),
            cell: event.cell,
            event: event.body,
        }
    }
}

impl Sessions {
    /// Follows a session from after `after_seq`, or from now on; with it the last sequence number that there is.
    pub fn feed(self: &Arc<Self>, session_id: &str, after_seq: Option<u64>) -> Result<(Feed, u64), Error> {
        self.must_exist(session_id)?;
        let position = self.position(session_id).subscribe();
        let reader = self.reader(session_id)?;
        let last_seq = reader.last_seq().map_err(store_failed)?;
        let reader = reader.exists().then_some(reader);
        let after = after_seq.unwrap_or(last_seq);
        let session_id = session_id.to_owned();
        Ok((Feed { sessions: self.clone(), session_id, reader, after, position, failures: 0 }, last_seq))
    }

    fn has_ended(&self, session_id: &str) -> bool {
        let row = self.registry().session(session_id);
        row.is_ok_and(|row| row.is_none_or(|row| !row.live))
    }
}
