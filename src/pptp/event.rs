//! What a call is told.

/// Something that happened to a call.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes of the control connection, in order, cut anywhere.
    Control(&'a [u8]),
    /// The control connection ended; with the words of an error where it was no end of file.
    ControlEnded(Option<&'a str>),
    /// A frame read from the channel or the unit: two bytes of protocol, then the packet, as
    /// `/dev/ppp` yields it. Which of the two it came from does not matter: the protocol decides.
    Frame(&'a [u8]),
    /// The channel or the unit read an end of file or an error that no order of the call explains.
    DataEnded(&'a str),
    /// A kernel order is done.
    Done(Step),
    /// A kernel order failed, with the reason for people. The orders after it were not carried out.
    Failed(Step, &'a str),
    /// The operator wants the call to end.
    HangUp,
    /// The echo timer that all calls share has come round. `received` is how many bytes the link
    /// has received in its life, as the kernel counts them.
    EchoTick {
        /// Bytes, growing.
        received: u64,
    },
    /// The time of [`Call::next_deadline`](super::Call::next_deadline) has come. An early or a
    /// late one does no harm.
    Deadline,
}

/// The kernel orders by their kind, for the answer to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// [`KernelOrder::ConnectData`](super::KernelOrder::ConnectData).
    ConnectData,
    /// [`KernelOrder::MakeUnit`](super::KernelOrder::MakeUnit).
    MakeUnit,
    /// [`KernelOrder::SetCompressor`](super::KernelOrder::SetCompressor).
    SetCompressor,
    /// [`KernelOrder::SetFlags`](super::KernelOrder::SetFlags).
    SetFlags,
    /// [`KernelOrder::Configure`](super::KernelOrder::Configure).
    Configure,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::ConnectData => "connecting the PPTP data socket",
            Step::MakeUnit => "making the PPP interface",
            Step::SetCompressor => "setting the MPPE keys",
            Step::SetFlags => "switching encryption on",
            Step::Configure => "setting addresses and MTU",
        })
    }
}
