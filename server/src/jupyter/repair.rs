//! JSON that Python writes although it is none: bytes that are not UTF-8 (`surrogateescape`), lone surrogates, `NaN` and
//! `Infinity`. Guarantees valid JSON with the rest untouched, or `None`.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// What `frame` most likely means; `None` where it is not JSON in any of the known ways.
pub(super) fn json<T: DeserializeOwned>(frame: &[u8]) -> Option<T> {
    serde_json::from_str(&repaired(&String::from_utf8_lossy(frame), null)).ok()
}

/// The same text with something else of the same length in each place that is no JSON: what is found in it is at the same
/// place in the text. Text in which there can be no such place is not copied.
pub fn readable(text: &str) -> Cow<'_, str> {
    let may_be_broken = ["\\ud", "\\uD", "NaN", "Infinity"].iter().any(|part| text.contains(part));
    match may_be_broken {
        true => repaired(text, |token| &"0.000000000"[..token.len()]).into(),
        false => text.into(),
    }
}

fn null(_: &str) -> &'static str {
    "null"
}

/// `instead`: what stands in the place of a number that JSON does not have.
fn repaired(text: &str, instead: impl Fn(&str) -> &'static str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let taken = if in_string { in_text(rest, &mut out) } else { outside(rest, &mut out, &instead) };
        if c == '"' {
            in_string = !in_string;
        }
        rest = &rest[taken..];
    }
    out
}

/// Copies one unit of a string: a character, or an escape sequence with what belongs to it.
fn in_text(rest: &str, out: &mut String) -> usize {
    let taken = match (escape(rest), escape(rest.get(6..).unwrap_or_default())) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
        (Some(0xd800..=0xdfff), _) => {
            out.push_str("\\ufffd");
            return 6;
        }
        (Some(_), _) => 6,
        (None, _) => {
            let mut chars = rest.chars();
            let first = chars.next().map_or(0, char::len_utf8);
            if rest.starts_with('\\') { first + chars.next().map_or(0, char::len_utf8) } else { first }
        }
    };
    out.push_str(&rest[..taken]);
    taken
}

fn escape(rest: &str) -> Option<u32> {
    u32::from_str_radix(rest.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

fn outside(rest: &str, out: &mut String, instead: &impl Fn(&str) -> &'static str) -> usize {
    for token in ["NaN", "Infinity", "-Infinity"] {
        if rest.starts_with(token) {
            out.push_str(instead(token));
            return token.len();
        }
    }
    let taken = rest.chars().next().map_or(0, char::len_utf8);
    out.push_str(&rest[..taken]);
    taken
}

#[cfg(test)]
mod tests {
    use super::{null, readable, repaired};

    #[test]
    fn repairs_only_what_is_broken() {
        let check = |input: &str, expect: &str| assert_eq!(repaired(input, null), expect, "{input}");
        check(r#"{"a":"\"NaN","b":NaN}"#, r#"{"a":"\"NaN","b":null}"#);
        check(r#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#);
        check(r#"["\ud83d\n","\ude00"]"#, r#"["\ufffd\n","\ufffd"]"#);
        check(r#"["\\ud83d"]"#, r#"["\\ud83d"]"#);
        check(r#"["\ud83"#, r#"["\ud83"#);
        check(r#"["é\u"#, r#"["é\u"#);
        let file = r#"{"é":[NaN,-Infinity,Infinity,"\ud83d NaN"]}"#;
        assert_eq!(readable(file), r#"{"é":[0.0,0.0000000,0.000000,"\ufffd NaN"]}"#);
    }
}
