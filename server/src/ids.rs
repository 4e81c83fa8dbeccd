//! Short random ids: url-safe, easy to read aloud (Crockford's base 32, lower case).

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A session's id: 8 characters, 40 bits.
pub fn session() -> String {
    random(8)
}

/// An execution's or an offer's id: 12 characters, 60 bits.
pub fn unique() -> String {
    random(12)
}

/// Whether a text can be an id of ours, so that it is safe as the name of a folder.
pub fn is_id(text: &str) -> bool {
    (6..=24).contains(&text.len()) && text.bytes().all(|b| ALPHABET.contains(&b))
}

fn random(length: usize) -> String {
    let mut bytes = vec![0u8; length];
    if getrandom::fill(&mut bytes).is_err() {
        // No source of randomness: the clock is still different from one call to the next.
        let nanos =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = (nanos >> (i * 5)) as u8;
        }
    }
    bytes.iter().map(|b| ALPHABET[usize::from(b & 31)] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids() {
        assert!(is_id(&session()) && is_id(&unique()));
        for bad in ["", "abc", "../../etc", "ABCDEFGH", "abc defgh", "abcdefghi/"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
