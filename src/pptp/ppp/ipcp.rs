//! What IPCP negotiates (RFC 1332; resolvers RFC 1877).

use std::net::Ipv4Addr;

use crate::pptp::failure::Failure;

use super::negotiation::{Judgement, Options};
use super::option::Opt;

const ADDRESS: u8 = 3;
const RESOLVERS: [u8; 2] = [129, 131];

/// The options of IPCP.
#[derive(Debug)]
pub(in crate::pptp) struct Ipcp {
    /// Our end; 0.0.0.0 asks for one.
    pub(in crate::pptp) local: Ipv4Addr,
    /// The server's end, once it has named it.
    pub(in crate::pptp) peer: Option<Ipv4Addr>,
    /// Resolvers: 0.0.0.0 asks for one.
    resolvers: Vec<(u8, Ipv4Addr)>,
}

impl Ipcp {
    pub(in crate::pptp) fn new(ask_resolvers: bool) -> Self {
        let resolvers = if ask_resolvers { RESOLVERS.to_vec() } else { Vec::new() };
        Ipcp {
            local: Ipv4Addr::UNSPECIFIED,
            peer: None,
            resolvers: resolvers.into_iter().map(|kind| (kind, Ipv4Addr::UNSPECIFIED)).collect(),
        }
    }

    /// The resolvers that the server named.
    pub(in crate::pptp) fn resolvers(&self) -> Vec<Ipv4Addr> {
        let named = self.resolvers.iter().map(|(_, address)| *address);
        let mut named: Vec<_> = named.filter(|address| !address.is_unspecified()).collect();
        named.dedup();
        named
    }
}

fn address(option: &Opt) -> Option<Ipv4Addr> {
    option.array::<4>().map(Ipv4Addr::from).filter(|address| !address.is_unspecified())
}

impl Options for Ipcp {
    const NAME: &'static str = "IPCP";

    fn wanted(&self) -> Vec<Opt> {
        let mut options = vec![Opt::new(ADDRESS, self.local.octets())];
        options
            .extend(self.resolvers.iter().map(|(kind, address)| Opt::new(*kind, address.octets())));
        options
    }

    /// Its address is taken as it is; compression of headers and a wish for an address are not.
    fn judge(&mut self, asked: &[Opt], _patience: bool) -> Judgement {
        let rejected: Vec<_> = asked
            .iter()
            .filter(|option| option.kind != ADDRESS || address(option).is_none())
            .cloned()
            .collect();
        if !rejected.is_empty() {
            return Judgement::Reject(rejected);
        }
        self.peer = asked.iter().find_map(address);
        Judgement::Ack
    }

    fn naked(&mut self, options: &[Opt]) -> Result<(), Failure> {
        for option in options {
            let Some(address) = address(option) else { continue };
            if option.kind == ADDRESS {
                self.local = address;
            }
            for (_, resolver) in self.resolvers.iter_mut().filter(|(kind, _)| *kind == option.kind)
            {
                *resolver = address;
            }
        }
        Ok(())
    }

    fn rejected(&mut self, options: &[Opt]) -> Result<(), Failure> {
        if options.iter().any(|option| option.kind == ADDRESS) {
            return Err(self.disagreement("the server hands out no address".to_owned()));
        }
        self.resolvers.retain(|(kind, _)| options.iter().all(|option| option.kind != *kind));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_the_server_hands_out_is_asked_for() {
        let mut ipcp = Ipcp::new(false);
        assert_eq!(ipcp.wanted(), [Opt::new(ADDRESS, [0; 4])]);
        ipcp.naked(&[Opt::new(ADDRESS, [10, 0, 0, 2])]).unwrap();
        assert_eq!(ipcp.wanted(), [Opt::new(ADDRESS, [10, 0, 0, 2])]);
    }

    #[test]
    fn resolvers_are_asked_for_as_long_as_the_server_has_some() {
        let mut ipcp = Ipcp::new(true);
        ipcp.rejected(&[Opt::new(131, [0; 4])]).unwrap();
        ipcp.naked(&[Opt::new(129, [9, 9, 9, 9]), Opt::new(131, [8, 8, 8, 8])]).unwrap();
        assert_eq!(ipcp.resolvers(), [Ipv4Addr::new(9, 9, 9, 9)]);
    }

    #[test]
    fn header_compression_is_rejected() {
        let mut ipcp = Ipcp::new(false);
        let compression = Opt::new(2, [0, 0x2D, 15, 1]);
        let asked = [compression.clone(), Opt::new(ADDRESS, [10, 0, 0, 1])];
        assert_eq!(ipcp.judge(&asked, true), Judgement::Reject(vec![compression]));
        assert_eq!(ipcp.judge(&asked[1..], true), Judgement::Ack);
        assert_eq!(ipcp.peer, Some(Ipv4Addr::new(10, 0, 0, 1)));
    }

    #[test]
    fn a_server_that_hands_out_no_address_fails() {
        assert!(Ipcp::new(false).rejected(&[Opt::new(ADDRESS, [0; 4])]).is_err());
    }
}
