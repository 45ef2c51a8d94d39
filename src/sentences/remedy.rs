//! What to do about a failure.

use crate::core::failure::FailureKind;

impl FailureKind {
    /// What to do about it, for people.
    pub fn remedy(self) -> &'static str {
        match self {
            FailureKind::AuthRefused => "correct login and password in the node's row",
            FailureKind::Unreachable => {
                "check that the address in the node's row is right and that the server runs; `connexactl firewall check --of-nodes` tells whether this host itself blocks the way to its TCP port 1723"
            }
            FailureKind::Refused => {
                "start the PPTP service on the server, or correct the address in the node's row"
            }
            FailureKind::CallRefused => "read the server's log: it may be at its limit of calls",
            FailureKind::GreBlocked => {
                "let GRE (IP protocol 47) through: `connexactl firewall check --of-nodes` tells whether this host blocks it; if not, a router or firewall between here and the server does"
            }
            FailureKind::AuthUnsupported => "allow MS-CHAPv2 for this login on the server",
            FailureKind::Negotiation => {
                "set log.level to \"debug\", restart connexad and read the node's lines"
            }
            FailureKind::Mppe => {
                "set the column mppe of the row, or tunnel.mppe, to what the server has: \"off\" or \"require\""
            }
            FailureKind::KeysDisagree => {
                "it is dialled again by itself; if this happens again, update the server, or set the row's column mppe to \"off\""
            }
            FailureKind::AddressRefused => "have the server hand out another address",
            FailureKind::EchoTimeout => {
                "it is dialled again by itself; if this happens again, check the way to the server for lost packets"
            }
            FailureKind::NoPppSupport => {
                "run `modprobe ppp_generic`; if the kernel has no such module, install a kernel that has it (Debian: linux-image-amd64) and reboot; in a container, pass /dev/ppp in"
            }
            FailureKind::NotInstalled => {
                "apt install ppp pptp-linux, or set paths.pppd and paths.pptp"
            }
            FailureKind::BadOptions => {
                "correct tunnel.extra_options, or the option in the file that is named"
            }
            FailureKind::NameTaken => "rename or remove the other link",
            FailureKind::Killed => {
                "it is dialled again by itself; if this happens again, find out which program ends pppd"
            }
            FailureKind::Timeout => {
                "check the way to the server by `connexactl firewall check --of-nodes`; where there was a link but no address, look at the scripts in /etc/ppp/ip-pre-up.d: one may hang"
            }
            FailureKind::PeerClosed => "see the server's log",
            FailureKind::IdleLimit => {
                "remove the option idle from the host's pppd options: /etc/ppp/options, root's .ppprc"
            }
            FailureKind::SessionLimit => {
                "remove the options maxconnect and maxoctets from the host's pppd options: /etc/ppp/options, root's .ppprc"
            }
            FailureKind::Hangup => {
                "it is dialled again by itself; if this happens again, check the way to the server, and read the server's log"
            }
            FailureKind::LinkLost => {
                "it is dialled again by itself; if this happens again, find out which program changes links and addresses on this host"
            }
            FailureKind::ProbeFailed => {
                "it is dialled again by itself; if this happens again, check whether probe.target answers through this server at all"
            }
            FailureKind::Files => {
                "check the folder that is named: free space, read-only mount, permissions"
            }
            FailureKind::Unexplained => {
                "set log.level to \"debug\", restart connexad and read the node's lines"
            }
        }
    }
}
