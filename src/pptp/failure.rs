//! Why a call ended by itself, each kind with its detail.

use std::net::Ipv4Addr;

use crate::core::failure::FailureKind;

use super::event::Step;

/// Why a call ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server took the TCP connection and no whole answer came on it.
    #[error("the server took the TCP connection and gave no answer on it in {seconds} s")]
    Unreachable {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server, or whatever listens there, refused the control connection.
    #[error("the server refused the PPTP control connection: {0}")]
    Refused(String),
    /// The server refused the call or never answered for it.
    #[error("the server refused the call: {words}")]
    CallRefused {
        /// Result code, error code and cause in words.
        words: String,
        /// The cause code of the Outgoing-Call-Reply (RFC 2637 section 2.8), where one came.
        cause: Option<u16>,
    },
    /// The control connection is fine, and no PPP frame ever came.
    #[error(
        "the server took the call, and in {seconds} s no PPP frame came from it: GRE (IP protocol 47) is blocked on the way"
    )]
    NothingHeard {
        /// How long it was waited for.
        seconds: u64,
    },
    /// PPP frames come from the server, and none that answers ours.
    #[error(
        "the server took the call and its PPP frames come, and in {seconds} s none of them answered ours: GRE (IP protocol 47) is blocked on the way to it"
    )]
    NothingAnswered {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server ended the call, and none of its PPP frames had answered ours.
    #[error(
        "the server ended the call ({words}) after {seconds} s in which no PPP frame of its own answered ours: GRE (IP protocol 47) is blocked on the way"
    )]
    EndedUnanswered {
        /// How it ended it.
        words: String,
        /// How long ours were unanswered.
        seconds: u64,
    },
    /// LCP or IPCP came to no agreement.
    #[error("{protocol} came to no agreement: {detail}")]
    Negotiation {
        /// Which protocol.
        protocol: &'static str,
        /// What about.
        detail: String,
    },
    /// The server does not ask for MS-CHAPv2.
    #[error("the server asks for {asked} and never for MS-CHAPv2, the only way that is answered")]
    AuthUnsupported {
        /// What it asked for.
        asked: String,
    },
    /// The server refused login or password.
    #[error("the server refused login or password: {words}")]
    AuthRefused {
        /// Its `E=` (RFC 2759 section 6): 691 is login or password, 647 a disabled account.
        error: Option<u32>,
        /// Its `R=`: whether another try is allowed.
        retry: Option<bool>,
        /// The error in words, and the server's own message.
        words: String,
    },
    /// The server did not prove that it knows the password.
    #[error(
        "the server did not prove that it knows the password ({0}): it is not the one that the login belongs to"
    )]
    ServerNotProven(&'static str),
    /// The two sides differ about encryption.
    #[error("no agreement about encryption: {0}")]
    Mppe(String),
    /// Both sides encrypt, and neither can read the other.
    #[error("both sides encrypt, and one can't read the other: {0}")]
    KeysDisagree(String),
    /// The address handed to this end can't be used.
    #[error("the server hands {address} to this end, {why}")]
    AddressRefused {
        /// The address.
        address: Ipv4Addr,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server no longer answers LCP echoes.
    #[error("the server answered none of {missed} LCP echoes, and nothing else came from it")]
    EchoTimeout {
        /// How many in a row.
        missed: u32,
    },
    /// The server ended the call after a silence.
    #[error(
        "the server answered none of {missed} LCP echoes, nothing else came from it, and then it ended the call ({words})"
    )]
    EndedInSilence {
        /// How it ended it.
        words: String,
        /// How many echoes in a row.
        missed: u32,
    },
    /// The server ended the call.
    #[error("the server ended the call: {0}")]
    PeerClosed(String),
    /// The connection under the call broke.
    #[error("the connection under the call broke: {0}")]
    Hangup(String),
    /// The kernel refused a part of the dial.
    #[error("{step} failed: {why}")]
    Kernel {
        /// Which part.
        step: Step,
        /// The driver's words.
        why: String,
    },
}

impl Failure {
    /// Its kind for the core.
    pub fn kind(&self) -> FailureKind {
        match self {
            Failure::Unreachable { .. } => FailureKind::Unreachable,
            Failure::Refused(_) => FailureKind::Refused,
            Failure::CallRefused { .. } => FailureKind::CallRefused,
            Failure::NothingHeard { .. }
            | Failure::NothingAnswered { .. }
            | Failure::EndedUnanswered { .. } => FailureKind::GreBlocked,
            Failure::Negotiation { .. } => FailureKind::Negotiation,
            Failure::AuthUnsupported { .. } => FailureKind::AuthUnsupported,
            Failure::AuthRefused { .. } | Failure::ServerNotProven(_) => FailureKind::AuthRefused,
            Failure::Mppe(_) => FailureKind::Mppe,
            Failure::KeysDisagree(_) => FailureKind::KeysDisagree,
            Failure::AddressRefused { .. } => FailureKind::AddressRefused,
            Failure::EchoTimeout { .. } | Failure::EndedInSilence { .. } => {
                FailureKind::EchoTimeout
            }
            Failure::PeerClosed(_) => FailureKind::PeerClosed,
            Failure::Hangup(_) => FailureKind::Hangup,
            Failure::Kernel { .. } => FailureKind::Unexplained,
        }
    }
}
