//! What an answer to an agent may hold: text without orders to a terminal, and no more of it than a model can read.
//!
//! Pure. Texts are cut in their middle, lists at their end, and both say what was left out; nothing is kept from who asks
//! again for less. Leaves out what code put out (`outputs.rs`), and conversations that are exported whole.

use serde_json::{Value, json};

use crate::sessions::plain::{cut, unordered};

/// Characters of one text.
const TEXT: usize = 20_000;
/// Of one text where there are so many that not all may be long.
const SHORTEST: usize = 300;
/// Bytes of an answer as JSON: it is sent twice, as text and as an object.
const WHOLE: usize = 100_000;

/// A value as an agent gets it.
pub fn bounded(value: &Value) -> Value {
    let mut most = TEXT;
    loop {
        let bounded = map(value, &|text| cut(&unordered(text), most));
        if bounded.to_string().len() <= WHOLE {
            return bounded;
        }
        if most <= SHORTEST {
            return fewer(bounded);
        }
        most = (most / 4).max(SHORTEST);
    }
}

/// Its texts without orders, but whole.
pub fn plain(value: &Value) -> Value {
    map(value, &|text| unordered(text))
}

/// One line of words within a sentence of ours.
pub fn short(text: &str) -> String {
    cut(&unordered(text), SHORTEST).replace('\n', " ")
}

fn map(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| map(item, change)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (change(name), map(value, change))).collect()
        }
        other => other.clone(),
    }
}

/// Leaves out the ends of long lists, and says of how many.
fn fewer(value: Value) -> Value {
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => {
            let (items, left_out) = first(items, WHOLE);
            return json!({ "result": items, "left_out": left_out });
        }
        other => return other,
    };
    let lists = fields.values().filter(|field| field.is_array()).count().max(1);
    let mut left_out = 0;
    for field in fields.values_mut() {
        if let Value::Array(items) = field {
            let (items, left) = first(std::mem::take(items), WHOLE / lists);
            left_out += left;
            *field = items.into();
        } else if field.to_string().len() > WHOLE / 2 {
            *field = cut(&field.to_string(), TEXT).into();
        }
    }
    fields.insert("left_out".into(), left_out.into());
    Value::Object(fields)
}

/// As many as fit, and how many do not.
fn first(items: Vec<Value>, bytes: usize) -> (Vec<Value>, usize) {
    let all = items.len();
    let mut room = bytes;
    let fits = |item: &Value| {
        let length = item.to_string().len() + 1;
        let has_room = length <= room;
        room = room.saturating_sub(length);
        has_room
    };
    let kept: Vec<Value> = items.into_iter().take_while(fits).collect();
    let left = all - kept.len();
    (kept, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_longer_than_it_may_be_and_no_order_is_left() {
        let order = "\u{1b}]0;T\u{7}\u{9b}2J\0";
        for value in [
            json!({ "label": "x".repeat(3_000_000) }),
            json!([{ "code": "\"\n".repeat(2_000_000) }, { "code": order.repeat(100_000) }]),
            json!((0..50).map(|n| json!({ "n": n, "code": "y".repeat(100_000) })).collect::<Vec<_>>()),
            json!((0..100_000).map(|n| json!({ "n": n, "error": format!("{order}e") })).collect::<Vec<_>>()),
            json!({ "variables": (0..100_000).map(|n| json!({ "name": n })).collect::<Vec<_>>(), "note": order }),
        ] {
            let shown = bounded(&value);
            let text = shown.to_string();
            assert!(text.len() < 2 * WHOLE, "{} bytes", text.len());
            assert!(!text.contains("\\u001b") && !text.contains('\u{9b}') && !text.contains("\\u0000"));
        }
        let small = json!({ "a": ["ü\n\t", 1, null], "b": { "c": true } });
        assert_eq!(bounded(&small), small);
        assert_eq!(bounded(&json!(vec![json!({ "n": "z".repeat(90) }); 5_000]))["left_out"], 3_990);
    }

    #[test]
    fn what_is_shorter_than_the_rest_stays_whole() {
        let many: Vec<Value> = (0..40).map(|_| json!({ "id": "abc", "code": "y".repeat(50_000) })).collect();
        let shown = bounded(&json!(many));
        assert_eq!((shown.as_array().map(Vec::len), &shown[39]["id"]), (Some(40), &json!("abc")));
        assert!(shown[0]["code"].as_str().is_some_and(|code| code.contains("characters left out")));
    }
}
