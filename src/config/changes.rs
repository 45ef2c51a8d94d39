//! What differs between two configurations, key by key.

use std::collections::BTreeMap;

use super::Config;

/// A key whose value is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Dotted.
    pub key: String,
    /// As TOML writes it; `None` where it is unset.
    pub from: Option<String>,
    /// As TOML writes it; `None` where it is unset.
    pub to: Option<String>,
    /// When the new value is in force.
    pub when: When,
}

/// When a value is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as the daemon goes by it.
    Now,
    /// For each tunnel from its next dial on.
    NextDial,
    /// From the next start of the daemon on.
    Restart,
}

/// The keys that differ, by name.
pub(crate) fn changes(old: &Config, new: &Config) -> Vec<Changed> {
    let (old, mut new) = (values(old), values(new));
    let mut changes = Vec::new();
    for (key, from) in old {
        let to = new.remove(&key);
        if to.as_ref() != Some(&from) {
            let when = when(&key);
            changes.push(Changed { key, from: Some(from), to, when });
        }
    }
    let more = new.into_iter();
    changes.extend(more.map(|(key, to)| {
        let when = when(&key);
        Changed { key, from: None, to: Some(to), when }
    }));
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    changes
}

/// Sections that the daemon goes by from its start stay as they are until the next one.
pub(crate) fn when(key: &str) -> When {
    let is_of = |sections: &[&str]| sections.iter().any(|section| key.starts_with(section));
    if is_of(&["paths.", "control.", "log.", "metrics."]) {
        When::Restart
    } else if is_of(&OF_A_DIAL) {
        When::NextDial
    } else {
        When::Now
    }
}

/// Keys that a call goes by for as long as it lasts.
const OF_A_DIAL: [&str; 11] = [
    "tunnel.engine",
    "tunnel.mtu",
    "tunnel.mru",
    "tunnel.mppe",
    "tunnel.mppe_stateful",
    "tunnel.default_route",
    "tunnel.use_peer_dns",
    "tunnel.lcp_echo_interval",
    "tunnel.lcp_echo_failure",
    "tunnel.interface_name",
    "tunnel.extra_options",
];

/// Every value, by its dotted key.
fn values(config: &Config) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    // What was read from TOML has a form as TOML.
    if let Ok(table) = toml::Table::try_from(config) {
        gather("", table, &mut values);
    }
    values
}

fn gather(prefix: &str, table: toml::Table, values: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(table) => gather(&format!("{key}."), table, values),
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_) => drop(values.insert(key, value.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_changed_and_unset_is_named_with_both_values() {
        let mut old = Config::default();
        old.tunnel.mtu = 1300;
        old.control.admin_group = Some("ops".to_owned());
        let mut new = Config::default();
        new.routing.table_base = Some(1000);
        let found = changes(&old, &new);
        let shown: Vec<_> = found
            .iter()
            .map(|c| (c.key.as_str(), c.from.as_deref(), c.to.as_deref(), c.when))
            .collect();
        assert_eq!(
            shown,
            [
                ("control.admin_group", Some("\"ops\""), None, When::Restart),
                ("routing.table_base", None, Some("1000"), When::Now),
                ("tunnel.mtu", Some("1300"), Some("1400"), When::NextDial),
            ]
        );
    }

    #[test]
    fn equal_configurations_differ_in_nothing() {
        assert_eq!(changes(&Config::default(), &Config::default()), []);
    }
}
