//! The point-to-point links of this host, as the kernel last told, and which call owns which.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::event::{CallId, IfIndex, Link, LinkChange};

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
    /// Number of the input that first showed it as it is now: up or not, with these addresses.
    as_it_is_since: u64,
}

impl Tracked {
    /// The addresses at both ends.
    fn ends(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.link.addresses.iter().flat_map(|ends| [Some(ends.local), ends.remote]).flatten()
    }
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
    /// The link that a call has, or had when it ended.
    of: BTreeMap<CallId, IfIndex>,
    /// Those that no call has had.
    unowned: BTreeSet<IfIndex>,
    /// Addresses at either end of those of them that are up.
    ends_unowned: BTreeSet<(Ipv4Addr, IfIndex)>,
    /// Of calls without a link, in the order in which they were heard. Two may want one name: that
    /// of a call which has just ended, heard late, and of one that got its number.
    claims: Vec<Claim>,
}

impl Links {
    /// Takes in what the kernel told; returns the call that the link belongs to, if any.
    pub(super) fn apply(&mut self, change: LinkChange, input: u64) -> Option<(CallId, IfIndex)> {
        let index = change.index;
        if self.unowned.contains(&index) {
            self.forget_ends(index);
        }
        let Some(link) = change.link else {
            self.unowned.remove(&index);
            let gone = self.table.remove(&index)?;
            self.forget_name(&gone.link.name, index);
            let owner = gone.owner?;
            self.of.remove(&owner);
            return Some((owner, index));
        };
        let name = link.name.clone();
        if let Some(tracked) = self.table.get_mut(&index) {
            let old = std::mem::replace(&mut tracked.link, link);
            if (old.up, &old.addresses) != (tracked.link.up, &tracked.link.addresses) {
                tracked.as_it_is_since = input;
            }
            if old.name != name {
                self.forget_name(&old.name, index);
            }
        } else {
            let (first_seen, as_it_is_since) = (input, input);
            self.table.insert(index, Tracked { link, owner: None, first_seen, as_it_is_since });
            self.unowned.insert(index);
        }
        self.by_name.insert(name.clone(), index);
        self.bind(&name);
        let tracked = self.table.get(&index)?;
        if tracked.owner.is_none() && tracked.link.up {
            self.ends_unowned.extend(tracked.ends().map(|end| (end, index)));
        }
        tracked.owner.map(|call| (call, index))
    }

    fn forget_ends(&mut self, index: IfIndex) {
        let Some(tracked) = self.table.get(&index) else { return };
        for end in tracked.ends() {
            self.ends_unowned.remove(&(end, index));
        }
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
        if let Some(index) = self.of(call) {
            return Some(index);
        }
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
        let mut unowned = self.unowned.iter().filter_map(|index| self.table.get(index));
        unowned.any(|tracked| tracked.first_seen <= input)
    }

    /// Links of nobody that are up and had this address at one of their ends before the link `index`
    /// had it, by the input `since`: the name of each, and the number of the input that first showed it.
    pub(super) fn first_with(
        &self,
        address: Ipv4Addr,
        index: IfIndex,
        since: u64,
    ) -> impl Iterator<Item = (&str, u64)> {
        let any = (address, IfIndex(0))..=(address, IfIndex(u32::MAX));
        let others = self.ends_unowned.range(any).map(|(_, other)| *other);
        let others = others.filter_map(|other| Some((other, self.table.get(&other)?)));
        let firsts =
            others.filter(move |(other, tracked)| match tracked.as_it_is_since.cmp(&since) {
                Ordering::Less => true,
                // Of links that one input first showed, the older counts as first: the kernel counts indices up.
                Ordering::Equal => tracked.first_seen == since && *other < index,
                Ordering::Greater => false,
            });
        firsts.map(|(_, tracked)| (tracked.link.name.as_str(), tracked.first_seen))
    }

    /// The link of a call, whatever its name is by now.
    pub(super) fn of(&self, call: CallId) -> Option<IfIndex> {
        self.of.get(&call).copied()
    }

    /// The number of the input by which a link came to be as it is: up or not, with its addresses.
    pub(super) fn as_it_is_since(&self, index: IfIndex) -> Option<u64> {
        self.table.get(&index).map(|tracked| tracked.as_it_is_since)
    }

    /// Gives the link of this name to who claims it, if nobody has it.
    fn bind(&mut self, name: &str) -> Option<(CallId, IfIndex)> {
        let index = *self.by_name.get(name)?;
        let tracked = self.table.get_mut(&index).filter(|tracked| tracked.owner.is_none())?;
        let claimed = self.claims.iter().position(|claim| claim.is_for(tracked))?;
        let call = self.claims.remove(claimed).call;
        tracked.owner = Some(call);
        self.of.insert(call, index);
        self.unowned.remove(&index);
        self.forget_ends(index);
        Some((call, index))
    }

    /// `call` has ended. Its link goes to another that claims it already and is returned with it;
    /// else it stays marked, so that no later call takes a link for its own that the kernel is
    /// still removing.
    pub(super) fn release(&mut self, call: CallId) -> Option<(CallId, IfIndex)> {
        self.claims.retain(|claim| claim.call != call);
        let index = self.of(call)?;
        let tracked = self.table.get_mut(&index)?;
        let claimed = self.claims.iter().position(|claim| claim.is_for(tracked))?;
        let heir = self.claims.remove(claimed).call;
        tracked.owner = Some(heir);
        self.of.remove(&call);
        self.of.insert(heir, index);
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
    use crate::core::event::LinkAddress;

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
    fn a_call_that_claims_its_own_link_again_is_given_it_again() {
        let mut links = Links::default();
        links.apply(change(4, "ppp0"), 1);
        links.claim(CALL, "ppp0", ANY);
        assert_eq!(links.claim(CALL, "ppp0", ANY), Some(IfIndex(4)));
        links.apply(change(4, "wan0"), 2);
        assert_eq!(links.claim(CALL, "ppp0", ANY), Some(IfIndex(4)));
        assert!(links.claims.is_empty());
        links.apply(LinkChange { index: IfIndex(4), link: None }, 3);
        assert!(links.of.is_empty());
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

    /// Shows a link whose ends have the last bytes `local` and 3.
    fn show(links: &mut Links, index: u32, up: bool, local: u8, input: u64) {
        let [local, theirs] = [local, 3].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(theirs) }];
        let link = Some(Link { name: format!("ppp{index}"), up, addresses });
        links.apply(LinkChange { index: IfIndex(index), link }, input);
    }

    fn first_with(links: &Links, last: u8, index: u32, since: u64) -> Option<(&str, u64)> {
        links.first_with(Ipv4Addr::new(10, 0, 0, last), IfIndex(index), since).next()
    }

    #[test]
    fn who_had_an_address_first_is_a_link_of_nobody_that_is_up() {
        let mut links = Links::default();
        show(&mut links, 3, false, 1, 9);
        show(&mut links, 4, true, 2, 9);
        show(&mut links, 5, true, 1, 9);
        links.claim(CALL, "ppp5", ANY);
        assert_eq!(first_with(&links, 1, 9, 20), None);
        assert_eq!(first_with(&links, 2, 9, 20), Some(("ppp4", 9)));
        assert_eq!(first_with(&links, 3, 9, 20), Some(("ppp4", 9)));
    }

    #[test]
    fn of_two_links_with_an_address_the_first_is_the_one_that_got_it_first() {
        let mut links = Links::default();
        show(&mut links, 8, true, 1, 9);
        assert_eq!(first_with(&links, 1, 7, 10), Some(("ppp8", 9)));
        assert_eq!(first_with(&links, 1, 7, 9), None);
        assert_eq!(first_with(&links, 1, 9, 9), Some(("ppp8", 9)));
        assert_eq!(first_with(&links, 1, 9, 8), None);
    }

    #[test]
    fn an_older_link_that_gets_an_address_in_the_input_that_shows_another_with_it_is_not_the_first()
    {
        let mut links = Links::default();
        show(&mut links, 4, false, 1, 5);
        show(&mut links, 4, true, 1, 6);
        show(&mut links, 8, true, 1, 6);
        assert_eq!(first_with(&links, 1, 8, 6), None);
    }

    #[test]
    fn an_address_is_had_since_the_link_is_up_with_it_and_a_repeated_word_changes_nothing() {
        let mut links = Links::default();
        let mut since = |up, local, input| {
            show(&mut links, 4, up, local, input);
            links.as_it_is_since(IfIndex(4))
        };
        assert_eq!(since(false, 1, 5), Some(5));
        assert_eq!(since(true, 1, 6), Some(6));
        assert_eq!(since(true, 1, 7), Some(6));
        assert_eq!(since(true, 2, 8), Some(8));
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

    #[test]
    fn nothing_is_kept_of_addresses_that_a_link_of_nobody_had() {
        let mut links = Links::default();
        show(&mut links, 4, true, 1, 5);
        show(&mut links, 5, true, 1, 5);
        show(&mut links, 5, true, 2, 6);
        assert_eq!(links.ends_unowned.len(), 4);
        show(&mut links, 4, false, 1, 7);
        links.claim(CALL, "ppp5", ANY);
        assert!(links.ends_unowned.is_empty());
    }
}
