//! The kernel's interface to PPTP calls, as far as no safe wrapper has it: addresses of `AF_PPPOX`
//! sockets (linux/if_pppox.h) and the ioctls of `/dev/ppp` (linux/ppp-ioctl.h).
//!
//! All unsafe code of this crate stands here. Each block says why it is sound.

#![expect(unsafe_code, reason = "rustix has no address of this family and none of these ioctls")]

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::{Getter, Setter, Updater, ioctl, opcode};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketFlags, SocketType};
use rustix::net::{bind, connect, socket_with};
use zeroize::Zeroize;

use super::order::{Compressor, Direction, Flags};

/// `PPPIOCGCHAN`: the number of a call socket's channel.
const GET_CHANNEL: u32 = opcode::read::<c_int>(b't', 55);
/// `PPPIOCATTCHAN`: makes an open `/dev/ppp` the handle of a channel.
const ATTACH_CHANNEL: u32 = opcode::write::<c_int>(b't', 56);
/// `PPPIOCCONNECT`: connects a channel to a unit.
const CONNECT: u32 = opcode::write::<c_int>(b't', 58);
/// `PPPIOCNEWUNIT`: makes a unit and its interface; -1 in, its number out.
const NEW_UNIT: u32 = opcode::read_write::<c_int>(b't', 62);
/// `PPPIOCGUNIT`: the number of a unit.
const GET_UNIT: u32 = opcode::read::<c_int>(b't', 86);
/// `PPPIOCSCOMPRESS`: takes a compressor into use.
const SET_COMPRESSOR: u32 = opcode::write::<OptionData>(b't', 77);
/// `PPPIOCSFLAGS`.
const SET_FLAGS: u32 = opcode::write::<c_int>(b't', 89);

/// `SC_CCP_OPEN`: look at CCP packets.
const CCP_OPEN: c_int = 0x0000_0040;
/// `SC_CCP_UP`: compressed packets may come and go.
const CCP_UP: c_int = 0x0000_0080;
/// `SC_MUST_COMP`: no others may.
const MUST_COMPRESS: c_int = 0x0040_0000;

/// `PX_PROTO_PPTP`.
const PPTP: u32 = 2;

const PPP_DEVICE: &str = "/dev/ppp";

/// `struct sockaddr_pppox` with a `struct pptp_addr` in it. Its union is as long as the address of
/// PPPoE, which is the longest.
#[repr(C, packed)]
struct PptpAddress {
    family: u16,
    protocol: u32,
    /// In the order of this host.
    call_id: u16,
    /// `struct pptp_addr` itself is not packed.
    padding: [u8; 2],
    address: [u8; 4],
    rest: [u8; 16],
}

impl PptpAddress {
    fn new(address: Ipv4Addr, call_id: u16) -> Self {
        PptpAddress {
            family: AddressFamily::PPPOX.as_raw(),
            protocol: PPTP,
            call_id,
            padding: [0; 2],
            address: address.octets(),
            rest: [0; 16],
        }
    }
}

// SAFETY: the pointer is to a whole address that lives through the call of `f`, the length is its
// own, and no byte of it is uninitialized, for it is packed and all its fields are set.
unsafe impl SocketAddrArg for PptpAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        const LENGTH: SocketAddrLen = 30;
        const { assert!(size_of::<PptpAddress>() == LENGTH as usize) };
        f(std::ptr::from_ref(self).cast(), LENGTH)
    }
}

/// `struct ppp_option_data`.
#[repr(C)]
struct OptionData {
    option: *const u8,
    length: u32,
    transmit: c_int,
}

/// A CCP option of MPPE, and the start key behind it (`mppe_alloc` in the kernel's
/// drivers/net/ppp/ppp_mppe.c).
const MPPE_OPTION: usize = 6 + 16;

/// A socket for the data of a call. It waits for nothing.
///
/// # Errors
/// `EAFNOSUPPORT` or `EPROTONOSUPPORT` where the kernel has no module `pptp`.
pub(super) fn call_socket() -> Result<OwnedFd, Errno> {
    let protocol = RawProtocol::new(PPTP).map(Protocol::from_raw);
    socket_with(AddressFamily::PPPOX, SocketType::STREAM, SocketFlags::CLOEXEC, protocol)
}

/// Gives a call socket our address and our call id.
///
/// # Errors
/// `EBUSY` where another call of this kernel has the id.
pub(super) fn bind_call(socket: &OwnedFd, local: Ipv4Addr, own_id: u16) -> Result<(), Errno> {
    bind(socket, &PptpAddress::new(local, own_id))
}

/// Gives a call socket the server's address and its call id. The kernel may take tens of
/// milliseconds for it.
///
/// # Errors
/// `EALREADY` where another call of this kernel goes to this server by the same id.
pub(super) fn connect_call(
    socket: &OwnedFd,
    server: Ipv4Addr,
    server_id: u16,
) -> Result<(), Errno> {
    connect(socket, &PptpAddress::new(server, server_id))
}

/// Opens `/dev/ppp`, so that it waits for nothing.
///
/// # Errors
/// When it is not there or may not be opened.
pub(super) fn open_ppp() -> io::Result<OwnedFd> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).write(true).custom_flags(flags).open(PPP_DEVICE)?;
    Ok(file.into())
}

/// The number of a connected call socket's channel.
pub(super) fn channel_of(socket: &OwnedFd) -> Result<c_int, Errno> {
    // SAFETY: the kernel writes one int (`put_user(ppp_channel_index(…), (int __user *)arg)` in
    // `pppox_ioctl`, drivers/net/ppp/pppox.c), which is the type here.
    unsafe { ioctl(socket, Getter::<GET_CHANNEL, c_int>::new()) }
}

/// Makes an open `/dev/ppp` the handle of a channel.
pub(super) fn attach_channel(ppp: &OwnedFd, channel: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int (`ppp_unattached_ioctl`, drivers/net/ppp/ppp_generic.c).
    unsafe { ioctl(ppp, Setter::<ATTACH_CHANNEL, c_int>::new(channel)) }
}

/// Makes an open `/dev/ppp` the owner of a new unit with an interface; returns its number.
pub(super) fn new_unit(ppp: &OwnedFd) -> Result<c_int, Errno> {
    // The next that is free.
    let mut unit: c_int = -1;
    // SAFETY: the kernel reads one int and writes one (`ppp_unattached_ioctl`), to where this one
    // lives until the call is over.
    unsafe { ioctl(ppp, Updater::<NEW_UNIT, c_int>::new(&mut unit)) }?;
    Ok(unit)
}

/// The number of the unit that an open `/dev/ppp` owns.
///
/// # Errors
/// When it is no owner of a unit.
pub(super) fn unit_of(ppp: &OwnedFd) -> Result<c_int, Errno> {
    // SAFETY: the kernel writes one int (`put_user(ppp->file.index, p)` in `ppp_ioctl`,
    // drivers/net/ppp/ppp_generic.c), which is the type here.
    unsafe { ioctl(ppp, Getter::<GET_UNIT, c_int>::new()) }
}

/// Connects a channel, by its handle, to a unit.
pub(super) fn connect_channel(channel: &OwnedFd, unit: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int (`ppp_ioctl`, drivers/net/ppp/ppp_generic.c).
    unsafe { ioctl(channel, Setter::<CONNECT, c_int>::new(unit)) }
}

/// Takes MPPE of one direction into use.
///
/// # Errors
/// `EINVAL` or `ENOENT` where the kernel has no module `ppp_mppe`.
pub(super) fn set_compressor(unit: impl AsFd, compressor: &Compressor) -> Result<(), Errno> {
    let mut option = [0_u8; MPPE_OPTION];
    let bytes = compressor.option.iter().chain(compressor.key.reveal());
    option.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let transmit = match compressor.direction {
        Direction::Receive => 0,
        Direction::Transmit => 1,
    };
    const LENGTH: u32 = 22;
    const { assert!(MPPE_OPTION == LENGTH as usize) };
    let data = OptionData { option: option.as_ptr(), length: LENGTH, transmit };
    // SAFETY: the kernel reads a `struct ppp_option_data`, and as many bytes as `length` says from
    // where its pointer points (`ppp_set_compress`, drivers/net/ppp/ppp_generic.c): `option` is so
    // long, lives until the call is over, and the kernel keeps no pointer to it.
    let done = unsafe { ioctl(unit, Setter::<SET_COMPRESSOR, OptionData>::new(data)) };
    option.zeroize();
    done
}

/// Sets the flags of a unit as a whole.
pub(super) fn set_flags(unit: impl AsFd, flags: Flags) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int (`ppp_ioctl`, drivers/net/ppp/ppp_generic.c).
    unsafe { ioctl(unit, Setter::<SET_FLAGS, c_int>::new(bits(flags))) }
}

fn bits(flags: Flags) -> c_int {
    match flags {
        Flags::CcpOpen => CCP_OPEN,
        Flags::Encrypting => CCP_OPEN | CCP_UP | MUST_COMPRESS,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn an_address_is_laid_out_as_the_kernel_reads_it() {
        assert_eq!(size_of::<PptpAddress>(), 30);
        let offsets = [
            offset_of!(PptpAddress, family),
            offset_of!(PptpAddress, protocol),
            offset_of!(PptpAddress, call_id),
            offset_of!(PptpAddress, address),
        ];
        assert_eq!(offsets, [0, 2, 6, 10]);
    }

    #[test]
    fn an_address_has_its_call_id_in_the_order_of_this_host() {
        let address = PptpAddress::new([10, 9, 0, 2].into(), 0x1234);
        // SAFETY: it is what the kernel is given: 30 initialized bytes without padding.
        let bytes: [u8; 30] = unsafe { std::mem::transmute(address) };
        let mut expected = [0; 30];
        expected[..2].copy_from_slice(&24_u16.to_ne_bytes());
        expected[2..6].copy_from_slice(&2_u32.to_ne_bytes());
        expected[6..8].copy_from_slice(&0x1234_u16.to_ne_bytes());
        expected[10..14].copy_from_slice(&[10, 9, 0, 2]);
        assert_eq!(bytes, expected);
    }

    /// The numbers that a C compiler makes of the macros in linux/ppp-ioctl.h.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_of_the_ioctls_are_those_of_the_header() {
        let ours =
            [GET_CHANNEL, ATTACH_CHANNEL, CONNECT, NEW_UNIT, GET_UNIT, SET_COMPRESSOR, SET_FLAGS];
        let theirs = [
            0x8004_7437,
            0x4004_7438,
            0x4004_743a,
            0xc004_743e,
            0x8004_7456,
            0x4010_744d,
            0x4004_7459,
        ];
        assert_eq!(ours, theirs);
    }

    #[test]
    fn the_data_of_an_option_is_laid_out_as_the_kernel_reads_it() {
        let offsets = [
            offset_of!(OptionData, option),
            offset_of!(OptionData, length),
            offset_of!(OptionData, transmit),
        ];
        assert_eq!(offsets, [0, size_of::<usize>(), size_of::<usize>() + 4]);
    }

    #[test]
    fn encryption_is_a_must_only_once_it_is_up() {
        assert_eq!([Flags::CcpOpen, Flags::Encrypting].map(bits), [0x40, 0x0040_00c0]);
    }
}
