//! The four message channels to one kernel: iopub, shell, control, stdin.
//!
//! Guarantees: messages of one channel come in order and once; waiting for one may be cancelled at any time
//! without losing any (the sockets keep what is half read); nothing is read before it is asked for, so memory
//! is bounded here and a slow keeper makes the kernel's side queue. Leaves out the meaning of messages, and
//! noticing that the kernel died: a socket that ends only falls silent (watch the process).

mod sockets;

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until, timeout_at};
use zeromq::{SocketRecv, SocketSend, SubSocket, ZmqError, ZmqMessage, ZmqResult};

use super::connection::{ConnectionError, ConnectionFile};
use super::gaps::Counter;
use super::message::{Decoded, Message};
use super::signing::Signer;
use crate::protocol::Time;
pub(super) use sockets::wait_until_bound;
use sockets::{Sockets, connect_iopub};

/// After so many iopub messages in a row the others are asked first once: a flood must not starve the
/// reply to an interrupt.
const IOPUB_IN_A_ROW: u32 = 64;
/// How long the two sockets of an exchange have to come to one point.
const EXCHANGE: Duration = Duration::from_secs(10);

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
    /// [`Channels::exchange_iopub`]: its socket keeps a buffer of that size.
    pub size: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the kernel did not open its {what} channel within {} ms", after.as_millis())]
    Deadline { what: &'static str, after: Duration },
    #[error("the kernel's {what} channel cannot be connected: {source}")]
    Connect { what: &'static str, source: Box<ZmqError> },
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the message could not be sent on {channel:?}: {reason}")]
    Send { channel: Channel, reason: String },
    #[error("the connection of {channel:?} broke: {reason}")]
    Broken { channel: Channel, reason: String },
}

/// The owner of the sockets to one kernel. One a keeper.
pub struct Channels {
    signer: Signer,
    sockets: Sockets,
    /// Where iopub is listened to; `None` until [`Channels::subscribe`].
    iopub_endpoint: Option<String>,
    exchange: Option<Exchange>,
    iopub_in_a_row: u32,
    /// Of what comes on any channel, from the first message on.
    counter: Counter,
}

/// A second iopub socket that takes over from the first at a message which both get: the `idle` of request `marker`.
struct Exchange {
    marker: String,
    new: SubSocket,
    /// Each is read up to the marker, and then rests until the other is there, too.
    old_is_there: bool,
    new_is_there: bool,
    deadline: Instant,
}

impl Channels {
    /// Connects to a kernel that is starting or running, without its output: [`Channels::subscribe`] comes next. Waits for its
    /// sockets up to `limit`; the future may be dropped at any time (when the kernel's process died, for instance).
    ///
    /// `identity` is that of shell and stdin, which the kernel pairs by it. The same one after a restart of the
    /// keeper gets what the kernel still sends in reply to requests of before.
    pub async fn connect(
        connection: &ConnectionFile,
        identity: &str,
        limit: Duration,
    ) -> Result<Channels, Error> {
        Ok(Channels {
            sockets: Sockets::connect(connection, identity, limit).await?,
            signer: Signer::of(connection)?,
            iopub_endpoint: None,
            exchange: None,
            iopub_in_a_row: 0,
            counter: Counter::new(),
        })
    }

    /// Listens to the kernel's output at an endpoint: the one of the connection file, or the one without a limit.
    ///
    /// The kernel takes a moment to see the subscription: send `kernel_info_request` and go on when its
    /// `idle` came on iopub, else the first outputs can be missing. That `idle` can itself be missed (mostly over
    /// tcp): when it is not there 50 ms after the reply, ask again. Of a busy kernel ask on control.
    pub async fn subscribe(&mut self, endpoint: &str, limit: Duration) -> Result<(), Error> {
        self.sockets.iopub = connect_iopub(endpoint, limit).await?;
        self.iopub_endpoint = Some(endpoint.to_owned());
        Ok(())
    }

    /// The next message of any channel. Cancel-safe. An error means that the channel is of no use any more:
    /// connect anew.
    pub async fn recv(&mut self) -> Result<Incoming, Error> {
        let (channel, frames) = self.next_frames().await;
        let frames = frames.map_err(|error| Error::Broken { channel, reason: error.to_string() })?;
        let size = frames.iter().map(|frame| frame.len()).sum();
        let decoded = Decoded::from_frames(&frames, &self.signer);
        if channel == Channel::Iopub
            && let Some(exchange) = &mut self.exchange
        {
            exchange.old_is_there = is_idle_of(&decoded, &exchange.marker);
            self.exchange_if_both_are_there();
        }
        if let Decoded::Message(message) = &decoded {
            self.counter.saw(&message.header.msg_id, channel == Channel::Iopub, Time::now());
        }
        Ok(Incoming { channel, decoded, size })
    }

    /// From now on the kernel's output reaches us: what did not come so far was before that, and is not missing.
    pub fn count_from_here(&mut self) {
        self.counter.forgive();
    }

    /// How many messages were lost at most, each told once; `None` when none.
    pub fn missing(&mut self, now: Time) -> Option<u64> {
        self.counter.missing(now)
    }

    /// The same once nothing comes any more: what has only just been overtaken is lost too.
    pub fn missing_at_last(&mut self) -> Option<u64> {
        self.counter.missing_at_last()
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

    /// Exchanges the iopub socket to give the memory of a huge message back, without losing or doubling any message.
    ///
    /// Both sockets are read up to the `idle` of `marker`, a request that is sent here on control; what the new one got until
    /// then the old one delivered. Where the marker does not come to both within [`EXCHANGE`], the old one stays.
    pub async fn exchange_iopub(&mut self, marker: &Message) -> Result<(), Error> {
        let Some(endpoint) = &self.iopub_endpoint else { return Ok(()) };
        let new = connect_iopub(endpoint, Duration::from_secs(1)).await?;
        self.exchange = Some(Exchange {
            marker: marker.header.msg_id.clone(),
            new,
            old_is_there: false,
            new_is_there: false,
            deadline: Instant::now() + EXCHANGE,
        });
        self.send(Channel::Control, marker).await
    }

    /// Whether an exchange of [`Channels::exchange_iopub`] is under way.
    pub fn is_exchanging_iopub(&self) -> bool {
        self.exchange.is_some()
    }

    async fn next_frames(&mut self) -> (Channel, ZmqResult<ZmqMessage>) {
        loop {
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
            let rests = self.exchange.as_ref().is_some_and(|exchange| exchange.old_is_there);
            tokio::select! {
                biased;
                frames = iopub.recv(), if !rests => {
                    self.iopub_in_a_row += 1;
                    return (Channel::Iopub, frames);
                }
                frames = control.recv() => return (Channel::Control, frames),
                frames = stdin.recv() => return (Channel::Stdin, frames),
                frames = shell.recv() => return (Channel::Shell, frames),
                frames = next_of_new(&mut self.exchange) => self.new_one_got(frames),
            }
        }
    }

    /// What the new socket of an exchange got up to the marker, the old one delivers. `None`: the time is over.
    fn new_one_got(&mut self, frames: Option<ZmqResult<ZmqMessage>>) {
        let Some(exchange) = &mut self.exchange else { return };
        match frames {
            Some(Ok(frames)) => {
                let decoded = Decoded::from_frames(&frames, &self.signer);
                exchange.new_is_there |= is_idle_of(&decoded, &exchange.marker);
                self.exchange_if_both_are_there();
            }
            Some(Err(_)) | None => self.exchange = None,
        }
    }

    fn exchange_if_both_are_there(&mut self) {
        let both = |exchange: &mut Exchange| exchange.old_is_there && exchange.new_is_there;
        if let Some(exchange) = self.exchange.take_if(both) {
            self.sockets.iopub = exchange.new;
        }
    }
}

/// The next message of an exchange's new socket; `None` once its time is over.
async fn next_of_new(exchange: &mut Option<Exchange>) -> Option<ZmqResult<ZmqMessage>> {
    match exchange {
        Some(exchange) if exchange.new_is_there => {
            sleep_until(exchange.deadline).await;
            None
        }
        Some(exchange) => timeout_at(exchange.deadline, exchange.new.recv()).await.ok(),
        None => std::future::pending().await,
    }
}

fn is_idle_of(decoded: &Decoded, request: &str) -> bool {
    matches!(decoded, Decoded::Message(message) if message.msg_type() == "status"
        && message.content["execution_state"] == "idle"
        && message.parent_id() == Some(request))
}
