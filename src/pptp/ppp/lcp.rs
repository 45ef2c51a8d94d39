//! What LCP negotiates (RFC 1661 section 6; authentication by MS-CHAPv2, RFC 2759 section 2).

use crate::pptp::failure::Failure;

use super::negotiation::{Judgement, Options};
use super::option::Opt;

const MRU: u8 = 1;
const ACCM: u8 = 2;
const AUTHENTICATION: u8 = 3;
const MAGIC: u8 = 5;
const PROTOCOL_COMPRESSION: u8 = 7;
const ADDRESS_COMPRESSION: u8 = 8;

/// CHAP with algorithm 0x81 (RFC 2759 section 2).
const MSCHAPV2: [u8; 3] = [0xC2, 0x23, 0x81];
/// The smallest MRU taken, as pppd has it.
const MIN_MRU: u16 = 128;
/// What holds without an option (RFC 1661 section 6.1).
const DEFAULT_MRU: u16 = 1500;

/// The options of LCP, ours and theirs.
#[derive(Debug)]
pub(in crate::pptp) struct Lcp {
    /// What we can receive; `None` once the server does not want to hear of it.
    mru: Option<u16>,
    /// Ours; 0 once the server does not want to hear of it.
    pub(in crate::pptp) magic: u32,
    /// What the server can receive.
    pub(in crate::pptp) peer_mru: u16,
    /// How the server wants us to prove ourselves, as far as it was heard.
    authentication: Option<String>,
}

impl Lcp {
    pub(in crate::pptp) fn new(mru: u16, magic: u32) -> Self {
        Lcp { mru: Some(mru), magic, peer_mru: DEFAULT_MRU, authentication: None }
    }

    /// Another magic number, after one that both sides had by chance or by a loop.
    fn next_magic(&mut self) {
        self.magic = (self.magic.rotate_left(13) ^ 0x5A3C_96E1).max(1);
    }

    fn judge_authentication(&mut self, option: Option<&Opt>) -> Option<Opt> {
        if option.is_some_and(|option| option.data == MSCHAPV2) {
            self.authentication = None;
            return None;
        }
        self.authentication = Some(option.map_or("no authentication".to_owned(), named));
        Some(Opt::new(AUTHENTICATION, MSCHAPV2))
    }
}

/// Whether it is an option of LCP as we take it, well formed.
fn is_taken(option: &Opt) -> bool {
    let length = option.data.len();
    match option.kind {
        MRU => length == 2,
        ACCM | MAGIC => length == 4,
        AUTHENTICATION => length >= 2,
        // Taken; what we send stays uncompressed (RFC 1661 sections 6.5 and 6.6).
        PROTOCOL_COMPRESSION | ADDRESS_COMPRESSION => length == 0,
        _ => false,
    }
}

/// A way to authenticate, by its name.
fn named(option: &Opt) -> String {
    match option.data.as_slice() {
        [0xC0, 0x23] => "PAP".to_owned(),
        [0xC2, 0x23, 0x05] => "CHAP-MD5".to_owned(),
        [0xC2, 0x23, 0x80] => "MS-CHAP version 1".to_owned(),
        [0xC2, 0x27] => "EAP".to_owned(),
        other => format!("authentication {other:02x?}"),
    }
}

impl Options for Lcp {
    const NAME: &'static str = "LCP";

    fn wanted(&self) -> Vec<Opt> {
        let mut options = Vec::new();
        options.extend(self.mru.map(|mru| Opt::new(MRU, mru.to_be_bytes())));
        if self.magic != 0 {
            options.push(Opt::new(MAGIC, self.magic.to_be_bytes()));
        }
        options
    }

    fn judge(&mut self, asked: &[Opt], patience: bool) -> Judgement {
        let rejected: Vec<_> = asked.iter().filter(|option| !is_taken(option)).cloned().collect();
        if !rejected.is_empty() {
            return Judgement::Reject(rejected);
        }
        let find = |kind| asked.iter().find(|option| option.kind == kind);
        let mru = find(MRU).and_then(Opt::array).map_or(DEFAULT_MRU, u16::from_be_bytes);
        let magic = find(MAGIC).and_then(Opt::array).map(u32::from_be_bytes);
        let mut naks = Vec::new();
        if mru < MIN_MRU {
            naks.push(Opt::new(MRU, MIN_MRU.to_be_bytes()));
        }
        if magic.is_some_and(|magic| magic == 0 || magic == self.magic) {
            // RFC 1661 section 6.4: the same number means a loop, or chance.
            naks.push(Opt::new(MAGIC, (!self.magic.rotate_left(9)).to_be_bytes()));
        }
        let authentication = self.judge_authentication(find(AUTHENTICATION));
        match (authentication, patience) {
            (Some(_), false) => {
                let asked = self.authentication.clone().unwrap_or_default();
                return Judgement::Fail(Failure::AuthUnsupported { asked });
            }
            (authentication, _) => naks.extend(authentication),
        }
        if naks.is_empty() {
            self.peer_mru = mru;
            return Judgement::Ack;
        }
        if patience {
            return Judgement::Nak(naks);
        }
        Judgement::Fail(self.disagreement(
            "the server's MRU is too small, or its packets are our own that come back".to_owned(),
        ))
    }

    fn naked(&mut self, options: &[Opt]) -> Result<(), Failure> {
        for option in options {
            match option.kind {
                MRU => {
                    if let (Some(mru), Some(wish)) = (&mut self.mru, option.array()) {
                        *mru = u16::from_be_bytes(wish).clamp(MIN_MRU, DEFAULT_MRU);
                    }
                }
                MAGIC => self.next_magic(),
                _ => {}
            }
        }
        Ok(())
    }

    fn rejected(&mut self, options: &[Opt]) -> Result<(), Failure> {
        for option in options {
            match option.kind {
                MRU => self.mru = None,
                MAGIC => self.magic = 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn unanswered(&self) -> Failure {
        match &self.authentication {
            Some(asked) => Failure::AuthUnsupported { asked: asked.clone() },
            None => self.without_answer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(bytes: &[u8]) -> Opt {
        Opt::new(AUTHENTICATION, bytes)
    }

    #[test]
    fn what_pptp_servers_ask_for_is_taken() {
        let mut lcp = Lcp::new(1400, 7);
        let asked = [
            Opt::new(MRU, [5, 0xB4]),
            Opt::new(ACCM, [0; 4]),
            auth(&MSCHAPV2),
            Opt::new(MAGIC, [1, 2, 3, 4]),
            Opt::new(PROTOCOL_COMPRESSION, []),
            Opt::new(ADDRESS_COMPRESSION, []),
        ];
        assert_eq!(lcp.judge(&asked, true), Judgement::Ack);
        assert_eq!(lcp.peer_mru, 1460);
    }

    #[test]
    fn callback_multilink_and_endpoint_are_rejected_before_anything_else() {
        let mut lcp = Lcp::new(1400, 7);
        let odd = [Opt::new(13, [6]), Opt::new(17, [5, 0xDC]), Opt::new(19, [1])];
        let asked = [&odd[..], &[auth(&[0xC0, 0x23])]].concat();
        assert_eq!(lcp.judge(&asked, true), Judgement::Reject(odd.to_vec()));
    }

    #[test]
    fn any_other_authentication_or_none_is_answered_by_ms_chapv2_and_in_the_end_a_failure() {
        for (asked, name) in [
            (vec![auth(&[0xC0, 0x23])], "PAP"),
            (vec![auth(&[0xC2, 0x23, 5])], "CHAP-MD5"),
            (vec![auth(&[0xC2, 0x23, 0x80])], "MS-CHAP version 1"),
            (vec![auth(&[0xC2, 0x27])], "EAP"),
            (vec![], "no authentication"),
        ] {
            let mut lcp = Lcp::new(1400, 7);
            assert_eq!(lcp.judge(&asked, true), Judgement::Nak(vec![auth(&MSCHAPV2)]));
            let failure = Failure::AuthUnsupported { asked: name.to_owned() };
            assert_eq!(lcp.judge(&asked, false), Judgement::Fail(failure));
        }
    }

    #[test]
    fn our_own_magic_number_is_refused() {
        let mut lcp = Lcp::new(1400, 7);
        let asked = [auth(&MSCHAPV2), Opt::new(MAGIC, [0, 0, 0, 7])];
        assert!(matches!(lcp.judge(&asked, true), Judgement::Nak(_)));
        assert!(matches!(lcp.judge(&asked, false), Judgement::Fail(Failure::Negotiation { .. })));
    }

    #[test]
    fn what_the_server_rejects_is_not_asked_for_again() {
        let mut lcp = Lcp::new(1400, 7);
        lcp.naked(&[Opt::new(MRU, [5, 0])]).unwrap();
        assert_eq!(lcp.wanted()[0], Opt::new(MRU, [5, 0]));
        lcp.rejected(&[Opt::new(MRU, []), Opt::new(MAGIC, [])]).unwrap();
        assert_eq!(lcp.wanted(), []);
    }
}
