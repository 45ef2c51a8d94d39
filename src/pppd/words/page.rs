//! The chapter of `docs/operations.md` that lists what each line and exit code comes to.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::causes::{ANSWERS, AT_START, BEGINNINGS, BY_SERVER};
use crate::pppd::ending::EXITS;

const TITLE: &str = "## From a line to a kind";

const HEAD: &str = "
Made from the source by `make docs`, which overwrites every change; `make test` fails when it is stale. The lines are
those of pppd 2.4.9 and 2.5 and of pptp 1.10; whole calls with what each comes to are in `src/pppd/words/corpus`.

Of several lines the first that is not vague counts. A vague line has many possible causes, and counts only where there is
no other. That the server has hung up counts more than the broken connection that follows. An exit code that is certain
counts more than lines of another kind; any other one counts only where all lines are vague.
";

fn chapter() -> String {
    let mut text = format!("{TITLE}\n{HEAD}");
    text.push_str("\n| begins with | comes to | |\n| --- | --- | --- |\n");
    for (line, kind, vague) in BEGINNINGS {
        let vague = if *vague { "vague" } else { "" };
        let _ = writeln!(text, "| `{}` | `{}` | {vague} |", line.trim_end(), kind.name());
    }
    text.push_str("| `LCP: timeout sending` while the server has said nothing | `unreachable`, `call_refused`, `gre_blocked` or `timeout` | by how far pptp came |\n");
    text.push_str("\n| begins with, of pptp to syslog; the server's answer is in the next line | comes to | |\n| --- | --- | --- |\n");
    for answer in ANSWERS {
        let vague = if answer.vague { "vague" } else { "" };
        let _ = writeln!(text, "| `{}` | `{}` | {vague} |", answer.line, answer.kind.name());
    }
    text.push_str("\n| in `LCP terminated by peer (…)` | comes to |\n| --- | --- |\n");
    for (part, kind) in BY_SERVER {
        let _ = writeln!(text, "| `{part}` | `{}` |", kind.name());
    }
    text.push_str("| any other text, or (vague) none | `peer_closed` |\n");
    text.push_str(
        "\n| in a line of pppd that begins with its own path | comes to |\n| --- | --- |\n",
    );
    for (part, kind) in AT_START {
        let _ = writeln!(text, "| `{}` | `{}` |", part.trim_end(), kind.name());
    }
    text.push_str("| any other (vague) | `bad_options` |\n");
    text.push_str("\n| exit code | comes to | what it means | |\n| --- | --- | --- | --- |\n");
    for exit in EXITS {
        let (code, kind, meaning) = (exit.code, exit.kind.name(), exit.meaning);
        let certain = if exit.certain { "certain" } else { "" };
        let _ = writeln!(text, "| {code} | `{kind}` | {meaning} | {certain} |");
    }
    text.push_str("| a signal | `killed` | somebody killed pppd | certain |\n");
    text.push_str("| any other | `unexplained` | | |\n");
    text
}

#[test]
fn the_chapter_of_lines_and_exit_codes_is_what_the_source_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(TITLE).unwrap();
    let (found, after) = rest.split_once("\n## ").unwrap();
    let wanted = chapter();
    if std::env::var_os("CONNEXA_WRITE_DOCS").is_some() {
        fs::write(&file, format!("{before}{wanted}\n## {after}")).unwrap();
        return;
    }
    let found = format!("{TITLE}{found}");
    assert!(found == wanted, "docs/operations.md is stale; write it anew by `make docs`");
}
