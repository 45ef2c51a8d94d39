//! What is asked through each tunnel to see whether it carries anything.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Span;
use super::parsed::Parsed;

/// Probes through each tunnel that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// What is asked; unset is no probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// From one probe of a tunnel to its next.
    pub interval: Span,
    /// How long an answer may take; no longer than `interval`.
    pub timeout: Span,
    /// Losses in a row that count, 1 or more.
    pub loss: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Probe { target: None, interval: Span::seconds(10), timeout: Span::seconds(3), loss: 3 }
    }
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is something else.
    #[error("{0:?} is not a target such as \"icmp:10.0.0.1\" or \"tcp:10.0.0.1:80\"")]
    NoTarget(String),
    /// Nobody answers there.
    #[error("{0:?} is nothing that could answer through a tunnel; name a host behind it")]
    Nobody(String),
}

/// What is asked, written `icmp:ADDRESS` or `tcp:ADDRESS:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Answers ICMP echo requests.
    Icmp(Ipv4Addr),
    /// Answers TCP connections; a refusal is an answer.
    Tcp(SocketAddrV4),
}

impl Target {
    fn ip(&self) -> Ipv4Addr {
        match self {
            Target::Icmp(ip) => *ip,
            Target::Tcp(address) => *address.ip(),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let target = match text.split_once(':') {
            Some(("icmp", ip)) => ip.parse().ok().map(Target::Icmp),
            Some(("tcp", address)) => address.parse().ok().map(Target::Tcp),
            Some(_) | None => None,
        };
        let target = target.ok_or_else(|| TargetError::NoTarget(text.to_owned()))?;
        let ip = target.ip();
        let is_own = ip.is_unspecified() || ip.is_loopback();
        let has_port = !matches!(target, Target::Tcp(address) if address.port() == 0);
        if is_own || ip.is_multicast() || ip.is_broadcast() || !has_port {
            return Err(TargetError::Nobody(text.to_owned()));
        }
        Ok(target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Icmp(ip) => write!(f, "icmp:{ip}"),
            Target::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed::of("a target in quotes, such as \"icmp:10.0.0.1\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        for text in ["icmp:10.0.0.1", "tcp:10.0.0.1:80"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_never_answer_is_refused() {
        for text in [
            "10.0.0.1",
            "icmp:host",
            "tcp:10.0.0.1",
            "tcp:10.0.0.1:0",
            "icmp:127.0.0.1",
            "udp:1.2.3.4:5",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
