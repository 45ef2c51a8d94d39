//! pppd's reader of words and of secrets once more, step by step as in its source (`getword` in
//! pppd/options.c and `scan_authfile` in pppd/auth.c of ppp 2.4.9; 2.5 has the same): for tests, what
//! our files come to.

/// Bytes of a word, with the NUL at its end.
const MAXWORDLEN: usize = 1024;
/// Bytes of a secret, with the NUL at its end.
const MAXSECRETLEN: usize = 256;

/// A file that is being read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// C's isspace.
fn is_space(c: u8) -> bool {
    c == b' ' || (0x09..=0x0d).contains(&c)
}

impl Reader<'_> {
    /// Like getc: `None` is the end of the file.
    fn get(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// The next word, and whether a line begins with it.
    fn word(&mut self) -> Option<(Vec<u8>, bool)> {
        let (mut newline, mut comment, mut escape) = (false, false, false);
        let mut c;
        loop {
            c = self.get();
            let Some(byte) = c else { break };
            if byte == b'\n' {
                if escape {
                    escape = false;
                } else {
                    (newline, comment) = (true, false);
                }
            } else if comment {
            } else if escape {
                break;
            } else if byte == b'\\' {
                escape = true;
            } else if byte == b'#' {
                comment = true;
            } else if !is_space(byte) {
                break;
            }
        }
        let (mut word, mut quoted) = (Vec::new(), None);
        while let Some(byte) = c {
            if escape {
                escape = false;
                if byte == b'\n' {
                    c = self.get();
                    continue;
                }
                let (value, next) = self.escaped(byte);
                word.push(value);
                c = next;
                continue;
            }
            if byte == b'\\' {
                escape = true;
                c = self.get();
                continue;
            }
            if let Some(quote) = quoted {
                if byte == quote {
                    quoted = None;
                    c = self.get();
                    continue;
                }
            } else if matches!(byte, b'"' | b'\'') {
                quoted = Some(byte);
                c = self.get();
                continue;
            } else if is_space(byte) || byte == b'#' {
                self.at -= 1;
                break;
            }
            word.push(byte);
            c = self.get();
        }
        if c.is_none() && word.is_empty() {
            return None;
        }
        word.truncate(MAXWORDLEN - 1);
        Some((as_c_string(word), newline))
    }

    /// The byte that an escape means, and the character after it.
    fn escaped(&mut self, byte: u8) -> (u8, Option<u8>) {
        let digits = |reader: &mut Self, mut c: Option<u8>, most: u32, radix: u32| {
            let mut value = 0_u32;
            let mut count = 0;
            while let Some(digit) = c.and_then(|byte| char::from(byte).to_digit(radix)) {
                if count == most {
                    break;
                }
                value = value * radix + digit;
                count += 1;
                c = reader.get();
            }
            (u8::try_from(value & 0xff).unwrap(), c)
        };
        let value = match byte {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'0'..=b'7' => return digits(self, Some(byte), 3, 8),
            b'x' => {
                let first = self.get();
                return digits(self, first, 2, 16);
            }
            other => other,
        };
        (value, self.get())
    }
}

/// What C sees of a word: it ends at the first NUL.
fn as_c_string(word: Vec<u8>) -> Vec<u8> {
    word.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

/// The words of a file, line by line as pppd takes lines.
pub(super) fn lines(file: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = Reader { bytes: file, at: 0 };
    let mut lines: Vec<Vec<Vec<u8>>> = Vec::new();
    while let Some((word, newline)) = reader.word() {
        match lines.last_mut() {
            Some(line) if !newline => line.push(word),
            _ => lines.push(vec![word]),
        }
    }
    lines
}

/// The words of a file of options: to pppd its lines are nothing.
pub(super) fn options(file: &[u8]) -> Vec<Vec<u8>> {
    lines(file).concat()
}

/// What pppd takes for the secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Secret(Vec<u8>),
    /// It is in this file.
    File(Vec<u8>),
}

/// The secret of the best match, and of equals of the first.
pub(super) fn secret(file: &[u8], client: &[u8], server: &[u8]) -> Option<Found> {
    let mut best: Option<(u8, Vec<u8>)> = None;
    for line in lines(file) {
        let [its_client, its_server, secret, ..] = line.as_slice() else { continue };
        let is_wild = |word: &[u8]| word == b"*";
        if its_client != client && !is_wild(its_client)
            || its_server != server && !is_wild(its_server)
        {
            continue;
        }
        // NONWILD_CLIENT is 1, NONWILD_SERVER 2.
        let flag = u8::from(!is_wild(its_client)) + 2 * u8::from(!is_wild(its_server));
        if best.as_ref().is_none_or(|(best, _)| flag > *best) {
            best = Some((flag, secret.clone()));
        }
    }
    let (_, mut secret) = best?;
    if secret.starts_with(b"@/") {
        return Some(Found::File(secret.split_off(1)));
    }
    secret.truncate(MAXSECRETLEN);
    Some(Found::Secret(secret))
}

#[test]
fn words_are_read_as_pppd_reads_them() {
    for (file, words) in [
        (r#"a "b c"'d' e#f"#, &["a", "b cd", "e"][..]),
        ("a \\163\\x41\\n\\\nb", &["a", "sA\nb"]),
        ("\\ a\\\n b", &[" a", "b"]),
        ("# a\n'b\nc'", &["b\nc"]),
    ] {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        assert_eq!(options(file.as_bytes()), words, "{file:?}");
    }
}

#[test]
fn of_secrets_the_best_match_counts_and_of_equals_the_first() {
    let file = b"* * any\na * of-a\na s one\na s two\nb s @/file\n";
    let found = |client: &str| secret(file, client.as_bytes(), b"s").unwrap();
    assert_eq!(found("a"), Found::Secret(b"one".to_vec()));
    assert_eq!(found("b"), Found::File(b"/file".to_vec()));
    assert_eq!(found("c"), Found::Secret(b"any".to_vec()));
}
