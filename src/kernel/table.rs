//! The table of point-to-point links, and what of it the core has not been told yet.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Assigned, News};
use crate::core::event::{IfIndex, Link, LinkAddress, LinkChange};

#[derive(Debug)]
struct Entry {
    name: String,
    up: bool,
    /// In the order of the kernel's list, later ones behind.
    addresses: Vec<Assigned>,
}

impl Entry {
    fn link(&self) -> Link {
        Link { name: self.name.clone(), up: self.up, addresses: self.addresses() }
    }

    fn into_link(self) -> Link {
        Link { addresses: self.addresses(), name: self.name, up: self.up }
    }

    fn addresses(&self) -> Vec<LinkAddress> {
        self.addresses.iter().map(|assigned| assigned.address).collect()
    }
}

/// The links by index: names change and come back, indexes are what the kernel goes by.
#[derive(Debug, Default)]
pub(super) struct Table {
    present: BTreeMap<IfIndex, Entry>,
    /// Links that may differ from what the core knows, and what that is; `None` where it knows of no such link.
    dirty: BTreeMap<IfIndex, Option<Link>>,
    /// Links that went after the core was told of them. Another may have the index by now.
    gone: BTreeSet<IfIndex>,
}

impl Table {
    /// Takes in one message.
    pub(super) fn apply(&mut self, news: News) {
        match news {
            News::Link { index, name, up } => {
                if let Some(entry) = self.present.get_mut(&index) {
                    self.dirty.entry(index).or_insert_with(|| Some(entry.link()));
                    entry.name = name;
                    entry.up = up;
                } else {
                    self.dirty.entry(index).or_insert(None);
                    self.present.insert(index, Entry { name, up, addresses: Vec::new() });
                }
            }
            News::NoLink(index) => {
                let known = self.present.remove(&index).map(Entry::into_link);
                if self.dirty.entry(index).or_insert(known).is_some() {
                    self.gone.insert(index);
                } else {
                    self.dirty.remove(&index);
                }
            }
            News::Address(index, assigned) => {
                if let Some(entry) = self.present.get_mut(&index)
                    && !entry.addresses.contains(&assigned)
                {
                    self.dirty.entry(index).or_insert_with(|| Some(entry.link()));
                    entry.addresses.push(assigned);
                }
            }
            News::NoAddress(index, assigned) => {
                if let Some(entry) = self.present.get_mut(&index) {
                    self.dirty.entry(index).or_insert_with(|| Some(entry.link()));
                    entry.addresses.retain(|&held| held != assigned);
                }
            }
            News::Other | News::Undecodable => {}
        }
    }

    /// Begins anew with a full list; what it does not show is gone. What was heard to go before
    /// stays so. A link whose removal was lost, and whose index another one has in the list, can't
    /// be told from one that was renamed.
    pub(super) fn replace(&mut self, list: impl IntoIterator<Item = News>) {
        for (index, entry) in std::mem::take(&mut self.present) {
            self.dirty.entry(index).or_insert_with(|| Some(entry.into_link()));
        }
        for news in list {
            self.apply(news);
        }
    }

    /// How many links there are.
    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether the core may have something to hear.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What the core has to be told, which counts as told from here on. An index that went and
    /// came back is told as both, in this order: it is another link.
    pub(super) fn take_changes(&mut self) -> Vec<LinkChange> {
        let mut changes = Vec::new();
        for (index, mut known) in std::mem::take(&mut self.dirty) {
            let present = self.present.get(&index).map(Entry::link);
            let is_new_or_none = present.is_none() || self.gone.contains(&index);
            if is_new_or_none && known.take().is_some() {
                changes.push(LinkChange { index, link: None });
            }
            if present.is_some() && present != known {
                changes.push(LinkChange { index, link: present });
            }
        }
        self.gone.clear();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> News {
        News::Link { index: IfIndex(index), name: name.into(), up: false }
    }

    fn gone(index: u32) -> News {
        News::NoLink(IfIndex(index))
    }

    fn assigned(local: u8, remote: Option<u8>) -> Assigned {
        let ip = |last| [10, 50, 0, last].into();
        let address = LinkAddress { local: ip(local), remote: remote.map(ip) };
        Assigned { address, prefix: 32 }
    }

    fn address(index: u32, local: u8, remote: Option<u8>) -> News {
        News::Address(IfIndex(index), assigned(local, remote))
    }

    fn no_address(index: u32, local: u8, remote: Option<u8>) -> News {
        News::NoAddress(IfIndex(index), assigned(local, remote))
    }

    /// A table whose core has been told of all this.
    fn told(news: impl IntoIterator<Item = News>) -> Table {
        let mut table = Table::default();
        table.replace(news);
        table.take_changes();
        table
    }

    /// Changes as `index name addresses`, or `index -`.
    fn changes(table: &mut Table) -> Vec<String> {
        let text = |change: LinkChange| {
            let index = change.index.0;
            let Some(link) = change.link else { return format!("{index} -") };
            let mut text = format!("{index} {}", link.name);
            for LinkAddress { local, remote } in link.addresses {
                let remote = remote.map(|remote| format!(">{remote}")).unwrap_or_default();
                text.push_str(&format!(" {local}{remote}"));
            }
            text
        };
        table.take_changes().into_iter().map(text).collect()
    }

    fn after(mut table: Table, news: impl IntoIterator<Item = News>) -> Vec<String> {
        news.into_iter().for_each(|news| table.apply(news));
        changes(&mut table)
    }

    #[test]
    fn a_new_link_is_told_whole() {
        let news = [link(4, "ppp0"), address(4, 100, Some(1)), address(4, 101, None)];
        let told = after(Table::default(), news);
        assert_eq!(told, ["4 ppp0 10.50.0.100>10.50.0.1 10.50.0.101"]);
    }

    #[test]
    fn a_change_is_told_once() {
        let mut table = told([]);
        table.apply(link(4, "ppp0"));
        table.take_changes();
        assert!(!table.is_dirty());
        assert_eq!(table.take_changes(), []);
    }

    #[test]
    fn a_renamed_link_keeps_its_addresses() {
        let table = told([link(4, "ppp0"), address(4, 100, None)]);
        assert_eq!(after(table, [link(4, "cx7")]), ["4 cx7 10.50.0.100"]);
    }

    #[test]
    fn pppds_way_to_set_a_peer_ends_in_one_address() {
        let table = told([link(4, "ppp0")]);
        let news = [address(4, 100, None), no_address(4, 100, None), address(4, 100, Some(1))];
        assert_eq!(after(table, news), ["4 ppp0 10.50.0.100>10.50.0.1"]);
    }

    #[test]
    fn one_address_under_two_prefixes_is_there_until_both_are_gone() {
        let table = told([link(4, "ppp0"), address(4, 100, None)]);
        let wide = Assigned { prefix: 24, ..assigned(100, None) };
        let news = [News::Address(IfIndex(4), wide), no_address(4, 100, None)];
        assert_eq!(after(table, news), Vec::<String>::new());
    }

    #[test]
    fn what_ends_where_it_began_is_not_told() {
        let table = told([link(4, "ppp0"), address(4, 100, None)]);
        let news = [link(4, "cx7"), no_address(4, 100, None), link(4, "ppp0")];
        assert_eq!(after(table, news.into_iter().chain([address(4, 100, None)])), [""; 0]);
    }

    #[test]
    fn a_link_that_came_and_went_between_two_tellings_is_not_told() {
        assert_eq!(after(told([]), [link(4, "ppp0"), gone(4)]), [""; 0]);
    }

    #[test]
    fn a_name_that_moves_to_another_index_is_two_changes() {
        let table = told([link(4, "ppp0"), address(4, 100, None)]);
        assert_eq!(after(table, [gone(4), link(5, "ppp0")]), ["4 -", "5 ppp0"]);
    }

    #[test]
    fn a_reused_index_is_told_as_gone_and_then_as_new() {
        let table = told([link(4, "ppp0"), address(4, 100, None)]);
        assert_eq!(after(table, [gone(4), link(4, "ppp0")]), ["4 -", "4 ppp0"]);
    }

    #[test]
    fn addresses_of_a_link_that_is_not_there_are_ignored() {
        let news = [address(4, 100, None), no_address(4, 100, None), link(4, "ppp0")];
        assert_eq!(after(told([]), news), ["4 ppp0"]);
    }

    #[test]
    fn links_that_never_were_in_the_table_are_not_told_as_gone() {
        assert_eq!(after(told([]), [gone(2)]), [""; 0]);
    }

    #[test]
    fn a_full_list_sweeps_what_it_does_not_show() {
        let mut table = told([link(4, "ppp0"), address(4, 100, None), link(5, "ppp1")]);
        table.replace(vec![link(5, "ppp1"), link(6, "ppp2")]);
        assert_eq!(changes(&mut table), ["4 -", "6 ppp2"]);
    }

    #[test]
    fn a_full_list_sweeps_addresses_too() {
        let mut table = told([link(4, "ppp0"), address(4, 100, None)]);
        table.replace(vec![link(4, "ppp0")]);
        assert_eq!(changes(&mut table), ["4 ppp0"]);
    }

    #[test]
    fn an_index_whose_link_went_before_a_full_list_is_told_as_gone_and_then_as_new() {
        let mut table = told([link(4, "ppp0"), address(4, 100, None)]);
        table.apply(gone(4));
        table.replace(vec![link(4, "ppp0"), address(4, 100, None)]);
        assert_eq!(changes(&mut table), ["4 -", "4 ppp0 10.50.0.100"]);
    }

    #[test]
    fn an_index_that_is_reused_after_a_full_list_without_it_is_told_as_gone_and_then_as_new() {
        let mut table = told([link(4, "ppp0")]);
        table.replace(vec![gone(4), link(4, "ppp0")]);
        assert_eq!(changes(&mut table), ["4 -", "4 ppp0"]);
    }

    #[test]
    fn links_that_come_and_go_untold_leave_nothing_to_tell() {
        let mut table = told([]);
        [link(4, "ppp0"), gone(4), gone(5)].into_iter().for_each(|news| table.apply(news));
        assert!(!table.is_dirty() && table.gone.is_empty());
    }

    #[test]
    fn a_full_list_that_shows_nothing_new_changes_nothing() {
        let mut table = told([link(4, "ppp0"), address(4, 100, None)]);
        table.replace(vec![link(4, "ppp0"), address(4, 100, None)]);
        assert_eq!(changes(&mut table), [""; 0]);
    }
}
