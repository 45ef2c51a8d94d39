//! Checks of this host, each with a remedy; they need no daemon.

mod clock;
mod configuration;
mod database;
mod firewall;
mod group;
mod hooks;
mod kernel_modules;
mod leftovers;
mod limits;
mod managers;
mod mtu;
mod older_manager;
mod port;
mod ppp;
mod ppp_options;
mod ppp_scripts;
mod restart_command;
mod reverse_path;
mod secret_files;
mod socket;
mod unit;
mod versions;
mod when_down;

use std::path::Path;
use std::time::Duration;

use futures::future::{BoxFuture, join_all, ready};
use futures::{FutureExt, join};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Config;
use crate::control::api::SCHEMA_VERSION;
use crate::firewall::Server;
use database::Read;

/// For one question to a program of this host or to its files. supervisorctl starts a Python first,
/// which takes seconds where the processor is slow and busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// All findings, `GET /v1/doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnosis {
    /// The version of this shape.
    pub schema_version: u32,
    /// One for each check that could be made.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether no check has failed.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Failed)
    }
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The check's name, e.g. `two_managers`.
    pub check: String,
    /// How it went.
    pub verdict: Verdict,
    /// What is there, in one line.
    pub message: String,
    /// What to do about it; null where all is well.
    pub remedy: Option<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// Worth a look, or not to be seen.
    Warning,
    /// The daemon or the backend can't do its work like this.
    Failed,
}

impl Finding {
    fn ok(check: &str, message: impl Into<String>) -> Self {
        let (check, message) = (check.to_owned(), message.into());
        Finding { check, verdict: Verdict::Ok, message, remedy: None }
    }

    fn warning(check: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Finding { verdict: Verdict::Warning, remedy, ..Finding::ok(check, message) }
    }

    fn failed(check: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { verdict: Verdict::Failed, ..Finding::warning(check, message, remedy) }
    }
}

/// Makes all checks of a configuration and of the file that it was read from, where there is one.
/// Each question has its limit, whatever hangs.
pub async fn examine(config: &Config, file: Option<&Path>) -> Diagnosis {
    let rows = database::read(config).await;
    let servers = servers(&rows).await;
    let checks: Vec<BoxFuture<'_, Vec<Finding>>> = vec![
        Box::pin(configuration::check(file).map(Vec::from_iter)),
        Box::pin(socket::check(&config.control.socket).map(one)),
        at_once(one(group::check(&config.control))),
        at_once(one(unit::check())),
        Box::pin(older_manager::check()),
        Box::pin(kernel_modules::check(config, &rows).map(Vec::from_iter)),
        Box::pin(ppp::check(config)),
        Box::pin(versions::check(&config.paths)),
        Box::pin(ppp_options::check(config)),
        Box::pin(ppp_scripts::check(&config.paths.ppp_dir).map(one)),
        Box::pin(secret_files::check(config)),
        at_once(one(database::check(config, &rows))),
        at_once(limits::check(tunnels(config, &rows))),
        Box::pin(firewall::check(&servers)),
        at_once(one(mtu::check(config.tunnel.mtu, &servers))),
        Box::pin(leftovers::check(config, &rows).map(one)),
        Box::pin(hooks::check(&config.hooks)),
        Box::pin(backend(config)),
        Box::pin(reverse_path::check(config).map(one)),
        Box::pin(when_down::check(config).map(one)),
        Box::pin(clock::check().map(one)),
    ];
    Diagnosis { schema_version: SCHEMA_VERSION, findings: join_all(checks).await.concat() }
}

/// The servers of the nodes, with the ways to them.
async fn servers(rows: &Read) -> Vec<Server> {
    let nodes = rows.nodes().unwrap_or_default();
    let mut addresses: Vec<_> = nodes.iter().map(|node| node.server.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    crate::firewall::servers(addresses).await
}

/// What the backend needs, where there is one.
async fn backend(config: &Config) -> Vec<Finding> {
    if config.outage.is_off() {
        let message = "none is restarted: outages are switched off (outage.interval is 365d)";
        return one(Finding::ok("backend", message));
    }
    let (restart, managers, port) = join!(
        restart_command::check(&config.backend),
        managers::check(&config.backend),
        port::check(&config.backend)
    );
    [vec![restart, managers], port].concat()
}

/// How many tunnels are to be up at once.
fn tunnels(config: &Config, rows: &Read) -> usize {
    let nodes = rows.nodes().map_or(0, |nodes| nodes.len());
    match usize::try_from(config.selection.max_tunnels) {
        Ok(most) if most > 0 => nodes.min(most),
        Ok(_) | Err(_) => nodes,
    }
}

fn at_once(findings: Vec<Finding>) -> BoxFuture<'static, Vec<Finding>> {
    Box::pin(ready(findings))
}

fn one(finding: Finding) -> Vec<Finding> {
    vec![finding]
}
