//! What the database wants, compared node by node with what was wanted before.

use std::collections::BTreeSet;

use super::change::Way;
use super::effect::Order;
use super::event::{Candidate, InvalidRow, Ranked, Rows};
use super::notice::{HangUp, Notice};
use super::retries::Retries;
use super::state::Rest;
use super::stopping::Why;
use super::tunnel::{Phase, Tunnel, Want};
use super::{Core, Turn};
use crate::node::{Invalid, NodeId};

impl Core {
    /// The database was read. Only nodes whose row changed are touched.
    pub(super) fn desire(&mut self, rows: Rows, places: u32, turn: &mut Turn) {
        self.pool.resize(places);
        // Changes alone don't say what else is wanted.
        if !self.known.database && matches!(rows, Rows::Changes { .. }) {
            return;
        }
        let was_unreadable = self.known.database_problem.take().is_some();
        let is_first = !self.known.database;
        if was_unreadable {
            self.time_absences_anew(turn);
        }
        let mut changes = Turn { now: turn.now, effects: Vec::new() };
        let were_away = self.kept_while_away();
        let mut touched = None;
        match rows {
            Rows::All(rows) => self.want_only(rows, &mut changes),
            Rows::Reselected { rows, left_out } => {
                self.want_only(rows, &mut changes);
                left_out.into_iter().for_each(|id| self.part(id, &mut changes));
            }
            Rows::Changes { rows, gone } => {
                let ids = gone.iter().copied().chain(rows.iter().map(|row| row.candidate.id()));
                touched = Some(ids.map(|id| (id, self.server_of(id))).collect());
                self.drop_rows(gone, &mut changes);
                self.take_rows(rows, &mut changes);
            }
        }
        self.tell_away_and_back(&were_away, &mut changes);
        // Told first, and counted when all is taken in.
        if was_unreadable || is_first {
            turn.tell(self.database_read());
        }
        turn.effects.append(&mut changes.effects);
        self.known.database = true;
        if is_first {
            self.keep_only_what_is_known(turn);
        }
        match touched {
            Some(nodes) => self.follow_servers_of(nodes, turn),
            None => self.follow_all_servers(turn),
        }
        self.trim_pool(turn);
    }

    /// Once the rows and the calls that run are known, nothing is kept of any other node.
    pub(super) fn keep_only_what_is_known(&self, turn: &mut Turn) {
        if self.known.database && self.known.running {
            let nodes = self.tunnels.keys().copied().chain(self.pool.rows().map(|node| node.id));
            turn.order(Order::KeepOnly(nodes.collect::<BTreeSet<_>>().into_iter().collect()));
        }
    }

    /// Nodes in none of these rows are wanted no more, whoever wanted them.
    fn want_only(&mut self, rows: Vec<Ranked>, turn: &mut Turn) {
        let keep: BTreeSet<NodeId> = rows.iter().map(|row| row.candidate.id()).collect();
        let wanted = self.tunnels.iter().filter(|(_, tunnel)| tunnel.want != Want::Nothing);
        let wanted = wanted.map(|(id, _)| *id).chain(self.pool.rows().map(|node| node.id));
        let gone = wanted.filter(|id| !keep.contains(id)).collect();
        self.drop_rows(gone, turn);
        self.take_rows(rows, turn);
    }

    fn drop_rows(&mut self, gone: Vec<NodeId>, turn: &mut Turn) {
        for id in gone {
            self.pool.take_row(id);
            self.leave(id, Want::Nothing, turn);
        }
    }

    fn take_rows(&mut self, rows: Vec<Ranked>, turn: &mut Turn) {
        for Ranked { rank, candidate } in rows {
            self.pool.take_row(candidate.id());
            self.take_in(candidate, rank, turn);
        }
    }

    fn take_in(&mut self, candidate: Candidate, rank: u32, turn: &mut Turn) {
        match candidate {
            Candidate::Node(node)
                if self.has_tunnel(node.id) || self.stopped.contains(&node.id) =>
            {
                self.want(node.id, Want::Tunnel(node), rank, turn);
            }
            Candidate::Node(node) => self.pool.add_row(node, rank),
            Candidate::Invalid(row) if self.has_tunnel(row.id) => {
                self.leave(row.id, Want::Invalid(row), turn);
            }
            Candidate::Invalid(row) => self.want(row.id, Want::Invalid(row), rank, turn),
        }
    }

    fn has_tunnel(&self, id: NodeId) -> bool {
        self.tunnels.get(&id).is_some_and(|tunnel| tunnel.want != Want::Nothing)
    }

    fn database_read(&self) -> Notice {
        let (mut nodes, mut stopped, mut invalid) = (self.pool.rows().count(), 0, 0);
        for (id, tunnel) in &self.tunnels {
            match &tunnel.want {
                Want::Tunnel(_) if tunnel.is_away() => {}
                Want::Tunnel(_) if self.stopped.contains(id) => stopped += 1,
                Want::Tunnel(_) => nodes += 1,
                Want::Invalid(_) => invalid += 1,
                Want::Unknown | Want::Nothing => {}
            }
        }
        Notice::DatabaseRead { nodes: self.pool.room_for(nodes), stopped, invalid }
    }

    /// The database can't be read: what was wanted stays wanted.
    pub(super) fn desire_unavailable(&mut self, problem: String, turn: &mut Turn) {
        if self.known.database_problem.as_ref() != Some(&problem) {
            turn.tell(Notice::DatabaseUnavailable(problem.clone()));
            self.known.database_problem = Some(problem);
            self.time_absences_anew(turn);
        }
    }

    pub(super) fn want(&mut self, id: NodeId, want: Want, rank: u32, turn: &mut Turn) {
        let new = || Box::new(Tunnel::new(Want::Nothing, rank, turn.now));
        let tunnel = self.tunnels.entry(id).or_insert_with(new);
        let moved = std::mem::replace(&mut tunnel.rank, rank) != rank;
        let was_away = tunnel.away.take().is_some() && self.away.remove(&id);
        if tunnel.want == want {
            if moved || was_away {
                self.note(id, turn);
            }
            return;
        }
        self.moved.push(id);
        let old = std::mem::replace(&mut tunnel.want, want);
        if let (Want::Tunnel(row), Want::Nothing | Want::Invalid(_)) = (&old, &tunnel.want) {
            self.remember_refusals(id, row, turn);
        }
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        // What was found and is missed is told to be wanted as long as its row is away.
        let was_wanted = old.is_wanted() || (was_away && old == Want::Unknown);
        match (was_wanted, tunnel.want.is_wanted()) {
            (false, true) => turn.way(Way::Wanted { node: id }),
            (true, false) => turn.way(Way::Unwanted { node: id }),
            (true, true) | (false, false) => {}
        }
        let mut keep = None;
        let redial = match (&old, &tunnel.want) {
            (Want::Tunnel(old), Want::Tunnel(new)) if old.dials_like(new) => false,
            (old, Want::Tunnel(node)) => {
                // The stops that an earlier daemon left were told at the start.
                if self.known.database
                    && matches!(old, Want::Nothing | Want::Invalid(_))
                    && self.stopped.contains(&id)
                {
                    turn.tell(Notice::StillStopped { node: id });
                }
                keep = Some(Order::Keep(node.clone()));
                !matches!(old, Want::Unknown)
            }
            (old, Want::Invalid(row)) => {
                // Of all rows without an address their reader tells at once.
                let is_told = row.reason == Invalid::no_address()
                    || matches!(old, Want::Invalid(old) if old.reason == row.reason);
                if !is_told {
                    turn.tell(Notice::Invalid(InvalidRow::clone(row)));
                    turn.order(Order::Forget(id));
                }
                false
            }
            (_, Want::Nothing | Want::Unknown) => false,
        };
        if redial {
            let logins = old.node().zip(tunnel.want.node());
            if logins.is_none_or(|(old, new)| !old.logs_in_like(new)) {
                tunnel.retries = Retries::default();
            }
            self.start_afresh(id, turn);
            self.recall_refusals(id, turn);
        }
        self.reconcile(id, turn);
        // One that was found and is up shows that its server answers, once that is known.
        if old == Want::Unknown && self.up.contains(&id) {
            let want = self.tunnels.get(&id).map(|tunnel| &tunnel.want);
            if let Some(node) = want.and_then(Want::node) {
                self.dialing.heard_of(node.server, true);
            }
        }
        // After a hang-up: the next daemon takes what is kept for what a running call was dialled with.
        keep.into_iter().for_each(|keep| turn.order(keep));
    }

    /// The row changed in what is dialled: what failed before says nothing any more.
    fn start_afresh(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.retries.forget();
        tunnel.carried = None;
        match &mut tunnel.phase {
            Phase::Resting(rest) => {
                if rest.is_released_by_new_row() {
                    turn.tell(Notice::Released { node: id });
                }
                *rest = Rest::Waiting;
            }
            Phase::Calling(_) => self.hang_up(id, Why::Unwanted(HangUp::Changed), turn),
            Phase::Stopping(stopping) => stopping.row_changed(),
        }
    }

    /// Compares what is wanted of a node with what is seen of it, and acts.
    pub(super) fn reconcile(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        match (&tunnel.phase, self.unwanted(id, tunnel)) {
            (Phase::Resting(_), _) => self.rest(id, turn),
            (Phase::Calling(_), Some(why)) => {
                if why == HangUp::Changed {
                    self.forget_login(id);
                }
                self.hang_up(id, Why::Unwanted(why), turn);
            }
            (Phase::Calling(_), None) => self.observe(id, turn),
            (Phase::Stopping(_), _) => {}
        }
        self.note(id, turn);
    }

    /// What was found to work is not what the row says.
    fn forget_login(&mut self, id: NodeId) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.retries = Retries::default();
        }
    }

    fn unwanted(&self, id: NodeId, tunnel: &Tunnel) -> Option<HangUp> {
        match &tunnel.want {
            _ if self.ends_all() => Some(HangUp::DaemonStops),
            Want::Tunnel(_) | Want::Unknown if self.stopped.contains(&id) => Some(HangUp::Stopped),
            Want::Tunnel(node) if matches!(&tunnel.phase, Phase::Calling(call) if call.is_for_another(node, &self.policy)) => {
                Some(HangUp::Changed)
            }
            Want::Unknown | Want::Tunnel(_) => None,
            Want::Invalid(_) => Some(HangUp::RowInvalid),
            Want::Nothing => Some(HangUp::Removed),
        }
    }

    /// No call of this node goes on: what it does next follows from what is wanted.
    fn rest(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Phase::Resting(rest) = &mut tunnel.phase else { return };
        if let Some(wanted) = tunnel.want.at_rest(self.stopped.contains(&id)) {
            *rest = rest.follow(wanted);
            return;
        }
        // It was found. Nothing that is marked for it leaves by another way until its row is given up.
        if tunnel.may_be_back() && !self.stopped.contains(&id) {
            return;
        }
        if tunnel.is_away() {
            return self.part(id, turn);
        }
        // The database may still want it, where it was not read yet.
        if self.known.database {
            turn.order(Order::Forget(id));
        }
        self.tunnels.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use crate::core::State;
    use crate::core::change::Way;
    use crate::core::event::{Ask, Candidate, Event, InvalidRow, Ranked, Rows};
    use crate::core::failure::FailureKind;
    use crate::core::stage::{GRACE, NODE, Stage, candidate, invalid};

    #[test]
    fn stopped_nodes_are_not_counted_as_held_up() {
        let stage = Stage::in_state(State::Stopped);
        assert!(
            stage.was_told("read: 0 nodes wanted, 1 stopped by the operator"),
            "{:?}",
            stage.told
        );
        assert!(!stage.was_told("its row is back"), "{:?}", stage.told);
    }

    #[test]
    fn a_stop_that_has_outlived_its_row_is_told_when_the_id_returns() {
        let mut stage = Stage::in_state(State::Stopped);
        stage.desire(None);
        stage.wait(GRACE);
        stage.desire(Some(candidate("another")));
        assert!(stage.was_told("Node 1: its row is back"), "{:?}", stage.told);
    }

    #[test]
    fn a_node_is_told_to_be_wanted_from_its_row_s_coming_to_its_going_whatever_becomes_of_its_tunnel()
     {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.desire(Some(candidate("another")));
        stage.ask(Ask::Stop);
        assert_eq!(stage.ways, [Way::Wanted { node: NODE }, Way::AllTold]);
        stage.desire(None);
        assert_eq!(stage.ways.last(), Some(&Way::AllTold));
        stage.wait(GRACE);
        assert_eq!(stage.ways.last(), Some(&Way::Unwanted { node: NODE }));
    }

    #[test]
    fn a_call_that_is_found_is_not_wanted_before_its_row_is_read() {
        let mut stage = Stage::adopting_before_the_rows(None);
        assert!(!stage.ways.contains(&Way::Wanted { node: NODE }), "{:?}", stage.ways);
        stage.desire(Some(candidate("secret")));
        assert!(stage.ways.contains(&Way::Wanted { node: NODE }), "{:?}", stage.ways);
    }

    #[test]
    fn a_found_call_whose_row_is_away_at_the_start_is_wanted_until_it_has_stayed_away() {
        let mut stage = Stage::adopting_before_the_rows(Some("secret"));
        stage.desire(None);
        assert!(stage.ways.contains(&Way::Wanted { node: NODE }), "{:?}", stage.ways);
        assert!(!stage.ways.contains(&Way::Unwanted { node: NODE }), "{:?}", stage.ways);
        stage.exit(FailureKind::Hangup);
        assert!(!stage.ways.contains(&Way::Unwanted { node: NODE }), "{:?}", stage.ways);
        stage.wait(GRACE);
        assert_eq!(stage.ways.last(), Some(&Way::Unwanted { node: NODE }));
        let told = |way| stage.ways.iter().filter(|told| **told == way).count();
        let [wanted, unwanted] = [Way::Wanted { node: NODE }, Way::Unwanted { node: NODE }];
        assert_eq!([told(wanted), told(unwanted)], [1, 1], "{:?}", stage.ways);
    }

    #[test]
    fn a_found_call_whose_row_is_back_in_time_stays_wanted() {
        let mut stage = Stage::adopting_before_the_rows(Some("secret"));
        stage.desire(None);
        stage.desire(Some(candidate("secret")));
        stage.wait(GRACE);
        assert!(!stage.ways.contains(&Way::Unwanted { node: NODE }), "{:?}", stage.ways);
    }

    #[test]
    fn a_changed_row_is_told_to_end_a_quarantine() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.desire(Some(candidate("another")));
        assert!(stage.was_told("Node 1: its row changed; its quarantine is over"));
    }

    fn changes(stage: &mut Stage, rows: Vec<Ranked>, gone: Vec<crate::node::NodeId>, places: u32) {
        stage.feed(Event::Desired { rows: Rows::Changes { rows, gone }, places });
    }

    #[test]
    fn a_node_that_no_change_names_stays_as_it_is() {
        let mut stage = Stage::in_state(State::Up);
        changes(&mut stage, vec![], vec![], 0);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_node_that_stays_away_is_hung_up() {
        let mut stage = Stage::in_state(State::Up);
        changes(&mut stage, vec![], vec![NODE], 0);
        stage.wait(GRACE);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_candidate_that_is_gone_waits_for_no_place() {
        let mut stage = Stage::in_state(State::Up);
        stage.prefer_rival(None);
        stage.prefer_rival(Some(candidate("secret")));
        changes(&mut stage, vec![], vec![NODE], 1);
        stage.exit(FailureKind::Killed);
        stage.wait(GRACE);
        assert_eq!(stage.state(), "forgotten");
    }

    #[test]
    fn changes_of_rows_that_were_never_told_are_not_acted_on() {
        let mut stage = Stage::in_state(State::Up);
        stage.core = crate::core::Core::new(crate::core::policy::Policy::from(
            &crate::config::Config::default(),
        ));
        let row = Ranked { rank: 0, candidate: candidate("secret") };
        changes(&mut stage, vec![row], vec![], 0);
        assert_eq!(stage.state(), "forgotten");
    }

    #[test]
    fn a_database_that_is_read_again_without_a_change_is_told() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(Event::DesiredUnavailable("locked".into()));
        stage.told.clear();
        changes(&mut stage, vec![], vec![], 0);
        assert!(stage.was_told("read: 1 node wanted"), "{:?}", stage.told);
    }

    #[test]
    fn rows_that_are_away_are_not_counted_as_wanted() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(Event::DesiredUnavailable("locked".into()));
        stage.desire(None);
        assert!(stage.was_told("read: 0 nodes wanted"), "{:?}", stage.told);
    }

    #[test]
    fn rows_that_can_not_be_dialled_are_counted() {
        let stage = Stage::in_state(State::Invalid);
        assert!(stage.was_told("read: 0 nodes wanted, 1 can't be dialled"), "{:?}", stage.told);
    }

    #[test]
    fn a_row_that_can_not_be_dialled_for_the_same_reason_again_is_told_once() {
        let mut stage = Stage::in_state(State::Invalid);
        let Candidate::Invalid(row) = invalid() else { panic!() };
        let row = InvalidRow { login: "another".into(), ..InvalidRow::clone(&row) };
        stage.desire(Some(Candidate::Invalid(row.into())));
        let told = stage.told.iter().filter(|told| told.contains("Node 1 can't be dialled"));
        assert_eq!(told.count(), 1, "{:?}", stage.told);
    }
}
