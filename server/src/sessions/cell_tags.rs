//! What a cell's tags (`metadata.tags`) say about running it, in nbclient's words: `raises-exception`, `skip-execution`.
//!
//! Metadata is anybody's: whatever is no list of words has no tags, and hides no cell.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

/// The tags of a cell that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tags {
    /// Its failure is as it should be, and stops nothing.
    pub may_raise: bool,
    /// It is not run with the others.
    pub is_skipped: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Perhaps<T> {
    Is(T),
    IsNot(IgnoredAny),
}

#[derive(Deserialize)]
struct Metadata {
    tags: Perhaps<Vec<Perhaps<String>>>,
}

impl<'de> Deserialize<'de> for Tags {
    /// Of the cell's metadata.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tags, D::Error> {
        let mut tags = Tags::default();
        if let Perhaps::Is(Metadata { tags: Perhaps::Is(all) }) = Perhaps::deserialize(from)? {
            for tag in all {
                match tag {
                    Perhaps::Is(tag) if tag == "raises-exception" => tags.may_raise = true,
                    Perhaps::Is(tag) if tag == "skip-execution" => tags.is_skipped = true,
                    _ => {}
                }
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
        for none in ["{}", "null", "3", "[]", r#""tags""#, r#"{"tags":"skip-execution"}"#, r#"{"tags":{}}"#] {
            check(none, false, false);
        }
    }
}
