//! The keeper's side of its socket: who is connected, what they ask, and what they are told.
//!
//! A reader and a writer task a connection. What is told is always the newest: a status or a position that a slow reader
//! has not taken yet is replaced, never queued. Replies wait in a bounded queue; who does not read them is let go.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::frames::{self, Answer, Request, RequestFrame};
use crate::protocol::{AttachedWindow, Error, ErrorKind};

/// Replies that a face may leave unread.
const UNREAD_REPLIES: usize = 8_192;

/// What every connection is told when it changes; frames are ready to be written.
#[derive(Clone, Default)]
pub struct Published {
    /// Counts the changes of `status`.
    pub status_version: u64,
    pub status: Arc<Vec<u8>>,
    pub sample_version: u64,
    pub sample: Arc<Vec<u8>>,
    /// The last sequence number that can be read.
    pub committed: u64,
}

/// From a connection, or about it.
pub enum FromClient {
    Request { connection: u64, frame: RequestFrame },
    Closed { connection: u64 },
}

/// A connected face.
struct Connection {
    replies: mpsc::Sender<Vec<u8>>,
    window: Option<AttachedWindow>,
    /// It shows figures to somebody.
    watches: bool,
}

/// The listening socket and everybody on it. Owned by the run loop.
pub struct Clients {
    path: PathBuf,
    listener: UnixListener,
    connections: HashMap<u64, Connection>,
    next: u64,
    inbox: mpsc::Sender<FromClient>,
    published: watch::Sender<Published>,
}

impl Clients {
    /// Listens; requests arrive at the receiver.
    pub fn listen(path: &Path) -> io::Result<(Clients, mpsc::Receiver<FromClient>)> {
        let (inbox, requests) = mpsc::channel(1_024);
        let clients = Clients {
            path: path.to_owned(),
            listener: bind(path)?,
            connections: HashMap::new(),
            next: 0,
            inbox,
            published: watch::Sender::new(Published::default()),
        };
        Ok((clients, requests))
    }

    /// Makes the socket anew where its file was swept away, and says so; those who are connected stay so.
    pub fn listen_again_if_swept(&mut self) -> io::Result<bool> {
        let swept = !self.path.exists();
        if swept {
            tracing::warn!(path = %self.path.display(), "the socket's file is gone: made anew");
            if let Some(dir) = self.path.parent() {
                crate::paths::make_private(dir)?;
            }
            self.listener = bind(&self.path)?;
        }
        Ok(swept)
    }

    /// The next connection. Cancel-safe.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Serves a connection of this user; another user's is closed.
    pub fn admit(&mut self, stream: UnixStream) {
        let ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        if !ours {
            tracing::warn!("a connection of another user was refused");
            return;
        }
        self.next += 1;
        let connection = self.next;
        let (replies, unread) = mpsc::channel(UNREAD_REPLIES);
        self.connections.insert(connection, Connection { replies, window: None, watches: false });
        let (read, write) = stream.into_split();
        tokio::spawn(read_requests(read, connection, self.inbox.clone()));
        tokio::spawn(write_answers(write, unread, self.published.subscribe()));
    }

    /// Answers a request. One who leaves thousands of replies unread is let go.
    pub fn reply(&mut self, connection: u64, answer: &Answer) {
        let Some(client) = self.connections.get(&connection) else { return };
        // Whoever asked is told why there is no answer, rather than nothing.
        let bytes = frames::encode(answer).or_else(|e| {
            tracing::error!("an answer could not be written: {e}");
            let (Answer::Ok { id, .. } | Answer::Failed { id, .. }) = answer else { return Err(e) };
            let error =
                Error::new(ErrorKind::Internal, format!("the keeper's answer could not be sent: {e}"));
            frames::encode(&Answer::Failed { id: *id, error: error.into() })
        });
        let Ok(bytes) = bytes else { return };
        if client.replies.try_send(bytes).is_err() {
            self.connections.remove(&connection);
        }
    }

    /// Tells everybody.
    pub fn publish(&self, change: impl FnOnce(&mut Published)) {
        self.published.send_modify(change);
    }

    /// Forgets a connection. True where a window was attached by it.
    pub fn closed(&mut self, connection: u64) -> bool {
        self.connections.remove(&connection).is_some_and(|c| c.window.is_some())
    }

    /// Marks who looks through a connection.
    pub fn attach(&mut self, connection: u64, window: Option<AttachedWindow>) {
        if let Some(client) = self.connections.get_mut(&connection) {
            client.window = window;
        }
    }

    /// The windows that look, each once.
    pub fn windows(&self) -> Vec<AttachedWindow> {
        let mut windows: Vec<AttachedWindow> =
            self.connections.values().filter_map(|c| c.window.clone()).collect();
        windows.sort_by(|a, b| a.window_id.cmp(&b.window_id));
        windows.dedup_by(|a, b| a.window_id == b.window_id);
        windows
    }

    /// Marks whether a connection shows figures.
    pub fn watch(&mut self, connection: u64, visible: bool) {
        if let Some(client) = self.connections.get_mut(&connection) {
            client.watches = visible;
        }
    }

    /// Whether anybody looks at figures.
    pub fn is_watched(&self) -> bool {
        self.connections.values().any(|connection| connection.watches)
    }

    /// Ends: no more connections, and what is written already goes out to those who read.
    pub async fn close(mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.connections.clear();
        drop(self.listener);
        let last_words = self.published.closed();
        // Writers drop their receiver once all is written; a reader that stalls is not waited for.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), last_words).await;
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn read_requests(
    read: tokio::net::unix::OwnedReadHalf,
    connection: u64,
    inbox: mpsc::Sender<FromClient>,
) {
    let mut read = tokio::io::BufReader::new(read);
    loop {
        match frames::read::<serde_json::Value>(&mut read).await {
            Ok(Some(value)) => {
                let id = value["id"].as_u64().unwrap_or(0);
                let frame =
                    serde_json::from_value(value).unwrap_or(RequestFrame { id, request: Request::Unknown });
                if inbox.send(FromClient::Request { connection, frame }).await.is_err() {
                    return;
                }
            }
            Ok(None) => break,
            Err(e) => {
                tracing::warn!("a connection was closed: {e}");
                break;
            }
        }
    }
    let _ = inbox.send(FromClient::Closed { connection }).await;
}

async fn write_answers(
    mut write: tokio::net::unix::OwnedWriteHalf,
    mut replies: mpsc::Receiver<Vec<u8>>,
    mut published: watch::Receiver<Published>,
) {
    let (mut status, mut sample, mut committed) = (0, 0, 0);
    // The state of things comes first, unasked.
    published.mark_changed();
    let mut open = true;
    loop {
        let bytes = tokio::select! {
            biased;
            reply = replies.recv(), if open => match reply {
                Some(bytes) => bytes,
                None => { open = false; published.mark_changed(); continue }
            },
            changed = published.changed() => {
                if changed.is_err() { return }
                let now = published.borrow_and_update().clone();
                let mut bytes = Vec::new();
                // The position last: who reads of an execution's end finds the session idle.
                if now.sample_version > sample {
                    sample = now.sample_version;
                    bytes.extend_from_slice(&now.sample);
                }
                if now.status_version > status {
                    status = now.status_version;
                    bytes.extend_from_slice(&now.status);
                }
                if now.committed > committed {
                    committed = now.committed;
                    bytes.extend(frames::encode(&Answer::Committed { committed }).unwrap_or_default());
                }
                if !open && bytes.is_empty() { return }
                bytes
            }
        };
        if write.write_all(&bytes).await.is_err() {
            return;
        }
        if !open {
            return;
        }
    }
}
