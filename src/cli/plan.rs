//! `connexactl plan` and `connexactl reload`: what another configuration changes, and what would be
//! done.

use std::fmt::Write;

use super::status::short;
use super::{JsonError, json};
use crate::control::api::{KeyChange, Plan, Reloaded, Step, counted};
use crate::printable::printable;

/// The text to print of a plan.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_plan(plan: &Plan, as_json: bool) -> Result<String, JsonError> {
    if as_json {
        return json(plan);
    }
    let mut text = String::new();
    plan.changes.iter().for_each(|change| line_of_key(&mut text, change));
    plan.steps.iter().for_each(|step| line_of_node(&mut text, step));
    if plan.changes.is_empty() && plan.steps.is_empty() {
        text.push_str("nothing would be done\n");
    }
    let stay = counted(plan.stay_up, "tunnel");
    let verb = if plan.stay_up == 1 { "stays" } else { "stay" };
    let calls = match plan.calls_go_on {
        0 => String::new(),
        1 => "1 call under way goes on, ".to_owned(),
        more => format!("{more} calls under way go on, "),
    };
    let wait = counted(plan.wait, "node");
    let waits = if plan.wait == 1 { "waits" } else { "wait" };
    let _ = writeln!(text, "{stay} {verb} up, {calls}{wait} {waits} for a dial slot or a place");
    Ok(text)
}

/// The text to print of a reload.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_reload(reloaded: &Reloaded, as_json: bool) -> Result<String, JsonError> {
    if as_json {
        return json(reloaded);
    }
    let mut text = String::new();
    reloaded.changes.iter().for_each(|change| line_of_key(&mut text, change));
    let waits = reloaded.changes.iter().filter(|change| change.when == "restart").count();
    text.push_str(match (reloaded.changes.len(), waits) {
        (0, _) => "reloaded; nothing differs\n",
        (_, 0) => "reloaded\n",
        (_, _) => {
            "reloaded; the rest is in force after `systemctl restart connexad`, tunnels stay up\n"
        }
    });
    Ok(text)
}

fn line_of_key(text: &mut String, change: &KeyChange) {
    let value = |value: &Option<String>| value.as_deref().map_or("unset".to_owned(), printable);
    let when = match change.when.as_str() {
        "now" => "",
        "next_dial" => " (at each tunnel's next dial)",
        _ => " (at the next start of the daemon)",
    };
    let (from, to) = (value(&change.from), value(&change.to));
    let _ = writeln!(text, "~ {} = {to}, was {from}{when}", change.key);
}

fn line_of_node(text: &mut String, step: &Step) {
    let (sign, what) = match step.action.as_str() {
        "dial" => ("+", "is dialled"),
        "hang_up" => ("-", "is hung up"),
        "refuse" => ("!", "can't be dialled"),
        _ => ("-", "is no longer dialled"),
    };
    let when = step.in_seconds.map_or(String::new(), |seconds| format!(" in {}", short(seconds)));
    let _ = writeln!(text, "{sign} node {} {what}{when}: {}", step.node, printable(&step.why));
}
