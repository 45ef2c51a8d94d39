//! The point-to-point links of this host, as the kernel last told, and which call owns which.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::event::{CallId, IfIndex, Link, LinkAddress, LinkChange};

/// IPv4 addresses of a link that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Our end.
    pub local: Ipv4Addr,
    /// Their end, where the kernel knows one.
    pub remote: Option<Ipv4Addr>,
}

/// What the kernel shows of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// There is no such link.
    Gone,
    /// The link is there and not up.
    Down,
    /// Up, without an IPv4 address.
    Bare,
    /// Up, with a local address but no peer: pppd is half-way through setting both.
    Half(Addresses),
    /// Up, with both.
    Full(Addresses),
}

impl Sight {
    /// Our end's address, where the link is up and has one.
    pub(super) fn local(self) -> Option<Ipv4Addr> {
        match self {
            Sight::Gone | Sight::Down | Sight::Bare => None,
            Sight::Half(addresses) | Sight::Full(addresses) => Some(addresses.local),
        }
    }
}

#[derive(Clone, Debug)]
struct Tracked {
    link: Link,
    owner: Option<CallId>,
    /// Number of the input that first showed it.
    first_seen: u64,
}

#[derive(Clone, Debug)]
struct Claim {
    call: CallId,
    name: String,
    /// Links first seen by other inputs can't be the claimed one.
    seen: RangeInclusive<u64>,
}

impl Claim {
    fn is_for(&self, tracked: &Tracked) -> bool {
        self.name == tracked.link.name && self.seen.contains(&tracked.first_seen)
    }
}

/// The table. The index is the only key; names only lead from a call to its index once.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    table: BTreeMap<IfIndex, Tracked>,
    by_name: BTreeMap<String, IfIndex>,
    /// Those that no call has had.
    unowned: BTreeSet<IfIndex>,
    /// Of calls without a link, in the order in which they were heard. Two may want one name: that
    /// of a call which has just ended, heard late, and of one that got its number.
    claims: Vec<Claim>,
}

impl Links {
    /// Takes in what the kernel told; returns the call that the link belongs to, if any.
    pub(super) fn apply(&mut self, change: LinkChange, input: u64) -> Option<(CallId, IfIndex)> {
        let index = change.index;
        let Some(link) = change.link else {
            self.unowned.remove(&index);
            let gone = self.table.remove(&index)?;
            self.forget_name(&gone.link.name, index);
            return gone.owner.map(|call| (call, index));
        };
        let name = link.name.clone();
        if let Some(tracked) = self.table.get_mut(&index) {
            let old = std::mem::replace(&mut tracked.link, link).name;
            if old != name {
                self.forget_name(&old, index);
            }
        } else {
            self.table.insert(index, Tracked { link, owner: None, first_seen: input });
            self.unowned.insert(index);
        }
        self.by_name.insert(name.clone(), index);
        self.bind(&name);
        self.table.get(&index).and_then(|t| t.owner).map(|call| (call, index))
    }

    /// `call` says that its link has this name. Returns the index once the kernel shows it; until
    /// then, [`Links::apply`] finds the call when the link appears. `seen` are the inputs that may
    /// have shown it first.
    pub(super) fn claim(
        &mut self,
        call: CallId,
        name: &str,
        seen: RangeInclusive<u64>,
    ) -> Option<IfIndex> {
        self.claims.retain(|claim| claim.call != call);
        self.claims.push(Claim { call, name: name.to_owned(), seen });
        self.bind(name).filter(|(owner, _)| *owner == call).map(|(_, index)| index)
    }

    /// The link that `call` claims is none that is first seen after this input.
    pub(super) fn claim_no_later(&mut self, call: CallId, input: u64) {
        for claim in self.claims.iter_mut().filter(|claim| claim.call == call) {
            claim.seen = *claim.seen.start()..=input;
        }
    }

    /// Whether there is a link of nobody that was first seen by this input or before.
    pub(super) fn has_unowned(&self, input: u64) -> bool {
        self.all_unowned().any(|(_, tracked)| tracked.first_seen <= input)
    }

    /// The name of a link of nobody that is older than `than`, is up and has this address at one of its
    /// ends; and the number of the input that first showed it.
    pub(super) fn older_with(&self, address: Ipv4Addr, than: IfIndex) -> Option<(&str, u64)> {
        // The kernel counts indices up.
        let mut older = self.all_unowned().take_while(|(index, _)| *index < than);
        let has_it = |ends: &LinkAddress| ends.local == address || ends.remote == Some(address);
        let (_, Tracked { link, first_seen, .. }) =
            older.find(|(_, Tracked { link, .. })| link.up && link.addresses.iter().any(has_it))?;
        Some((&link.name, *first_seen))
    }

    fn all_unowned(&self) -> impl Iterator<Item = (IfIndex, &Tracked)> {
        self.unowned.iter().filter_map(|&index| Some((index, self.table.get(&index)?)))
    }

    /// Gives the link of this name to who claims it, if nobody has it.
    fn bind(&mut self, name: &str) -> Option<(CallId, IfIndex)> {
        let index = *self.by_name.get(name)?;
        let tracked = self.table.get_mut(&index).filter(|tracked| tracked.owner.is_none())?;
        let claimed = self.claims.iter().position(|claim| claim.is_for(tracked))?;
        let call = self.claims.remove(claimed).call;
        tracked.owner = Some(call);
        self.unowned.remove(&index);
        Some((call, index))
    }

    /// `call` has ended. Its link goes to another that claims it already and is returned with it;
    /// else it stays marked, so that no later call takes a link for its own that the kernel is
    /// still removing.
    pub(super) fn release(&mut self, call: CallId) -> Option<(CallId, IfIndex)> {
        self.claims.retain(|claim| claim.call != call);
        let (&index, tracked) = (self.table.iter_mut()).find(|(_, t)| t.owner == Some(call))?;
        let claimed = self.claims.iter().position(|claim| claim.is_for(tracked))?;
        let heir = self.claims.remove(claimed).call;
        tracked.owner = Some(heir);
        Some((heir, index))
    }

    /// What the kernel shows of a link.
    pub(super) fn sight(&self, index: IfIndex) -> Sight {
        let Some(Tracked { link, .. }) = self.table.get(&index) else {
            return Sight::Gone;
        };
        if !link.up {
            return Sight::Down;
        }
        let full = link.addresses.iter().find(|a| a.remote.is_some());
        match full.or(link.addresses.first()) {
            None => Sight::Bare,
            Some(address) => {
                let addresses = Addresses { local: address.local, remote: address.remote };
                if addresses.remote.is_some() {
                    Sight::Full(addresses)
                } else {
                    Sight::Half(addresses)
                }
            }
        }
    }

    /// The link's present name.
    pub(super) fn name(&self, index: IfIndex) -> Option<&str> {
        self.table.get(&index).map(|t| t.link.name.as_str())
    }

    fn forget_name(&mut self, name: &str, index: IfIndex) {
        if self.by_name.get(name) == Some(&index) {
            self.by_name.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallId = CallId::Dialled(1);
    const ANY: RangeInclusive<u64> = 0..=u64::MAX;

    fn change(index: u32, name: &str) -> LinkChange {
        let link = Link { name: name.into(), up: false, addresses: Vec::new() };
        LinkChange { index: IfIndex(index), link: Some(link) }
    }

    #[test]
    fn a_link_seen_before_the_word_is_found_by_the_word() {
        let mut links = Links::default();
        links.apply(change(4, "ppp0"), 10);
        assert_eq!(links.claim(CALL, "ppp0", 9..=u64::MAX), Some(IfIndex(4)));
    }

    #[test]
    fn a_link_seen_after_the_word_finds_its_call() {
        let mut links = Links::default();
        assert_eq!(links.claim(CALL, "ppp0", 9..=u64::MAX), None);
        assert_eq!(links.apply(change(4, "ppp0"), 10), Some((CALL, IfIndex(4))));
    }

    #[test]
    fn a_link_older_than_the_call_is_not_its_own() {
        let mut links = Links::default();
        links.apply(change(4, "ppp0"), 8);
        assert_eq!(links.claim(CALL, "ppp0", 9..=u64::MAX), None);
        links.apply(LinkChange { index: IfIndex(4), link: None }, 10);
        assert_eq!(links.apply(change(5, "ppp0"), 11), Some((CALL, IfIndex(5))));
    }

    #[test]
    fn a_claim_that_has_had_its_time_takes_a_link_that_is_renamed_and_no_new_one() {
        let mut links = Links::default();
        links.apply(change(4, "wan0"), 8);
        links.claim(CALL, "ppp0", ANY);
        links.claim_no_later(CALL, 9);
        assert_eq!(links.apply(change(5, "ppp0"), 10), None);
        links.apply(LinkChange { index: IfIndex(5), link: None }, 11);
        assert_eq!(links.apply(change(4, "ppp0"), 12), Some((CALL, IfIndex(4))));
    }

    #[test]
    fn the_link_of_a_dead_call_goes_to_no_other() {
        let mut links = Links::default();
        links.apply(change(4, "ppp0"), 1);
        links.claim(CALL, "ppp0", ANY);
        links.release(CALL);
        assert_eq!(links.claim(CallId::Dialled(2), "ppp0", ANY), None);
    }

    const OTHER: CallId = CallId::Dialled(2);

    #[test]
    fn a_name_that_a_dead_call_claims_late_is_still_for_the_other() {
        let mut links = Links::default();
        links.claim(CALL, "ppp0", ANY);
        links.claim(OTHER, "ppp0", ANY);
        links.release(OTHER);
        assert_eq!(links.apply(change(4, "ppp0"), 10), Some((CALL, IfIndex(4))));
    }

    #[test]
    fn a_link_that_a_dead_call_got_by_a_late_claim_goes_to_the_other() {
        let mut links = Links::default();
        links.claim(OTHER, "ppp0", ANY);
        links.claim(CALL, "ppp0", ANY);
        links.apply(change(4, "ppp0"), 10);
        assert_eq!(links.release(OTHER), Some((CALL, IfIndex(4))));
    }

    #[test]
    fn a_renamed_link_keeps_its_call() {
        let mut links = Links::default();
        links.claim(CALL, "ppp0", ANY);
        links.apply(change(4, "ppp0"), 1);
        assert_eq!(links.apply(change(4, "cx7"), 2), Some((CALL, IfIndex(4))));
        assert_eq!(links.name(IfIndex(4)), Some("cx7"));
    }

    #[test]
    fn a_late_word_with_the_old_name_waits_for_the_new_one() {
        let mut links = Links::default();
        links.apply(change(4, "cx7"), 1);
        assert_eq!(links.claim(CALL, "ppp0", ANY), None);
        assert_eq!(links.claim(CALL, "cx7", ANY), Some(IfIndex(4)));
    }

    #[test]
    fn an_older_link_of_nobody_with_an_address_is_one_that_is_up_and_has_that_address() {
        let [ours, other, theirs] = [1, 2, 3].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let mut links = Links::default();
        let mut show = |index, name: &str, up, local| {
            let addresses = vec![LinkAddress { local, remote: Some(theirs) }];
            let link = Some(Link { name: name.into(), up, addresses });
            links.apply(LinkChange { index: IfIndex(index), link }, 9);
        };
        show(3, "down", false, ours);
        show(4, "other", true, other);
        show(5, "owned", true, ours);
        show(8, "later", true, ours);
        links.claim(CALL, "owned", ANY);
        assert_eq!(links.older_with(ours, IfIndex(8)), None);
        assert_eq!(links.older_with(ours, IfIndex(9)), Some(("later", 9)));
        assert_eq!(links.older_with(theirs, IfIndex(5)), Some(("other", 9)));
    }

    #[test]
    fn nothing_is_kept_of_a_link_that_is_gone_or_of_a_name_that_it_had() {
        let mut links = Links::default();
        links.apply(change(4, "ppp0"), 8);
        links.apply(change(4, "wan0"), 9);
        assert_eq!(links.by_name.len(), 1);
        links.apply(LinkChange { index: IfIndex(4), link: None }, 10);
        assert!(links.by_name.is_empty() && links.table.is_empty() && links.unowned.is_empty());
    }
}
