//! What a call has in the kernel: its socket, its channel, its unit with the interface.

use std::ffi::c_int;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::rand::{GetRandomFlags, getrandom};

use super::super::order::{Addresses, KernelOrder, Via};
use super::super::sys;
use super::blocking::Threads;
use super::end::End;
use super::found::Parts;
use super::link::{self, LinkError, Ways};
use crate::os_answer::with_remedy;

/// Ids that are drawn before it is given up; each is taken by one of 65,535 calls at most.
const MOST_DRAWN: usize = 64;

/// Why the kernel does not do what a call needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No PPTP in this kernel, or no `/dev/ppp`.
    #[error("{0}")]
    NoSupport(String),
    /// Another call goes to this server by the same id of the server's.
    #[error("another call to this server has the call id {0}, too")]
    IdTaken(u16),
    /// The link can't be as it is to be.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The kernel refused.
    #[error("{what}: {}", with_remedy(.source, ""))]
    Refused {
        /// What it was asked for.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// Other calls have them.
    #[error(
        "no call id is free: calls of this host have all {MOST_DRAWN} of 65,535 that were tried; look which program \
         makes so many PPTP calls"
    )]
    NoCallId,
    /// An order that comes before what it needs.
    #[error("there is no {0} yet: a fault of connexad, report it")]
    TooEarly(&'static str),
}

fn refused<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Fault {
    move |error| Fault::Refused { what, source: error.into() }
}

/// What a call has in the kernel, so far.
pub(super) struct Data {
    threads: Threads,
    ways: Ways,
    /// The name that the link is to have.
    name: Option<String>,
    own_id: u16,
    socket: Arc<OwnedFd>,
    pub(super) channel: Option<End>,
    pub(super) unit: Option<End>,
    link: Option<Link>,
}

/// The interface of a call.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// The number of its unit.
    pub(super) unit: c_int,
}

impl Data {
    /// A call socket with an id that no other call of this kernel has. Ids are drawn, so that those
    /// of several hosts behind one address differ.
    pub(super) async fn open(
        threads: Threads,
        local: Ipv4Addr,
        ways: Ways,
        name: Option<String>,
    ) -> Result<Self, Fault> {
        // The first one of a host loads the kernel's module.
        let (socket, own_id) = threads.run(move || bound(local)).await?;
        let socket = Arc::new(socket);
        Ok(Data { threads, ways, name, own_id, socket, channel: None, unit: None, link: None })
    }

    /// What a call of an earlier daemon has.
    pub(super) fn taken_over(
        threads: Threads,
        ways: Ways,
        own_id: u16,
        parts: Parts,
    ) -> Result<Self, Fault> {
        let Parts { socket, channel, unit, link } = parts;
        let channel = Some(End::new(channel).map_err(refused("epoll"))?);
        let unit = Some(End::new(unit).map_err(refused("epoll"))?);
        let (name, socket, link) = (None, Arc::new(socket), Some(link));
        Ok(Data { threads, ways, name, own_id, socket, channel, unit, link })
    }

    /// Its call socket and its unit, which keep it up.
    pub(super) fn descriptors(&self) -> Option<(Arc<OwnedFd>, Arc<OwnedFd>)> {
        Some((self.socket.clone(), self.unit.as_ref()?.handle()))
    }

    pub(super) fn own_id(&self) -> u16 {
        self.own_id
    }

    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Writes a frame.
    pub(super) fn write(&self, via: Via, frame: &[u8]) {
        let end = match via {
            Via::Channel => &self.channel,
            Via::Unit => &self.unit,
        };
        if let Some(end) = end {
            end.write(frame);
        }
    }

    /// Carries an order out.
    pub(super) async fn carry_out(&mut self, order: KernelOrder) -> Result<(), Fault> {
        match order {
            KernelOrder::ConnectData { server_call_id } => self.connect(server_call_id).await,
            KernelOrder::MakeUnit => self.make_unit().await,
            KernelOrder::SetCompressor(compressor) => {
                let unit = self.unit()?;
                let done = self.threads.run(move || sys::set_compressor(&unit, &compressor)).await;
                done.map_err(|error| without_module("ppp_mppe", "PPPIOCSCOMPRESS", error))
            }
            KernelOrder::SetFlags(flags) => {
                let unit = self.unit()?;
                let done = self.threads.run(move || sys::set_flags(&unit, flags)).await;
                done.map_err(refused("PPPIOCSFLAGS"))
            }
            KernelOrder::Configure(addresses) => self.configure(addresses).await,
        }
    }

    async fn connect(&mut self, server_id: u16) -> Result<(), Fault> {
        let (socket, server) = (self.socket.clone(), self.ways.server);
        let channel = self.threads.run(move || connected(&socket, server, server_id)).await?;
        self.channel = Some(End::new(channel).map_err(refused("epoll"))?);
        Ok(())
    }

    async fn make_unit(&mut self) -> Result<(), Fault> {
        let channel = self.channel.as_ref().ok_or(Fault::TooEarly("channel"))?.handle();
        let name = self.name.clone();
        let (unit, link) = self.threads.run(move || made(&channel, name)).await?;
        self.unit = Some(End::new(unit).map_err(refused("epoll"))?);
        self.link = Some(link);
        Ok(())
    }

    async fn configure(&mut self, addresses: Addresses) -> Result<(), Fault> {
        let index = self.link.as_ref().ok_or(Fault::TooEarly("interface"))?.index;
        let ways = self.ways.clone();
        Ok(self.threads.run(move || link::configure(index, &addresses, &ways)).await?)
    }

    fn unit(&self) -> Result<Arc<OwnedFd>, Fault> {
        Ok(self.unit.as_ref().ok_or(Fault::TooEarly("unit"))?.handle())
    }

    /// Closes all of it: the unit first, and the interface goes with it.
    pub(super) async fn close(self) {
        let Data { threads, socket, channel, unit, .. } = self;
        // What is heard ends here, and the descriptors close where it may take a while.
        let (channel, unit) = (channel.map(|end| end.handle()), unit.map(|end| end.handle()));
        threads
            .run(move || {
                drop(unit);
                drop(channel);
                drop(socket);
            })
            .await;
    }
}

fn bound(local: Ipv4Addr) -> Result<(OwnedFd, u16), Fault> {
    let socket =
        sys::call_socket().map_err(|error| without_module("pptp", "open a call socket", error))?;
    for _ in 0..MOST_DRAWN {
        let mut id = [0_u8; 2];
        getrandom(&mut id, GetRandomFlags::empty()).map_err(refused("getrandom"))?;
        // 0 asks the kernel for the first that is free, which is the same on every host.
        let id = u16::from_ne_bytes(id).max(1);
        match sys::bind_call(&socket, local, id) {
            Ok(()) => return Ok((socket, id)),
            Err(Errno::BUSY) => {}
            Err(error) => return Err(refused("bind a call socket")(error)),
        }
    }
    Err(Fault::NoCallId)
}

fn connected(socket: &OwnedFd, server: Ipv4Addr, server_id: u16) -> Result<OwnedFd, Fault> {
    match sys::connect_call(socket, server, server_id) {
        Err(Errno::ALREADY) => Err(Fault::IdTaken(server_id)),
        connected => connected.map_err(refused("connect the call socket")),
    }?;
    channel_of(socket)
}

/// A handle of a connected call socket's channel.
pub(super) fn channel_of(socket: &OwnedFd) -> Result<OwnedFd, Fault> {
    let number = sys::channel_of(socket).map_err(refused("PPPIOCGCHAN"))?;
    let channel = open()?;
    sys::attach_channel(&channel, number).map_err(refused("PPPIOCATTCHAN"))?;
    Ok(channel)
}

fn made(channel: &OwnedFd, wanted: Option<String>) -> Result<(OwnedFd, Link), Fault> {
    let unit = open()?;
    let number = sys::new_unit(&unit).map_err(refused("PPPIOCNEWUNIT"))?;
    sys::connect_channel(channel, number).map_err(refused("PPPIOCCONNECT"))?;
    let (index, name) = link_of(number)?;
    let name = match wanted {
        Some(wanted) => {
            link::rename(index, &wanted)?;
            wanted
        }
        None => name,
    };
    Ok((unit, Link { index, name, unit: number }))
}

/// The kernel names the interface of a unit after its number (`ppp_unit_register` in
/// drivers/net/ppp/ppp_generic.c).
fn link_of(unit: c_int) -> Result<(u32, String), Fault> {
    let name = format!("ppp{unit}");
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .map_err(refused("find the interface"))?;
    let index = name_to_index(socket, &name).map_err(refused("find the interface"))?;
    Ok((index, name))
}

fn open() -> Result<OwnedFd, Fault> {
    sys::open_ppp().map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            Fault::NoSupport(format!("can't open /dev/ppp: {error}"))
        }
        Some(_) | None => refused("open /dev/ppp")(error),
    })
}

/// What a kernel answers that lacks a module.
fn without_module(module: &str, what: &'static str, error: Errno) -> Fault {
    match error {
        Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOENT | Errno::INVAL => {
            Fault::NoSupport(format!("the kernel has no {module} ({error}); modprobe {module}"))
        }
        error => refused(what)(error),
    }
}
