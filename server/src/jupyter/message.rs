//! Jupyter's message envelope: frames to message and back.
//!
//! Guarantees that decoding loses nothing: what cannot be typed comes back whole as [`Unreadable`].
//! Leaves out what messages mean; `content` is plain JSON, but what is displayed and what widgets say, as it was written.
//! The format: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol>

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeromq::ZmqMessage;

use super::repair;
use super::signing::Signer;
use crate::protocol::{Json, Time};

const DELIMITER: &[u8] = b"<IDS|MSG>";
const VERSION: &str = "5.3";

/// A message's header. A field that was missing or of another type is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    pub msg_id: String,
    pub msg_type: String,
    pub session: String,
    pub username: String,
    /// RFC 3339.
    pub date: String,
    pub version: String,
}

/// One message, of either direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Frames before the delimiter: on iopub the topic, else routing identities (empty for us).
    pub identities: Vec<Vec<u8>>,
    pub header: Header,
    /// The header of the request that this belongs to.
    pub parent_header: Option<Header>,
    pub metadata: Map<String, Value>,
    /// What is in `shown` is left out here.
    pub content: Value,
    pub shown: Option<Shown>,
    pub buffers: Vec<Vec<u8>>,
}

/// What a content holds that is not ours to read.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Of `display_data`, `execute_result` and `update_display_data`.
    Bundle { data: Json, metadata: Json },
    /// Of `comm_…`: all of it.
    Comm(Json),
}

/// What came when it is not a message: kept whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    pub reason: String,
    /// `{"frames": […]}`, each frame its text, or `{"hex": "…"}` where it is not UTF-8.
    pub raw: Value,
}

/// The outcome of reading frames.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages, and each is used at once")]
pub enum Decoded {
    Message(Message),
    Unreadable(Unreadable),
}

impl Message {
    /// A new request of client session `session`.
    pub fn request(msg_type: &str, session: &str, content: Value) -> Message {
        Message {
            identities: Vec::new(),
            header: Header {
                msg_id: random_hex(),
                msg_type: msg_type.to_owned(),
                session: session.to_owned(),
                username: "kernel-keeper".to_owned(),
                date: Time::now().to_string(),
                version: VERSION.to_owned(),
            },
            parent_header: None,
            metadata: Map::new(),
            content,
            shown: None,
            buffers: Vec::new(),
        }
    }

    /// A new message that answers `parent` (an `input_reply` for instance).
    pub fn reply(msg_type: &str, session: &str, parent: &Header, content: Value) -> Message {
        Message { parent_header: Some(parent.clone()), ..Message::request(msg_type, session, content) }
    }

    pub fn msg_type(&self) -> &str {
        &self.header.msg_type
    }

    /// The id of the request that this belongs to.
    pub fn parent_id(&self) -> Option<&str> {
        self.parent_header.as_ref().map(|p| p.msg_id.as_str())
    }

    /// The date of the sender; `None` where it gave none that can be read.
    pub fn date(&self) -> Option<Time> {
        Time::parse(&self.header.date)
    }

    /// The signed frames.
    pub fn encode(&self, signer: &Signer) -> ZmqMessage {
        let parent = match &self.parent_header {
            Some(parent) => json!(parent).to_string(),
            None => "{}".to_owned(),
        };
        let parts = [
            json!(self.header).to_string(),
            parent,
            Value::Object(self.metadata.clone()).to_string(),
            self.content.to_string(),
        ];
        let signature = signer.sign(parts.each_ref().map(|p| p.as_bytes()));
        let mut frames: Vec<Vec<u8>> = self.identities.clone();
        frames.push(DELIMITER.to_vec());
        frames.push(signature.into_bytes());
        frames.extend(parts.map(String::into_bytes));
        frames.extend(self.buffers.iter().cloned());
        let mut frames = frames.into_iter();
        let mut message = ZmqMessage::from(frames.next().unwrap_or_default());
        frames.for_each(|frame| message.push_back(frame.into()));
        message
    }
}

impl Decoded {
    /// Reads frames; never fails.
    pub fn from_frames(frames: &ZmqMessage, signer: &Signer) -> Decoded {
        let frames: Vec<&[u8]> = frames.iter().map(|f| f.as_ref()).collect();
        match decode(&frames, signer) {
            Ok(message) => Decoded::Message(message),
            Err(reason) => Decoded::Unreadable(Unreadable { reason, raw: raw(&frames) }),
        }
    }
}

/// 32 random hexadecimal digits: message ids, client sessions.
pub(super) fn random_hex() -> String {
    let mut bytes = [0u8; 16];
    // Without the system's randomness no key can be made either: nothing of ours can go on.
    getrandom::fill(&mut bytes).expect("the system has no randomness");
    hex(&bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}

fn decode(frames: &[&[u8]], signer: &Signer) -> Result<Message, String> {
    let delimiter = frames.iter().position(|f| *f == DELIMITER).ok_or("no <IDS|MSG> delimiter")?;
    let (identities, rest) = frames.split_at(delimiter);
    let [_, signature, header, parent, metadata, content, buffers @ ..] = rest else {
        return Err(format!("{} frames after the identities, 6 are the least", rest.len()));
    };
    if !signer.verify([header, parent, metadata, content], signature) {
        return Err("the signature does not match".to_owned());
    }
    let header = read_header(header)?.ok_or("the header is empty")?;
    if header.msg_type.is_empty() {
        return Err("the header has no msg_type".to_owned());
    }
    let metadata = match read_json(metadata, "metadata")? {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let (content, shown) = read_content(&header.msg_type, content)?;
    Ok(Message {
        identities: identities.iter().map(|f| f.to_vec()).collect(),
        header,
        parent_header: read_header(parent)?,
        metadata,
        content,
        shown,
        buffers: buffers.iter().map(|f| f.to_vec()).collect(),
    })
}

/// `None` for `{}`, `null` and a header without any of the fields.
fn read_header(frame: &[u8]) -> Result<Option<Header>, String> {
    let header = match serde_json::from_slice::<Option<Header>>(frame) {
        Ok(header) => header.unwrap_or_default(),
        Err(_) => lenient_header(&read_json(frame, "header")?),
    };
    Ok((header != Header::default()).then_some(header))
}

/// Some kernels send a number or null where a string belongs: take what is a string.
fn lenient_header(value: &Value) -> Header {
    let text = |name: &str| match &value[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    Header {
        msg_id: text("msg_id"),
        msg_type: text("msg_type"),
        session: text("session"),
        username: text("username"),
        date: text("date"),
        version: text("version"),
    }
}

/// A message's content, and what in it stays as it was written.
fn read_content(msg_type: &str, frame: &[u8]) -> Result<(Value, Option<Shown>), String> {
    #[derive(Deserialize)]
    struct Display {
        data: Option<Json>,
        metadata: Option<Json>,
        #[serde(default)]
        transient: Value,
        #[serde(default)]
        execution_count: Value,
    }
    match msg_type {
        "display_data" | "execute_result" | "update_display_data" => {
            let display: Display = read_json(frame, "content")?;
            let is_object = |json: &Json| json.text().starts_with('{');
            let Some(data) = display.data.filter(is_object) else {
                return Ok((read_json(frame, "content")?, None));
            };
            let metadata = display.metadata.filter(is_object).unwrap_or_default();
            let content =
                json!({ "transient": display.transient, "execution_count": display.execution_count });
            Ok((content, Some(Shown::Bundle { data, metadata })))
        }
        _ if msg_type.starts_with("comm_") => {
            Ok((json!({}), Some(Shown::Comm(read_json(frame, "content")?))))
        }
        _ => Ok((read_json(frame, "content")?, None)),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(frame: &[u8], what: &str) -> Result<T, String> {
    // What stays as it was written is not looked into: half a character may stand there.
    let has_halves =
        memchr::memmem::find_iter(frame, b"\\u").any(|at| matches!(frame.get(at + 2), Some(b'd' | b'D')));
    match serde_json::from_slice(frame) {
        Ok(value) if !has_halves => Ok(value),
        Ok(_) => repair::json(frame).ok_or_else(|| format!("{what} is not JSON")),
        Err(error) => repair::json(frame).ok_or_else(|| format!("{what} is not JSON: {error}")),
    }
}

fn raw(frames: &[&[u8]]) -> Value {
    let frames: Vec<Value> = frames
        .iter()
        .map(|frame| match std::str::from_utf8(frame) {
            Ok(text) => Value::from(text),
            Err(_) => json!({ "hex": hex(frame) }),
        })
        .collect();
    json!({ "frames": frames })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> ZmqMessage {
        let mut message = ZmqMessage::from(parts[0].to_vec());
        parts[1..].iter().for_each(|p| message.push_back(p.to_vec().into()));
        message
    }

    #[test]
    fn comes_back_as_it_went() {
        let parent = Message::request("execute_request", "s", json!({}));
        let mut sent =
            Message::reply("stream", "s", &parent.header, json!({ "name": "stdout", "text": "ä\n" }));
        sent.identities = vec![b"stream.stdout".to_vec()];
        sent.metadata.insert("a".into(), json!(1));
        sent.buffers = vec![vec![0, 255], vec![]];
        for key in ["", "secret", &"long".repeat(100)] {
            let signer = Signer::sha256(key);
            assert_eq!(Decoded::from_frames(&sent.encode(&signer), &signer), Decoded::Message(sent.clone()));
        }
    }

    #[test]
    fn the_unreadable_is_kept() {
        let check = |parts: &[&[u8]], reason: &str| {
            let Decoded::Unreadable(found) = Decoded::from_frames(&frames(parts), &Signer::sha256("")) else {
                panic!("{parts:?} was readable");
            };
            assert!(found.reason.contains(reason), "{} / {reason}", found.reason);
            assert_eq!(found.raw["frames"].as_array().map(Vec::len), Some(parts.len()));
        };
        let header = br#"{"msg_type":"stream"}"#.as_slice();
        check(&[b"x"], "delimiter");
        check(&[DELIMITER, b"", b"{}"], "6 are the least");
        check(&[DELIMITER, b"", b"{}", b"{}", b"{}", b"{}"], "empty");
        check(&[DELIMITER, b"", br#"{"msg_id":"1"}"#, b"{}", b"{}", b"{}"], "msg_type");
        check(&[b"\xff", DELIMITER, b"", header, b"{}", b"{}", b"{"], "content is not JSON");
    }

    #[test]
    fn a_false_signature_is_refused() {
        let (signer, other) = (Signer::sha256("a"), Signer::sha256("b"));
        let message = Message::request("x", "s", json!({})).encode(&other);
        assert!(
            matches!(Decoded::from_frames(&message, &signer), Decoded::Unreadable(u) if u.reason.contains("signature"))
        );
    }

    #[test]
    fn what_is_displayed_is_kept_as_it_was_written() {
        let shown = |msg_type: &str, content: &str| {
            let header = json!({ "msg_type": msg_type }).to_string();
            let parts = frames(&[DELIMITER, b"", header.as_bytes(), b"{}", b"{}", content.as_bytes()]);
            let Decoded::Message(found) = Decoded::from_frames(&parts, &Signer::sha256("")) else {
                panic!("unreadable: {content}");
            };
            (found.content, found.shown)
        };
        let deep = format!("{}1e-07{}", "[".repeat(3_000), "]".repeat(3_000));
        let data = format!(r#"{{"application/json": {deep}, "text/plain": "12345678901234567890123"}}"#);
        let content = format!(r#"{{"data":{data},"metadata":{{}},"transient":{{"display_id":"d"}}}}"#);
        let (rest, Some(Shown::Bundle { data: kept, metadata })) = shown("display_data", &content) else {
            panic!("nothing is shown");
        };
        assert_eq!((kept.text(), metadata.text()), (data.as_str(), "{}"));
        assert_eq!(rest["transient"]["display_id"], "d");
        assert!(
            matches!(shown("comm_msg", &data), (_, Some(Shown::Comm(all))) if all.text() == data),
            "widgets' messages too"
        );
        let half = r#"{"data":{"text/plain":"\ud83d \ud83d\ude00","n":NaN}}"#;
        let (_, Some(Shown::Bundle { data, .. })) = shown("display_data", half) else { panic!("{half}") };
        assert_eq!(data.text(), r#"{"text/plain":"\ufffd \ud83d\ude00","n":null}"#);
        assert_eq!(shown("display_data", r#"{"data":7}"#), (json!({ "data": 7 }), None));
    }

    #[test]
    fn tolerates_what_kernels_do() {
        let check = |header: &[u8], parent: &[u8], content: &[u8], expect: Value| {
            let parts = frames(&[DELIMITER, b"", header, parent, b"null", content]);
            let Decoded::Message(found) = Decoded::from_frames(&parts, &Signer::sha256("")) else {
                panic!("unreadable: {}", String::from_utf8_lossy(content));
            };
            assert_eq!(found.content, expect);
        };
        let stream = br#"{"msg_type":"stream","date":null,"msg_id":7,"more":{}}"#;
        check(stream, b"{}", b"{}", json!({}));
        check(stream, b"null", b"{\"text\":\"\xff\"}", json!({ "text": "\u{fffd}" }));
        check(stream, b"{}", br#"{"text":"\ud83d!"}"#, json!({ "text": "\u{fffd}!" }));
        check(stream, b"{}", br#"{"a":NaN,"b":[-Infinity,"NaN"]}"#, json!({ "a": null, "b": [null, "NaN"] }));
    }
}
