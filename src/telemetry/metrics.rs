//! Figures for Prometheus, as OpenMetrics or its older text. Labels take only values of fixed lists, so that there are
//! never more series than those; what nodes carry, by their ids, is there only for who asks for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::control::api::Traffic;
use crate::core::State;
use crate::core::event::Hearing;
use crate::core::failure::FailureKind;
use crate::core::report::Report;
use crate::node::Engine;

/// From a dial to its tunnel, seconds.
const TIMES_TO_UP: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0];
/// Of one turn of the loop, seconds.
const TURNS: [f64; 8] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEngine {
    engine: &'static str,
}

impl From<Engine> for OfEngine {
    fn from(engine: Engine) -> Self {
        OfEngine { engine: engine.name() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNode {
    node: u32,
}

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
    /// The text of Prometheus, version 0.0.4, for those that know nothing newer.
    Prometheus,
}

/// All figures; counted as things happen, and read when somebody asks.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    ppp_interfaces: Gauge,
    backend_up: Gauge,
    nodes: Family<OfState, Gauge>,
    dials: Family<OfEngine, Counter>,
    failures: Family<OfKind, Counter>,
    time_to_up: Family<OfEngine, Histogram, fn() -> Histogram>,
    turns: Histogram,
    overruns: Counter,
    resyncs: Counter,
    restarts: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Metrics {
            registry: Registry::default(),
            ppp_interfaces: Gauge::default(),
            backend_up: Gauge::default(),
            nodes: Family::default(),
            dials: Family::default(),
            failures: Family::default(),
            time_to_up: Family::new_with_constructor(|| Histogram::new(TIMES_TO_UP)),
            turns: Histogram::new(TURNS),
            overruns: Counter::default(),
            resyncs: Counter::default(),
            restarts: Counter::default(),
        };
        // A series that is there from the start shows its first rise.
        for engine in Engine::ALL {
            drop(metrics.dials.get_or_create(&engine.into()));
            drop(metrics.time_to_up.get_or_create(&engine.into()));
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let all = &mut self.registry;
        all.register(
            "connexa_ppp_interfaces",
            "Tunnels of nodes that are up",
            self.ppp_interfaces.clone(),
        );
        all.register(
            "connexa_backend_up",
            "1 while something listens on backend.port",
            self.backend_up.clone(),
        );
        all.register("connexa_nodes", "Nodes in each state", self.nodes.clone());
        all.register("connexa_dials", "Dials that were begun, by engine", self.dials.clone());
        all.register("connexa_failures", "Calls that failed, by kind", self.failures.clone());
        all.register_with_unit(
            "connexa_time_to_up",
            "From a dial to its tunnel, by engine",
            Unit::Seconds,
            self.time_to_up.clone(),
        );
        all.register_with_unit(
            "connexa_loop_turn",
            "How long one turn of the daemon's loop takes",
            Unit::Seconds,
            self.turns.clone(),
        );
        all.register(
            "connexa_kernel_overruns",
            "Times that the kernel dropped events",
            self.overruns.clone(),
        );
        all.register(
            "connexa_kernel_resyncs",
            "Full reads of the kernel's table of links",
            self.resyncs.clone(),
        );
        all.register(
            "connexa_backend_restarts",
            "Restarts of the backend that worked",
            self.restarts.clone(),
        );
        self
    }

    /// A dial was begun.
    pub(crate) fn dialled(&self, engine: Engine) {
        self.dials.get_or_create(&engine.into()).inc();
    }

    /// A call has failed.
    pub(crate) fn failed(&self, kind: FailureKind) {
        self.failures.get_or_create(&OfKind { kind: kind.name() }).inc();
    }

    /// A dial became a tunnel, after so long.
    pub(crate) fn rose(&self, engine: Engine, after: Duration) {
        self.time_to_up.get_or_create(&engine.into()).observe(after.as_secs_f64());
    }

    /// A turn of the loop has taken so long.
    pub(crate) fn turned(&self, within: Duration) {
        self.turns.observe(within.as_secs_f64());
    }

    /// Takes in what is counted elsewhere.
    pub(crate) fn read(&self, states: impl Iterator<Item = State>, whole: &Report) {
        let mut counts = State::ALL.map(|state| (state, 0_i64));
        for state in states {
            if let Some((_, count)) = counts.iter_mut().find(|(of, _)| *of == state) {
                *count += 1;
            }
        }
        for (state, count) in counts {
            self.nodes.get_or_create(&OfState { state: state.name() }).set(count);
        }
        self.ppp_interfaces.set(i64::try_from(whole.outage.up).unwrap_or(i64::MAX));
        let Hearing { overruns, resyncs, .. } = whole.hearing;
        set(&self.overruns, overruns);
        set(&self.resyncs, resyncs);
        set(&self.restarts, whole.outage.restarts);
    }

    /// All of it as text; `backend_up`: something listens on the backend's port; `traffic`: what
    /// nodes have carried, where that is asked for.
    pub(crate) fn text(&self, backend_up: bool, form: Form, traffic: Option<&Traffic>) -> String {
        self.backend_up.set(backend_up.into());
        let mut written = String::new();
        // Writing into a text never fails.
        let carried = traffic.map(carried);
        let _ = [Some(&self.registry), carried.as_ref()].into_iter().flatten().try_for_each(
            |registry| match form {
                Form::OpenMetrics => text::encode_registry(&mut written, registry),
                Form::Prometheus => prometheus_text::encode(&mut written, registry),
            },
        );
        if form == Form::OpenMetrics {
            let _ = text::encode_eof(&mut written);
        }
        written
    }
}

/// What each node that is up has carried. Made anew for each who asks: a node that is not up any more
/// has no series.
fn carried(traffic: &Traffic) -> Registry {
    let received = Family::<OfNode, Counter>::default();
    let sent = Family::<OfNode, Counter>::default();
    for node in &traffic.nodes {
        let of = OfNode { node: node.id };
        set(&received.get_or_create(&of), node.in_bytes);
        set(&sent.get_or_create(&of), node.out_bytes);
    }
    let mut all = Registry::default();
    all.register_with_unit(
        "connexa_node_receive",
        "Received through the tunnel of each node that is up, since its link was made",
        Unit::Bytes,
        received,
    );
    all.register_with_unit(
        "connexa_node_transmit",
        "Sent through the tunnel of each node that is up, since its link was made",
        Unit::Bytes,
        sent,
    );
    all
}

/// A figure that is counted elsewhere.
fn set(counter: &Counter<u64, AtomicU64>, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::control::api::NodeTraffic;
    use crate::core::Core;
    use crate::core::policy::Policy;

    fn text() -> String {
        let metrics = Metrics::new();
        metrics.dialled(Engine::Pppd);
        metrics.dialled(Engine::Kernel);
        metrics.dialled(Engine::Kernel);
        metrics.failed(FailureKind::Unreachable);
        metrics.rose(Engine::Kernel, Duration::from_millis(700));
        let core = Core::new(Policy::from(&Config::default()));
        metrics.read([State::Up, State::Up].into_iter(), &core.report_whole());
        metrics.text(true, Form::OpenMetrics, None)
    }

    #[test]
    fn what_happened_is_counted() {
        let text = text();
        for line in [
            "connexa_backend_up 1",
            "connexa_nodes{state=\"up\"} 2",
            "connexa_nodes{state=\"invalid\"} 0",
            "connexa_dials_total{engine=\"pppd\"} 1",
            "connexa_dials_total{engine=\"kernel\"} 2",
            "connexa_failures_total{kind=\"unreachable\"} 1",
            "connexa_time_to_up_seconds_bucket{le=\"0.5\",engine=\"kernel\"} 0",
            "connexa_time_to_up_seconds_bucket{le=\"1.0\",engine=\"kernel\"} 1",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_nodes_have_carried_is_there_only_where_it_is_asked_for() {
        let node = NodeTraffic {
            id: 7,
            ifindex: 4,
            in_bytes: 1 << 40,
            out_bytes: 5,
            in_packets: 3,
            out_packets: 2,
        };
        let traffic = Traffic { schema_version: 1, monotonic_ms: 1, nodes: vec![node] };
        let text = Metrics::new().text(true, Form::OpenMetrics, Some(&traffic));
        for line in [
            "# UNIT connexa_node_receive_bytes bytes",
            "connexa_node_receive_bytes_total{node=\"7\"} 1099511627776",
            "connexa_node_transmit_bytes_total{node=\"7\"} 5",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
        assert!(!self::text().contains("connexa_node_"));
    }

    #[test]
    fn every_figure_says_what_it_is() {
        let text = text();
        let of = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
        assert_eq!(of("# HELP "), of("# TYPE "));
    }
}
