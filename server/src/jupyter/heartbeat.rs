//! The heartbeat: does the kernel's process still answer, even while a cell runs?
//!
//! Its own socket and owner, so that waiting for a beat never holds up the channels. A missed beat is a hint
//! (a suspended machine, a debugger), never a proof of death.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use zeromq::{ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend};

use super::channels::wait_until_bound;
use super::connection::{ConnectionFile, Transport};

/// One connection to a kernel's heartbeat channel; it is made at the first beat and again after a missed one.
pub struct Heartbeat {
    connection: ConnectionFile,
    socket: Option<ReqSocket>,
}

impl Heartbeat {
    pub fn new(connection: &ConnectionFile) -> Heartbeat {
        Heartbeat { connection: connection.clone(), socket: None }
    }

    /// True when the kernel answered within `limit`. Dropping the future counts as a miss.
    pub async fn beat(&mut self, limit: Duration) -> bool {
        // Taken out: a request without its answer makes the socket useless, so it only goes back on success.
        let socket = self.socket.take();
        let is_ipc = self.connection.transport == Transport::Ipc;
        if socket.is_none() && is_ipc && !self.connection.socket_path(self.connection.hb_port).exists() {
            return true; // Swept away: it cannot be asked any more, which says nothing about it.
        }
        match timeout(limit, exchange(&self.connection, socket, limit)).await {
            Ok(Some(socket)) => {
                self.socket = Some(socket);
                true
            }
            _ => false,
        }
    }
}

async fn exchange(
    connection: &ConnectionFile,
    socket: Option<ReqSocket>,
    limit: Duration,
) -> Option<ReqSocket> {
    let mut socket = match socket {
        Some(socket) => socket,
        None => {
            let endpoint = connection.endpoint(connection.hb_port);
            wait_until_bound(&endpoint, "heartbeat", Instant::now(), limit).await.ok()?;
            let mut socket = ReqSocket::with_options(SocketOptions::default());
            socket.connect(&endpoint).await.ok()?;
            socket
        }
    };
    socket.send("ping".into()).await.ok()?;
    socket.recv().await.ok()?;
    Some(socket)
}
