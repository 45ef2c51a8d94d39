//! Does a rule of somebody else take what is marked for a node, before the daemon's rules see it?

use super::Finding;
use crate::config::{Config, WhenDown};
use crate::routing::{self, RoutingError};

const CHECK: &str = "when_down";

/// Where nothing may leave by another way, rules are looked at.
pub(super) async fn check(config: &Config) -> Finding {
    match (config.routing.table_base, config.routing.when_down) {
        (None, _) => Finding::ok(CHECK, "no node has a table of its own (routing.table_base)"),
        (Some(_), WhenDown::Main) => {
            let message = "packets marked for a node whose tunnel is not up go by the main table (routing.when_down)";
            Finding::ok(CHECK, message)
        }
        (Some(_), WhenDown::Unreachable) => judge(routing::rules_before_ours().await),
    }
}

fn judge(rules: Result<Vec<u32>, RoutingError>) -> Finding {
    match rules {
        Err(error) => Finding::warning(CHECK, error.to_string(), "see ip rule"),
        Ok(rules) if rules.is_empty() => {
            let message = "packets marked for a node whose tunnel is not up don't leave this host";
            Finding::ok(CHECK, message)
        }
        Ok(rules) => {
            let rules: Vec<String> = rules.iter().map(u32::to_string).collect();
            Finding::warning(
                CHECK,
                format!(
                    "rules of others come before connexad's (priority {}), and decide about the marked packets that match them",
                    rules.join(", ")
                ),
                "give them numbers above 10002, or see that they match no packet with a node's mark (ip rule)",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn rules_of_others_that_go_before_are_named() {
        assert_eq!(judge(Ok(vec![])).verdict, Verdict::Ok);
        let finding = judge(Ok(vec![100, 5000]));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.contains("(priority 100, 5000)"), "{}", finding.message);
    }
}
