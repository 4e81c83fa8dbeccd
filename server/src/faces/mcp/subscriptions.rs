//! Resources that an agent follows: it is told that one is different, and reads it again. Many changes at once are one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use tokio::sync::{broadcast, mpsc};

use super::resources::{Meant, meant};
use super::server::{Server, to_rpc};
use crate::protocol::EventBody;
use crate::sessions::Sessions;

/// Changes that come within so long are told as one.
const TOGETHER: Duration = Duration::from_millis(50);

/// What an agent is to be told.
enum News {
    Updated(String),
    /// There are other resources.
    Another,
}

impl Server {
    /// The older way: one request a resource.
    pub(super) fn follow(&self, uri: &str, peer: Peer<RoleServer>) -> Result<(), ErrorData> {
        let (sender, mut news) = mpsc::channel(1);
        self.watch(uri, sender)?;
        let task = tokio::spawn(async move {
            while let Some(News::Updated(uri)) = news.recv().await {
                if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                    return;
                }
            }
        });
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = followed.insert(uri.to_owned(), task.abort_handle()) {
            before.abort();
        }
        Ok(())
    }

    /// It is followed no more.
    pub(super) fn unfollow(&self, uri: &str) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = followed.remove(uri) {
            task.abort();
        }
    }

    /// What of a listener's wishes can be told.
    pub(super) fn accepted(&self, wished: &SubscriptionFilter) -> SubscriptionFilter {
        let uris = wished.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| Meant::parse(uri).is_some()).cloned();
        SubscriptionFilter::builder().resources_list_changed().resource_subscriptions(known).build()
    }

    /// The newer way: one request that stays open.
    pub(super) async fn tell_listener(&self, context: &SubscriptionContext) {
        let (sender, mut news) = mpsc::channel(1);
        for uri in context.accepted().resource_subscriptions.iter().flatten() {
            if let Err(e) = self.watch(uri, sender.clone()) {
                tracing::warn!("{uri} cannot be followed: {}", e.message);
            }
        }
        if context.accepted().resources_list_changed == Some(true) {
            tokio::spawn(tell_of_others(self.changes.subscribe(), sender));
        } else {
            drop(sender);
        }
        loop {
            let next = tokio::select! {
                next = news.recv() => next,
                () = context.cancelled() => return,
            };
            let told = match next {
                Some(News::Updated(uri)) => context.sink().notify_resource_updated(uri).await,
                Some(News::Another) => context.sink().notify_resource_list_changed().await,
                // What was followed has ended for good; the listener may stay.
                None => return context.cancelled().await,
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Sends a word whenever the resource changes, until nobody hears it.
    fn watch(&self, uri: &str, news: mpsc::Sender<News>) -> Result<(), ErrorData> {
        let uri = uri.to_owned();
        match meant(&uri)? {
            Meant::Sessions => {
                let mut changes = self.changes.subscribe();
                tokio::spawn(async move {
                    while another(&mut changes, &news).await.is_some() {
                        tokio::time::sleep(TOGETHER).await;
                        while changes.try_recv().is_ok() {}
                        if news.send(News::Updated(uri.clone())).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Meant::History { session_id } => {
                follow_journal(&self.sessions, session_id, None, uri.clone(), news)?;
            }
            Meant::Outputs { session_id, execution_id } => {
                let execution = self.sessions.execution(session_id, execution_id).map_err(to_rpc)?;
                follow_journal(&self.sessions, session_id, Some(execution.execution_id), uri.clone(), news)?;
            }
        }
        Ok(())
    }
}

async fn tell_of_others(mut changes: broadcast::Receiver<bool>, news: mpsc::Sender<News>) {
    while let Some(is_another) = another(&mut changes, &news).await {
        if is_another && news.send(News::Another).await.is_err() {
            return;
        }
    }
}

/// The next change of the sessions; of those that were missed one may have been of any kind. `None`: nobody hears it.
async fn another(changes: &mut broadcast::Receiver<bool>, news: &mpsc::Sender<News>) -> Option<bool> {
    tokio::select! {
        change = changes.recv() => match change {
            Ok(is_another) => Some(is_another),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(true),
            Err(broadcast::error::RecvError::Closed) => None,
        },
        () = news.closed() => None,
    }
}

/// Follows a session's journal: what belongs to its history, or the outputs of one execution.
fn follow_journal(
    sessions: &Arc<Sessions>,
    session_id: &str,
    of: Option<String>,
    uri: String,
    news: mpsc::Sender<News>,
) -> Result<(), ErrorData> {
    let (mut feed, _) = sessions.feed(session_id, None).map_err(to_rpc)?;
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = feed.next() => next,
                () = news.closed() => return,
            };
            let events = match next {
                Ok(Some(events)) => events,
                // Ended; it may be restarted.
                Ok(None) => {
                    tokio::select! {
                        () = feed.more() => continue,
                        () = news.closed() => return,
                    }
                }
                Err(e) if feed.is_removed() => return tracing::info!("{uri} is followed no more: {e}"),
                // It may be on a disk that is away for a while.
                Err(e) => {
                    tracing::warn!("{uri} cannot be read, and is tried again: {e}");
                    if news.is_closed() {
                        return;
                    }
                    continue;
                }
            };
            let concerns = |event: &crate::protocol::ExecutionEvent| match &of {
                Some(execution) => event.execution_id.as_ref() == Some(execution),
                None => matches!(
                    event.event,
                    EventBody::Queued { .. } | EventBody::Started { .. } | EventBody::Finished { .. }
                ),
            };
            if events.iter().any(concerns) {
                tokio::time::sleep(TOGETHER).await;
                if news.send(News::Updated(uri.clone())).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}
