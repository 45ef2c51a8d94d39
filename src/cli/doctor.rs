//! `connexactl doctor`: what was found, with a remedy for each that is not well.

use std::fmt::Write;

use super::{JsonError, json};
use crate::control::api::counted;
use crate::doctor::{Diagnosis, Verdict};
use crate::printable::printable;

/// The text to print: a line for each finding and one for its remedy, or all as JSON.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_diagnosis(diagnosis: &Diagnosis, as_json: bool) -> Result<String, JsonError> {
    if as_json { json(diagnosis) } else { Ok(in_lines(diagnosis, |_| true)) }
}

/// The same without what is well, which is counted.
pub(super) fn what_is_not_well(diagnosis: &Diagnosis) -> String {
    in_lines(diagnosis, |verdict| verdict != Verdict::Ok)
}

fn in_lines(diagnosis: &Diagnosis, is_shown: impl Fn(Verdict) -> bool) -> String {
    let mut text = String::new();
    for finding in diagnosis.findings.iter().filter(|finding| is_shown(finding.verdict)) {
        let verdict = word(finding.verdict);
        let message = printable(&finding.message);
        let _ = writeln!(text, "{verdict:<8} {}: {message}", finding.check);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<8} → {}", "", printable(remedy));
        }
    }
    let count =
        |verdict| diagnosis.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let [ok, warnings, failed] = [Verdict::Ok, Verdict::Warning, Verdict::Failed].map(count);
    let warnings = counted(warnings, "warning");
    let _ = writeln!(text, "{ok} ok, {warnings}, {failed} failed");
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "failed",
    }
}
