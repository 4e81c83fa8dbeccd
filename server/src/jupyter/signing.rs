//! Signing messages and verifying them, with the key and the scheme of a connection file.
//!
//! Jupyter has a scheme for each hash of Python's `hashlib`; those that anybody uses are here, and others are refused in
//! words.

use std::sync::Arc;

use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};

use super::connection::{ConnectionError, ConnectionFile};
use super::message::hex;

/// Signs and verifies with a connection's key; with an empty key it does neither, as Jupyter has it.
#[derive(Clone)]
pub struct Signer(Option<Arc<dyn Keyed>>);

/// A hash with a key.
trait Keyed: Send + Sync {
    fn sign(&self, parts: [&[u8]; 4]) -> Vec<u8>;
    /// Compares in constant time.
    fn verify(&self, parts: [&[u8]; 4], signature: &[u8]) -> bool;
}

impl<D> Keyed for Hmac<D>
where
    D: EagerHash,
    Hmac<D>: Mac + Clone + Send + Sync,
{
    fn sign(&self, parts: [&[u8]; 4]) -> Vec<u8> {
        over(self, parts).finalize().into_bytes().to_vec()
    }

    fn verify(&self, parts: [&[u8]; 4], signature: &[u8]) -> bool {
        over(self, parts).verify_slice(signature).is_ok()
    }
}

fn over<M: Mac + Clone>(keyed: &M, parts: [&[u8]; 4]) -> M {
    let mut mac = keyed.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac
}

impl Signer {
    /// As a connection file has it.
    ///
    /// # Errors
    /// Its scheme is none of those that are known here.
    pub fn of(connection: &ConnectionFile) -> Result<Signer, ConnectionError> {
        Signer::new(&connection.key, &connection.signature_scheme)
    }

    fn new(key: &str, scheme: &str) -> Result<Signer, ConnectionError> {
        if key.is_empty() {
            return Ok(Signer(None));
        }
        let key = key.as_bytes();
        // HMAC takes keys of every length, so none of them is ever refused.
        let keyed: Option<Arc<dyn Keyed>> = match scheme {
            "hmac-sha256" => with_key::<sha2::Sha256>(key),
            "hmac-sha512" => with_key::<sha2::Sha512>(key),
            "hmac-sha384" => with_key::<sha2::Sha384>(key),
            "hmac-sha224" => with_key::<sha2::Sha224>(key),
            "hmac-sha1" => with_key::<sha1::Sha1>(key),
            "hmac-md5" => with_key::<md5::Md5>(key),
            _ => None,
        };
        match keyed {
            Some(keyed) => Ok(Signer(Some(keyed))),
            None => Err(ConnectionError::Scheme(scheme.to_owned())),
        }
    }

    pub(super) fn sign(&self, parts: [&[u8]; 4]) -> String {
        self.0.as_ref().map_or_else(String::new, |keyed| hex(&keyed.sign(parts)))
    }

    pub(super) fn verify(&self, parts: [&[u8]; 4], signature: &[u8]) -> bool {
        let Some(keyed) = &self.0 else { return true };
        unhex(signature).is_some_and(|given| keyed.verify(parts, &given))
    }

    #[cfg(test)]
    pub(super) fn sha256(key: &str) -> Signer {
        Signer::new(key, "hmac-sha256").expect("a known scheme")
    }
}

fn with_key<D>(key: &[u8]) -> Option<Arc<dyn Keyed>>
where
    D: EagerHash,
    Hmac<D>: Keyed + KeyInit + 'static,
{
    Some(Arc::new(<Hmac<D> as KeyInit>::new_from_slice(key).ok()?))
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_jupyter_does() {
        // jupyter_client: Session(key=b"key", signature_scheme=…).sign([b"{}", b"{}", b"{}", b"{}"])
        let check = |scheme: &str, expect: &str| {
            let signer = Signer::new("key", scheme).unwrap();
            assert_eq!(signer.sign([b"{}"; 4]), expect, "{scheme}");
            assert!(signer.verify([b"{}"; 4], expect.as_bytes()), "{scheme}");
            assert!(!signer.verify([b"{}", b"{}", b"{}", b"[]"], expect.as_bytes()), "{scheme}");
        };
        check("hmac-sha256", "ca767b02c5bc061ed184a9a029e7f93a7f2f7ed4e8fe74120fc1212f0b008fa3");
        check(
            "hmac-sha512",
            "2f7411556710fc214f2814c82351b6da0d593441526d7fb5d61e38db31d8df3d4545a45c78f7f625155182763ddfa48e3b574b0a633ac49ee60991f8a3ab719c",
        );
        check(
            "hmac-sha384",
            "787a0d0d938d6120f0ae975cbdd21000cb8316eb8dfa576a063e93920334a22d953c27c2f1c9178d21e10f8d10b6cbfe",
        );
        check("hmac-sha224", "f1ae99c9711cfb560f32498fb2c4e4a67e91be1980e5045c90d47d89");
        check("hmac-sha1", "c7afc9cb14b86470fa517605b0405652f2043126");
        check("hmac-md5", "88ed3bf3975f2203f34885b90c6a283c");
        for unknown in ["hmac-blake2b", "hmac-sha257", "sha256", ""] {
            let refused = Signer::new("key", unknown).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(refused.contains(&format!("\"{unknown}\"")), "{refused}");
            assert!(Signer::new("", unknown).is_ok(), "without a key nothing is signed");
        }
    }
}
