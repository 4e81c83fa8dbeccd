//! A face's connection to a keeper.
//!
//! Requests go out in the order in which they are sent, which is settled before the first `.await`. The connection's end
//! means that the keeper is gone: every request that waits is answered with an error, and `Closed` is the last event.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::frames::{self, Answer, CURRENT_VERSION, MIN_VERSION, Request, RequestFrame, Sample};
use crate::protocol::{Error, ErrorKind, Session};

/// How long a keeper may take to say hello before it counts as not answering.
const HELLO: Duration = Duration::from_millis(1_500);

/// What a keeper tells unasked.
#[derive(Debug)]
pub enum KeeperEvent {
    Status(Box<Session>),
    Sample(Sample),
    /// An answer with the session as it was then, in its place among the statuses: to be taken for one, then passed on.
    Answered(Box<Session>, Passing),
    /// The journal can be read up to here.
    Committed(u64),
    /// The keeper is gone, or closed the connection.
    Closed,
}

type Waiting = Arc<Mutex<Option<HashMap<u64, Waiter>>>>;

/// Who waits for an answer.
#[derive(Debug)]
enum Waiter {
    Raw(oneshot::Sender<Result<Value, Error>>),
    Session(oneshot::Sender<Result<Session, Error>>),
}

impl Waiter {
    fn fail(self, error: Error) {
        match self {
            Self::Raw(sender) => drop(sender.send(Err(error))),
            Self::Session(sender) => drop(sender.send(Err(error))),
        }
    }
}

/// An answer on its way to who waits for it.
#[derive(Debug)]
pub struct Passing(oneshot::Sender<Result<Session, Error>>);

impl Passing {
    /// Gives it to who asked.
    pub fn pass_on(self, session: Session) {
        let _ = self.0.send(Ok(session));
    }
}

/// An open connection; cheap to clone. Closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct KeeperClient {
    session_id: Arc<str>,
    /// What the keeper's hello settled.
    version: u32,
    next: Arc<AtomicU64>,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
}

/// A reply on its way.
pub struct Reply<T = Value> {
    session_id: Arc<str>,
    receiver: oneshot::Receiver<Result<T, Error>>,
    patience: Duration,
}

impl<T> Reply<T> {
    /// The answer.
    ///
    /// # Errors
    /// The keeper's own; `KernelFailed` where it ends, or is frozen: nobody waits for ever.
    pub async fn get(self) -> Result<T, Error> {
        match tokio::time::timeout(self.patience, self.receiver).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(gone(&self.session_id))),
            Err(_) => {
                let (id, seconds) = (&self.session_id, self.patience.as_secs());
                let what = format!(
                    "the keeper of session {id} has not answered for {seconds} s: it is frozen, or the machine is busy"
                );
                Err(Error::new(ErrorKind::KernelFailed, what).with("sessionId", &**id))
            }
        }
    }
}

/// How long an answer may take: kernels get two minutes to start, and five seconds to end.
fn patience(request: &Request) -> Duration {
    Duration::from_secs(match request {
        Request::Restart {} => 130,
        Request::Stop {} => 7,
        // As long as it takes: a person can interrupt it.
        Request::SaveSnapshot { .. } | Request::RestoreSnapshot { .. } => 24 * 3_600,
        _ => 30,
    })
}

impl KeeperClient {
    /// Connects and says hello; events arrive at the receiver, the newest status first.
    ///
    /// # Errors
    /// The socket's own, `PermissionDenied` where another user listens on it, `TimedOut` where the keeper does not answer, `InvalidData` where it speaks no version of ours.
    pub async fn connect(
        socket: &Path,
        session_id: &str,
    ) -> std::io::Result<(KeeperClient, mpsc::UnboundedReceiver<KeeperEvent>)> {
        let stream = UnixStream::connect(socket).await?;
        if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
            let what = format!("another user listens on {}", socket.display());
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
        }
        let (read, mut write) = stream.into_split();
        let (outgoing, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        let (events, receiver) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let mut client = KeeperClient {
            session_id: session_id.into(),
            version: CURRENT_VERSION,
            next: Arc::new(AtomicU64::new(1)),
            outgoing,
            waiting: waiting.clone(),
        };
        tokio::spawn(async move {
            while let Some(bytes) = to_write.recv().await {
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        });
        tokio::spawn(read_answers(read, waiting, events, client.session_id.clone()));
        let hello = client.send(Request::Hello { min: MIN_VERSION, current: CURRENT_VERSION });
        let answer = tokio::time::timeout(HELLO, hello.get())
            .await
            .map_err(|_| std::io::Error::new(std::io::ErrorKind::TimedOut, "the keeper does not answer"))?;
        let answer = answer.map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e.message))?;
        if answer["sessionId"].as_str().is_some_and(|id| id != session_id) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "this is another session's keeper",
            ));
        }
        client.version = answer["version"].as_u64().map_or(MIN_VERSION, |version| version as u32);
        Ok((client, receiver))
    }

    /// Checks that the keeper knows a request: it may be of an earlier version.
    ///
    /// # Errors
    /// `KernelFailed`, in words for the user.
    pub fn must_know(&self, request: &Request) -> Result<(), Error> {
        if request.version() <= self.version { Ok(()) } else { Err(too_old(&self.session_id)) }
    }

    /// Sends a request now; its reply can be awaited later.
    pub fn send(&self, request: Request) -> Reply {
        self.send_for(request, Waiter::Raw)
    }

    fn send_for<T>(
        &self,
        request: Request,
        waiter: fn(oneshot::Sender<Result<T, Error>>) -> Waiter,
    ) -> Reply<T> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let reply = Reply { session_id: self.session_id.clone(), receiver, patience: patience(&request) };
        if let Err(e) = self.must_know(&request) {
            let _ = sender.send(Err(e));
            return reply;
        }
        match frames::encode(&RequestFrame { id, request }) {
            Ok(bytes) => {
                if let Some(waiting) = lock(&self.waiting).as_mut() {
                    waiting.insert(id, waiter(sender));
                    let _ = self.outgoing.send(bytes);
                }
            }
            Err(e) => {
                let what = format!("the request cannot be sent ({e}): send less code at once");
                let _ = sender.send(Err(Error::new(ErrorKind::InvalidParams, what).with("field", "code")));
            }
        }
        reply
    }

    /// Sends a request and awaits its reply.
    pub async fn call(&self, request: Request) -> Result<Value, Error> {
        self.send(request).get().await
    }

    /// The same, for the requests that are answered with the session. Whoever reads the events has taken it in before, in
    /// its order: a status that came later is not written over.
    pub async fn call_session(&self, request: Request) -> Result<Session, Error> {
        self.send_for(request, Waiter::Session).get().await
    }
}

/// The session in a keeper's answer.
pub fn session_of(mut answer: Value) -> Result<Session, Error> {
    let read: Result<Session, _> = serde_json::from_value(answer["session"].take());
    let mut session = read
        .map_err(|e| Error::new(ErrorKind::Internal, format!("the keeper's answer cannot be read: {e}")))?;
    session.cut();
    Ok(session)
}

/// What a keeper of an earlier version cannot do; a restarted kernel has the same keeper.
pub(super) fn too_old(session_id: &str) -> Error {
    let what = "this kernel was started by an earlier version of Kernel Keeper, whose keeper cannot do that: \
                stop it and start it anew when it suits you";
    Error::new(ErrorKind::KernelFailed, what).with("sessionId", session_id)
}

fn gone(session_id: &str) -> Error {
    Error::new(
        ErrorKind::KernelFailed,
        format!("the keeper of session {session_id} ended before it answered: try again"),
    )
    .with("sessionId", session_id)
    .with("keeperGone", true)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_answers(
    read: tokio::net::unix::OwnedReadHalf,
    waiting: Waiting,
    events: mpsc::UnboundedSender<KeeperEvent>,
    session_id: Arc<str>,
) {
    let mut read = tokio::io::BufReader::new(read);
    loop {
        let (id, answer) = match frames::read::<Answer>(&mut read).await {
            Ok(Some(Answer::Ok { id, ok })) => (id, Ok(ok)),
            Ok(Some(Answer::Failed { id, error })) => (id, Err(error.into())),
            Ok(Some(Answer::Status { mut status })) => {
                // A keeper of an earlier version does not.
                status.cut();
                let _ = events.send(KeeperEvent::Status(status));
                continue;
            }
            Ok(Some(Answer::Sample { sample })) => {
                let _ = events.send(KeeperEvent::Sample(sample));
                continue;
            }
            Ok(Some(Answer::Committed { committed })) => {
                let _ = events.send(KeeperEvent::Committed(committed));
                continue;
            }
            Ok(None) => break,
            Err(e) => {
                tracing::warn!(session = %session_id, "the keeper's socket failed: {e}");
                break;
            }
        };
        let sender = lock(&waiting).as_mut().and_then(|w| w.remove(&id));
        let sender = match sender {
            Some(Waiter::Raw(sender)) => {
                let _ = sender.send(answer);
                continue;
            }
            Some(Waiter::Session(sender)) => sender,
            None => continue,
        };
        match answer.and_then(session_of) {
            Ok(session) => {
                let _ = events.send(KeeperEvent::Answered(Box::new(session), Passing(sender)));
            }
            Err(e) => drop(sender.send(Err(e))),
        }
    }
    // Nothing more will be answered: those who wait learn it now, later ones at once.
    for (_, sender) in lock(&waiting).take().into_iter().flatten() {
        sender.fail(gone(&session_id));
    }
    let _ = events.send(KeeperEvent::Closed);
}
