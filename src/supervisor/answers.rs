//! What the supervisor tells of itself, and what the operator may ask of a node.

use super::Supervisor;
use crate::config;
use crate::control::api;
use crate::control::question::{Changed, Question, Refusal};
use crate::core::State;
use crate::core::event::{Ask, Event};
use crate::node::NodeId;

impl Supervisor {
    pub(super) fn answer(&mut self, question: Question) {
        // Whoever asked may have gone away.
        match question {
            Question::Status(reply) => drop(reply.send(self.status())),
            Question::Config(reply) => drop(reply.send(self.config.clone())),
            Question::Change { node, ask, reply } => drop(reply.send(self.change(node, ask))),
        }
    }

    fn change(&mut self, id: NodeId, ask: Ask) -> Result<Changed, Refusal> {
        if self.stopping {
            return Err(Refusal::stopping());
        }
        let before = self.status();
        if !before.database.was_read {
            return Err(Refusal::NotNow(unread(&before.database)));
        }
        if !self.core.knows(id) {
            return Err(Refusal::Unknown(before.unknown(id.0)));
        }
        if let Some(why) = self.refuses(id, ask, &before) {
            return Err(Refusal::Stopped(why));
        }
        let differs = self.core.would_change(id, ask);
        self.feed(Event::Asked { node: id, ask });
        let kept = match ask {
            Ask::Start | Ask::Stop => Some(self.stopped.kept()),
            Ask::Retry => None,
        };
        Ok(Changed { node: self.status().node(id.0).cloned(), differs, kept })
    }

    /// Why this can't be done to a node, where the answer is no.
    fn refuses(&self, id: NodeId, ask: Ask, status: &api::Status) -> Option<String> {
        if ask == Ask::Retry && self.core.has_stopped(id) {
            let remedy = format!("`connexactl start {id}` dials it");
            return Some(format!("node {id} is stopped by the operator; {remedy}"));
        }
        let node = status.node(id.0).ok()?;
        let is_invalid = node.state == State::Invalid.name();
        if ask == Ask::Stop || !is_invalid || self.core.has_stopped(id) {
            return None;
        }
        let why = node.last_error.as_ref().map_or("its row is not valid", |error| &error.message);
        Some(format!("node {id} can't be dialled: {why}; correct its row"))
    }

    pub(super) fn status(&self) -> api::Status {
        let report = self.core.report(self.clock.now());
        let config_path = self.options.config.clone().unwrap_or(config::DEFAULT_PATH.into());
        api::Status {
            schema_version: api::SCHEMA_VERSION,
            daemon: api::Daemon {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: self.started.rfc3339(),
                config_path: config_path.display().to_string(),
                dry_run: self.options.dry_run,
            },
            outage: report.outage,
            kernel: report.kernel,
            database: api::Database {
                path: self.config.database.path.display().to_string(),
                was_read: report.database_was_read,
                problem: report.database_problem,
            },
            host_fault: report.host_fault,
            counts: report.counts,
            nodes: report.nodes,
        }
    }

    pub(super) fn log_state(&self) {
        let status = self.status();
        tracing::info!(
            "State: {} of {} nodes up",
            status.outage.ppp_interfaces,
            status.nodes.len()
        );
        for node in &status.nodes {
            let id = node.id;
            let interface = node.interface.as_deref().unwrap_or("no link");
            let error = node.last_error.as_ref().map_or("no failure", |error| &error.message);
            tracing::info!(
                NODE_ID = id,
                "State: node {id} {} since {} on {interface}; {error}",
                node.state,
                node.since
            );
        }
    }
}

/// Which nodes there are is not known before the database was read.
fn unread(database: &api::Database) -> String {
    let path = &database.path;
    match &database.problem {
        Some(problem) => format!("the nodes are not known yet: {problem}"),
        None => format!("{path} was not read yet; ask again in a moment"),
    }
}
