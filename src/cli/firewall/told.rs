//! What `connexactl firewall` prints, as lines for people or as JSON.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::FirewallCommandError;
use crate::firewall::{Done, Filter, Scope, Trouble};

/// What `check` has found.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    pub(super) troubles: Vec<Trouble>,
    /// Whom the rules are for, or are to be for.
    #[serde(skip)]
    pub(super) scope: Scope,
    pub(super) servers: Vec<Answer>,
}

/// How a server took a call of its control port.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) server: Ipv4Addr,
    pub(super) answers: bool,
    pub(super) message: String,
}

type Text = Result<String, FirewallCommandError>;

fn json(value: &impl Serialize) -> Text {
    Ok(crate::cli::json(value)?)
}

/// The rules of `print`: as the filter's own tool reads them, or as one text within JSON.
pub(super) fn rules(filter: Filter, rules: String, as_json: bool) -> Text {
    #[derive(Serialize)]
    struct Rules {
        filter: &'static str,
        rules: String,
    }
    let filter = match filter {
        Filter::Nft => "nft",
        Filter::Iptables => "iptables",
    };
    if as_json { json(&Rules { filter, rules }) } else { Ok(rules) }
}

/// What `apply` or `remove` has done, and what drops all the same.
pub(super) fn done(done: Done, still: Option<&Findings>, as_json: bool) -> Text {
    #[derive(Serialize)]
    struct Told<'a> {
        done: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        troubles: Option<&'a [Trouble]>,
    }
    let (word, sentence) = match done {
        Done::Applied => {
            ("applied", "The rules are in place; `connexactl firewall remove` takes them away\n")
        }
        Done::NotNeeded => ("not_needed", "Nothing drops PPTP, so no rule is needed\n"),
        Done::Removed => ("removed", "The rules are gone\n"),
        Done::NothingThere => ("nothing_there", "There are no rules of connexa's\n"),
    };
    if as_json {
        let troubles = still.map(|findings| findings.troubles.as_slice());
        return json(&Told { done: word, troubles });
    }
    let others = still.filter(|findings| !findings.troubles.is_empty()).map(in_lines);
    Ok(sentence.to_owned() + &others.unwrap_or_default())
}

/// What `check` has found.
pub(super) fn findings(findings: &Findings, as_json: bool) -> Text {
    if as_json { json(findings) } else { Ok(in_lines(findings)) }
}

fn in_lines(findings: &Findings) -> String {
    let mut text = String::new();
    for Trouble { chain, what, sure } in &findings.troubles {
        let (verdict, verb) = if *sure {
            ("failed ", "drops")
        } else {
            ("warning", "may drop, by rules that are not understood here:")
        };
        let _ = writeln!(text, "{verdict} {chain} {verb} {what}");
    }
    if findings.troubles.is_empty() {
        let of = if findings.scope.is_any() { "" } else { " of the servers that rules are for" };
        let _ = writeln!(text, "ok      no chain drops TCP port 1723 or GRE{of}");
    } else {
        let _ = writeln!(text, "        → connexactl firewall apply{}", findings.scope);
    }
    for Answer { server, answers, message } in &findings.servers {
        let verdict = if *answers { "ok     " } else { "failed " };
        let _ = writeln!(text, "{verdict} {server}: {message}");
    }
    text
}
