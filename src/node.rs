//! A node of the database, as values that can't be wrong.

mod credentials;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use credentials::MAX_CREDENTIAL;
pub use credentials::{Fingerprint, Login, Secret};

/// The `id` column of a node: 0 to 4294967295.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl NodeId {
    /// The name of this node in `/etc/ppp/peers`, and its remote name, link name and `ipparam`.
    pub fn peer_name(self) -> String {
        format!("{PEER_PREFIX}{self}")
    }

    /// The name of its link, where links are named after nodes. Fits IFNAMSIZ (16 with the NUL).
    pub fn link_name(self) -> String {
        format!("cx{self}")
    }

    /// The node that a peer name belongs to, if it is one of ours.
    pub fn from_peer_name(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(PEER_PREFIX)?;
        let canonical = digits == "0" || !digits.starts_with('0');
        (canonical && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok().map(NodeId))?
    }
}

/// What the names of all our peer files, remote names and link names begin with.
pub const PEER_PREFIX: &str = "connexa-node-";

/// Why a row can't be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Invalid {
    /// The address column does not hold an IPv4 address.
    #[error("ip {0:?} is not an IPv4 address; set the node's ip to its server's IPv4 address")]
    NotIpv4(String),
    /// An IPv4 address where no PPTP server can be.
    #[error("ip {0} is {1}, where no server can be; set the node's ip to its server's address")]
    Unusable(Ipv4Addr, String),
    /// Login or password missing.
    #[error("{0} is empty; set it in the node's row")]
    Empty(String),
    /// Login or password with a character that pppd's files can't carry.
    #[error("{0} has a control character; remove it from the node's row")]
    ControlCharacter(String),
    /// Login or password that is no text.
    #[error("{0} is not UTF-8 text; set it again in the node's row")]
    NotText(String),
    /// A password that pppd would take for the name of a file.
    #[error("password begins with @/, which pppd takes for a file to read; choose another")]
    PasswordFile,
    /// Login or password longer than pppd takes.
    #[error(
        "{0} is longer than {MAX_CREDENTIAL} bytes, the most that pppd takes; set a shorter one in the node's row"
    )]
    TooLong(String),
    /// A `mppe` column with another value than `require` or `off`.
    #[error(
        "mppe {0:?} is neither \"require\" nor \"off\"; set one of them in the node's row, or leave it empty"
    )]
    Mppe(String),
    /// An `engine` column with another value than `pppd` or `kernel`.
    #[error(
        "engine {0:?} is neither \"pppd\" nor \"kernel\"; set one of them in the node's row, or leave it empty"
    )]
    Engine(String),
    /// Two rows with one id.
    #[error("another row has the same id; give one of the two another id")]
    DuplicateId,
}

impl Invalid {
    /// The address column is NULL or empty.
    pub(crate) fn no_address() -> Self {
        Invalid::Empty("ip".to_owned())
    }
}

/// The address of a PPTP server: unicast, not loopback, not "this network".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Ipv4Addr")]
pub struct ServerAddr(Ipv4Addr);

impl TryFrom<Ipv4Addr> for ServerAddr {
    type Error = Invalid;

    fn try_from(ip: Ipv4Addr) -> Result<Self, Invalid> {
        ServerAddr::new(ip)
    }
}

impl ServerAddr {
    /// Parses the address column.
    ///
    /// # Errors
    /// When the text is no IPv4 address, or one in 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4 or
    /// 240.0.0.0/4.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        Self::new(Ipv4Addr::from_str(text).map_err(|_| Invalid::NotIpv4(text.to_owned()))?)
    }

    /// Judges an address.
    ///
    /// # Errors
    /// When it is in one of the blocks that [`ServerAddr::parse`] refuses.
    pub fn new(ip: Ipv4Addr) -> Result<Self, Invalid> {
        let [first, ..] = ip.octets();
        let what = if first == 0 {
            "in 0.0.0.0/8"
        } else if ip.is_loopback() {
            "a loopback address"
        } else if ip.is_multicast() {
            "a multicast address"
        } else if ip.is_broadcast() {
            "the broadcast address"
        } else if first >= 240 {
            "in the reserved 240.0.0.0/4"
        } else {
            return Ok(ServerAddr(ip));
        };
        Err(Invalid::Unusable(ip, what.to_owned()))
    }

    /// The plain address.
    pub fn ip(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Encryption of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mppe {
    /// 128-bit MPPE or no tunnel.
    Require,
    /// None, for servers that have no MPPE.
    Off,
}

impl fmt::Display for Mppe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mppe::Require => "require",
            Mppe::Off => "off",
        })
    }
}

impl FromStr for Mppe {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "require" => Ok(Mppe::Require),
            "off" => Ok(Mppe::Off),
            other => Err(Invalid::Mppe(other.to_owned())),
        }
    }
}

/// What makes a call and carries its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// pppd and pptp, three processes for each tunnel.
    #[default]
    Pppd,
    /// connexad speaks PPTP and PPP itself and the kernel carries the data: no process and no file for a tunnel.
    Kernel,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 2] = [Engine::Pppd, Engine::Kernel];

    /// What it is called everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Pppd => "pppd",
            Engine::Kernel => "kernel",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let named = Engine::ALL.into_iter().find(|engine| engine.name() == text);
        named.ok_or_else(|| Invalid::Engine(text.to_owned()))
    }
}

/// A row that can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The row's id.
    pub id: NodeId,
    /// Where its PPTP server is.
    pub server: ServerAddr,
    /// The login that the server asks for.
    pub login: Login,
    /// The password that goes with it.
    pub password: Secret,
    /// The status column, shown and never changed.
    pub status: String,
    /// The `mppe` column; `None` leaves it to the configuration.
    pub mppe: Option<Mppe>,
    /// The `engine` column; `None` leaves it to the configuration.
    pub engine: Option<Engine>,
}

impl Node {
    /// A row that says no more than a row must, and has no status.
    pub fn new(id: NodeId, server: ServerAddr, login: Login, password: Secret) -> Self {
        Node { id, server, login, password, status: String::new(), mppe: None, engine: None }
    }

    /// Whether a tunnel dialled for `other` is as good as one dialled for this row: the status
    /// column alone changes nothing.
    pub fn dials_like(&self, other: &Node) -> bool {
        self.logs_in_like(other) && self.mppe == other.mppe && self.engine == other.engine
    }

    /// Tells its login at its server from others, and gives no password away.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.server, &self.login, &self.password)
    }

    /// Whether both log in at one server as the same, by the same password.
    pub fn logs_in_like(&self, other: &Node) -> bool {
        self.server == other.server && self.login == other.login && self.password == other.password
    }
}

#[cfg(test)]
impl Node {
    /// A row of the server 10.9.0.2, for tests.
    pub(crate) fn example(id: NodeId, login: &str, password: &str) -> Self {
        let server = ServerAddr::parse("10.9.0.2").unwrap();
        let (login, password) = (Login::parse(login).unwrap(), Secret::parse(password).unwrap());
        Node { status: "speed_ok".into(), ..Node::new(id, server, login, password) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_is_a_server_address() {
        assert_eq!(ServerAddr::parse(" 10.9.0.2 ").unwrap().to_string(), "10.9.0.2");
    }

    #[test]
    fn addresses_where_no_server_can_be_are_refused() {
        for text in ["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "241.0.0.1"] {
            assert!(matches!(ServerAddr::parse(text), Err(Invalid::Unusable(..))), "{text}");
        }
    }

    #[test]
    fn text_for_a_shell_is_no_address() {
        for text in ["", "10.0.0.1;reboot", "$(reboot)", "10.0.0.1 --x", "fe80::1", "010.0.0.1"] {
            assert!(matches!(ServerAddr::parse(text), Err(Invalid::NotIpv4(_))), "{text}");
        }
    }

    #[test]
    fn each_reason_against_a_row_says_what_to_do() {
        let name = || "login".to_owned();
        let all = [
            Invalid::NotIpv4(name()),
            Invalid::Unusable(Ipv4Addr::LOCALHOST, name()),
            Invalid::Empty(name()),
            Invalid::ControlCharacter(name()),
            Invalid::NotText(name()),
            Invalid::PasswordFile,
            Invalid::TooLong(name()),
            Invalid::Mppe(name()),
            Invalid::Engine(name()),
            Invalid::DuplicateId,
        ];
        for reason in all {
            assert!(reason.to_string().contains("; "), "{reason}");
        }
    }

    #[test]
    fn what_is_read_back_passes_the_checks_of_a_row() {
        for bad in ["\"127.0.0.1\"", "\"224.0.0.1\"", "\"x\""] {
            assert!(serde_json::from_str::<ServerAddr>(bad).is_err(), "{bad}");
        }
        for bad in ["\"\"", "\"a\\nb\""] {
            assert!(serde_json::from_str::<Login>(bad).is_err(), "{bad}");
        }
        let error = serde_json::from_str::<Secret>("\"hunter2\"").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn values_are_read_back_as_they_were_written() {
        let server = ServerAddr::parse("10.9.0.2").unwrap();
        let text = serde_json::to_string(&server).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str(&text).unwrap()), ("\"10.9.0.2\"", server));
        let login = Login::parse("admin").unwrap();
        let text = serde_json::to_string(&login).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str(&text).unwrap()), ("\"admin\"", login));
        let secret = serde_json::to_string(&Secret::parse("hunter2").unwrap()).unwrap();
        let read: Secret = serde_json::from_str(&secret).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), secret);
    }

    #[test]
    fn only_canonical_peer_names_are_ours() {
        assert_eq!(NodeId::from_peer_name("connexa-node-12"), Some(NodeId(12)));
        for name in ["connexa-node-", "connexa-node-012", "connexa-node-x", "connexa-node-1.bak"] {
            assert_eq!(NodeId::from_peer_name(name), None, "{name}");
        }
    }
}
