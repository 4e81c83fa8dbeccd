//! What crosses the keeper's socket: JSON frames behind a length of four bytes, little endian.
//!
//! `hello`, `status` and `stop` are frozen for ever, so that any later face can see and stop any earlier keeper; the rest
//! may grow with the version that `hello` settles.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::protocol::{CellRef, ErrorKind, Session};

/// The oldest version that this build speaks.
pub const MIN_VERSION: u32 = 1;
/// The newest; the second has snapshots and replays.
pub const CURRENT_VERSION: u32 = 2;
/// A frame over this is refused before anything is allocated for it.
pub const LARGEST_FRAME: u32 = 64 << 20;

/// From a face.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestFrame {
    pub id: u64,
    #[serde(flatten)]
    pub request: Request,
}

/// What a face can ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Frozen. → `{ version, sessionId, pid }`
    Hello { min: u32, current: u32 },
    /// Frozen. → `{ session, lastSeq }`
    Status {},
    /// Frozen. → `{ session }`, ended
    Stop {},
    /// This connection's window shows the session. → `{ session }`
    Attach {
        window_id: String,
        folder: Option<String>,
        /// No person is behind it.
        #[serde(default)]
        agent: bool,
    },
    /// It does no more. → `{ session }`
    Detach {},
    /// → `{ executionId }` once it is pending in the journal
    Execute(Execute),
    /// → `{}`
    Cancel { execution_id: String },
    /// → `{}`
    ReplyInput { execution_id: String, value: String },
    /// → `{ session }`
    Interrupt {},
    /// → `{ session }` once the new kernel is ready
    Restart {},
    /// `None`: derived again. → `{ session }`
    Label { label: Option<String> },
    /// → `{ session }`
    Pin { pinned: bool },
    /// Binds the session to another notebook. → `{ session }`
    Migrate(Migrate),
    /// Binds it to one more; `number` is not looked at. → `{ session }`
    Share(Migrate),
    /// One of several notebooks lets go. → `{ session }`
    Unshare { number: u32 },
    /// The session takes its notebook from those who hold it, before they are told. → `{ session }`
    Take { from: Vec<(String, u32)> },
    /// Another session took a notebook of that key; `label`: what the session is called then, where it has no name of its
    /// own. → `{ session }`
    LetGo { number: u32, expected_key: String, label: String },
    /// Asks the kernel what runs no code of the user. → `{ reply }`, null where the kernel is busy or does not answer
    Ask(Question),
    /// → `{ json }`: what `keeper/sessionVariables` answers, as text
    Variables {},
    /// Saves the variables under a name; `on_stop`: because the kernel is about to be stopped. → `{ snapshot }`, null where
    /// there was nothing to save on a stop
    SaveSnapshot { name: String, on_stop: bool },
    /// Takes variables from a file that was looked at. → `{ variables, skipped, warnings }`
    RestoreSnapshot { file: std::path::PathBuf, details: Value },
    /// This connection's window shows figures, or none any more. → `{}`
    Watch { visible: bool },
    /// The user's idle policy, in milliseconds; `None`: off. → `{}`
    StopIdleAfter { milliseconds: Option<u64> },
    /// An op of a newer face. → an error
    #[serde(other)]
    Unknown,
}

impl Request {
    /// The version that a keeper must speak to know it.
    pub fn version(&self) -> u32 {
        match self {
            Request::SaveSnapshot { .. }
            | Request::RestoreSnapshot { .. }
            | Request::Take { .. }
            | Request::LetGo { .. } => 2,
            _ => MIN_VERSION,
        }
    }
}

/// What a kernel is asked; its answer is the reply's content, as Jupyter has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// `complete_request`, `inspect_request` or `is_complete_request`.
    pub message: String,
    pub content: Value,
}

/// Code to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execute {
    pub code: String,
    /// Number of the notebook within the session.
    pub notebook: u32,
    pub cell: Option<CellRef>,
    pub origin: String,
    pub stop_on_error: bool,
    /// What was asked to run together, in this and other requests.
    pub batch: Option<String>,
}

/// A new name for a session's notebook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Migrate {
    pub number: u32,
    /// The key that the notebook (of a share: any of them) must have now; absent: any.
    pub expected_key: Option<String>,
    pub uri: String,
    pub key: String,
    pub path: Option<std::path::PathBuf>,
    /// Bindings of sessions whose file is confirmed gone from the slot, which give it up.
    pub release: Vec<(String, u32)>,
}

/// From the keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// The reply to a request.
    Ok { id: u64, ok: Value },
    /// Its refusal.
    Failed { id: u64, error: Refusal },
    /// The session changed; the newest state alone is sent to a slow reader.
    Status { status: Box<Session> },
    /// Memory, CPU and child changed: nothing to tell people of.
    Sample { sample: Sample },
    /// The journal is readable up to here.
    Committed { committed: u64 },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub memory_bytes: Option<u64>,
    pub cpu_percent: Option<f64>,
    pub runs: Option<String>,
    #[serde(default)]
    pub gpu_memory_bytes: Option<u64>,
}

/// An error on the socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// [`ErrorKind::name`].
    pub kind: String,
    pub message: String,
    #[serde(default)]
    pub data: serde_json::Map<String, Value>,
}

impl From<crate::protocol::Error> for Refusal {
    fn from(e: crate::protocol::Error) -> Refusal {
        Refusal { kind: e.kind.name().into(), message: e.message, data: e.data }
    }
}

impl From<Refusal> for crate::protocol::Error {
    fn from(r: Refusal) -> crate::protocol::Error {
        let kind = ErrorKind::parse(&r.kind).unwrap_or(ErrorKind::Internal);
        crate::protocol::Error { kind, message: r.message, data: r.data }
    }
}

/// Reads one frame. `Ok(None)` at a clean end. Not cancel-safe.
pub async fn read<T: for<'a> Deserialize<'a>>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let length = match from.read_u32_le().await {
        Ok(n) => n,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    };
    if length > LARGEST_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes is too large"),
        ));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// A frame's bytes.
pub fn encode(frame: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = u32::try_from(bytes.len() - 4)
        .ok()
        .filter(|n| *n <= LARGEST_FRAME)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is over 64 MiB"))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Writes one frame.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(frame)?).await
}
