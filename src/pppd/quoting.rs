//! Words as pppd reads them in its option and secrets files (`getword` in pppd/options.c).

use zeroize::Zeroizing;

/// The text as one word, whatever it holds: in double quotes only `"` and `\` are special, and
/// line breaks never get this far.
pub(super) fn quote(text: &str) -> String {
    // Room for the worst: a password that grows leaves its former place unwiped.
    let mut word = String::with_capacity(2 * text.len() + 2);
    word.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            word.push('\\');
        }
        word.push(c);
    }
    word.push('"');
    word
}

/// The second word of a line, which in a secrets file is the server's name. `None` where there is
/// none, and where the line alone does not tell: it ends within quotes or by a backslash, so
/// that the next line belongs to it.
pub(super) fn second_word(line: &[u8]) -> Option<Vec<u8>> {
    words(line)?.get(1).map(|word| word.to_vec())
}

/// A word that may be a password.
pub(super) type Word = Zeroizing<Vec<u8>>;

/// The words of a line, or of lines that belong together; `None` where the next belongs to them too.
pub(super) fn words(line: &[u8]) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let empty = || Word::new(Vec::with_capacity(line.len()));
    let mut quoted: Option<u8> = None;
    let mut bytes = line.strip_suffix(b"\n").unwrap_or(line).iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, quoted) {
            // A line that goes on in the next.
            (b'\\', _) if bytes.next_if_eq(&b'\n').is_some() => {}
            (b'\\', _) => word.get_or_insert_with(empty).push(escaped(&mut bytes)?),
            (_, Some(quote)) if byte == quote => quoted = None,
            (_, Some(_)) => word.get_or_insert_with(empty).push(byte),
            (b'"' | b'\'', None) => {
                quoted = Some(byte);
                word.get_or_insert_with(empty);
            }
            (b'#', None) => break,
            // C's isspace, which counts the vertical tab too.
            (b' ' | b'\t'..=b'\r', None) => words.extend(word.take()),
            (_, None) => word.get_or_insert_with(empty).push(byte),
        }
    }
    words.extend(word);
    // As C sees it, a word ends at its first NUL.
    for word in &mut words {
        let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
        word.truncate(end);
    }
    quoted.is_none().then_some(words)
}

/// The byte that stands behind a backslash.
fn escaped(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Option<u8> {
    let byte = bytes.next()?;
    Some(match byte {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b's' => b' ',
        b't' => b'\t',
        b'x' => number(0, 16, 2, bytes),
        b'0'..=b'7' => number(byte - b'0', 8, 2, bytes),
        other => other,
    })
}

/// At most `most` more digits after `value`; like pppd's it keeps the low eight bits.
fn number(
    value: u8,
    radix: u8,
    most: usize,
    bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>,
) -> u8 {
    let digit = |byte: u8| char::from(byte).to_digit(u32::from(radix));
    let mut value = value;
    for _ in 0..most {
        let Some(next) = bytes.next_if(|&byte| digit(byte).is_some()) else { break };
        let next = digit(next).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
        value = value.wrapping_mul(radix).wrapping_add(next);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(line: &str) -> Option<String> {
        second_word(line.as_bytes()).map(|word| String::from_utf8(word).unwrap())
    }

    #[test]
    fn a_quoted_word_has_its_quotes_and_backslashes_escaped() {
        assert_eq!(quote(r#"a "b\c"#), r#""a \"b\\c""#);
    }

    #[test]
    fn the_second_word_is_found_in_every_way_of_writing_it() {
        for line in [
            "admin server secret *\n",
            "\"ad min\"\t\"server\" secret",
            "'ad\"min' ser\"ver\" x\n",
            "  admin \\163erver x # comment",
            "admin \\x73erver",
            "admin server#comment",
        ] {
            assert_eq!(second(line).as_deref(), Some("server"), "{line:?}");
        }
    }

    #[test]
    fn a_line_without_a_second_word_has_none() {
        for line in ["", "\n", "admin\n", "# admin server\n", "admin # server\n"] {
            assert_eq!(second(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_line_that_goes_on_in_the_next_tells_nothing() {
        for line in ["admin server \"sec\n", "admin server it's *\n", "admin server \\\n"] {
            assert_eq!(second(line), None, "{line:?}");
        }
    }
}
