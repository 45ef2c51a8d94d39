//! Login and password; a password that is printed, recorded or left in memory by nobody.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Invalid, ServerAddr};

/// Longest login or password accepted, in bytes. pppd's `MAXNAMELEN` and `MAXSECRETLEN` are 256
/// with the terminating NUL (pppd/pppd.h).
pub(super) const MAX_CREDENTIAL: usize = 255;

fn credential(what: &str, text: &str) -> Result<String, Invalid> {
    if text.is_empty() {
        Err(Invalid::Empty(what.to_owned()))
    } else if text.chars().any(char::is_control) {
        Err(Invalid::ControlCharacter(what.to_owned()))
    } else if text.len() > MAX_CREDENTIAL {
        Err(Invalid::TooLong(what.to_owned()))
    } else {
        Ok(text.to_owned())
    }
}

/// A login: 1 to 255 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Login(String);

impl TryFrom<String> for Login {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Login::parse(&text)
    }
}

impl Login {
    /// Parses the login column.
    ///
    /// # Errors
    /// When it is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        credential("login", text).map(Login)
    }

    /// The login as it goes to the server.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password: 1 to 255 bytes, no control characters. It can't be printed, and is wiped when it is
/// dropped.
///
/// A recording of the core's inputs holds a fingerprint in its place: keyed with a number that
/// lives only in this process, so two secrets of one run compare as they should and the
/// recording gives none away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: Zeroizing<String>,
    /// Read back from a recording: `text` is a fingerprint.
    recorded: bool,
}

impl Secret {
    /// Parses the password column.
    ///
    /// # Errors
    /// When it is empty, too long, has control characters or begins with `@/`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // pppd looks at the word after unquoting, so no quoting keeps it from reading the file
        // (scan_authfile in pppd/auth.c).
        if text.starts_with("@/") {
            return Err(Invalid::PasswordFile);
        }
        credential("password", text).map(|text| Secret { text: text.into(), recorded: false })
    }

    /// The password itself, for the places that need it: `chap-secrets`, and MS-CHAPv2 of the kernel
    /// engine.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether all of it is ASCII. What else there is systems hash in different ways.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    fn fingerprint(&self) -> String {
        use std::hash::{BuildHasher, RandomState};
        use std::sync::LazyLock;
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        if self.recorded {
            return self.text.to_string();
        }
        format!("{FINGERPRINT}{:016x}", KEY.hash_one(self.text.as_str()))
    }

    fn is_fingerprint(text: &str) -> bool {
        text.strip_prefix(FINGERPRINT).is_some_and(|digits| {
            digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }
}

/// Which login at which server: what is kept of a row that is gone, in place of its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    server: ServerAddr,
    login: Login,
    password: String,
}

impl Fingerprint {
    pub(super) fn new(server: ServerAddr, login: &Login, password: &Secret) -> Self {
        Fingerprint { server, login: login.clone(), password: password.fingerprint() }
    }
}

/// What a fingerprint begins with; 16 hexadecimal digits follow.
const FINGERPRINT: &str = "secret:";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.fingerprint())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !Secret::is_fingerprint(&text) {
            // Not shown: it may be a password.
            return Err(D::Error::custom("a password's fingerprint is wanted, and this is none"));
        }
        Ok(Secret { text: text.into(), recorded: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_login_is_refused() {
        assert_eq!(Login::parse("a\nb"), Err(Invalid::ControlCharacter("login".into())));
    }

    #[test]
    fn a_password_that_pppd_would_read_from_a_file_is_refused() {
        assert_eq!(Secret::parse("@/etc/shadow"), Err(Invalid::PasswordFile));
        assert!(Secret::parse("@home").is_ok());
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let secret = Secret::parse("hunter2").unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&secret).unwrap().contains("hunter2"));
    }

    /// What is at a place of this process's memory, whoever owns it now.
    fn memory(at: usize, length: usize) -> Vec<u8> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; length];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.read_exact_at(&mut bytes, u64::try_from(at).unwrap()).unwrap();
        bytes
    }

    #[test]
    fn a_secret_that_is_dropped_is_no_more_in_memory() {
        let text = "hunter2 ".repeat(30);
        let secret = Secret::parse(&text).unwrap();
        let place = secret.reveal().as_ptr().addr();
        assert_eq!(memory(place, text.len()), text.as_bytes());
        drop(secret);
        // Its beginning holds the allocator's own notes, and who has the place now may have written there.
        let left = String::from_utf8_lossy(&memory(place, text.len())).into_owned();
        assert!(!left.contains("hunter2"), "{left:?}");
    }

    #[test]
    fn fingerprints_tell_secrets_apart() {
        let [a, b, c] = ["one", "one", "two"].map(|t| Secret::parse(t).unwrap().fingerprint());
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
