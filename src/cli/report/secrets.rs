//! What is a secret in a report, and goes: the passwords that are known, and what is called one wherever
//! it stands, as in a hook's command line.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

use crate::config::Config;
use crate::desired::{self, Settings};
use crate::pppd;
use crate::printable::printable;

/// What stands where a password stood.
const REMOVED: &str = "[a password was here]";
/// Shorter ones are parts of too many words.
pub(super) const SHORTEST: usize = 4;

/// How something is called a secret: what stands before it, and the secret itself.
const CALLED: [&str; 4] = [
    // An option or a variable: token=…, or two words of a list: "--token", "…"
    r#"(?i)([\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|credentials?)(?:=|["'],\s*["']))([^\s"',]+)"#,
    // The same with its value in quotes of its own: token="…"
    r#"(?i)([\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|credentials?)=\\?["'])([^"'\\]+)"#,
    // A head of HTTP.
    r#"(?i)(\b(?:authorization:\s*\w+|bearer)\s+)([^\s"',]+)"#,
    // https://user:…@host
    r#"(://[^\s/:@"']*:)([^\s/@"']+)(?:@)"#,
];

static PATTERNS: LazyLock<Vec<Regex>> =
    LazyLock::new(|| CALLED.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());

/// Secrets that can be looked for.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) secrets: Vec<String>,
    /// Why some are not known.
    pub(super) unread: Vec<String>,
}

/// Passwords of all rows, and all that pppd has in its files of secrets: a program of the operator's may
/// have written one where none should be.
pub(super) async fn known(config: &Config) -> Known {
    let mut unread = Vec::new();
    let mut found = desired::passwords(&Settings::from(config)).await.unwrap_or_else(|problem| {
        unread.push(problem.to_string());
        Vec::new()
    });
    match pppd::all_secrets(&config.paths.ppp_dir) {
        Ok(more) => found.extend(more),
        Err(error) => unread.push(error.to_string()),
    }
    let mut secrets: Vec<String> = found
        .iter()
        .flat_map(|secret| {
            let secret = String::from_utf8_lossy(secret);
            [printable(&secret), secret.into_owned()]
        })
        .filter(|secret| secret.chars().count() >= SHORTEST)
        .collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    Known { secrets, unread }
}

/// The text without these secrets, and without what is called one.
pub(super) fn without(text: &str, secrets: &[String]) -> String {
    let text = secrets.iter().fold(text.to_owned(), |text, secret| {
        if text.contains(secret.as_str()) { text.replace(secret.as_str(), REMOVED) } else { text }
    });
    PATTERNS.iter().fold(text, |text, pattern| {
        let removed = |found: &Captures<'_>| {
            let [whole, before, secret] =
                [0, 1, 2].map(|n| found.get(n).map_or("", |m| m.as_str()));
            let after = whole.strip_prefix(before).and_then(|rest| rest.strip_prefix(secret));
            format!("{before}{REMOVED}{}", after.unwrap_or_default())
        };
        pattern.replace_all(&text, removed).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_wherever_it_stands() {
        let text = without("a hunter2 b hunter22", &["hunter22".into(), "hunter2".into()]);
        assert_eq!(text, format!("a {REMOVED} b {REMOVED}"));
    }

    #[test]
    fn what_is_called_a_secret_goes_and_its_surroundings_stay() {
        assert_eq!(PATTERNS.len(), CALLED.len());
        for (text, end) in [
            (r#"up = ["/bin/notify", "--api-token", "s3cr3t", "ops"]"#, r#"", "ops"]"#),
            (r#"up = ["/bin/notify", "--password=s3cr3t", "ops"]"#, r#"", "ops"]"#),
            ("WEBHOOK_SECRET=s3cr3t notify", " notify"),
            ("token=\"s3cr3t and more\" notify", "\" notify"),
            ("Authorization: Basic s3cr3t\n", "\n"),
            ("curl -H 'x: bearer s3cr3t' ops", "' ops"),
            ("https://ops:s3cr3t@example.org/hook", "@example.org/hook"),
            ("file:/app/nodes.db?key=1&passphrase=s3cr3t\n", "\n"),
        ] {
            let told = without(text, &[]);
            assert!(!told.contains("s3cr3t"), "{told}");
            assert!(told.ends_with(&format!("{REMOVED}{end}")), "{told}");
        }
    }

    #[test]
    fn what_only_speaks_of_secrets_stays() {
        for text in [
            "the server refused the login or password 3 times; correct the row",
            "password = \"pass\"",
            "use --password-stdin",
            "a basic check",
            "10.9.0.2:1723 to admin@10.9.0.3",
        ] {
            assert_eq!(without(text, &[]), text);
        }
    }
}
