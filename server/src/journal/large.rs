//! What is too large for an answer: its data lie in files of their own, to be opened, and words stand in their place.
//!
//! The files are copies, made where somebody reads (`copy-<seq>-<n>.<ext>`): the journal has all of it, and makes them anew.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use serde_json::value::RawValue;

use super::assets::{self, COPY};
use crate::protocol::limits;
use crate::protocol::{EventBody, ExecutionError, Fields, Json, Output, string_of};

/// What answers may hold, in bytes of JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// All cells: an answer is in memory several times on its way.
    pub answer: u64,
    /// One output.
    pub output: u64,
}

impl Bounds {
    pub const USUAL: Bounds = Bounds { answer: 64 << 20, output: 32 << 20 };

    /// Code and errors of a history.
    pub const fn history(self) -> u64 {
        self.answer / 2
    }

    /// An error: nobody reads more of it in a cell.
    fn error(self) -> u64 {
        self.output / 32
    }

    /// A value of a MIME bundle that takes less stays, whatever the others take.
    fn small(self) -> u64 {
        self.output / 512
    }
}

/// The whole of something that was cut: its bytes, and the file that has them.
pub(super) type Whole = (u64, PathBuf);

/// What happened, as an answer can have it.
pub(super) fn event(dir: &Path, seq: u64, mut body: EventBody, bounds: Bounds) -> EventBody {
    match &mut body {
        EventBody::Queued { code, .. } => limits::cut_code(code),
        EventBody::InputRequest { prompt, .. } => limits::cut(prompt, limits::PROMPT),
        EventBody::Finished { error, .. } => error.iter_mut().for_each(ExecutionError::cut),
        EventBody::UpdateDisplay { data, metadata, .. } => drop(bundle(dir, seq, (data, metadata), bounds)),
        EventBody::Output { output } | EventBody::WidgetOutput { output, .. } => {
            drop(self::output(dir, seq, output, bounds));
        }
        EventBody::Comm { message } if message.bytes() > bounds.output => {
            let path =
                copy(dir, &format!("{seq}-comm.json"), |file| Ok(serde_json::to_writer(file, message)?));
            let (empty, asset) = (Json::default(), Json::from(json!(path)));
            let fields = message.fields();
            let kept = fields.iter().filter(|(name, _)| matches!(&**name, "header" | "parent_header"));
            let kept = kept.map(|(name, value)| (&**name, *value));
            *message = Json::object(kept.chain([("content", empty.raw()), ("asset", asset.raw())]));
        }
        _ => {}
    }
    body
}

/// An output that is no stream, as an answer can have it; where the most of what was put aside is.
pub(super) fn output(dir: &Path, seq: u64, output: &mut Output, bounds: Bounds) -> Option<Whole> {
    match output {
        Output::DisplayData { data, metadata, .. } | Output::ExecuteResult { data, metadata, .. } => {
            bundle(dir, seq, (data, metadata), bounds)
        }
        Output::Error { ename, evalue, traceback } => {
            let bytes =
                (ename.len() + evalue.len() + traceback.iter().map(String::len).sum::<usize>()) as u64;
            if bytes <= bounds.error() {
                return None;
            }
            let path = copy(dir, &format!("{seq}-error.txt"), |file| {
                writeln!(file, "{ename}: {evalue}")?;
                traceback.iter().try_for_each(|line| writeln!(file, "{line}"))
            });
            let take = std::mem::take::<String>;
            let traceback_before = std::mem::take(traceback);
            let mut short =
                ExecutionError { ename: take(ename), evalue: take(evalue), traceback: traceback_before };
            short.cut();
            (*ename, *evalue, *traceback) = (short.ename, short.evalue, short.traceback);
            traceback.push(words("This error", bytes, path.as_deref()));
            path.and_then(|path| Some((assets::length(&path)?, path)))
        }
        Output::Stream { .. } => None,
    }
}

/// Puts the large values of a MIME bundle aside. The largest of them is what can be opened.
fn bundle(dir: &Path, seq: u64, (data, metadata): (&mut Json, &mut Json), bounds: Bounds) -> Option<Whole> {
    if data.bytes() + metadata.bytes() <= bounds.output {
        return None;
    }
    let size = |(mime, value): &(Cow<'_, str>, &RawValue)| (mime.len() + value.get().len()) as u64;
    let whole = std::mem::take(data);
    let values = whole.fields();
    let small: u64 = values.iter().map(size).filter(|size| *size <= bounds.small()).sum();
    let mut aside: Vec<(u64, PathBuf)> = Vec::new();
    let mut text = String::new();
    let mut put = |what: &str, bytes: u64, path: Option<PathBuf>| {
        let bytes = path.as_deref().and_then(assets::length).unwrap_or(bytes);
        text.push_str(&words(what, bytes, path.as_deref()));
        aside.extend(path.map(|path| (bytes, path)));
    };
    if metadata.bytes() > bounds.small() {
        let path =
            copy(dir, &format!("{seq}-metadata.json"), |file| file.write_all(metadata.text().as_bytes()));
        put("Metadata", metadata.bytes(), path);
        *metadata = Json::default();
    }
    let mut kept: Fields<'_> = Vec::new();
    // Hundreds of types are nobody's output: they lie in one file.
    if !values.is_empty() && small <= bounds.output / 2 {
        for (n, (mime, value)) in values.into_iter().enumerate() {
            let bytes = size(&(mime.clone(), value));
            if bytes <= bounds.small() {
                kept.push((mime, value));
                continue;
            }
            let (extension, is_base64) = form(&mime, value);
            let name = format!("{seq}-{n}.{extension}");
            let path = copy(dir, &name, |file| write_value(file, value, is_base64));
            let mut mime = mime.into_owned();
            limits::cut(&mut mime, limits::LABEL);
            put(&mime, bytes, path);
        }
    } else {
        let path = copy(dir, &format!("{seq}-data.json"), |file| file.write_all(whole.text().as_bytes()));
        put("This output", whole.bytes(), path);
    }
    let is_text = |(mime, _): &(Cow<'_, str>, &RawValue)| mime == "text/plain";
    let at = kept.iter().position(is_text);
    let before = at.and_then(|at| string_of(kept[at].1)).filter(|text| !text.is_empty());
    let shown = Json::from(json!(before.map(|text| format!("{text}\n")).unwrap_or_default() + &text));
    match at {
        Some(at) => kept[at].1 = shown.raw(),
        None => kept.push(("text/plain".into(), shown.raw())),
    }
    *data = Json::object(kept.iter().map(|(mime, value)| (&**mime, *value)));
    aside.into_iter().max()
}

/// What is said in place of something.
pub(super) fn words(what: &str, bytes: u64, path: Option<&Path>) -> String {
    let place = match path {
        Some(path) => format!("all of it is in {}", path.display()),
        None => "no copy of it could be made".to_owned(),
    };
    format!("[{what} takes {bytes} bytes, too much to be shown here: {place}]\n")
}

/// The ending of the file's name, and whether the value is base64. Names come from this list alone.
fn form(mime: &str, value: &RawValue) -> (&'static str, bool) {
    if !value.get().starts_with('"') {
        return ("json", false);
    }
    match mime {
        "image/png" => ("png", true),
        "image/jpeg" => ("jpg", true),
        "image/gif" => ("gif", true),
        "image/webp" => ("webp", true),
        "application/pdf" => ("pdf", true),
        "image/svg+xml" => ("svg", false),
        "text/html" => ("html", false),
        "text/markdown" => ("md", false),
        "text/latex" => ("tex", false),
        "application/javascript" => ("js", false),
        _ if mime == "application/json" || mime.ends_with("+json") => ("json", false),
        _ if ["image/", "audio/", "video/"].iter().any(|family| mime.starts_with(family)) => ("bin", true),
        _ => ("txt", false),
    }
}

fn write_value(file: &mut dyn Write, value: &RawValue, is_binary: bool) -> io::Result<()> {
    let Some(text) = string_of(value) else { return file.write_all(value.get().as_bytes()) };
    if !is_binary {
        return file.write_all(text.as_bytes());
    }
    // It may have lines, as base64 of mail has.
    let has_lines = text.bytes().any(|byte| byte.is_ascii_whitespace());
    let text = if has_lines { Cow::from(text.replace(['\n', '\r', ' '], "")) } else { text };
    let mut bytes = base64::read::DecoderReader::new(text.as_bytes(), &base64::prelude::BASE64_STANDARD);
    io::copy(&mut bytes, file).map(drop)
}

/// Makes a copy where it is not there yet: what a row says never changes. `None` where it cannot be made: on a full disk
/// the rest is shown all the same.
fn copy(dir: &Path, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Option<PathBuf> {
    let name = format!("{COPY}{name}");
    let path = dir.join("assets").join(&name);
    if assets::length(&path).is_some() {
        assets::touch(&path);
        return Some(path);
    }
    assets::make_copy(dir, &name, write).inspect_err(|e| tracing::warn!("no copy was made: {e}")).ok()
}
