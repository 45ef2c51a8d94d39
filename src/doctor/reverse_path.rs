//! Does the kernel let in what comes back through a tunnel?

use tokio::fs;

use super::Finding;
use crate::config::Config;

const CHECK: &str = "reverse_path";
const SETTINGS: &str = "/proc/sys/net/ipv4/conf";

/// The filter looks the way back up with the answer's own address as source, so the rule by source
/// address lets it pass. Of tunnels that share a local address, only the first one's rule is found.
const SHARED: &str = "where several tunnels have the same local address, all but one lose their answers (routing.table_base)";
/// The main table has no route into a tunnel: not even to its peer (routing.peer_route).
const UNROUTED: &str = "answers that come through a tunnel are dropped, unless a route of this host leads back by the same tunnel (routing.table_base makes one for each)";

/// Looks always: answers through a tunnel come against the main routes.
pub(super) async fn check(config: &Config) -> Finding {
    let lost = if config.routing.table_base.is_some() { SHARED } else { UNROUTED };
    let (all, new) = tokio::join!(filter_of("all"), filter_of("default"));
    judge(all, new, lost)
}

/// `rp_filter` of these interfaces: 0 is off, 1 strict, 2 loose.
async fn filter_of(interfaces: &str) -> Option<u8> {
    let text = fs::read_to_string(format!("{SETTINGS}/{interfaces}/rp_filter")).await.ok()?;
    text.trim().parse().ok()
}

/// The kernel takes the greater of `all` and the interface's own, which begins as `default`
/// (ip-sysctl.rst). The strict filter drops what comes in by another way than it would be answered by.
fn judge(all: Option<u8>, new: Option<u8>, lost: &str) -> Finding {
    let Some((all, new)) = all.zip(new) else {
        let remedy = "see that net.ipv4.conf.*.rp_filter is not 1";
        return Finding::warning(CHECK, "rp_filter can't be read", remedy);
    };
    match all.max(new) {
        1 => {
            let name = if all == 1 { "all" } else { "default" };
            Finding::warning(
                CHECK,
                format!("net.ipv4.conf.{name}.rp_filter is 1: {lost}"),
                "sysctl -w net.ipv4.conf.all.rp_filter=2, and the same in /etc/sysctl.d",
            )
        }
        filter => Finding::ok(CHECK, format!("rp_filter of new links is {filter}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn only_the_strict_filter_is_worth_a_look() {
        for (all, new, verdict) in [
            (0, 0, Verdict::Ok),
            (1, 0, Verdict::Warning),
            (0, 1, Verdict::Warning),
            (2, 1, Verdict::Ok),
            (1, 2, Verdict::Ok),
        ] {
            let finding = judge(Some(all), Some(new), SHARED);
            assert_eq!(finding.verdict, verdict, "all {all}, default {new}: {}", finding.message);
        }
    }
}
