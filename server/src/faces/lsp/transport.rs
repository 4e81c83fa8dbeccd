//! Between standard input and output and the LSP library: whole frames only.
//!
//! The library ends at the first body that is not JSON, and does not return after `exit` while standard input is open.
//! So frames are read here: an unreadable one is answered and passed over, a huge one refused before it is held in
//! memory, and the end of input is told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tower_lsp::jsonrpc;

use super::stdio;
use crate::protocol::{Error, ErrorKind};

/// A message over this is refused.
const LARGEST: usize = 256 << 20;
/// The same with its text wrapped: each quotation mark and backslash takes one more.
const LARGEST_WRAPPED: usize = 2 * LARGEST;
/// Of the pipes to and from the library.
const PIPE: usize = 256 << 10;

/// The library's ends, and what is to be waited for.
pub struct Pipes {
    pub input: DuplexStream,
    pub output: DuplexStream,
    /// True once the editor is gone.
    pub ended: watch::Receiver<bool>,
    /// Ends when all is written.
    pub written: JoinHandle<()>,
    /// The editor said `exit`.
    pub told_to_exit: Arc<AtomicBool>,
}

/// Connects standard input and output.
pub fn connect() -> Pipes {
    let (input, to_library) = tokio::io::duplex(PIPE);
    let (from_library, output) = tokio::io::duplex(PIPE);
    let (end, ended) = watch::channel(false);
    let (complaints, complained) = mpsc::channel(16);
    let told_to_exit = Arc::new(AtomicBool::new(false));
    let told = told_to_exit.clone();
    tokio::spawn(async move {
        if let Err(e) = read(stdio::input(), to_library, complaints, &told).await {
            tracing::warn!("standard input failed: {e}");
        }
        // The library gets a moment to answer what it has.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let _ = end.send(true);
    });
    let written = tokio::spawn(async move {
        if let Err(e) = write(from_library, complained).await {
            tracing::warn!("standard output failed: {e}");
        }
    });
    Pipes { input, output, ended, written, told_to_exit }
}

async fn read(
    from: impl tokio::io::AsyncRead + Unpin,
    mut to: DuplexStream,
    complaints: mpsc::Sender<Value>,
    told_to_exit: &AtomicBool,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    while let Some(body) = frame(&mut from, LARGEST).await? {
        let complaint = match body {
            Ok(body) if is_message(&body) => {
                let body = complete(body, told_to_exit);
                to.write_all(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
                to.write_all(&body).await?;
                continue;
            }
            Ok(body) => match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                Ok(_) => (-32600, "this is no JSON-RPC message".to_owned()),
                Err(e) => (-32700, format!("the message is not JSON: {e}")),
            },
            Err(size) => (-32600, format!("a message of {size} bytes is too large")),
        };
        let (code, message) = complaint;
        let answer = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
        let _ = complaints.send(answer).await;
    }
    Ok(())
}

/// Whether the library will be able to read it: JSON of the right shape, and not nested too deep. What it cannot read
/// would end it, so its own types are asked.
fn is_message(body: &[u8]) -> bool {
    serde_json::from_slice::<jsonrpc::Request>(body).is_ok_and(|request| !request.method().is_empty())
        || serde_json::from_slice::<jsonrpc::Response>(body).is_ok()
}

/// JSON on its way to standard output. The library would make a value of it, which changes numbers and is not nested deep; so
/// it gets the text as a string, which is taken out again behind it (`unwrapped`).
#[derive(Serialize, Deserialize)]
pub struct Wrapped(String);

impl Wrapped {
    /// What is told unasked.
    pub fn new(value: &impl Serialize) -> Wrapped {
        // What we tell is JSON: its maps have strings for keys.
        let mut text = serde_json::to_string(value).unwrap_or_else(|_| "null".into());
        text.shrink_to_fit();
        Wrapped(text)
    }

    /// An answer, if it fits into a message; else the error that this request gets in its place.
    pub fn answer(method: &str, answer: &impl Serialize) -> Result<Wrapped, Error> {
        let text = Wrapped::new(answer);
        let bytes = text.0.len();
        if bytes < LARGEST - 1_024 {
            return Ok(text);
        }
        let what = format!(
            "the answer to {method} would take {bytes} bytes, more than a message can: ask for less at once"
        );
        Err(Error::new(ErrorKind::Internal, what))
    }
}

/// How messages of the library begin that have something wrapped: a result of ours, and an event. No other result and no
/// other event's parameters are a string.
const HEADS: [&[u8]; 2] =
    [br#"{"jsonrpc":"2.0","result":""#, br#"{"jsonrpc":"2.0","method":"keeper/executionEvent","params":""#];

/// A message as it goes to the editor: what is wrapped in it is itself again. In its place, since an answer may be large.
fn unwrapped(mut body: Vec<u8>) -> Vec<u8> {
    let Some(head) = HEADS.iter().find(|head| body.starts_with(head)) else { return body };
    // Its quotation mark goes, too.
    let (mut read, mut write) = (head.len(), head.len() - 1);
    loop {
        let rest = &body[read..];
        let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return body };
        body.copy_within(read..read + plain, write);
        (read, write) = (read + plain, write + plain);
        if body[read] == b'"' {
            break;
        }
        let (byte, length) = match body.get(read + 1) {
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'b') => (8, 2),
            Some(b'f') => (12, 2),
            // The library writes so what has no letter of its own: control characters, which are one byte.
            Some(b'u') => {
                let digits = body.get(read + 4..read + 6).and_then(|digits| std::str::from_utf8(digits).ok());
                (digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b' '), 6)
            }
            Some(byte) => (*byte, 2),
            None => return body,
        };
        body[write] = byte;
        (read, write) = (read + length, write + 1);
        if read > body.len() {
            return body;
        }
    }
    body.copy_within(read + 1.., write);
    body.truncate(body.len() - (read + 1 - write));
    body
}

/// Requests of ours may come without `params`, which the library refuses where there may be some. Sees `exit`, too.
fn complete(body: Vec<u8>, told_to_exit: &AtomicBool) -> Vec<u8> {
    // Neither is longer.
    if body.len() > 512 {
        return body;
    }
    let Ok(request) = serde_json::from_slice::<jsonrpc::Request>(&body) else { return body };
    told_to_exit.fetch_or(request.method() == "exit", Ordering::Relaxed);
    if !request.method().starts_with("keeper/") || request.params().is_some_and(|params| !params.is_null()) {
        return body;
    }
    let Ok(mut message) = serde_json::from_slice::<Value>(&body) else { return body };
    message["params"] = json!({});
    message.to_string().into_bytes()
}

async fn write(from: DuplexStream, mut complained: mpsc::Receiver<Value>) -> io::Result<()> {
    let (bodies, mut outgoing) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut from = BufReader::new(from);
        while let Ok(Some(body)) = frame(&mut from, LARGEST_WRAPPED).await {
            let body = match body {
                Ok(body) => body,
                // Answers are measured before (`Wrapped::answer`), and events are cut: whatever it is, the next goes on.
                Err(bytes) => {
                    tracing::error!(bytes, "a message is too large to be sent, and left out");
                    continue;
                }
            };
            if bodies.send(body).await.is_err() {
                return;
            }
        }
    });
    let mut to = stdio::output();
    loop {
        let body = tokio::select! {
            body = outgoing.recv() => match body {
                Some(body) => unwrapped(body),
                None => return Ok(()),
            },
            Some(complaint) = complained.recv() => complaint.to_string().into_bytes(),
        };
        to.write_all(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
        to.write_all(&body).await?;
        to.flush().await?;
    }
}

/// One message's body; `Err` with its size where it is too large, then it was skipped. `None` at the end.
async fn frame(
    from: &mut (impl tokio::io::AsyncBufRead + Unpin),
    largest: usize,
) -> io::Result<Option<Result<Vec<u8>, usize>>> {
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A header line is short: what is longer is not one.
        let read = (&mut *from).take(8_192).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            if length.is_some() {
                break;
            }
            continue;
        }
        if let Some((name, value)) = text.split_once(':')
            && name.trim().eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let length = length.unwrap_or(0);
    if length > largest {
        let skipped = tokio::io::copy(&mut (&mut *from).take(length as u64), &mut tokio::io::sink()).await?;
        return Ok((skipped == length as u64).then_some(Err(length)));
    }
    let mut body = vec![0; length];
    match from.read_exact(&mut body).await {
        Ok(_) => Ok(Some(Ok(body))),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{}1{}}}",
            "[".repeat(500),
            "]".repeat(500)
        );
        let cases = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{}}"#, true),
            (r#"{"jsonrpc":"2.0","method":"a"}"#, true),
            (r#"{"jsonrpc":"2.0","id":"x","result":null}"#, true),
            (r#"{"jsonrpc":"2.0"}"#, false),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, false),
            (r#"{"id":1,"method":"a"}"#, false),
            ("{}", false),
            ("[]", false),
            (deep.as_str(), false),
        ];
        for (body, expected) in cases {
            assert_eq!(is_message(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn params_may_be_left_out() {
        let exit = AtomicBool::new(false);
        let completed = |body: &str| String::from_utf8(complete(body.into(), &exit)).unwrap();
        let bare = r#"{"jsonrpc":"2.0","id":1,"method":"keeper/openOffers"}"#;
        let whole = r#"{"jsonrpc":"2.0","id":1,"method":"keeper/openOffers","params":{}}"#;
        assert_eq!(completed(bare), whole);
        assert_eq!(completed(&whole.replace("{}}", "null}")), whole);
        for other in [whole, r#"{"jsonrpc":"2.0","id":2,"method":"shutdown"}"#] {
            assert_eq!(completed(other), other);
        }
        assert!(!exit.load(Ordering::Relaxed));
        completed(r#"{"jsonrpc":"2.0","method":"exit"}"#);
        assert!(exit.load(Ordering::Relaxed));
    }

    #[test]
    fn an_answer_that_fits_no_message_is_an_error() {
        assert!(Wrapped::answer("a", &"x".repeat(1_000)).is_ok());
        let error = Wrapped::answer("keeper/x", &"\u{1}".repeat(LARGEST / 6 + 1)).err().unwrap();
        assert!(error.message.contains("keeper/x") && error.message.contains("ask for less"), "{error}");
    }

    #[test]
    fn what_is_wrapped_comes_out_as_it_was() {
        let deep = format!("{}1e-07{}", "[".repeat(500), "]".repeat(500));
        let deep = format!("{{\"a\\\\\\\"é\\u0001\\n\":\n\t{deep} }}");
        let json: crate::protocol::Json = serde_json::from_str(&deep).unwrap();
        let text = serde_json::to_value(Wrapped::new(&json)).unwrap();
        let answer = jsonrpc::Response::from_ok(jsonrpc::Id::Number(7), text);
        let sent = String::from_utf8(unwrapped(serde_json::to_vec(&answer).unwrap())).unwrap();
        assert_eq!(sent, format!(r#"{{"jsonrpc":"2.0","result":{deep},"id":7}}"#));
        for other in
            [r#"{"jsonrpc":"2.0","result":{"a":"b"},"id":7}"#, r#"{"jsonrpc":"2.0","id":1,"result":"#]
        {
            assert_eq!(unwrapped(other.into()), other.as_bytes());
        }
    }

    #[tokio::test]
    async fn frames() {
        let input = b"Content-Length: 2\r\n\r\n{}garbage\r\ncontent-length: 4\r\nX: y\r\n\r\nnullContent-Length: 9\r\n\r\n{";
        let mut from = BufReader::new(&input[..]);
        assert_eq!(frame(&mut from, 9).await.unwrap(), Some(Ok(b"{}".to_vec())));
        assert_eq!(frame(&mut from, 9).await.unwrap(), Some(Ok(b"null".to_vec())));
        assert_eq!(frame(&mut from, 9).await.unwrap(), None);
    }
}
