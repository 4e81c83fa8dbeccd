//! The four message channels to one kernel: iopub, shell, control, stdin.
//!
//! Guarantees: messages of one channel come in order and once; waiting for one may be cancelled at any time
//! without losing any (the sockets keep what is half read); nothing is read before it is asked for, so memory
//! is bounded here and a slow keeper makes the kernel's side queue. Leaves out the meaning of messages, and
//! noticing that the kernel died: a socket that ends only falls silent (watch the process).

mod sockets;

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use zeromq::{SocketRecv, SocketSend, SubSocket, ZmqError, ZmqMessage, ZmqResult};

use super::connection::ConnectionFile;
use super::message::{Decoded, Message, Signer};
pub(super) use sockets::wait_until_bound;
use sockets::{Sockets, connect_iopub};

/// After so many iopub messages in a row the others are asked first once: a flood must not starve the
/// reply to an interrupt.
const IOPUB_IN_A_ROW: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    Iopub,
    Shell,
    Control,
    Stdin,
}

/// What came on a channel.
#[derive(Debug)]
pub struct Incoming {
    pub channel: Channel,
    pub decoded: Decoded,
    /// Bytes on the wire. After an iopub message over 8 MiB the keeper should call
    /// [`Channels::replace_iopub`]: its socket keeps a buffer of that size.
    pub size: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the kernel did not open its {what} channel within {} ms", after.as_millis())]
    Deadline { what: &'static str, after: Duration },
    #[error("the kernel's {what} channel cannot be connected: {source}")]
    Connect { what: &'static str, source: Box<ZmqError> },
    #[error("the message could not be sent on {channel:?}: {reason}")]
    Send { channel: Channel, reason: String },
    #[error("the connection of {channel:?} broke: {reason}")]
    Broken { channel: Channel, reason: String },
}

/// The owner of the sockets to one kernel. One a keeper.
pub struct Channels {
    connection: ConnectionFile,
    identity: String,
    signer: Signer,
    sockets: Sockets,
    replacement: Option<Replacement>,
    iopub_in_a_row: u32,
}

/// A new iopub socket that takes over at a message which both sockets get: the `idle` of request `marker`.
struct Replacement {
    marker: String,
    /// The new socket until the old one reached the marker; afterwards the new one skips to it.
    waiting: Option<SubSocket>,
}

impl Channels {
    /// Connects to a kernel that is starting or running. Waits for its sockets up to `limit`; the future may be
    /// dropped at any time (when the kernel's process died, for instance).
    ///
    /// `identity` is that of shell and stdin, which the kernel pairs by it. The same one after a restart of the
    /// keeper gets what the kernel still sends in reply to requests of before.
    ///
    /// The kernel takes a moment to see the iopub subscription: send `kernel_info_request` and go on when its
    /// `idle` came on iopub, else the first outputs can be missing. That `idle` can itself be missed (mostly over
    /// tcp): when it is not there 50 ms after the reply, ask again. Of a busy kernel ask on control.
    pub async fn connect(
        connection: &ConnectionFile,
        identity: &str,
        limit: Duration,
    ) -> Result<Channels, Error> {
        Ok(Channels {
            sockets: Sockets::connect(connection, identity, limit).await?,
            connection: connection.clone(),
            identity: identity.to_owned(),
            signer: Signer::new(&connection.key),
            replacement: None,
            iopub_in_a_row: 0,
        })
    }

    /// Makes all sockets anew, after a restart of the kernel: the old ones do not reconnect, and would say Ok to
    /// a message that then vanishes. When it fails or is dropped, only `reconnect` is of use.
    pub async fn reconnect(&mut self, limit: Duration) -> Result<(), Error> {
        self.replacement = None;
        // Closed before the new ones come: a kernel refuses a second peer of the same identity.
        self.sockets = Sockets::unconnected();
        // The sockets' writer tasks own half of each connection and end when they are polled next.
        tokio::task::yield_now().await;
        self.sockets = Sockets::connect(&self.connection, &self.identity, limit).await?;
        Ok(())
    }

    /// The next message of any channel. Cancel-safe. An error means that the channel is of no use any more:
    /// [`Channels::reconnect`].
    pub async fn recv(&mut self) -> Result<Incoming, Error> {
        loop {
            let (channel, frames) = self.next_frames().await;
            let frames = frames.map_err(|error| Error::Broken { channel, reason: error.to_string() })?;
            let size = frames.iter().map(|frame| frame.len()).sum();
            let decoded = Decoded::from_frames(&frames, &self.signer);
            if channel == Channel::Iopub && self.is_for_replacement_only(&decoded) {
                continue;
            }
            return Ok(Incoming { channel, decoded, size });
        }
    }

    /// What can be had without waiting.
    pub fn try_recv(&mut self) -> Option<Result<Incoming, Error>> {
        self.recv().now_or_never()
    }

    /// Sends on shell, control or stdin. Ok means queued, not received. Never waits in practice (the queue holds
    /// 100,000 messages).
    pub async fn send(&mut self, channel: Channel, message: &Message) -> Result<(), Error> {
        let frames = message.encode(&self.signer);
        let sent = match channel {
            Channel::Shell => self.sockets.shell.send(frames).await,
            Channel::Control => self.sockets.control.send(frames).await,
            Channel::Stdin => self.sockets.stdin.send(frames).await,
            Channel::Iopub => Err(ZmqError::Other("iopub only receives")),
        };
        sent.map_err(|error| Error::Send { channel, reason: error.to_string() })
    }

    /// Exchanges the iopub socket to give the memory of a huge message back, without losing or doubling any.
    ///
    /// `silent` is the request of [`super::unlimited_iopub`]: it is sent once the new socket is connected, which
    /// makes the new one as lossless as the old one; its `idle` is where the new one takes over. Its reply comes as
    /// any reply does.
    pub async fn replace_iopub(&mut self, channel: Channel, silent: &Message) -> Result<(), Error> {
        let waiting = connect_iopub(&self.connection, Instant::now(), Duration::from_secs(5)).await?;
        self.replacement = Some(Replacement { marker: silent.header.msg_id.clone(), waiting: Some(waiting) });
        self.send(channel, silent).await
    }

    /// Whether an exchange of [`Channels::replace_iopub`] is under way.
    pub fn is_replacing_iopub(&self) -> bool {
        self.replacement.is_some()
    }

    async fn next_frames(&mut self) -> (Channel, ZmqResult<ZmqMessage>) {
        let Sockets { iopub, shell, control, stdin } = &mut self.sockets;
        if self.iopub_in_a_row >= IOPUB_IN_A_ROW {
            self.iopub_in_a_row = 0;
            // One by one: a message that was taken and not returned would be lost.
            if let Some(frames) = control.recv().now_or_never() {
                return (Channel::Control, frames);
            }
            if let Some(frames) = stdin.recv().now_or_never() {
                return (Channel::Stdin, frames);
            }
            if let Some(frames) = shell.recv().now_or_never() {
                return (Channel::Shell, frames);
            }
        }
        tokio::select! {
            biased;
            frames = iopub.recv() => {
                self.iopub_in_a_row += 1;
                (Channel::Iopub, frames)
            }
            frames = control.recv() => (Channel::Control, frames),
            frames = stdin.recv() => (Channel::Stdin, frames),
            frames = shell.recv() => (Channel::Shell, frames),
        }
    }

    /// Moves an exchange of the iopub socket on. True for a message that the old socket delivered already.
    fn is_for_replacement_only(&mut self, decoded: &Decoded) -> bool {
        let Some(replacement) = &mut self.replacement else { return false };
        let at_marker = is_idle_of(decoded, &replacement.marker);
        match (replacement.waiting.take(), at_marker) {
            (Some(new), true) => {
                self.sockets.iopub = new; // This message came from the old one: hand it on.
                false
            }
            (Some(new), false) => {
                replacement.waiting = Some(new);
                false
            }
            (None, at_marker) => {
                if at_marker {
                    self.replacement = None;
                }
                true
            }
        }
    }
}

fn is_idle_of(decoded: &Decoded, request: &str) -> bool {
    matches!(decoded, Decoded::Message(message) if message.msg_type() == "status"
        && message.content["execution_state"] == "idle"
        && message.parent_id() == Some(request))
}
