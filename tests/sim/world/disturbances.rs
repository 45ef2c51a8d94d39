//! What happens to links and addresses under living pppds.

use connexa::core::event::{Link, Probed};

use super::{Happening, Way, World};
use crate::wire::News;

impl World {
    /// Probes through a node's tunnel show something; what is on its way may be stale on arrival.
    pub(super) fn probe(&mut self, node: u32, probed: Probed) {
        for call in self.keeper.calls_of(node) {
            let event = News::Probed { call, probed: probed.clone() };
            self.send(Way::Other, Happening::Tell(event));
        }
    }

    /// The links of a node go down, and up again after a while.
    pub(super) fn flap(&mut self, node: u32, for_ms: u64) {
        for index in self.links_of(node) {
            self.change_link(index, |link| link.up = false);
            self.later(for_ms, Happening::LinkReturns(index));
        }
    }

    pub(super) fn link_returns(&mut self, index: u32) {
        self.change_link(index, |link| link.up = true);
    }

    /// The addresses of a node's links vanish, and are set again after a while.
    pub(super) fn flicker(&mut self, node: u32, for_ms: u64) {
        for index in self.links_of(node) {
            let Some(link) = self.kernel.links.get(&index).cloned() else { continue };
            self.change_link(index, |link| link.addresses.clear());
            self.later(for_ms, Happening::AddressesReturn(index, link));
        }
    }

    pub(super) fn addresses_return(&mut self, index: u32, was: Link) {
        self.change_link(index, |link| {
            if link.name == was.name {
                link.addresses = was.addresses;
            }
        });
    }

    pub(super) fn change_address(&mut self, node: u32) {
        let last = self.roll(200) as u8;
        for index in self.links_of(node) {
            self.change_link(index, |link| {
                for address in &mut link.addresses {
                    address.local = std::net::Ipv4Addr::new(10, 60, 0, last);
                }
            });
        }
    }
}
