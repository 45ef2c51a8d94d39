//! Places for connections: so many of each user, so that nobody keeps others out. Where a user's
//! are taken, a connection gives way whose client we wait for, the one that has done nothing for
//! longest. Those that have an answer to read keep theirs as long as they leave room for questions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Connections of one user at once.
const OF_A_USER: usize = 160;
/// Those of them that may leave answers unread while others ask for nothing.
const READERS: usize = 64;
/// Those of them that may follow events, so that a question is always answered.
const FOLLOWERS: u32 = 128;
/// Connections of all users but root at once.
const OF_OTHERS: usize = 4 * OF_A_USER;

/// No connection can give way: all of them are being answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// The places of all users.
#[derive(Debug, Default)]
pub(super) struct Places {
    users: BTreeMap<u32, User>,
}

#[derive(Debug, Default)]
struct User {
    places: Vec<Arc<Place>>,
    followers: Arc<AtomicU32>,
}

/// The place of one connection; it is free when its connection has let it go.
#[derive(Debug)]
pub(in crate::control) struct Place {
    standing: Mutex<Standing>,
    give_way: Notify,
    followers: Arc<AtomicU32>,
}

/// Who waits for whom.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// From a request to the end of its answer.
    answers: bool,
    /// What was written last is not read yet. A long answer does not fit into the socket's buffer, so
    /// that whoever reads it is waited for many times.
    stalls: bool,
    /// When the client did something last: it asked, or it read, or all that it asked was answered.
    since: Instant,
}

impl Standing {
    /// The client is waited for.
    fn is_idle(self) -> bool {
        !self.answers || self.stalls
    }
}

impl Places {
    /// A place for another connection of this user.
    pub(super) fn take(&mut self, uid: u32) -> Result<Arc<Place>, Refused> {
        for user in self.users.values_mut() {
            user.places.retain(|place| Arc::strong_count(place) > 1);
        }
        self.users.retain(|of, user| *of == uid || !user.places.is_empty());
        let others = self.users.iter().filter(|(of, _)| **of != 0);
        let others: usize = others.map(|(_, user)| user.places.len()).sum();
        let user = self.users.entry(uid).or_default();
        if user.places.len() >= OF_A_USER {
            user.make_room()?;
        } else if uid != 0 && others >= OF_OTHERS {
            let of_others = self.users.iter_mut().filter(|(of, _)| **of != 0);
            let most = of_others.max_by_key(|(_, user)| user.places.len());
            most.ok_or(Refused)?.1.make_room()?;
        }
        let user = self.users.entry(uid).or_default();
        let place = Arc::new(Place {
            standing: Mutex::new(Standing { answers: false, stalls: false, since: Instant::now() }),
            give_way: Notify::new(),
            followers: user.followers.clone(),
        });
        user.places.push(place.clone());
        Ok(place)
    }
}

impl User {
    fn make_room(&mut self) -> Result<(), Refused> {
        let stall = |standing: &Standing| standing.stalls;
        let readers = self.waiting().filter(|(_, standing)| stall(standing)).count();
        let first = if readers > READERS {
            self.longest(stall)
        } else {
            self.longest(|standing| !stall(standing)).or_else(|| self.longest(stall))
        };
        self.places.swap_remove(first.ok_or(Refused)?).give_way.notify_one();
        Ok(())
    }

    /// Where those clients stand that are waited for.
    fn waiting(&self) -> impl Iterator<Item = (usize, Standing)> {
        let standing = self.places.iter().map(|place| place.standing()).enumerate();
        standing.filter(|(_, standing)| standing.is_idle())
    }

    /// Who of these has done nothing for longest.
    fn longest(&self, of: impl Fn(&Standing) -> bool) -> Option<usize> {
        let waiting = self.waiting().filter(|(_, standing)| of(standing));
        waiting.min_by_key(|(_, standing)| standing.since).map(|(at, _)| at)
    }
}

impl Place {
    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut standing);
        standing.since = Instant::now();
    }

    /// A request has come, or its answer is handed over.
    pub(super) fn answers(&self, answers: bool) {
        self.stand(|standing| standing.answers = answers);
    }

    /// The client does not read what is written, or reads again.
    pub(super) fn stalls(&self, stalls: bool) {
        self.stand(|standing| standing.stalls = stalls);
    }

    /// Returns when another connection is to have this place.
    pub(super) async fn is_wanted(&self) {
        self.give_way.notified().await;
    }

    /// Takes one of the user's places for followers, where one is left.
    pub(in crate::control) fn follow(self: Arc<Self>) -> Option<Follower> {
        let more = |count| (count < FOLLOWERS).then_some(count + 1);
        self.followers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Follower(self))
    }
}

#[cfg(test)]
impl Follower {
    /// One whose place matters to nobody.
    pub(in crate::control) fn of_a_test() -> Self {
        Places::default().take(0).ok().and_then(Place::follow).unwrap()
    }
}

/// One of the places for followers; free when dropped.
#[derive(Debug)]
pub(in crate::control) struct Follower(Arc<Place>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_wanted(place: &Place) -> bool {
        place.is_wanted().now_or_never().is_some()
    }

    #[test]
    fn whose_client_is_waited_for_longest_gives_way() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        held[0].answers(true);
        let _new = places.take(7).unwrap();
        assert!(!is_wanted(&held[0]) && is_wanted(&held[1]) && !is_wanted(&held[2]));
    }

    #[test]
    fn who_has_an_answer_to_read_gives_way_after_those_that_ask_for_nothing() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        held[0].stalls(true);
        let later: Vec<_> = (1..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        assert!(!is_wanted(&held[0]) && held[1..].iter().all(|place| is_wanted(place)));
        later.iter().for_each(|place| place.answers(true));
        let _new = places.take(7).unwrap();
        assert!(is_wanted(&held[0]), "nobody else can give way");
    }

    #[test]
    fn those_that_read_no_answer_leave_places_for_questions() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        let (unread, asks) = held.split_at(OF_A_USER - 1);
        unread.iter().for_each(|place| place.stalls(true));
        let _later: Vec<_> = (READERS..unread.len()).map(|_| places.take(7).unwrap()).collect();
        assert_eq!(unread.iter().filter(|place| !is_wanted(place)).count(), READERS);
        assert!(!is_wanted(&asks[0]));
    }

    #[test]
    fn who_goes_on_reading_gives_way_after_those_that_have_stopped() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        held.iter().for_each(|place| place.stalls(true));
        held[0].stalls(false);
        held[0].stalls(true);
        let _new = places.take(7).unwrap();
        assert!(!is_wanted(&held[0]) && is_wanted(&held[1]));
    }

    #[test]
    fn while_all_are_answered_one_more_is_turned_away() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(7).unwrap()).collect();
        held.iter().for_each(|place| place.answers(true));
        assert_eq!(places.take(7).unwrap_err(), Refused);
        assert!(places.take(8).is_ok(), "another user has places of its own");
    }

    #[test]
    fn many_users_keep_root_from_nothing() {
        let mut places = Places::default();
        let held: Vec<_> = (1..=1000).map(|uid| places.take(uid).unwrap()).collect();
        let open = held.iter().filter(|place| !is_wanted(place)).count();
        assert_eq!(open, OF_OTHERS);
        assert!(places.take(0).is_ok());
    }

    #[test]
    fn followers_leave_places_for_questions() {
        let mut places = Places::default();
        let held: Vec<_> = (0..OF_A_USER).map(|_| places.take(0).unwrap()).collect();
        let mut followers: Vec<_> =
            held.iter().filter_map(|place| place.clone().follow()).collect();
        assert_eq!(followers.len(), 128);
        followers.pop();
        assert!(held[0].clone().follow().is_some());
    }
}
