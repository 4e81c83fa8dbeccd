//! A conversation as a file: Markdown for people, JSON for `import`. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::{Conversation, Error, Role, Turn};
use crate::sessions::{invalid, plain, text::local};

/// The form of the JSON.
const VERSION: u64 = 1;
/// Fewer characters make no fence.
const SHORTEST_FENCE: usize = 3;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    version: u64,
    #[serde(flatten)]
    conversation: &'a Conversation,
    turns: Vec<Turn>,
}

/// What is taken in of an export; the rest follows from the turns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Import {
    pub(super) session_id: Option<String>,
    pub(super) notebook_uri: Option<String>,
    pub(super) turns: Vec<Turn>,
}

/// What [`import`] takes.
pub(super) fn json(conversation: &Conversation, turns: Vec<Turn>) -> String {
    plain::json(&Export { version: VERSION, conversation, turns })
}

/// Reads an export, as text or as JSON.
///
/// # Errors
/// `InvalidParams` for `json`: it says where it is not as it should be.
pub(super) fn import(json: &Value) -> Result<Import, Error> {
    let wrong = |what: String| invalid("json", what);
    let read = match json {
        Value::String(text) => Some(serde_json::from_str(text).map_err(|e| wrong(format!("no JSON: {e}")))?),
        _ => None,
    };
    let value: &Value = read.as_ref().unwrap_or(json);
    match value["version"].as_u64() {
        Some(VERSION) => {}
        Some(version) if version > VERSION => {
            let what =
                format!("version {version}, of a newer Kernel Keeper; this one knows {VERSION}: update it");
            return Err(wrong(what));
        }
        _ => return Err(wrong(format!("no exported conversation: \"version\" is not {VERSION}"))),
    }
    let import: Import =
        serde_path_to_error::deserialize(value).map_err(|e| wrong(format!("{}: {}", e.path(), e.inner())))?;
    if import.turns.is_empty() {
        return Err(wrong("turns: a conversation has at least one".into()));
    }
    Ok(import)
}

/// The whole of it, a heading a turn. What is code is fenced, and nothing in a turn reaches into the next.
pub(super) fn markdown(conversation: &Conversation, turns: &[Turn]) -> String {
    let Conversation { title, turn_count, notebook_path, notebook_uri, started_at, last_activity_at, .. } =
        conversation;
    let title = if title.is_empty() { "Conversation" } else { title };
    let mut text = format!("# {title}\n\n");
    if let Some(notebook) = notebook_path.as_ref().or(notebook_uri.as_ref()) {
        text += &format!("- Notebook: {}\n", inline(notebook));
    }
    let told = if (turns.len() as u32) < *turn_count {
        format!("the latest {} of ", turns.len())
    } else {
        String::new()
    };
    text += &format!(
        "- Began: {}\n- Last activity: {}\n- Turns: {told}{turn_count}\n",
        local(*started_at),
        local(*last_activity_at)
    );
    for turn in turns {
        let who = match turn.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::System => "System",
            Role::Tool => "Tool",
        };
        let said = turn.content.trim_end_matches(['\n', '\r']);
        let body = match turn.role {
            _ if said.trim().is_empty() => "*(nothing)*".into(),
            Role::Tool => fenced(said),
            _ if is_code(said) => fenced(said),
            _ => closed(said),
        };
        text += &format!("\n## {who} · {}\n\n{body}\n", local(turn.at));
    }
    text
}

/// Code in a fence longer than any run of backticks in it.
fn fenced(code: &str) -> String {
    let fence = "`".repeat((longest_run(code) + 1).max(SHORTEST_FENCE));
    format!("{fence}\n{code}\n{fence}")
}

fn inline(code: &str) -> String {
    let fence = "`".repeat(longest_run(code) + 1);
    let space = if fence.len() > 1 { " " } else { "" };
    format!("{fence}{space}{code}{space}{fence}")
}

fn longest_run(code: &str) -> usize {
    code.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The characters of a fence that a line begins with, and what follows them.
fn fence_of(line: &str) -> Option<(char, usize, &str)> {
    let text = line.trim_start_matches(' ');
    let kind = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(kind);
    let length = text.len() - rest.len();
    let is_fence = line.len() - text.len() < 4 && length >= SHORTEST_FENCE;
    (is_fence && !(kind == '`' && rest.contains('`'))).then_some((kind, length, rest))
}

/// Markdown that somebody wrote, within a turn: its headings are below the turn's, and what it left open is closed.
fn closed(markdown: &str) -> String {
    let mut open: Option<(char, usize)> = None;
    let mut lines = Vec::new();
    for line in markdown.lines() {
        let fence = fence_of(line);
        let is_heading = open.is_none() && fence.is_none() && line.trim_start_matches('#').starts_with(' ');
        open = match (open, fence) {
            (None, Some((kind, length, _))) => Some((kind, length)),
            (Some((kind, length)), Some((other, longer, rest)))
                if kind == other && longer >= length && rest.trim().is_empty() =>
            {
                None
            }
            (open, _) => open,
        };
        let level = line.len() - line.trim_start_matches('#').len();
        match is_heading && (1..=6).contains(&level) {
            true => lines.push(format!("{}{line}", "#".repeat((6 - level).min(2)))),
            false => lines.push(line.to_owned()),
        }
    }
    if let Some((kind, length)) = open {
        lines.push(kind.to_string().repeat(length));
    }
    lines.join("\n")
}

/// Whether a text without any fence is code as a whole: most of its lines look like it.
fn is_code(text: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "import ",
        "from ",
        "def ",
        "class ",
        "return ",
        "@",
        "%",
        "#include",
        "const ",
        "let ",
        "var ",
        "function ",
        "print(",
        "SELECT ",
        "library(",
        "async ",
    ];
    let looks_like_it = |line: &str| {
        let word = line.trim_start_matches(|c: char| c.is_alphanumeric() || "_.[]".contains(c));
        let is_named = word.len() < line.len();
        line.starts_with("    ")
            || line.starts_with('\t')
            || BEGINNINGS
                .iter()
                .any(|beginning| line.starts_with(beginning) && !line.ends_with(['.', '?', '!']))
            || line.ends_with([';', '{', '}'])
            || (is_named && (word.starts_with(" = ") || word.starts_with('(') && word.ends_with(')')))
            || (line.ends_with(':')
                && ["if ", "for ", "while ", "with ", "else", "elif ", "try"]
                    .iter()
                    .any(|w| line.starts_with(w)))
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_fenced = lines.iter().any(|line| fence_of(line).is_some());
    let code = lines.iter().filter(|line| line.starts_with("# ") || looks_like_it(line)).count();
    // Comments alone are headings, for all that is known.
    !is_fenced && lines.iter().any(|line| looks_like_it(line)) && code * 2 > lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Time;
    use serde_json::json;

    #[test]
    fn nothing_reaches_out_of_its_turn() {
        for (text, expect) in [
            ("plain", "plain"),
            ("# Top\n###### Deep", "### Top\n###### Deep"),
            ("#no heading", "#no heading"),
            ("```py\n# a comment\n```", "```py\n# a comment\n```"),
            ("see\n````\n```\n# x", "see\n````\n```\n# x\n````"),
            ("~~~\n```", "~~~\n```\n~~~"),
            ("```a`b\n# h", "```a`b\n### h"),
        ] {
            assert_eq!(closed(text), expect, "{text}");
        }
        assert_eq!(fenced("a"), "```\na\n```");
        assert_eq!(fenced("````\nx\n````"), "`````\n````\nx\n````\n`````");
        assert_eq!(inline("a`b"), "`` a`b ``");
    }

    #[test]
    fn code_is_told_from_words() {
        for code in
            ["import os\nprint(os.getcwd())", "x = 1", "# sum\ntotal = sum(xs)", "for x in y:\n    f(x)"]
        {
            assert!(is_code(code), "{code}");
        }
        for words in
            ["What is x?", "# Title\n\nSome words", "Import this.", "```\nx = 1\n```", "let me see.", ""]
        {
            assert!(!is_code(words), "{words}");
        }
    }

    #[test]
    fn an_export_is_checked() {
        let good = json!({"version": 1, "turns": [{"role": "user", "content": "", "at": Time(0)}]});
        assert_eq!(import(&good).unwrap().turns.len(), 1);
        assert_eq!(import(&json!(good.to_string())).unwrap().turns.len(), 1);
        let with = |place: &str, value: Value| {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = value;
            import(&bad).err().map(|e| e.message).unwrap_or_default()
        };
        for (place, value, expect) in [
            ("/version", json!(2), "newer"),
            ("/version", json!("1"), "version"),
            ("/turns", json!([]), "at least one"),
            ("/turns", json!(null), "turns: "),
            ("/turns/0/role", json!("boss"), "turns[0].role"),
            ("/turns/0/at", json!("yesterday"), "turns[0].at"),
            ("/turns/0/content", json!(7), "turns[0].content"),
        ] {
            let message = with(place, value.clone());
            assert!(message.starts_with("json: ") && message.contains(expect), "{place} {value}: {message}");
        }
        for text in [json!("{"), json!(null), json!([]), json!(7)] {
            assert!(import(&text).is_err(), "{text}");
        }
    }
}
