//! What the configuration means to the core.

use crate::config::Config;
use crate::core::backoff::Curve;
use crate::core::policy::{OutagePolicy, Policy};

impl From<&Config> for Policy {
    fn from(config: &Config) -> Self {
        let tunnel = &config.tunnel;
        let backend = &config.backend;
        Policy {
            dial_concurrency: tunnel.dial_concurrency,
            dial_concurrency_per_server: tunnel.dial_concurrency_per_server,
            dial_timeout: tunnel.dial_timeout.get(),
            stop_grace: tunnel.stop_grace.get(),
            backoff: Curve {
                min: tunnel.backoff.min.get(),
                max: tunnel.backoff.max.get(),
                jitter_permille: permille(tunnel.backoff.jitter),
            },
            stable_after: tunnel.stable_after.get(),
            quarantine_after: tunnel.quarantine_after,
            quarantine_grace: tunnel.quarantine_grace.get(),
            quarantine_rest: tunnel.quarantine_rest.get(),
            absence_grace: config.selection.absence_grace.get(),
            keep_on_exit: tunnel.keep_on_exit,
            outage: OutagePolicy {
                interval: config.outage.interval.get(),
                windows: config.outage.windows,
                startup_delay: config.outage.startup_delay.get(),
                restart_with_no_nodes: config.outage.restart_with_no_nodes,
                restart_limit: backend.restart_timeout.get() + backend.ready_timeout.get(),
            },
            mppe: tunnel.mppe,
            engine: tunnel.engine,
        }
    }
}

/// A share of 0.0 to 1.0 in thousandths, without a float cast.
fn permille(share: f64) -> u16 {
    (0..=1000_u16).rev().find(|&n| f64::from(n) / 1000.0 <= share + 1e-9).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_become_thousandths() {
        assert_eq!([0.0, 0.2, 0.123, 1.0].map(super::permille), [0, 200, 123, 1000]);
    }
}
