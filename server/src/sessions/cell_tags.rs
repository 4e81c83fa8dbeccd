//! What a cell's tags (`metadata.tags`) say about running it, in nbclient's words: `raises-exception`, `skip-execution`.
//!
//! Metadata is anybody's: whatever is no list of words has no tags, and hides no cell.

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use crate::protocol::{fields_of, string_of};

/// The tags of a cell that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tags {
    /// Its failure is as it should be, and stops nothing.
    pub may_raise: bool,
    /// It is not run with the others.
    pub is_skipped: bool,
}

impl<'de> Deserialize<'de> for Tags {
    /// Of the cell's metadata.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tags, D::Error> {
        let metadata = Box::<RawValue>::deserialize(from)?;
        let fields = fields_of(&metadata);
        let all = fields.iter().rev().find(|(name, _)| name == "tags").map(|(_, tags)| tags.get());
        let mut tags = Tags::default();
        for tag in all.and_then(|all| serde_json::from_str::<Vec<&RawValue>>(all).ok()).into_iter().flatten()
        {
            match string_of(tag).as_deref() {
                Some("raises-exception") => tags.may_raise = true,
                Some("skip-execution") => tags.is_skipped = true,
                _ => {}
            }
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_metadata_is() {
        let check = |metadata: &str, may_raise: bool, is_skipped: bool| {
            let tags: Tags = serde_json::from_str(metadata).unwrap();
            assert_eq!(tags, Tags { may_raise, is_skipped }, "{metadata}");
        };
        check(r#"{"tags":["raises-exception"]}"#, true, false);
        check(
            r#"{"a":{"tags":1},"tags":["x",3,null,"skip-execution","raises-exception"],"b":1.5}"#,
            true,
            true,
        );
        check(r#"{"tags":["raises-exceptions","Skip-Execution"]}"#, false, false);
        let deep = format!(r#"{{"x":{}{},"tags":["skip-execution"]}}"#, "[".repeat(3_000), "]".repeat(3_000));
        check(&deep, false, true);
        for none in ["{}", "null", "3", "[]", r#""tags""#, r#"{"tags":"skip-execution"}"#, r#"{"tags":{}}"#] {
            check(none, false, false);
        }
    }
}
