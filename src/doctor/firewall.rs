//! Does the host's packet filter let PPTP through, and follow its calls where that matters?

use std::path::Path;

use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::firewall::{self, FirewallError, Server, Trouble};

const CHECK: &str = "firewall";
const HELPER: &str = "conntrack_helper";

/// Where the kernel shows its modules and its settings.
const SYSTEM: &str = "/";

/// Both findings, for these servers; none is any.
pub(super) async fn check(servers: &[Server]) -> Vec<Finding> {
    let troubles = timeout(ANSWER_WITHIN, firewall::troubles(servers)).await;
    let verdict = match &troubles {
        Ok(Ok(troubles)) => judge(troubles),
        Ok(Err(FirewallError::NoFilter)) => {
            Finding::ok(CHECK, "neither nft nor iptables is installed: nothing is filtered by them")
        }
        Ok(Err(error)) => unseen(&error.to_string()),
        Err(_) => unseen("its tool hangs"),
    };
    let drops_gre =
        matches!(&troubles, Ok(Ok(all)) if all.iter().any(|one| one.what.starts_with("GRE")));
    vec![verdict, helper(Path::new(SYSTEM), drops_gre)]
}

fn unseen(why: &str) -> Finding {
    let message = format!("what the packet filter does to PPTP can't be seen: {why}");
    Finding::warning(CHECK, message, "ask again as root, by connexactl firewall check")
}

fn judge(troubles: &[Trouble]) -> Finding {
    let told = |sure: bool| {
        let some: Vec<String> = troubles
            .iter()
            .filter(|trouble| trouble.sure == sure)
            .map(|Trouble { chain, what, .. }| format!("{what} in chain {chain}"))
            .collect();
        (!some.is_empty()).then(|| some.join(", "))
    };
    if let Some(sure) = told(true) {
        let message = format!("the packet filter drops {sure}");
        return Finding::failed(
            CHECK,
            message,
            "connexactl firewall apply --of-nodes, which names what else it needs",
        );
    }
    if let Some(maybe) = told(false) {
        let message = format!("the packet filter may drop {maybe}");
        return Finding::warning(CHECK, message, "connexactl firewall check --of-nodes tells more");
    }
    Finding::ok(CHECK, "the packet filter lets TCP to port 1723 and GRE through")
}

/// This host's own calls need none but where a filter takes GRE for `related` alone. Below this
/// folder are `sys` and `proc`.
fn helper(system: &Path, drops_gre: bool) -> Finding {
    if system.join("sys/module/nf_conntrack_pptp").exists() {
        return Finding::ok(HELPER, "the conntrack helper for PPTP is loaded (nf_conntrack_pptp)");
    }
    let forwards = std::fs::read_to_string(system.join("proc/sys/net/ipv4/ip_forward"));
    let rest = if forwards.is_ok_and(|text| text.trim() == "1") {
        "; only PPTP clients behind this host do (connexactl firewall apply --conntrack-helper)"
    } else {
        ""
    };
    if drops_gre {
        let message = "GRE is dropped, and no conntrack helper for PPTP is loaded, so a rule for RELATED packets lets no GRE in";
        return Finding::warning(HELPER, message, "let GRE through by connexactl firewall apply");
    }
    Finding::ok(
        HELPER,
        format!(
            "no conntrack helper for PPTP is loaded, and this host's own tunnels need none{rest}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn trouble(what: &'static str, sure: bool) -> Trouble {
        Trouble { chain: "inet filter output".to_owned(), what, sure }
    }

    #[test]
    fn a_filter_that_drops_fails_and_one_that_may_is_worth_a_look() {
        let [tcp, gre] = [trouble("TCP to port 1723", false), trouble("GRE to servers", true)];
        let finding = judge(&[gre, tcp.clone()]);
        assert_eq!(finding.verdict, Verdict::Failed);
        assert_eq!(
            finding.message,
            "the packet filter drops GRE to servers in chain inet filter output"
        );
        assert_eq!(judge(&[tcp]).verdict, Verdict::Warning);
        assert_eq!(judge(&[]).verdict, Verdict::Ok);
    }

    #[test]
    fn a_helper_is_missed_only_where_gre_is_dropped() {
        let system = tempfile::tempdir().unwrap();
        let verdict = |drops_gre| helper(system.path(), drops_gre).verdict;
        assert_eq!([verdict(false), verdict(true)], [Verdict::Ok, Verdict::Warning]);
        std::fs::create_dir_all(system.path().join("proc/sys/net/ipv4")).unwrap();
        std::fs::write(system.path().join("proc/sys/net/ipv4/ip_forward"), "1\n").unwrap();
        let finding = helper(system.path(), false);
        assert!(finding.message.contains("clients behind this host"), "{}", finding.message);
        std::fs::create_dir_all(system.path().join("sys/module/nf_conntrack_pptp")).unwrap();
        assert_eq!(helper(system.path(), true).verdict, Verdict::Ok);
    }
}
