//! JSON as it was written.
//!
//! What a kernel displays is not ours to read: numbers keep all their digits, and it may be nested as deep as it likes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value in the text of whoever wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// The fields of a JSON object, in their order. `'a` is the text that they stand in.
pub type Fields<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

impl Json {
    /// Its text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// How long that is.
    pub fn bytes(&self) -> u64 {
        self.text().len() as u64
    }

    /// The same, as serde has it.
    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    /// Its fields; none where it is no object.
    pub fn fields(&self) -> Fields<'_> {
        fields_of(&self.0)
    }

    /// The text of a field that is a string.
    pub fn str(&self, name: &str) -> Option<Cow<'_, str>> {
        string_of(self.fields().iter().rev().find(|(field, _)| field == name)?.1)
    }

    /// As a value in memory, for what only looks at it. What is nested too deep for that is its text.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|_| self.text().into())
    }

    /// An object of these fields.
    pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a RawValue)>) -> Json {
        let mut text = String::from("{");
        for (name, value) in fields {
            if text.len() > 1 {
                text.push(',');
            }
            text += &Value::from(name).to_string();
            text.push(':');
            text += value.get();
        }
        text.push('}');
        // Of a name and a value that are JSON each; an empty object takes no memory that counts.
        RawValue::from_string(text).map_or_else(|_| Json::default(), Json)
    }
}

impl Default for Json {
    /// `{}`.
    fn default() -> Json {
        Value::Object(serde_json::Map::new()).into()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        // A value in memory has no key that is no string, so this is never null.
        Json(serde_json::value::to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Json {
        Json(raw)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.text() == other.text()
    }
}

/// Reads a field that is there; serde takes null for one that is not.
pub(super) fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

/// The fields of a value; none where it is no object.
pub fn fields_of(raw: &RawValue) -> Fields<'_> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
            let mut fields = Vec::new();
            while let Some((Name(name), value)) = map.next_entry()? {
                fields.push((name, value));
            }
            Ok(fields)
        }
    }
    let mut from = serde_json::Deserializer::from_str(raw.get());
    serde::Deserializer::deserialize_map(&mut from, Visitor).unwrap_or_default()
}

/// The text of a value that is a string.
pub fn string_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok().map(|Name(text)| text)
}

/// A string that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn it_is_kept_as_it_was_written() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        for text in ["1e-07", "123456789012345678901", "{\"b\": 0.1, \"a\": [ 1.50 ]}", "-0.0", deep.as_str()]
        {
            assert_eq!(serde_json::to_string(&json(text)).unwrap(), text);
        }
        assert_eq!(json(&deep).value(), deep);
    }

    #[test]
    fn its_fields_are_found() {
        let bundle = json(r#"{"text/plain":"a\n\"b\"","n":1e400,"é\t":{}}"#);
        assert_eq!(bundle.str("text/plain").as_deref(), Some("a\n\"b\""));
        assert_eq!((bundle.str("n"), bundle.str("x")), (None, None));
        let fields = bundle.fields();
        let again = Json::object(fields.iter().map(|(name, value)| (&**name, *value)));
        assert_eq!(again, bundle);
        assert!(json("[1]").fields().is_empty() && json("null").fields().is_empty());
        assert_eq!(Json::object([]).text(), "{}");
    }
}
