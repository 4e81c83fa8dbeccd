//! Text between the line editor and the kernel: places in it, and whether a line goes on where the kernel cannot say.
//!
//! Pure. Jupyter counts Unicode code points, the line editor bytes.

use serde_json::Value;

use crate::sessions::plain;

/// Where a byte of the text is, in code points.
pub fn to_points(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

/// Where a code point of the text is, in bytes; beyond its end: the end.
pub fn to_bytes(text: &str, points: usize) -> usize {
    text.char_indices().nth(points).map_or(text.len(), |(at, _)| at)
}

/// What a `complete_reply` offers for the line that follows on `before`: from which byte of the line on, and what may
/// stand there. What reaches back into an earlier line is left out, and so is what a terminal would obey.
pub fn completions(reply: &Value, before: &str, line: &str, cursor: usize) -> (usize, Vec<String>) {
    let start = reply["cursor_start"].as_u64().and_then(|points| usize::try_from(points).ok());
    let whole = format!("{before}{line}");
    let start = start.and_then(|points| to_bytes(&whole, points).checked_sub(before.len()));
    let Some(start) = start.filter(|start| *start <= cursor) else { return (cursor, Vec::new()) };
    let matches = reply["matches"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (start, matches.filter(|text| !text.chars().any(plain::is_order)).map(str::to_owned).collect())
}

/// Whether another line follows, with its indent; `None`: the code is to be run. For kernels that are busy, or cannot
/// tell: an open bracket, a colon or a backslash at the end goes on, an empty line ends it.
pub fn goes_on(code: &str) -> Option<String> {
    let last = code.rsplit('\n').next().unwrap_or_default();
    if last.trim().is_empty() {
        return None;
    }
    let opens_block = last.trim_end().ends_with(':');
    let is_in_block = code.lines().any(|line| line.trim_end().ends_with(':'));
    if !is_in_block && !last.ends_with('\\') && !has_open_bracket(code) {
        return None;
    }
    let indent: String = last.chars().take_while(|c| c.is_whitespace()).collect();
    Some(if opens_block { indent + "    " } else { indent })
}

/// Brackets in strings of one line and in comments are none.
fn has_open_bracket(code: &str) -> bool {
    let mut depth = 0;
    for line in code.lines() {
        let mut quote = None;
        let mut characters = line.chars();
        while let Some(c) = characters.next() {
            match (quote, c) {
                (Some(_), '\\') => drop(characters.next()),
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '#') => break,
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth -= 1,
                _ => {}
            }
        }
    }
    depth > 0
}

/// What stands before a line that goes on, below the prompt.
pub fn continued(prompt: &str) -> String {
    let dots = if prompt.starts_with('>') { "... " } else { "...: " };
    format!("{dots:>width$}", width = prompt.chars().count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places() {
        let check = |text: &str, byte: usize, points: usize| {
            assert_eq!((to_points(text, byte), to_bytes(text, points)), (points, byte), "{text}");
        };
        check("", 0, 0);
        check("abc", 2, 2);
        check("größe_", 8, 6);
        check("'🦀'; x", 6, 3);
        assert_eq!(to_bytes("ab", 9), 2);
    }

    #[test]
    fn what_is_offered() {
        let check = |before: &str, line: &str, start: u32, matches: &[&str], expect: (usize, &[&str])| {
            let reply = json!({ "cursor_start": start, "matches": matches });
            let (at, found) = completions(&reply, before, line, line.len());
            assert_eq!(
                (at, found.iter().map(String::as_str).collect::<Vec<_>>()),
                (expect.0, expect.1.to_vec())
            );
        };
        check("", "pri", 0, &["print"], (0, &["print"]));
        check("", "'ü'; grö", 5, &["größe"], (6, &["größe"]));
        check("if '🦀':\n", "    pri", 12, &["print"], (4, &["print"]));
        check("foo(\n", "ba", 1, &["bar"], (2, &[]));
        check("", "a", 0, &["a\u{1b}[2J", "ab"], (0, &["ab"]));
        assert_eq!(completions(&json!({}), "", "a", 1), (1, Vec::new()));
    }

    #[test]
    fn lines_that_go_on() {
        let check =
            |code: &str, expect: Option<&str>| assert_eq!(goes_on(code).as_deref(), expect, "{code:?}");
        check("1 + 1", None);
        check("", None);
        check("def f():", Some("    "));
        check("def f():\n    return 1", Some("    "));
        check("def f():\n    if x: ", Some("        "));
        check("def f():\n    return 1\n", None);
        check("def f():\n    return 1\n    ", None);
        check("x = (1,", Some(""));
        check("x = (1,\n2)", None);
        check("x = '(' # (", None);
        check("x = 'it\\'s (' + (", Some(""));
        check("x = 1 + \\", Some(""));
        check("x[1:2]", None);
    }

    #[test]
    fn prompts_are_as_wide_as_each_other() {
        assert_eq!(
            [continued("In [7]: "), continued("In [12]: "), continued(">>> ")],
            ["   ...: ", "    ...: ", "... "]
        );
    }
}
