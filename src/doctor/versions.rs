//! Which pppd and which pptp are these?

use std::path::Path;

use super::{ANSWER_WITHIN, Finding};
use crate::command;
use crate::config::Paths;

/// The oldest that connexad is tried with: those of Debian 12.
const PPPD: [u32; 3] = [2, 4, 9];
const PPTP: [u32; 3] = [1, 10, 0];

/// Of what they say, bytes.
const MOST: u64 = 4096;

/// A program that is not there is told by another check.
pub(super) async fn check(paths: &Paths) -> Vec<Finding> {
    let (pppd, pptp) = tokio::join!(
        version("pppd_version", &paths.pppd, PPPD),
        version("pptp_version", &paths.pptp, PPTP)
    );
    [pppd, pptp].into_iter().flatten().collect()
}

async fn version(check: &str, program: &Path, oldest: [u32; 3]) -> Option<Finding> {
    if !super::restart_command::is_program(program) {
        return None;
    }
    let argv = [program.display().to_string(), "--version".to_owned()];
    let said = command::tell(&argv, String::new(), ANSWER_WITHIN, MOST).await;
    // pppd tells it on stderr.
    let said = said.map_or_else(|error| error.to_string(), |said| said.text + &said.complaints);
    Some(judge(check, program, &said, oldest))
}

fn judge(check: &str, program: &Path, said: &str, oldest: [u32; 3]) -> Finding {
    let shown = program.display();
    let Some((words, numbers)) = said.split_whitespace().find_map(numbered) else {
        let message = format!("{shown} does not tell its version");
        return Finding::warning(check, message, format!("see {shown} --version"));
    };
    if numbers >= oldest {
        return Finding::ok(check, format!("{shown} is version {words}"));
    }
    let [major, minor, patch] = oldest;
    let message = format!(
        "{shown} is version {words}, and connexad was tested with {major}.{minor}.{patch} and later"
    );
    Finding::warning(check, message, "install a newer one, e.g. that of Debian 12")
}

/// `2.4.9` in `pppd version 2.4.9` or `pptp-1.10.0`.
fn numbered(word: &str) -> Option<(&str, [u32; 3])> {
    let word = word.trim_start_matches(|c: char| !c.is_ascii_digit());
    let word = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = word.split('.').map(|part| {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse::<u32>().ok()
    });
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some((word, [major, minor, numbers.next().flatten().unwrap_or_default()]))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn of(said: &str) -> Finding {
        judge("pppd_version", Path::new("/usr/sbin/pppd"), said, PPPD)
    }

    #[test]
    fn versions_that_are_tried_are_well() {
        for said in ["pppd version 2.4.9\n", "pppd version 2.5.2\n", "Version: v2.10"] {
            assert_eq!(of(said).verdict, Verdict::Ok, "{said}");
        }
        assert_eq!(of("pppd version 2.4.9\n").message, "/usr/sbin/pppd is version 2.4.9");
    }

    #[test]
    fn an_older_one_or_one_that_tells_none_is_worth_a_look() {
        for said in ["pppd version 2.4.7\n", "", "usage: pppd [ options ]"] {
            assert_eq!(of(said).verdict, Verdict::Warning, "{said}");
        }
    }

    #[tokio::test]
    async fn the_program_itself_is_asked() {
        let found = version("pptp_version", Path::new("/bin/true"), [1, 0, 0]).await.unwrap();
        assert!(found.message.starts_with("/bin/true is version "), "{found:?}");
        assert_eq!(version("pptp_version", Path::new("/nowhere"), PPTP).await, None);
    }
}
