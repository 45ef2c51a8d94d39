//! `/v1/plan`: the rows are read and the configuration is judged anew, by a copy of the core, so
//! that what is shown is what would be done.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answers::ask;
use super::api::{Plan, SCHEMA_VERSION, Step};
use super::question::{Question, Refusal};
use super::shown::{key_change, until};
use crate::config::{self, Config};
use crate::core::event::{Event, Input, Rows};
use crate::core::policy::Policy;
use crate::core::report::NodeReport;
use crate::core::time::Now;
use crate::core::{Core, Sort, State};
use crate::desired::{self, Settings};
use crate::node::NodeId;
use crate::supervisor::Options;

/// Why a node is wanted no more.
const GONE: &str = "its row is gone or no longer selected";
/// For what is sent.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// The longest that is taken in, bytes.
const LARGEST: usize = 1024 * 1024;

/// What would be done now; under another configuration, where one is given.
pub(super) async fn plan(
    questions: &mpsc::Sender<Question>,
    other: Option<Config>,
) -> Result<Plan, Refusal> {
    let (config, _) = ask(questions, Question::Config).await?;
    let changes = other.as_ref().map_or_else(Vec::new, |other| config::changes(&config, other));
    let before = Settings::from(&config);
    let config = other.unwrap_or(config);
    let settings = Settings::from(&config);
    let rows = desired::read_after(&settings, &before).await;
    let rows =
        rows.map_err(|problem| Refusal::NotNow(format!("the nodes can't be read: {problem}")))?;
    let (core, now) = ask(questions, Question::Core).await?;
    let before = nodes(&core);
    let after = nodes(&judged(*core, &config, rows, now));
    let mut plan = Plan {
        schema_version: SCHEMA_VERSION,
        changes: changes.into_iter().map(key_change).collect(),
        steps: Vec::new(),
        stay_up: 0,
        calls_go_on: 0,
        wait: 0,
    };
    for (id, before) in &before {
        compare(&mut plan, *id, Some(before), after.get(id), now);
    }
    for (id, after) in after.iter().filter(|(id, _)| !before.contains_key(id)) {
        compare(&mut plan, *id, None, Some(after), now);
    }
    plan.steps.sort_by_key(|step| step.node);
    Ok(plan)
}

/// What is sent, within the limits of a configuration.
pub(super) async fn text(body: Body) -> Result<String, Refusal> {
    let bytes = timeout(BODY_WITHIN, to_bytes(body, LARGEST)).await;
    let bad = |what: &str| Refusal::BadBody(format!("{what}; send a configuration as TOML"));
    let bytes = bytes.map_err(|_| bad("the body did not come within 5 s"))?;
    let bytes = bytes.map_err(|_| bad("the body is cut short, or larger than 1 MiB"))?;
    String::from_utf8(bytes.into()).map_err(|_| bad("the body is no UTF-8 text"))
}

/// The configuration that was sent, as this daemon would run by it.
pub(super) fn parse(text: &str, options: &Options) -> Result<Config, Refusal> {
    let adjust = |config: &mut Config| options.adjust(config);
    let parsed = config::parse_to_run(Path::new("what was sent"), text, adjust);
    parsed.map_err(|error| Refusal::NotReloaded(error.lines()))
}

/// The core as it would be.
fn judged(mut core: Core, config: &Config, rows: Rows, now: Now) -> Core {
    let places = config.selection.max_tunnels;
    let events = [Event::Policy(Box::new(Policy::from(config))), Event::Desired { rows, places }];
    for event in events {
        // Its effects are carried out by nobody.
        drop(core.handle(Input { now, event }));
    }
    core
}

fn nodes(core: &Core) -> BTreeMap<NodeId, NodeReport> {
    core.report().nodes.into_iter().map(|node| (node.id, node)).collect()
}

fn compare(
    plan: &mut Plan,
    id: NodeId,
    before: Option<&NodeReport>,
    after: Option<&NodeReport>,
    now: Now,
) {
    let mut step = |action: &str, in_seconds: Option<u64>, why: String| {
        plan.steps.push(Step { node: id.0, action: action.to_owned(), in_seconds, why });
    };
    let Some(after) = after else {
        return step("let_go", None, GONE.to_owned());
    };
    let reason = || after.reason.as_ref().map_or(String::new(), |reason| reason.message());
    if let Some(at) = after.leaves_at {
        return step("hang_up", Some(until(at, now)), GONE.to_owned());
    }
    let next = after.next_attempt.map(|at| until(at, now));
    let was = before.map(|before| before.state);
    match after.state.sort() {
        Sort::Up => plan.stay_up += 1,
        Sort::Waits => plan.wait += 1,
        Sort::Calls if after.state == State::Dialing && was != Some(State::Dialing) => {
            let why = if before.is_none() { "its row is selected" } else { "a dial slot is free" };
            step("dial", None, why.to_owned());
        }
        Sort::Ends => step("hang_up", None, reason()),
        Sort::Failed if next.is_some() => step("dial", next, reason()),
        Sort::Invalid if was != Some(State::Invalid) => step("refuse", None, reason()),
        Sort::Calls => plan.calls_go_on += 1,
        Sort::Failed | Sort::Stopped | Sort::Invalid => {}
    }
}
