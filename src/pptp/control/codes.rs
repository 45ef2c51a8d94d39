//! The codes of the control connection in words (RFC 2637 section 2).

use super::message::CallReply;

/// Why a control connection was refused (section 2.2, result codes).
pub(in crate::pptp) fn connection_refused(result: u8, error: u8) -> String {
    let words = match result {
        2 => "general error",
        3 => "a connection from here exists already",
        4 => "this host is not allowed to connect",
        5 => "the protocol version is not supported",
        _ => return with_error(&format!("result code {result}"), error),
    };
    with_error(&format!("{words} (result code {result})"), error)
}

/// Why a call was refused (section 2.8, result codes).
pub(in crate::pptp) fn call_refused(reply: &CallReply) -> String {
    let result = reply.result;
    let words = match result {
        2 => "general error",
        3 => "no carrier",
        4 => "busy",
        5 => "no dial tone",
        6 => "it took too long",
        7 => "calls are not allowed",
        _ => "unknown",
    };
    let mut words = with_error(&format!("{words} (result code {result})"), reply.error);
    if reply.cause != 0 {
        words.push_str(&format!(", cause code {}", reply.cause));
    }
    words
}

/// Why a call was disconnected (section 2.13, result codes).
pub(in crate::pptp) fn disconnected(result: u8, error: u8, cause: u16, statistics: &str) -> String {
    let words = match result {
        1 => "the line under it was lost",
        2 => "general error",
        3 => "its administrator ended it",
        4 => "as asked for",
        _ => "unknown",
    };
    let mut words =
        with_error(&format!("{words} (Call-Disconnect-Notify, result code {result})"), error);
    if cause != 0 {
        words.push_str(&format!(", cause code {cause}"));
    }
    if !statistics.is_empty() {
        words.push_str(&format!(", it says {statistics:?}"));
    }
    words
}

/// Why a control connection is stopped (section 2.3, reasons).
pub(in crate::pptp) fn stopped(reason: u8) -> String {
    let words = match reason {
        1 => "a general request",
        2 => "it does not support the protocol version",
        3 => "it is being shut down",
        _ => "unknown",
    };
    format!("{words} (Stop-Control-Connection-Request, reason {reason})")
}

/// General error codes (section 2.16).
fn with_error(words: &str, error: u8) -> String {
    let error = match error {
        0 => return words.to_owned(),
        1 => "no control connection yet".to_owned(),
        2 => "length or cookie is wrong".to_owned(),
        3 => "a value is out of range".to_owned(),
        4 => "no resources".to_owned(),
        5 => "the call id is wrong".to_owned(),
        6 => "an error of the server's own vendor".to_owned(),
        other => format!("error code {other}"),
    };
    format!("{words}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_is_told_with_error_and_cause() {
        let reply = CallReply { call: 0, peer_call: 1, result: 2, error: 4, cause: 17 };
        assert_eq!(
            call_refused(&reply),
            "general error (result code 2): no resources, cause code 17"
        );
    }

    #[test]
    fn codes_that_nobody_knows_are_told_by_number() {
        assert_eq!(connection_refused(9, 200), "result code 9: error code 200");
    }
}
