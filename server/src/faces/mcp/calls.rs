//! The calls that are being answered, and which of them the agent took back.
//!
//! Only the agent's own word takes a call back: the end of its input does not, or an agent that ends would interrupt what
//! it left running.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::watch;

/// Each is known from its arrival to its answer.
pub struct Calls {
    open: Mutex<HashMap<RequestId, watch::Sender<bool>>>,
}

/// A call that is being answered.
pub struct Call<'a> {
    calls: &'a Calls,
    id: RequestId,
    taken_back: watch::Receiver<bool>,
}

impl Calls {
    pub fn new() -> Calls {
        Calls { open: Mutex::default() }
    }

    /// A call has arrived.
    pub fn begin(&self, id: RequestId) -> Call<'_> {
        let (sender, taken_back) = watch::channel(false);
        self.open().insert(id.clone(), sender);
        Call { calls: self, id, taken_back }
    }

    /// The agent takes one back.
    pub fn take_back(&self, id: &RequestId) {
        if let Some(call) = self.open().get(id) {
            call.send_replace(true);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, watch::Sender<bool>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    /// Returns when the agent takes it back.
    pub async fn taken_back(&self) {
        let mut taken_back = self.taken_back.clone();
        if taken_back.wait_for(|is_so| *is_so).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.calls.open().remove(&self.id);
    }
}
