//! New outputs in a notebook file: what is not an output or a count stays as it is, byte for byte.
//!
//! The file is looked through for the places of its cells' outputs; new ones are written in the file's own form, sorted and
//! indented as notebooks are. Outputs that say the same as before are not written anew. Leaves out how a file is replaced
//! (`replace.rs`), and whose outputs go where (`save.rs`).

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::notebook_file::{LARGEST, no_cells, unmarked, wrong};
use crate::protocol::{Fields, Json, Output, fields_of, string_of};
use crate::{foreign, jupyter};

/// What is nested deeper stands as its writer wrote it, in one line.
const DEEPEST: usize = 100;
/// What is nested deeper is left out of a file: Python reads no notebook that has it.
const DEEPEST_IN_FILE: usize = 500;

/// A notebook's text, and where its code cells are in it.
pub struct NotebookFile {
    text: String,
    pub cells: Vec<FileCell>,
    style: Style,
    /// What is to stand where; filled in by [`set`](Self::set).
    edits: Vec<(Range<usize>, String)>,
}

/// A code cell of a file.
#[derive(Debug)]
pub struct FileCell {
    /// nbformat's id, where it has one.
    pub id: Option<String>,
    /// Its place among all cells, from 0.
    pub index: usize,
    pub source: String,
    /// Whether any output stands there.
    pub has_outputs: bool,
    outputs: Place,
    count: Place,
}

/// Where a value is, or where it would be with the text before it.
#[derive(Debug)]
enum Place {
    At(Range<usize>),
    /// `base`: the white space with which its line begins.
    Missing {
        at: usize,
        base: String,
        before: String,
        after: String,
    },
}

/// How a file is written.
#[derive(Debug)]
struct Style {
    /// One step; `None`: all in one line.
    indent: Option<String>,
    line_end: &'static str,
    colon: &'static str,
    comma: &'static str,
}

impl NotebookFile {
    /// Reads a notebook.
    ///
    /// # Errors
    /// The file's own; `InvalidData` where it is no notebook of format 4.
    pub fn read(path: &Path) -> io::Result<NotebookFile> {
        let text = foreign::read_text(path, LARGEST)?;
        match NotebookFile::parse(&text, &jupyter::readable(unmarked(&text))) {
            Ok(Some((cells, style))) => Ok(NotebookFile { text, cells, style, edits: Vec::new() }),
            Ok(None) => Err(no_cells(path)),
            Err(e) => Err(wrong(path, e)),
        }
    }

    /// `json` is what can be read of `text`: each place in it is as far from the end.
    fn parse(text: &str, json: &str) -> serde_json::Result<Option<(Vec<FileCell>, Style)>> {
        #[derive(Deserialize)]
        struct Notebook<'a> {
            #[serde(borrow)]
            cells: Option<Vec<&'a RawValue>>,
        }
        let Some(all) = serde_json::from_str::<Notebook<'_>>(json)?.cells else { return Ok(None) };
        let begins = text.len() - json.len();
        let place = |value: &RawValue| {
            let at = begins + value.get().as_ptr().addr() - json.as_ptr().addr();
            at..at + value.get().len()
        };
        let style = Style::of(text);
        let mut cells = Vec::new();
        for (index, cell) in all.into_iter().enumerate() {
            let fields = fields_of(cell);
            let last = |name: &str| fields.iter().rev().find(|(field, _)| field == name).map(|(_, v)| *v);
            if last("cell_type").and_then(string_of).as_deref() != Some("code") {
                continue;
            }
            let place_of = |name: &str| match last(name) {
                Some(value) => Place::At(place(value)),
                None => style.missing(text, name, &fields, &place, place(cell)),
            };
            cells.push(FileCell {
                id: last("id").and_then(string_of).map(Cow::into_owned),
                index,
                source: last("source").map(joined).unwrap_or_default(),
                has_outputs: last("outputs").is_some_and(|outputs| !items_of(outputs).is_empty()),
                outputs: place_of("outputs"),
                count: place_of("execution_count"),
            });
        }
        Ok(Some((cells, style)))
    }

    /// The file as it was read.
    pub fn as_read(&self) -> Vec<u8> {
        self.text.as_bytes().to_vec()
    }

    /// Gives a cell its outputs and its count.
    pub fn set(&mut self, cell: usize, outputs: &[Output], count: Option<u32>) {
        let cell = &self.cells[cell];
        let outputs: Vec<String> = outputs.iter().map(nbformat).collect();
        let outputs = format!("[{}]", outputs.join(","));
        // Made of JSON each.
        let Ok(outputs) = RawValue::from_string(outputs) else { return };
        let is_same = |place: &Place, new: &RawValue| match place {
            Place::At(range) => {
                serde_json::from_str::<&RawValue>(&jupyter::readable(&self.text[range.clone()]))
                    .is_ok_and(|old| plain_outputs(old) == plain_outputs(new))
            }
            Place::Missing { .. } => false,
        };
        let count = Value::from(count).to_string();
        if !matches!(&cell.count, Place::At(range) if self.text[range.clone()] == count) {
            let (range, text) = self.style.at(&self.text, &cell.count, |_, _| count);
            self.edits.push((range, text));
        }
        if !is_same(&cell.outputs, &outputs) {
            let (range, text) = self.style.at(&self.text, &cell.outputs, |style, base| {
                let mut text = String::new();
                style.write(&outputs, base, 0, &mut text);
                text
            });
            self.edits.push((range, text));
        }
    }

    /// The file as it is to be; `None` where nothing in it changes.
    pub fn edited(mut self) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        // Where two are missing at one place they stand in the order of their names.
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut new = Vec::with_capacity(self.text.len());
        let mut from = 0;
        for (range, text) in &self.edits {
            new.extend_from_slice(&self.text.as_bytes()[from..range.start]);
            new.extend_from_slice(text.as_bytes());
            from = range.end;
        }
        new.extend_from_slice(&self.text.as_bytes()[from..]);
        Some(new)
    }
}

impl Style {
    fn of(text: &str) -> Style {
        let mut lines = unmarked(text).trim_ascii().lines();
        let (first, second) = (lines.next().unwrap_or_default(), lines.next());
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let space = |mark: &str| first.contains(&format!("\"{mark} "));
        match second {
            Some(line) => {
                let indent = line[..line.len() - line.trim_ascii_start().len()].to_owned();
                Style { indent: Some(indent), line_end, colon: ": ", comma: "," }
            }
            None => Style {
                indent: None,
                line_end,
                colon: if space(":") { ": " } else { ":" },
                comma: if space(",") || first.contains("], ") { ", " } else { "," },
            },
        }
    }

    /// Where a field that a cell does not have would stand: behind the last that comes before it.
    fn missing(
        &self,
        text: &str,
        name: &str,
        fields: &Fields<'_>,
        place: &impl Fn(&RawValue) -> Range<usize>,
        cell: Range<usize>,
    ) -> Place {
        // What stands before its first field stands before each.
        let inner = &text[cell.start + 1..cell.end];
        let space = &inner[..inner.len() - inner.trim_start().len()];
        let base = match space.rfind('\n') {
            Some(at) => space[at + 1..].to_owned(),
            None => indent_at(text, cell.start).to_owned(),
        };
        let comma = if space.contains('\n') { "," } else { self.comma };
        let next = fields.iter().position(|(field, _)| &**field > name).unwrap_or(fields.len());
        match next.checked_sub(1).and_then(|before| fields.get(before)) {
            Some((_, value)) => {
                let space = if space.contains('\n') { space } else { "" };
                let before = format!("{comma}{space}\"{name}\"{}", self.colon);
                Place::Missing { at: place(value).end, base, before, after: String::new() }
            }
            None => {
                let before = format!("{space}\"{name}\"{}", self.colon);
                // The first field keeps the white space before it.
                let after = if space.contains('\n') { "," } else { comma.trim_end() };
                let after = if space.is_empty() { comma } else { after };
                Place::Missing { at: cell.start + 1, base, before, after: after.to_owned() }
            }
        }
    }

    /// An edit: `value` makes the text, given the indent of the line where it begins.
    fn at(
        &self,
        text: &str,
        place: &Place,
        value: impl FnOnce(&Style, &str) -> String,
    ) -> (Range<usize>, String) {
        match place {
            Place::At(range) => (range.clone(), value(self, indent_at(text, range.start))),
            Place::Missing { at, base, before, after } => {
                (*at..*at, format!("{before}{}{after}", value(self, base)))
            }
        }
    }

    fn write(&self, raw: &RawValue, base: &str, depth: usize, out: &mut String) {
        if depth >= DEEPEST {
            return out.push_str(raw.get());
        }
        let inner = format!("{base}{}", self.indent.as_deref().unwrap_or_default());
        let line = |base: &str, out: &mut String| {
            if self.indent.is_some() {
                out.push_str(self.line_end);
                out.push_str(base);
            }
        };
        let comma = |n: usize, out: &mut String| {
            if n > 0 {
                out.push_str(if self.indent.is_some() { "," } else { self.comma });
            }
        };
        match raw.get().as_bytes().first() {
            Some(b'{') => {
                let mut fields = fields_of(raw);
                // Python's order, which is that of code points, as is that of UTF-8.
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (n, (name, value)) in fields.iter().enumerate() {
                    comma(n, out);
                    line(&inner, out);
                    *out += &Value::from(&**name).to_string();
                    out.push_str(self.colon);
                    self.write(value, &inner, depth + 1, out);
                }
                if !fields.is_empty() {
                    line(base, out);
                }
                out.push('}');
            }
            Some(b'[') => {
                let items = items_of(raw);
                out.push('[');
                for (n, value) in items.iter().enumerate() {
                    comma(n, out);
                    line(&inner, out);
                    self.write(value, &inner, depth + 1, out);
                }
                if !items.is_empty() {
                    line(base, out);
                }
                out.push(']');
            }
            // Escapes that are not needed are none.
            Some(b'"') => {
                *out += &string_of(raw).map_or(raw.get().into(), |text| Value::from(text).to_string())
            }
            _ => out.push_str(raw.get()),
        }
    }
}

/// The white space with which a place's line begins.
fn indent_at(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn items_of(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// nbformat's multi-line strings: one string, or a list of pieces.
fn joined(raw: &RawValue) -> String {
    match string_of(raw) {
        Some(text) => text.into_owned(),
        None => items_of(raw).into_iter().filter_map(string_of).collect(),
    }
}

/// Whether a type's value may be a list of lines on disk: all but JSON.
fn is_text(mime: &str) -> bool {
    mime != "application/json" && !mime.ends_with("+json")
}

/// An output as nbformat 4 has it on disk: no `displayId`, text as lists of lines.
fn nbformat(output: &Output) -> String {
    // Outputs have strings for keys.
    let Ok(raw) = serde_json::value::to_raw_value(output) else { return "null".into() };
    let fields = fields_of(&raw);
    let kept = fields.into_iter().filter(|(name, _)| name != "displayId");
    let lines =
        |value: &RawValue| string_of(value).map_or_else(|| value.to_owned().into(), |text| lines(&text));
    let shown = |value: &RawValue| {
        let mut values: Vec<(Cow<'_, str>, Json)> = Vec::new();
        for (mime, value) in fields_of(value) {
            let in_lines =
                mime.starts_with("text/") || ["image/svg+xml", "application/javascript"].contains(&&*mime);
            let value = match depth_of(value.get()) {
                depth if depth > DEEPEST_IN_FILE => {
                    Json::from(Value::from(format!("[left out: nested {depth} levels deep]")))
                }
                _ if in_lines => lines(value),
                _ => value.to_owned().into(),
            };
            // Of two the last one counts.
            values.retain(|(other, _)| *other != mime);
            values.push((mime, value));
        }
        Json::object(values.iter().map(|(mime, value)| (&**mime, value.raw())))
    };
    let written: Vec<(Cow<'_, str>, Json)> = kept
        .map(|(name, value)| {
            let value = match &*name {
                "text" => lines(value),
                "data" => shown(value),
                _ => value.to_owned().into(),
            };
            (name, value)
        })
        .collect();
    Json::object(written.iter().map(|(name, value)| (&**name, value.raw()))).text().to_owned()
}

/// How deep JSON is nested.
fn depth_of(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn lines(text: &str) -> Json {
    Value::from_iter(text.split_inclusive('\n')).into()
}

/// Outputs in a form in which those that say the same are the same.
fn plain_outputs(outputs: &RawValue) -> Option<Vec<String>> {
    let compact = Style { indent: None, line_end: "", colon: ":", comma: "," };
    let write = |raw: &RawValue| {
        let mut text = String::new();
        compact.write(raw, "", 0, &mut text);
        text
    };
    let plain = |output: &&RawValue| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in fields_of(output) {
            let value = match &*name {
                "text" => Value::from(joined(value)).to_string(),
                "data" => {
                    let mut values: Vec<_> = fields_of(value)
                        .into_iter()
                        .map(|(mime, value)| {
                            let is_list = is_text(&mime) && value.get().starts_with('[');
                            let text =
                                if is_list { Value::from(joined(value)).to_string() } else { write(value) };
                            format!("{mime}={text}")
                        })
                        .collect();
                    values.sort();
                    values.join("\n")
                }
                _ => write(value),
            };
            fields.push((name.into_owned(), value));
        }
        fields.sort();
        fields.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect()
    };
    serde_json::from_str::<Vec<&RawValue>>(outputs.get()).ok().map(|all| all.iter().map(plain).collect())
}

#[cfg(test)]
pub mod tests;
