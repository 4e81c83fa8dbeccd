//! The face of agents: `kernel-keeper mcp`, the Model Context Protocol on standard input and output.
//!
//! An agent sees and uses the kernels that its user sees. What it runs has the origin `mcp`, and nothing that the user has
//! open is interrupted, restarted or stopped by it unless the user allowed that. Each tool names its notebook or session:
//! there is no current one. Its end, in whatever way, ends no kernel and interrupts nothing.

mod arguments;
mod bounds;
mod calls;
mod conversations;
mod execute;
mod outputs;
mod resources;
mod server;
mod sessions;
mod subscriptions;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt;
use tokio::sync::mpsc;

use crate::paths::Folders;
use crate::protocol::{AGENT, Error, ErrorKind};
use crate::renames::Watcher;
use crate::sessions::{Event, Sessions, Settings, ThisWindow};
use server::Server;

/// How often the registry is looked at though nobody rang.
const LOOK: Duration = Duration::from_secs(5);

/// Serves one agent until the end of its input.
///
/// # Errors
/// `StoreFailed`: the registry cannot be read or written.
pub fn run(folders: Folders, may_stop_open: bool) -> Result<(), Error> {
    let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Internal, e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(|e| failed(&e))?;
    runtime.block_on(async {
        let window = ThisWindow { id: AGENT.into(), is_agent: true, ..ThisWindow::default() };
        let (sessions, events) = Sessions::open(folders, window, Settings::default())?;
        sessions.refresh(false).await?;
        let server = Server::new(sessions.clone(), may_stop_open);
        tokio::spawn(tell(server.clone(), events));
        tokio::spawn(follow(sessions.clone()));
        // At the end of its input the library still answers what was asked, if that is soon: a script writes its questions
        // and closes the pipe.
        if let Ok(service) = server.serve(rmcp::transport::stdio()).await {
            let _ = service.waiting().await;
        }
        if sessions.window_id() != AGENT {
            sessions.leave();
        }
        // Threads that read from the disk or standard input must not hold up the end.
        std::process::exit(0)
    })
}

/// Hears what happens to sessions.
async fn tell(server: Arc<Server>, mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Warning(text) => tracing::warn!("{text}"),
            Event::Created(_) | Event::Ended(_) => server.sessions_changed(true),
            Event::Updated(_) | Event::Disconnected(_) => server.sessions_changed(false),
            Event::Offer(_) | Event::OfferWithdrawn(_) | Event::Followed(..) | Event::Conversations => {}
        }
    }
}

/// Learns of sessions that others start.
async fn follow(sessions: Arc<Sessions>) {
    let (sender, mut hints) = mpsc::unbounded_channel();
    let bell = sessions.folders.bell();
    // Held as long as it is followed.
    let _watcher = crate::paths::ring(&bell).ok().and_then(|()| Watcher::new(&bell, sender).ok());
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(_) = hints.recv() => while hints.try_recv().is_ok() {},
            _ = tick.tick() => {}
        }
        if let Err(e) = sessions.refresh(true).await {
            tracing::warn!("{e}");
        }
        // One that was taken up by its token says that it is there.
        if let Err(e) = sessions.still_here() {
            tracing::warn!("{e}");
        }
    }
}
