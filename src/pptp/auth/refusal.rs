//! The words of a refused login (RFC 2759 section 6): `E=691 R=1 C=… V=3 M=…`.

use crate::pptp::bytes::shown;
use crate::pptp::failure::Failure;

/// Reads the message of a CHAP Failure. Any may be missing.
pub(super) fn read(message: &[u8]) -> Failure {
    let text = shown(message);
    let (fields, said) = match text.split_once("M=") {
        Some((fields, said)) => (fields, said.trim()),
        // Without a field it is all message.
        None if !text.contains('=') => ("", text.as_str()),
        None => (text.as_str(), ""),
    };
    let field =
        |name: &str| fields.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
    let error = field("E=").and_then(|digits| digits.parse().ok());
    let retry = field("R=").and_then(|digit| match digit {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    });
    let mut words = match error {
        Some(error) => format!("{} (E={error})", meaning(error)),
        None => "it gives no reason".to_owned(),
    };
    if !said.is_empty() {
        words.push_str(&format!(", it says {said:?}"));
    }
    Failure::AuthRefused { error, retry, words }
}

/// RFC 2759 section 6.
fn meaning(error: u32) -> &'static str {
    match error {
        646 => "this login may not be used at this hour",
        647 => "the account is disabled",
        648 => "the password has expired",
        649 => "the account may not dial in",
        691 => "login or password is wrong",
        709 => "the password could not be changed",
        _ => "an error of the server's own",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn error_retry_and_message_are_read() {
        let message = b"E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=Access denied";
        assert_eq!(
            read(message),
            Failure::AuthRefused {
                error: Some(691),
                retry: Some(true),
                words: "login or password is wrong (E=691), it says \"Access denied\"".to_owned(),
            }
        );
    }

    #[test]
    fn a_server_that_says_only_words_is_quoted() {
        let Failure::AuthRefused { error, retry, words } = read(b"go away\0\x07") else { panic!() };
        assert_eq!((error, retry), (None, None));
        assert_eq!(words, "it gives no reason, it says \"go away\"");
    }

    proptest! {
        #[test]
        fn any_message_is_read(message in prop::collection::vec(any::<u8>(), 0..300), tail: String) {
            let _ = read(&message);
            let _ = read(format!("E={tail} R={tail} M={tail}").as_bytes());
        }
    }
}
