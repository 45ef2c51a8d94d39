//! What the supervisor tells of itself, and what the operator may ask of a node.

use super::Supervisor;
use crate::config;
use crate::control::api::{LastError, NodeInFull};
use crate::control::question::{Changed, Question, Refusal, Unheld};
use crate::control::{api, shown};
use crate::core::event::{Ask, Event};
use crate::core::report::{Report, Row};
use crate::node::NodeId;
use crate::unknown::UnknownNode;

impl Supervisor {
    pub(super) fn answer(&mut self, question: Question) {
        // Whoever asked may have gone away.
        match question {
            Question::Status(reply) => drop(reply.send(self.status())),
            Question::Config(reply) => {
                drop(reply.send((self.config.clone(), self.options.clone())));
            }
            Question::Node(id, reply) => drop(reply.send(self.node_in_full(id))),
            Question::Follow(reply) => drop(reply.send(self.following())),
            Question::Figures(reply) => {
                let states = self.core.states().map(|(_, state)| state);
                self.metrics.read(states, &self.core.report_whole());
                drop(reply.send((self.metrics.clone(), self.config.backend.port)));
            }
            Question::UpLinks(reply) => drop(reply.send(self.core.up_links().collect())),
            Question::Core(reply) => {
                drop(reply.send((Box::new(self.core.clone()), self.clock.now())));
            }
            Question::Reload { by, reply } => self.reload_for(&by, reply),
            Question::Change { node, ask, by, reply } => {
                drop(reply.send(self.change(node, ask, &by)));
            }
        }
    }

    fn node(&self, id: NodeId) -> Result<api::Node, UnknownNode> {
        let now = self.clock.now();
        let node = self.core.report_one(id).map(|report| shown::node(&report, now));
        node.ok_or_else(|| self.not_held(id))
    }

    fn node_in_full(&self, id: NodeId) -> Result<NodeInFull, Unheld> {
        let now = self.clock.now();
        let report = self.core.report_one(id);
        let report = report.or_else(|| self.core.report_candidate(id, now));
        let history: Vec<_> = self.history.of(id).map(shown::transition).collect();
        match report {
            Some(report) => Ok(NodeInFull { node: shown::node(&report, now), history }),
            None => {
                let last = history.last().map(|last| last.at.clone());
                let since = last.unwrap_or_else(|| shown::rfc3339(now.wall));
                Err(Unheld { unknown: self.not_held(id), history, since })
            }
        }
    }

    fn change(&mut self, id: NodeId, ask: Ask, by: &str) -> Result<Changed, Refusal> {
        if self.stopping {
            return Err(Refusal::stopping());
        }
        if !self.core.knows(id) {
            return Err(self.unknown(id));
        }
        if let Some(why) = self.refuses(id, ask) {
            return Err(Refusal::Stopped(why));
        }
        let differs = self.core.would_change(id, ask);
        tracing::info!(NODE_ID = id.0, "Node {id}: {} asked for by {by}", api::verb(ask));
        self.feed(Event::Asked { node: id, ask });
        let kept = match ask {
            Ask::Start | Ask::Stop => Some(self.stopped.kept()),
            Ask::Retry => None,
        };
        Ok(Changed { node: self.node(id), differs, kept })
    }

    /// Which nodes there are is not known before the database was read.
    fn unknown(&self, id: NodeId) -> Refusal {
        let report = self.core.report_whole();
        match (report.database_was_read, report.database_problem) {
            (true, _) => Refusal::Unknown(self.not_held(id).to_string()),
            (false, Some(problem)) => {
                Refusal::NotNow(format!("the nodes are not known yet: {problem}"))
            }
            (false, None) => {
                let path = self.config.database.path.display();
                Refusal::NotNow(format!("{path} was not read yet; ask again in a moment"))
            }
        }
    }

    fn not_held(&self, id: NodeId) -> UnknownNode {
        let database = self.config.database.path.display().to_string();
        let all: Vec<u32> = self.core.states().map(|(id, _)| id.0).collect();
        UnknownNode::among(id.0, all.into_iter(), database)
    }

    /// Why this can't be done to a node, where the answer is no.
    fn refuses(&self, id: NodeId, ask: Ask) -> Option<String> {
        if ask == Ask::Retry && self.core.has_stopped(id) {
            let remedy = format!("`connexactl start {id}` dials it");
            return Some(format!("node {id} is stopped by the operator; {remedy}"));
        }
        let Row::Invalid(row) = self.core.report_one(id)?.row else { return None };
        let is_refused = ask != Ask::Stop && !self.core.has_stopped(id);
        is_refused.then(|| format!("node {id} can't be dialled: {}; correct its row", row.reason))
    }

    pub(super) fn database(&self, report: &Report) -> api::Database {
        api::Database {
            path: self.config.database.path.display().to_string(),
            was_read: report.database_was_read,
            problem: report.database_problem.clone(),
        }
    }

    pub(super) fn status(&self) -> api::Status {
        let (report, now) = (self.core.report(), self.clock.now());
        let config_path = self.options.config.clone().unwrap_or(config::DEFAULT_PATH.into());
        let (nodes, counts) = shown::nodes(&report.nodes, now);
        api::Status {
            schema_version: api::SCHEMA_VERSION,
            daemon: api::Daemon {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: shown::rfc3339(self.started),
                config_path: config_path.display().to_string(),
                dry_run: self.options.dry_run,
            },
            outage: shown::outage(report.outage.clone(), now),
            kernel: shown::kernel(report.hearing, report.heard_at),
            database: self.database(&report),
            host_fault: report.host_fault.as_ref().map(shown::failure),
            counts,
            nodes,
        }
    }

    pub(super) fn log_state(&self) {
        let status = self.status();
        tracing::info!(
            "State: {} of {} up",
            status.outage.ppp_interfaces,
            api::counted(status.nodes.len(), "node")
        );
        for node in &status.nodes {
            let id = node.id;
            let interface = node.interface.as_deref().unwrap_or("no link");
            let error =
                node.last_error.as_ref().map_or_else(|| "none".to_owned(), LastError::with_remedy);
            tracing::info!(
                NODE_ID = id,
                "State: node {id} {} since {} on {interface}; last error: {error}",
                node.state,
                node.since
            );
        }
    }
}
