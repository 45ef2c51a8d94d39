//! What CCP negotiates: MPPE and nothing else (RFC 1962, RFC 3078 section 2).

use crate::pptp::failure::Failure;

use super::negotiation::{Judgement, Options};
use super::option::{Opt, parse_options};

/// RFC 3078 section 2.1.
const MPPE: u8 = 18;
/// A new key for each packet.
const STATELESS: u32 = 0x0100_0000;
const BITS_128: u32 = 0x40;
const BITS_40: u32 = 0x20;

/// The options of CCP.
#[derive(Debug)]
pub(in crate::pptp) struct Ccp {
    stateful_allowed: bool,
    short_key_allowed: bool,
    /// For what we receive.
    ours: u32,
    /// Whether the server was asked to take the stateless mode.
    stateless_asked: bool,
    /// What the server offered last.
    theirs: Option<u32>,
    /// That, where it can't be taken.
    not_taken: Option<u32>,
}

impl Ccp {
    pub(in crate::pptp) fn new(stateful_allowed: bool, short_key_allowed: bool) -> Self {
        Ccp {
            stateful_allowed,
            short_key_allowed,
            ours: STATELESS | BITS_128,
            stateless_asked: false,
            theirs: None,
            not_taken: None,
        }
    }

    /// The server's request came before ours: pppd takes a first request of another key length than its
    /// own for the end of it all.
    pub(in crate::pptp) fn offered(&mut self, data: &[u8]) {
        let Some(bits) = parse_options(data).and_then(|options| bits_of(&options)) else { return };
        let chosen = self.choose(bits, false);
        if chosen & bits == chosen {
            self.ours = chosen;
        }
    }

    /// What is wrong with the server's last offer, where it can't be taken.
    pub(in crate::pptp) fn not_taken(&self) -> Option<Failure> {
        self.not_taken.map(wrong)
    }

    /// The best of `bits` that is allowed here; where none of it is, what should be offered.
    fn choose(&self, bits: u32, stateful: bool) -> u32 {
        let short = self.short_key_allowed && bits & (BITS_128 | BITS_40) == BITS_40;
        let stateful = stateful && bits & STATELESS == 0;
        let key = if short { BITS_40 } else { BITS_128 };
        if stateful { key } else { key | STATELESS }
    }
}

/// What is wrong with an offer that can't be taken.
fn wrong(bits: u32) -> Failure {
    let words = if bits & (BITS_128 | BITS_40) == 0 {
        format!(
            "the server offers MPPE without a key length that is known here (bits {bits:#010x})"
        )
    } else if bits & BITS_128 == 0 {
        format!("the server offers MPPE with 40 bit only (bits {bits:#010x})")
    } else if bits & STATELESS == 0 {
        "the server offers stateful MPPE only; tunnel.mppe_stateful = true takes it".to_owned()
    } else {
        format!("the server insists on more than one kind of MPPE (bits {bits:#010x})")
    };
    Failure::Mppe(words)
}

/// The bits of the MPPE option.
fn bits_of(options: &[Opt]) -> Option<u32> {
    options.iter().find(|option| option.kind == MPPE).and_then(Opt::array).map(u32::from_be_bytes)
}

fn option(bits: u32) -> Opt {
    Opt::new(MPPE, bits.to_be_bytes())
}

impl Options for Ccp {
    const NAME: &'static str = "CCP";

    fn wanted(&self) -> Vec<Opt> {
        vec![option(self.ours)]
    }

    fn judge(&mut self, asked: &[Opt], patience: bool) -> Judgement {
        let others: Vec<_> = asked
            .iter()
            .filter(|option| option.kind != MPPE || option.data.len() != 4)
            .cloned()
            .collect();
        if !others.is_empty() {
            return Judgement::Reject(others);
        }
        let Some(bits) = bits_of(asked) else {
            return if patience {
                Judgement::Nak(self.wanted())
            } else {
                Judgement::Fail(Failure::Mppe("the server asks for no MPPE".to_owned()))
            };
        };
        self.theirs = Some(bits);
        let chosen = self.choose(bits, self.stateful_allowed && self.stateless_asked);
        self.not_taken = (chosen != bits).then_some(bits);
        if chosen == bits {
            return Judgement::Ack;
        }
        if !patience {
            return Judgement::Fail(wrong(bits));
        }
        self.stateless_asked = true;
        Judgement::Nak(vec![option(chosen)])
    }

    fn naked(&mut self, options: &[Opt]) -> Result<(), Failure> {
        let Some(bits) = bits_of(options) else { return Ok(()) };
        let chosen = self.choose(bits, self.stateful_allowed);
        if chosen & bits != chosen {
            return Err(wrong(bits));
        }
        self.ours = chosen;
        Ok(())
    }

    fn rejected(&mut self, _options: &[Opt]) -> Result<(), Failure> {
        // pppd rejects a kind that it must not use, and names no other one but in its own request.
        let bits = self.theirs.unwrap_or_default();
        let chosen = self.choose(bits, self.stateful_allowed);
        if chosen & bits == chosen && chosen != self.ours {
            self.ours = chosen;
            return Ok(());
        }
        let rejects = || Failure::Mppe("the server rejects MPPE".to_owned());
        Err(self.not_taken().unwrap_or_else(rejects))
    }

    fn unanswered(&self) -> Failure {
        Failure::Mppe("the server does not answer when asked for MPPE".to_owned())
    }

    fn disagreement(&self, detail: String) -> Failure {
        Failure::Mppe(format!("{} came to no end: {detail}", Self::NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H_S: u32 = STATELESS | BITS_128;

    fn nak(bits: u32) -> Judgement {
        Judgement::Nak(vec![option(bits)])
    }

    #[test]
    fn of_many_kinds_stateless_128_is_chosen() {
        let mut ccp = Ccp::new(true, true);
        assert_eq!(ccp.judge(&[option(H_S | BITS_40 | 0x81)], true), nak(H_S));
        assert_eq!(ccp.judge(&[option(H_S)], true), Judgement::Ack);
    }

    #[test]
    fn stateful_is_taken_only_by_option_and_after_stateless_was_asked_for() {
        let mut ccp = Ccp::new(false, false);
        for _ in 0..3 {
            assert_eq!(ccp.judge(&[option(BITS_128)], true), nak(H_S));
        }
        assert!(matches!(ccp.judge(&[option(BITS_128)], false), Judgement::Fail(Failure::Mppe(_))));
        assert!(ccp.naked(&[option(BITS_128)]).is_err());

        let mut ccp = Ccp::new(true, false);
        assert_eq!(ccp.judge(&[option(BITS_128)], true), nak(H_S));
        assert_eq!(ccp.judge(&[option(BITS_128)], true), Judgement::Ack);
        ccp.naked(&[option(BITS_128)]).unwrap();
        assert_eq!(ccp.wanted(), [option(BITS_128)]);
    }

    #[test]
    fn forty_bit_is_taken_only_by_option() {
        let mut ccp = Ccp::new(false, false);
        assert_eq!(ccp.judge(&[option(STATELESS | BITS_40)], true), nak(H_S));
        assert!(ccp.naked(&[option(STATELESS | BITS_40)]).is_err());
        let mut ccp = Ccp::new(false, true);
        assert_eq!(ccp.judge(&[option(STATELESS | BITS_40)], true), Judgement::Ack);
        ccp.naked(&[option(STATELESS | BITS_40)]).unwrap();
        assert_eq!(ccp.wanted(), [option(STATELESS | BITS_40)]);
    }

    #[test]
    fn a_server_that_rejects_ours_after_an_offer_that_can_not_be_taken_is_told_by_its_offer() {
        let mut ccp = Ccp::new(false, false);
        let told = |ccp: &mut Ccp| ccp.rejected(&[]).unwrap_err().to_string();
        assert!(told(&mut ccp).contains("the server rejects MPPE"));
        assert_eq!(ccp.judge(&[option(STATELESS | BITS_40)], true), nak(H_S));
        assert!(told(&mut ccp).contains("40 bit only"));
        assert_eq!(ccp.judge(&[option(H_S)], true), Judgement::Ack);
        assert!(ccp.not_taken().is_none());
    }

    #[test]
    fn mppe_without_bits_is_answered_with_bits_and_in_the_end_a_failure() {
        let mut ccp = Ccp::new(true, true);
        assert_eq!(ccp.judge(&[option(0)], true), nak(H_S));
        assert!(matches!(ccp.judge(&[option(0)], false), Judgement::Fail(Failure::Mppe(_))));
        assert!(ccp.naked(&[option(0)]).is_err());
    }

    #[test]
    fn an_offer_of_forty_bit_alone_is_asked_for_at_once_where_it_is_allowed() {
        for (allowed, offered, asked) in [
            (true, STATELESS | BITS_40, STATELESS | BITS_40),
            (true, H_S | BITS_40, H_S),
            (false, STATELESS | BITS_40, H_S),
        ] {
            let mut ccp = Ccp::new(false, allowed);
            ccp.offered(&[&[18, 6][..], &offered.to_be_bytes()].concat());
            assert_eq!(ccp.wanted(), [option(asked)]);
        }
    }

    #[test]
    fn other_compressions_are_rejected() {
        let mut ccp = Ccp::new(false, false);
        let deflate = Opt::new(26, [0x78, 0]);
        assert_eq!(
            ccp.judge(&[option(H_S), deflate.clone()], true),
            Judgement::Reject(vec![deflate])
        );
    }
}
