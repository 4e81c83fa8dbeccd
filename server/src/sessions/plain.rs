//! Foreign text made harmless: names of files, labels, prompts, errors and what is read from files are anybody's words.
//!
//! Pure. A terminal obeys control characters and what they begin; bidirectional overrides make a text read otherwise than
//! it is. Leaves out what code puts out on a person's terminal, which is the code's own.

use serde::Serialize;

/// Obeyed, not read: C0, DEL, C1, and the overrides and isolates of the bidirectional algorithm.
pub fn is_order(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// In one line: an order is seen, and not obeyed.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { seen(c) }).collect()
}

/// The same for a text of several lines.
pub fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { seen(c) }).collect()
}

/// The same, with its colours (SGR) alone: for a prompt, which code may have coloured.
pub fn coloured(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::with_capacity(text.len());
    while let Some(c) = rest.chars().next() {
        let colour = rest.strip_prefix("\u{1b}[").and_then(|parameters| {
            let end = parameters.find(|c: char| !c.is_ascii_digit() && !matches!(c, ';' | ':'))?;
            parameters[end..].starts_with('m').then_some(end + 3)
        });
        match colour {
            Some(length) => {
                shown += &rest[..length];
                rest = &rest[length..];
            }
            None => {
                shown.push(if matches!(c, '\n' | '\t') { c } else { seen(c) });
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    shown
}

/// Without orders and what they begin (CSI, and the strings OSC, DCS, APC, PM and SOS), for who reads and has no terminal.
/// Newlines and tabs stay, and carriage returns, which say what was written over.
pub fn unordered(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // Looked for once: text may be full of beginnings.
    let mut has_ends = true;
    while let Some(c) = chars.next() {
        // The C1 form of a two-character escape: ECMA-48, 5.3.
        let begun = match c {
            '\u{1b}' => match chars.next_if(|next| ('\u{20}'..='\u{7e}').contains(next)) {
                Some(next @ '@'..='_') => char::from_u32(next as u32 + 0x40).unwrap_or(c),
                // Intermediate bytes, then one final one: a character set, a key mode.
                Some('\u{20}'..='\u{2f}') => {
                    while chars.next_if(|c| ('\u{20}'..='\u{2f}').contains(c)).is_some() {}
                    chars.next_if(|c| ('0'..='~').contains(c));
                    continue;
                }
                _ => continue,
            },
            c => c,
        };
        match begun {
            // Parameters, then one final character: ECMA-48, 5.4.
            '\u{9b}' => {
                while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
                chars.next_if(|c| ('@'..='~').contains(c));
            }
            // A string goes on to its terminator; one that has none is taken by itself, as what follows may be meant.
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => {
                match has_ends.then(|| length_of_string(chars.clone())).flatten() {
                    Some(length) => chars.by_ref().take(length).for_each(drop),
                    None => has_ends = false,
                }
            }
            '\n' | '\t' | '\r' => plain.push(begun),
            c if is_order(c) => {}
            c => plain.push(c),
        }
    }
    plain
}

/// How many characters the rest of a string has, its terminator (ST, or BEL) included.
fn length_of_string(mut rest: impl Iterator<Item = char>) -> Option<usize> {
    let mut length = 0;
    let mut is_escaped = false;
    loop {
        let c = rest.next()?;
        length += 1;
        match c {
            '\u{9c}' | '\u{7}' => return Some(length),
            '\\' if is_escaped => return Some(length),
            // Neither of them belongs into a string: it was given up.
            '\u{18}' | '\u{1a}' => return Some(length),
            c => is_escaped = c == '\u{1b}',
        }
    }
}

/// As JSON that says the same and has no order in it, not even one that JSON would take as it is.
pub fn json(value: &impl Serialize) -> String {
    in_json(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// The same for text that is JSON already.
pub fn in_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push(c),
            c if is_order(c) => escaped += &format!("\\u{:04x}", c as u32),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Cut in its middle where it has more characters than that, which is said.
pub fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{head}\n[… {} characters left out …]\n{tail}", count - 2 * half)
}

fn seen(c: char) -> char {
    if is_order(c) { '\u{FFFD}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_seen_and_not_obeyed() {
        assert_eq!(line("a\tb\x1b[2J\nc ü\u{9b}\u{202e}"), "a b\u{FFFD}[2J\u{FFFD}c ü\u{FFFD}\u{FFFD}");
        assert_eq!(lines("a\tb\r\nc\rd\u{7f}\u{2066}"), "a\tb\nc\u{FFFD}d\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn of_a_prompt_the_colours_stay() {
        assert_eq!(coloured("\x1b[1;31mName\x1b[0m: "), "\x1b[1;31mName\x1b[0m: ");
        assert_eq!(coloured("\x1b[m\x1b[38:2:1mü"), "\x1b[m\x1b[38:2:1mü");
        for order in
            ["\x1b]0;T\x07", "\x1b[2J", "\x1b[?25l", "\x1b[31", "\x1b", "\u{9b}31m", "\x1b[31;\x1b[2J"]
        {
            let shown = coloured(order);
            assert!(!shown.contains('\x1b') && !shown.chars().any(is_order), "{order:?}: {shown:?}");
        }
    }

    #[test]
    fn an_agent_gets_the_text_alone() {
        let check = |text: &str, expect: &str| assert_eq!(unordered(text), expect, "{text:?}");
        check("\x1b[31mred\x1b[0m\r\n\tnext", "red\r\n\tnext");
        check("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\u{9d}0;t\u{9c}d", "abcd");
        check("a\x1bP+q\x1b\\b\u{90}x\u{9c}c\x1b_apc\x1b\\d\x1b^pm\x1b\\e\x1bXsos\x1b\\f", "abcdef");
        check("a\u{9b}2Jb\u{85}c\0\u{8}\u{7f}d\u{202e}\u{2069}e", "abcde");
        check("a\x1b(Bb\x1b=c\x1b#8d\x1bMe\x1b", "abcde");
        // What was never ended takes nothing with it but its beginning.
        check("a\x1b]0;the rest\nis here", "a0;the rest\nis here");
        check("a\x1b[31\nb", "a\nb");
        check("ünï 🦀", "ünï 🦀");
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({ "a": "\x1b\u{9b}\u{202e}\u{7f}\n\"\\", "b\u{85}": [1] });
        let text = json(&value);
        assert!(text.chars().all(|c| c == '\n' || !is_order(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_is_long_is_cut_in_its_middle() {
        assert_eq!(cut("ééé", 3), "ééé");
        assert_eq!(cut("abcdefgh", 4), "ab\n[… 4 characters left out …]\ngh");
    }
}
