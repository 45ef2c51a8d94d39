//! What a call wants done.
//!
//! Orders are carried out in the order in which they come, each one finished before the next
//! begins: keys must be in the kernel before the packet that announces them leaves.

use std::net::Ipv4Addr;

use super::event::Step;
use super::failure::Failure;
use super::secret::StartKey;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send these bytes on the control connection.
    Control(Vec<u8>),
    /// Write one frame, two bytes of protocol first. One that can't be written counts as lost.
    Frame(Via, Vec<u8>),
    /// A change in the kernel, answered by exactly one
    /// [`Event::Done`](super::Event::Done) or [`Event::Failed`](super::Event::Failed). After a
    /// failure the rest of the orders at hand is dropped.
    Kernel(KernelOrder),
    /// The last order of a call: close the control connection, the call socket, the channel and
    /// the unit. No event is taken after it.
    Ended(Ending),
}

/// Where a frame is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The channel: LCP and CHAP.
    Channel,
    /// The unit, so that the kernel sees it: CCP, IPCP.
    Unit,
}

/// A change in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelOrder {
    /// Connect the call socket to {server, this id}, open `/dev/ppp` and attach it to the channel
    /// (`PPPIOCGCHAN`, `PPPIOCATTCHAN`). Frames are told only after it is done.
    ConnectData {
        /// The server's call id; 0 is valid.
        server_call_id: u16,
    },
    /// Open `/dev/ppp` again, make a unit with an interface (`PPPIOCNEWUNIT`), connect the channel
    /// to it (`PPPIOCCONNECT`). Its flags come by orders of their own.
    MakeUnit,
    /// `PPPIOCSCOMPRESS` on the unit.
    SetCompressor(Compressor),
    /// `PPPIOCSFLAGS` on the unit.
    SetFlags(Flags),
    /// Give the interface its addresses and its MTU and set it up, without a route to the peer.
    Configure(Addresses),
}

impl KernelOrder {
    /// What its answer is called.
    pub fn step(&self) -> Step {
        match self {
            KernelOrder::ConnectData { .. } => Step::ConnectData,
            KernelOrder::MakeUnit => Step::MakeUnit,
            KernelOrder::SetCompressor(_) => Step::SetCompressor,
            KernelOrder::SetFlags(_) => Step::SetFlags,
            KernelOrder::Configure(_) => Step::Configure,
        }
    }
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server; `transmit = 0` in `struct ppp_option_data`.
    Receive,
    /// To the server; `transmit = 1`.
    Transmit,
}

/// MPPE of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressor {
    /// Which direction.
    pub direction: Direction,
    /// The CCP option (RFC 3078 section 2.1): type 18, length 6, four bytes of supported bits. The
    /// kernel reads mode and key length from the Configure-Ack that it sees; this must agree.
    pub option: [u8; 6],
    /// The start key; the kernel derives the session keys from it.
    pub key: StartKey,
}

/// Flags of the unit, as a whole: what is not named is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// `SC_CCP_OPEN`: the kernel looks at CCP packets.
    CcpOpen,
    /// `SC_CCP_OPEN | SC_CCP_UP | SC_MUST_COMP`: packets are encrypted or dropped.
    Encrypting,
}

/// What IPCP and LCP agreed about the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Our end.
    pub local: Ipv4Addr,
    /// The server's end, where it named one.
    pub peer: Option<Ipv4Addr>,
    /// The smaller of the configured MTU and the server's MRU, less what encryption adds to a packet;
    /// bytes.
    pub mtu: u16,
    /// Resolvers that the server named, where it was asked for some; at most two.
    pub resolvers: Vec<Ipv4Addr>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By [`Event::HangUp`](super::Event::HangUp).
    HungUp,
    /// By itself.
    Failed(Failure),
}
