//! Text that others have written, made fit to be shown. Rows, servers and programs may say anything.

/// The text in one line, with nothing in it that a terminal obeys or that changes how the rest of
/// the line is read: control characters, ends of lines, marks that turn the direction of writing
/// (such as U+202E) and what can't be seen stand there as `\u{202e}` or `\n`.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_not_sent() {
        assert_eq!(printable("10.0.0.1\x1b[2J\n"), "10.0.0.1\\u{1b}[2J\\n");
        assert_eq!(printable("a\u{202e}b\u{2028}c\u{200b}"), "a\\u{202e}b\\u{2028}c\\u{200b}");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["it's \"é\" C:\\x", "✅ Tunnel", "🔄 Restarting"] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn what_was_made_printable_stays_as_it_is() {
        let once = printable("a\u{202e}\n");
        assert_eq!(printable(&once), once);
    }
}
