//! Tokens that take a window up again: signed JSON web tokens (RFC 7519, HS256), good for 15 minutes.
//!
//! Pure, but for the secret, which each user has one of in the state folder. Only what this very code writes is accepted:
//! the header is compared as text, so no token chooses how it is checked. What else makes a token good (used once, the
//! latest, its window gone) the registry knows; see `reconnect.rs`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol::Time;

/// Milliseconds for which a token is good.
pub const LIFETIME: i64 = 15 * 60 * 1000;
/// Milliseconds by which a clock may be corrected.
const CORRECTION: i64 = 60_000;
/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const SECRET_BYTES: usize = 32;
/// Longer ones are none of ours.
const LONGEST: usize = 1_024;

/// Signs tokens, and knows its own again.
pub struct Secret([u8; SECRET_BYTES]);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The window's id.
    pub sub: String,
    /// Seconds since 1970: issued, expires.
    pub iat: i64,
    pub exp: i64,
    /// Makes each another one.
    pub jti: String,
}

/// Why a token is refused, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Invalid,
    Expired,
}

impl Secret {
    /// The user's secret, which is made where there is none. Of two processes that make it at once, one does.
    pub fn open(state_dir: &Path) -> std::io::Result<Secret> {
        let path = state_dir.join("token.key");
        if let Some(secret) = Secret::read(&path)? {
            return Ok(secret);
        }
        crate::paths::make_private(state_dir)?;
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(state_dir)?;
        file.write_all(&bytes)?;
        file.as_file().sync_data()?;
        // No lock, which a frozen process could keep. What is damaged signs nothing any more: the tokens that it signed are
        // refused, no more.
        let kept = match path.exists() {
            true => file.persist(&path),
            false => file.persist_noclobber(&path),
        };
        match kept {
            Err(e) if e.error.kind() != std::io::ErrorKind::AlreadyExists => return Err(e.error),
            _ => {}
        }
        Secret::read(&path)?.ok_or_else(|| std::io::Error::other(format!("{} was damaged", path.display())))
    }

    fn read(path: &Path) -> std::io::Result<Option<Secret>> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        Ok(<[u8; SECRET_BYTES]>::try_from(bytes).ok().map(Secret))
    }

    /// A fresh token of a window.
    pub fn issue(&self, window_id: &str, now: Time) -> (String, Claims) {
        let claims = Claims {
            sub: window_id.to_owned(),
            iat: now.0 / 1000,
            exp: (now.0 + LIFETIME) / 1000,
            jti: crate::ids::unique(),
        };
        let body = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", BASE64_URL_SAFE_NO_PAD.encode(body));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        (format!("{signed}.{signature}"), claims)
    }

    /// What a token of ours says. The signature is compared in constant time, before anything in it is looked at.
    pub fn check(&self, token: &str, now: Time) -> Result<Claims, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Invalid)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Invalid)?;
        self.mac(signed).verify_slice(&signature).map_err(|_| Refused::Invalid)?;
        let body =
            signed.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.')).ok_or(Refused::Invalid)?;
        let body = BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| Refused::Invalid)?;
        let claims: Claims = serde_json::from_slice(&body).map_err(|_| Refused::Invalid)?;
        // A clock that was set back makes no old token a good one.
        let is_early = now.0 + CORRECTION < claims.iat * 1000;
        if is_early || now.0 >= claims.exp * 1000 {
            return Err(Refused::Expired);
        }
        Ok(claims)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!("any length is good"));
        mac.update(signed.as_bytes());
        mac
    }
}

/// What the registry keeps of a token.
pub fn fingerprint(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two fingerprints are the same, in a time that does not tell how much of them is.
pub fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);

    fn secret() -> Secret {
        Secret([7; SECRET_BYTES])
    }

    #[test]
    fn good_ones_are_known_again() {
        let (token, claims) = secret().issue("abcdefgh", NOW);
        assert_eq!(secret().check(&token, NOW), Ok(claims.clone()));
        assert_eq!(claims.exp - claims.iat, 900);
        let head = BASE64_URL_SAFE_NO_PAD.decode(HEADER).unwrap();
        assert_eq!(head, br#"{"alg":"HS256","typ":"JWT"}"#);
        assert_ne!(secret().issue("abcdefgh", NOW).0, token);
        assert_eq!(secret().check(&token, Time(NOW.0 + LIFETIME - 1_000)), Ok(claims));
    }

    #[test]
    fn others_are_refused() {
        let (token, _) = secret().issue("abcdefgh", NOW);
        let check = |token: &str, now: i64, expect: Refused| {
            assert_eq!(secret().check(token, Time(now)), Err(expect), "{token}");
        };
        check(&token, NOW.0 + LIFETIME, Refused::Expired);
        check(&token, NOW.0 - 3_600_000, Refused::Expired);
        assert_eq!(Secret([8; SECRET_BYTES]).check(&token, NOW), Err(Refused::Invalid));
        let parts: Vec<&str> = token.split('.').collect();
        let other = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"other","iat":1,"exp":9999999999,"jti":"x"}"#);
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        check(&format!("{}.{other}.{}", parts[0], parts[2]), NOW.0, Refused::Invalid);
        check(&format!("{none}.{}.", parts[1]), NOW.0, Refused::Invalid);
        check(&format!("{none}.{}.{}", parts[1], parts[2]), NOW.0, Refused::Invalid);
        for bad in
            ["", ".", "..", "a.b.c", parts[0], &format!("{}.{}", parts[0], parts[1]), &"x".repeat(9_999)]
        {
            check(bad, NOW.0, Refused::Invalid);
        }
        // Signed by us, and not a token.
        let signed = format!("{HEADER}.{}", BASE64_URL_SAFE_NO_PAD.encode("[]"));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(secret().mac(&signed).finalize().into_bytes());
        check(&format!("{signed}.{signature}"), NOW.0, Refused::Invalid);
    }

    #[test]
    fn ten_thousand_that_were_changed_are_refused() {
        let (token, _) = secret().issue("abcdefgh", NOW);
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
        for _ in 0..10_000 {
            let mut bytes = token.clone().into_bytes();
            match random(4) {
                0 => bytes.truncate(random(bytes.len())),
                1 => bytes.insert(random(bytes.len() + 1), alphabet[random(alphabet.len())]),
                2 => drop(bytes.remove(random(bytes.len()))),
                _ => {
                    for _ in 0..=random(3) {
                        let at = random(bytes.len());
                        bytes[at] = alphabet[random(alphabet.len())];
                    }
                }
            }
            if bytes != token.as_bytes() {
                let changed = String::from_utf8(bytes).unwrap();
                assert!(secret().check(&changed, NOW).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn one_secret_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let (token, _) = Secret::open(folder.path()).unwrap().issue("w", NOW);
        assert!(Secret::open(folder.path()).unwrap().check(&token, NOW).is_ok());
        let path = folder.path().join("token.key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "damaged").unwrap();
        assert!(Secret::open(folder.path()).unwrap().check(&token, NOW).is_err());
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert!(
            is_same(&fingerprint("a"), &fingerprint("a")) && !is_same("ab", "abc") && !is_same("ab", "ac")
        );
    }
}
