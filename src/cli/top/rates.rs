//! How much each tunnel carries: rates, reckoned from counters that were read at two moments.

use std::collections::{BTreeMap, VecDeque};

use crate::control::api::{NodeTraffic, Traffic};

/// How many rates of a node are kept: about a minute of them.
const KEPT: usize = 60;

/// Bytes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// Received through the tunnel.
    pub(super) incoming: u64,
    /// Sent through it.
    pub(super) outgoing: u64,
}

impl Rate {
    /// Both ways together.
    pub(super) fn both(self) -> u64 {
        self.incoming.saturating_add(self.outgoing)
    }
}

/// The last rates of each node that is up.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: Option<Traffic>,
    nodes: BTreeMap<u32, VecDeque<Rate>>,
}

impl Rates {
    /// Takes in new counters; none where the daemon does not tell them.
    pub(super) fn take(&mut self, traffic: Option<Traffic>) {
        let Some(new) = traffic else {
            *self = Rates::default();
            return;
        };
        let mut nodes = BTreeMap::new();
        for node in &new.nodes {
            let mut known = self.nodes.remove(&node.id).unwrap_or_default();
            match self.last.as_ref().and_then(|last| rate(last, &new, node)) {
                Some(rate) => {
                    known.push_back(rate);
                    if known.len() > KEPT {
                        known.pop_front();
                    }
                }
                // Another link: what the last one carried says nothing of it.
                None => known.clear(),
            }
            nodes.insert(node.id, known);
        }
        self.nodes = nodes;
        self.last = Some(new);
    }

    /// The newest rate of a node.
    pub(super) fn of(&self, id: u32) -> Option<Rate> {
        self.nodes.get(&id)?.back().copied()
    }

    /// The last rates of a node, the oldest first.
    pub(super) fn history(&self, id: u32) -> impl DoubleEndedIterator<Item = Rate> + '_ {
        self.nodes.get(&id).into_iter().flatten().copied()
    }

    /// Of all nodes together.
    pub(super) fn total(&self) -> Rate {
        self.nodes.values().filter_map(VecDeque::back).fold(Rate::default(), |sum, rate| Rate {
            incoming: sum.incoming.saturating_add(rate.incoming),
            outgoing: sum.outgoing.saturating_add(rate.outgoing),
        })
    }
}

/// None where there is nothing to compare with.
fn rate(last: &Traffic, new: &Traffic, node: &NodeTraffic) -> Option<Rate> {
    let elapsed = new.monotonic_ms.checked_sub(last.monotonic_ms)?;
    let before = last.nodes.binary_search_by_key(&node.id, |node| node.id).ok()?;
    let before = last.nodes.get(before).filter(|before| before.ifindex == node.ifindex)?;
    let in_a_second =
        |new: u64, old: u64| new.checked_sub(old)?.saturating_mul(1000).checked_div(elapsed);
    Some(Rate {
        incoming: in_a_second(node.in_bytes, before.in_bytes)?,
        outgoing: in_a_second(node.out_bytes, before.out_bytes)?,
    })
}

/// For people, in decimal units: `7 B/s`, `1.2 kB/s`, `34 MB/s`.
pub(super) fn per_second(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scale = 1_u64;
    let mut unit = UNITS[0];
    for larger in UNITS.into_iter().skip(1) {
        if bytes / scale < 1000 {
            break;
        }
        scale *= 1000;
        unit = larger;
    }
    let whole = bytes / scale;
    if scale == 1 || whole >= 10 {
        format!("{whole} {unit}/s")
    } else {
        format!("{whole}.{} {unit}/s", bytes % scale / (scale / 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(monotonic_ms: u64, nodes: &[(u32, u32, u64)]) -> Option<Traffic> {
        let node = |&(id, ifindex, bytes): &(u32, u32, u64)| NodeTraffic {
            id,
            ifindex,
            in_bytes: bytes,
            out_bytes: bytes / 2,
            in_packets: 1,
            out_packets: 1,
        };
        let nodes = nodes.iter().map(node).collect();
        Some(Traffic { schema_version: 1, monotonic_ms, nodes })
    }

    #[test]
    fn a_rate_is_what_went_through_by_the_time_that_it_took() {
        let mut rates = Rates::default();
        rates.take(traffic(1000, &[(1, 4, 100), (2, 5, 0)]));
        assert_eq!(rates.of(1), None, "nothing to compare with");
        rates.take(traffic(3000, &[(1, 4, 4100), (2, 5, 400)]));
        assert_eq!(rates.of(1), Some(Rate { incoming: 2000, outgoing: 1000 }));
        assert_eq!(rates.total(), Rate { incoming: 2200, outgoing: 1100 });
    }

    #[test]
    fn another_link_of_a_node_begins_anew() {
        let mut rates = Rates::default();
        rates.take(traffic(1000, &[(1, 4, 9_000_000)]));
        rates.take(traffic(2000, &[(1, 4, 9_000_500)]));
        rates.take(traffic(3000, &[(1, 7, 9_900_000)]));
        assert_eq!((rates.of(1), rates.history(1).count()), (None, 0));
        rates.take(traffic(4000, &[(1, 7, 9_900_100)]));
        assert_eq!(rates.of(1).unwrap().incoming, 100);
    }

    #[test]
    fn moments_that_do_not_rise_and_counters_that_fall_make_no_rate() {
        let mut rates = Rates::default();
        rates.take(traffic(2000, &[(1, 4, 500)]));
        rates.take(traffic(2000, &[(1, 4, 900)]));
        assert_eq!(rates.of(1), None);
        rates.take(traffic(1000, &[(1, 4, 950)]));
        assert_eq!(rates.of(1), None);
        rates.take(traffic(3000, &[(1, 4, 100)]));
        assert_eq!(rates.of(1), None);
    }

    #[test]
    fn a_minute_is_kept_and_a_node_that_is_down_is_forgotten() {
        let mut rates = Rates::default();
        for second in 0..200 {
            rates.take(traffic(second * 1000, &[(1, 4, second * second)]));
        }
        assert_eq!(rates.history(1).count(), KEPT);
        assert!(rates.history(1).is_sorted_by_key(|rate| rate.incoming));
        rates.take(traffic(200_000, &[]));
        assert_eq!(rates.history(1).count(), 0);
    }

    #[test]
    fn rates_have_a_unit_and_two_digits_at_least() {
        let shown = [0, 999, 1000, 1250, 12_500, 999_999, 34_000_000, u64::MAX].map(per_second);
        let texts = [
            "0 B/s",
            "999 B/s",
            "1.0 kB/s",
            "1.2 kB/s",
            "12 kB/s",
            "999 kB/s",
            "34 MB/s",
            "18446744 TB/s",
        ];
        assert_eq!(shown, texts);
    }
}
