//! What is told unasked. Between what happens and a client that reads slowly stands one place, in which a session's newer
//! state replaces the older: memory is bounded by the number of sessions and offers, however long the client stalls.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tower_lsp::Client;
use tower_lsp::ls_types::notification::Notification;

use super::transport::Wrapped;
use crate::protocol::{ExecutionEvent, SessionState};
use crate::sessions::Event;

macro_rules! notification {
    ($($name:ident($params:ty) = $method:literal),* $(,)?) => {$(
        struct $name;
        impl Notification for $name {
            type Params = $params;
            const METHOD: &'static str = $method;
        }
    )*};
}

notification! {
    SessionCreated(Value) = "keeper/sessionCreated",
    SessionUpdated(Value) = "keeper/sessionUpdated",
    SessionDisconnected(Value) = "keeper/sessionDisconnected",
    SessionEnded(Value) = "keeper/sessionEnded",
    OfferRaised(Value) = "keeper/offer",
    OfferWithdrawn(Value) = "keeper/offerWithdrawn",
    ConversationsChanged(Value) = "keeper/conversationsChanged",
    Followed(Value) = "keeper/followed",
    Executed(Wrapped) = "keeper/executionEvent",
}

/// Tells the client, in order, one at a time. Ends with the sender.
pub async fn pump(client: Client, mut events: mpsc::UnboundedReceiver<Event>) {
    let waiting: Arc<Mutex<Vec<Event>>> = Arc::default();
    let more = Arc::new(Notify::new());
    let collected = (waiting.clone(), more.clone());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            collect(&mut collected.0.lock().unwrap_or_else(PoisonError::into_inner), event);
            collected.1.notify_one();
        }
    });
    loop {
        more.notified().await;
        loop {
            let next = {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.is_empty() { None } else { Some(waiting.remove(0)) }
            };
            let Some(next) = next else { break };
            tell(&client, next).await;
        }
    }
}

/// Adds an event; a newer update of a session replaces one that was not told yet.
fn collect(waiting: &mut Vec<Event>, event: Event) {
    if let Event::Updated(new) = &event {
        let last = waiting.iter_mut().rev().find_map(|other| match other {
            Event::Updated(old) if old.id == new.id => Some(Ok(old)),
            Event::Created(old) if old.id == new.id => Some(Ok(old)),
            Event::Disconnected(old) | Event::Ended(old) if old.id == new.id => Some(Err(())),
            _ => None,
        });
        if let Some(Ok(old)) = last {
            *old = new.clone();
            return;
        }
    }
    if let Event::OfferWithdrawn(id) = &event
        && let Some(at) =
            waiting.iter().position(|e| matches!(e, Event::Offer(offer) if offer.offer_id == *id))
    {
        waiting.remove(at);
        return;
    }
    if matches!(event, Event::Conversations) && waiting.iter().any(|e| matches!(e, Event::Conversations)) {
        return;
    }
    waiting.push(event);
}

async fn tell(client: &Client, event: Event) {
    match event {
        Event::Created(session) => {
            client.send_notification::<SessionCreated>(json!({ "session": session })).await
        }
        Event::Updated(session) => {
            client.send_notification::<SessionUpdated>(json!({ "session": session })).await
        }
        Event::Disconnected(session) => {
            client.send_notification::<SessionDisconnected>(json!({ "session": session })).await;
        }
        Event::Ended(mut session) => {
            session.state = SessionState::Ended;
            client.send_notification::<SessionEnded>(json!({ "session": session })).await;
        }
        Event::Offer(offer) => client.send_notification::<OfferRaised>(json!({ "offer": offer })).await,
        Event::OfferWithdrawn(id) => {
            client.send_notification::<OfferWithdrawn>(json!({ "offerId": id })).await
        }
        Event::Followed(notebook_uri, session) => {
            let params = json!({ "notebookUri": notebook_uri, "session": session });
            client.send_notification::<Followed>(params).await;
        }
        Event::Conversations => client.send_notification::<ConversationsChanged>(json!({})).await,
        Event::Warning(text) => client.log_message(tower_lsp::ls_types::MessageType::WARNING, text).await,
    }
}

/// Tells a subscriber one event.
pub async fn executed(client: &Client, event: ExecutionEvent) {
    client.send_notification::<Executed>(Wrapped::new(&event)).await;
}
