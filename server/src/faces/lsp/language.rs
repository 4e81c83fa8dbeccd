//! Help while typing in a cell, from the kernel that this window has attached to its notebook: it knows the variables as
//! they are. Where it is busy, slow or not there, the answer is empty: other extensions know the code.

use serde_json::{Value, json};
use tower_lsp::ls_types::*;

use super::backend::Backend;
use super::cells::{Cell, byte_at, position_at};
use crate::protocol::NotebookName;

/// More are of use to nobody.
const MOST_ITEMS: usize = 1_000;
const LONGEST_HOVER: usize = 20_000;

/// What the kernel is asked about: a cell's text, and where in it.
struct Place {
    notebook: NotebookName,
    text: String,
    /// Bytes from its start.
    byte: usize,
}

impl Backend {
    fn place(&self, asked: &TextDocumentPositionParams) -> Option<Place> {
        let Cell { notebook, text } = self.cell(asked.text_document.uri.as_str())?;
        let byte = byte_at(&text, asked.position);
        Some(Place { notebook: NotebookName::parse(&notebook).ok()?, text, byte })
    }

    async fn ask(&self, place: &Place, message: &str, byte: usize) -> Option<Value> {
        // Jupyter counts Unicode code points.
        let cursor = place.text[..byte].chars().count();
        let content = json!({ "code": place.text, "cursor_pos": cursor, "detail_level": 0 });
        self.sessions().ok()?.help(&place.notebook, message, content).await
    }

    pub(super) async fn completed(&self, asked: &TextDocumentPositionParams) -> Option<CompletionResponse> {
        let place = self.place(asked)?;
        let reply = self.ask(&place, "complete_request", place.byte).await?;
        Some(CompletionResponse::Array(items(&place.text, &reply)))
    }

    pub(super) async fn hovered(&self, asked: &TextDocumentPositionParams) -> Option<Hover> {
        let place = self.place(asked)?;
        let range = name_around(&place.text, place.byte)?;
        let reply = self.ask(&place, "inspect_request", range.1).await?;
        let value = documentation(&reply)?;
        let range =
            Range { start: position_at(&place.text, range.0), end: position_at(&place.text, range.1) };
        let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
        Some(Hover { contents, range: Some(range) })
    }

    pub(super) async fn signed(&self, asked: &TextDocumentPositionParams) -> Option<SignatureHelp> {
        let place = self.place(asked)?;
        let (name_end, argument) = call_around(&place.text[..place.byte])?;
        let reply = self.ask(&place, "inspect_request", name_end).await?;
        let text = without_colours(reply["data"]["text/plain"].as_str()?);
        let (label, parameters) = signature(&text)?;
        let parameters: Vec<ParameterInformation> = parameters
            .into_iter()
            .map(|label| ParameterInformation { label: ParameterLabel::Simple(label), documentation: None })
            .collect();
        let active = argument.min(parameters.len().saturating_sub(1)) as u32;
        Some(SignatureHelp {
            signatures: vec![SignatureInformation {
                label,
                documentation: None,
                parameters: Some(parameters),
                active_parameter: None,
            }],
            active_signature: Some(0),
            active_parameter: Some(active),
        })
    }
}

/// A `complete_reply` as the editor wants it.
fn items(text: &str, reply: &Value) -> Vec<CompletionItem> {
    let starts: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let position = |name: &str| {
        let point = reply[name].as_u64()? as usize;
        Some(position_at(text, *starts.get(point)?))
    };
    let (Some(start), Some(end)) = (position("cursor_start"), position("cursor_end")) else {
        return Vec::new();
    };
    let types = reply["metadata"]["_jupyter_types_experimental"].as_array();
    let matches = reply["matches"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let item = |(number, name): (usize, &str)| {
        let about = types.into_iter().flatten().find(|about| about["text"] == name);
        CompletionItem {
            label: name.to_owned(),
            kind: about.and_then(|about| kind_of(about["type"].as_str()?)),
            detail: about.and_then(|a| a["signature"].as_str()).filter(|s| !s.is_empty()).map(str::to_owned),
            sort_text: Some(format!("{number:05}")),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit {
                range: Range { start, end },
                new_text: name.to_owned(),
            })),
            ..CompletionItem::default()
        }
    };
    matches.take(MOST_ITEMS).enumerate().map(item).collect()
}

/// The kinds that IPython names.
fn kind_of(name: &str) -> Option<CompletionItemKind> {
    Some(match name {
        "function" => CompletionItemKind::FUNCTION,
        "class" => CompletionItemKind::CLASS,
        "module" => CompletionItemKind::MODULE,
        "instance" | "statement" => CompletionItemKind::VARIABLE,
        "keyword" => CompletionItemKind::KEYWORD,
        "param" => CompletionItemKind::PROPERTY,
        "path" => CompletionItemKind::FILE,
        "magic" => CompletionItemKind::EVENT,
        _ => return None,
    })
}

/// What an `inspect_reply` says, as Markdown.
fn documentation(reply: &Value) -> Option<String> {
    if reply["found"] != true {
        return None;
    }
    if let Some(text) = reply["data"]["text/markdown"].as_str() {
        return Some(text.to_owned());
    }
    let text: String =
        without_colours(reply["data"]["text/plain"].as_str()?).chars().take(LONGEST_HOVER).collect();
    // A fence that is longer than any in it.
    let fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
    Some(format!("{fence}text\n{}\n{fence}", text.trim_end()))
}

/// Without the ANSI sequences that colour it.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if characters.next() == Some('[') {
            characters.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    plain
}

const fn is_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// The bytes of the name at a place; `None` where there is none.
fn name_around(text: &str, byte: usize) -> Option<(usize, usize)> {
    let start = text[..byte]
        .rfind(|c| !is_name(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let end = text[byte..].find(|c| !is_name(c)).map_or(text.len(), |length| byte + length);
    let is_number = text[start..end].starts_with(|c: char| c.is_ascii_digit());
    (start < end && !is_number).then_some((start, end))
}

/// Of the call whose arguments are being typed: where the name before its bracket ends, and which argument it is. Strings
/// are passed over as far as one line tells.
fn call_around(before: &str) -> Option<(usize, usize)> {
    let (mut open, mut quote, mut escaped): (Vec<(char, usize, usize)>, Option<char>, bool) =
        (vec![], None, false);
    for (byte, c) in before.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(inside), _) if c == inside || c == '\n' => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => open.push((c, byte, 0)),
            (None, ')' | ']' | '}') => drop(open.pop()),
            (None, ',') => {
                if let Some(last) = open.last_mut() {
                    last.2 += 1;
                }
            }
            _ => {}
        }
    }
    let (_, byte, argument) = open.into_iter().rev().find(|(bracket, ..)| *bracket == '(')?;
    let name = before[..byte].trim_end();
    name.ends_with(is_name).then_some((name.len(), argument))
}

/// The signature that IPython names in what it says of a function, and its parameters.
fn signature(text: &str) -> Option<(String, Vec<String>)> {
    let heading = ["Signature:", "Init signature:", "Call signature:"];
    let mut lines = text.lines().skip_while(|line| !heading.iter().any(|h| line.starts_with(h)));
    let mut label = lines.next()?.split_once(':')?.1.trim().to_owned();
    let (mut parts, mut depth) = (vec![String::new()], 0);
    // A long one goes on in the lines below, until its brackets are closed.
    while label.is_empty() || label.matches('(').count() > label.matches(')').count() {
        let line = lines.next()?.trim();
        label.push_str(if label.is_empty() || label.ends_with('(') || line.starts_with(')') {
            ""
        } else {
            " "
        });
        label.push_str(line);
    }
    for c in label.chars() {
        depth -= i32::from(matches!(c, ')' | ']' | '}'));
        match (depth, c) {
            (0, _) => {}
            (1, ',') => parts.push(String::new()),
            _ => parts.last_mut()?.push(c),
        }
        depth += i32::from(matches!(c, '(' | '[' | '{'));
    }
    let parameters =
        parts.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty() && p != "/" && p != "*");
    Some((label, parameters.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_calls() {
        let name =
            |text: &str, byte: usize| name_around(text, byte).map(|(start, end)| text[start..end].to_owned());
        assert_eq!(name("np.zeros(3)", 4).as_deref(), Some("zeros"));
        assert_eq!(name("größe = 1", 4).as_deref(), Some("größe"));
        assert_eq!(name("x = 12", 5), None);
        assert_eq!(name("a + b", 2), None);
        assert_eq!(name("", 0), None);
        let call = |text: &str| call_around(text).map(|(end, argument)| (text[..end].to_owned(), argument));
        assert_eq!(call("np.zeros("), Some(("np.zeros".into(), 0)));
        assert_eq!(call("f(a, g(1, 2), "), Some(("f".into(), 2)));
        assert_eq!(call("f(')', [1, 2"), Some(("f".into(), 1)));
        assert_eq!(call("f(1)"), None);
        assert_eq!(call("(1, "), None);
    }

    #[test]
    fn signatures() {
        let check = |text: &str, label: &str, parameters: &[&str]| {
            let (found, names) = signature(text).unwrap();
            assert_eq!((found.as_str(), names), (label, parameters.iter().map(|p| p.to_string()).collect()));
        };
        check("Signature: f(a, b=(1, 2), *c)\nDocstring: x", "f(a, b=(1, 2), *c)", &["a", "b=(1, 2)", "*c"]);
        check("Signature: f()\n", "f()", &[]);
        check(
            "Signature:\nf(\n    a: dict[str, int],\n    b,\n) -> int\nType: x",
            "f(a: dict[str, int], b,) -> int",
            &["a: dict[str, int]", "b"],
        );
        check("Init signature: C(x, /)\n", "C(x, /)", &["x"]);
        assert_eq!(signature("Type: int"), None);
    }

    #[test]
    fn replies() {
        let reply = json!({ "matches": ["größe", "b"], "cursor_start": 4, "cursor_end": 6,
            "metadata": { "_jupyter_types_experimental": [{ "text": "größe", "type": "instance", "signature": "" }] } });
        let found = items("🦀x = gr", &reply);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].kind, Some(CompletionItemKind::VARIABLE));
        let Some(CompletionTextEdit::Edit(edit)) = &found[0].text_edit else { panic!("no edit") };
        assert_eq!((edit.range.start.character, edit.range.end.character), (5, 7));
        assert!(items("x", &json!({ "matches": ["a"], "cursor_start": 0, "cursor_end": 9 })).is_empty());
        assert_eq!(without_colours("\u{1b}[31mType:\u{1b}[39m int"), "Type: int");
        let said =
            documentation(&json!({ "found": true, "data": { "text/plain": "a ```code```" } })).unwrap();
        assert!(said.starts_with("````text\n"), "{said}");
    }
}
