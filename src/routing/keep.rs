//! Keeps the kernel's rules and routes as wanted, whoever changes them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::kernel::{self, RoutingError};
use super::listen::{Heard, Interest, Listener};
use super::plan::{self, Plan};
use super::{Problems, Wanted};

/// Changes come in crowds; they are looked at together.
const SETTLE: Duration = Duration::from_millis(100);
/// After a look that went wrong. A link that goes in the middle of it is such a case; what lasts is
/// looked at ever more rarely.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often in a row what guards nodes is put back at once. Who takes it away again and again is answered
/// every [`SETTLE`] only, until that long nothing was taken.
const AT_ONCE: u32 = 10;

/// Until the end.
pub(super) async fn run(mut wanted: watch::Receiver<Wanted>) {
    let known = wanted.wait_for(|wanted| wanted.known || wanted.ending).await;
    if !known.is_ok_and(|wanted| wanted.known) {
        return;
    }
    let mut listener = None;
    let mut problems = Problems::default();
    let mut pause = FIRST_PAUSE;
    let mut again = false;
    let mut at_once = AT_ONCE;
    loop {
        let (plan, is_on, is_last) = {
            let wanted = wanted.borrow_and_update();
            (plan::make(&wanted), wanted.table_base.is_some(), wanted.ending)
        };
        let outcome = look(&mut listener, &plan, is_on).await;
        let looked = Instant::now();
        let failures = outcome.unwrap_or_else(|error| vec![error]);
        let failed = !failures.is_empty();
        let failures = failures.iter().map(ToString::to_string);
        problems.tell(plan.refused.iter().cloned(), failures, again);
        if is_last {
            return;
        }
        if !failed && !is_on {
            // What an earlier daemon left is gone; tunnels that come and go change nothing now.
            let on = wanted.wait_for(|wanted| wanted.table_base.is_some() || wanted.ending).await;
            if on.is_err() {
                return;
            }
            again = false;
            continue;
        }
        let mut ear = Ear { listener: &mut listener, interest: Interest::of(&plan) };
        let heard = tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                Some((Heard::Other, looked + SETTLE))
            }
            heard = ear.hear() => Some((heard, Instant::now() + SETTLE)),
            () = sleep(pause), if failed => None,
        };
        if looked.elapsed() >= SETTLE {
            at_once = AT_ONCE;
        }
        if let Some((heard, at)) = heard {
            let was_taken = settled(&mut wanted, &plan, &mut ear, (heard, at_once > 0), at).await;
            at_once = at_once.saturating_sub(u32::from(was_taken));
        }
        again = heard.is_none();
        pause = if again { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
    }
}

/// Returns at this time, or as soon as more nodes are to be guarded than the plan has: nothing may leave
/// of a node that is wanted from now on. And, where it may, as soon as a guard was taken away: then true.
async fn settled(
    wanted: &mut watch::Receiver<Wanted>,
    plan: &Plan,
    ear: &mut Ear<'_>,
    (mut heard, may_hurry): (Heard, bool),
    at: Instant,
) -> bool {
    loop {
        let guards = {
            let wanted = wanted.borrow_and_update();
            if wanted.guards() && plan::make(&wanted).guards_more_than(plan) {
                return false;
            }
            wanted.guards()
        };
        match heard {
            Heard::Taken if guards && may_hurry => return true,
            Heard::Taken | Heard::Other => {}
        }
        tokio::select! {
            () = sleep_until(at) => return false,
            changed = wanted.changed() => if changed.is_err() { return false },
            now = ear.hear(), if guards && may_hurry => heard = now,
        }
    }
}

/// Listens before it looks: what changes later is heard.
async fn look(
    listener: &mut Option<Listener>,
    plan: &Plan,
    is_on: bool,
) -> Result<Vec<RoutingError>, RoutingError> {
    match listener {
        _ if !is_on => *listener = None,
        Some(open) => open.skip(),
        None => *listener = Some(Listener::open()?),
    }
    kernel::reconcile(plan).await
}

/// Hears of what matters to a plan.
struct Ear<'a> {
    listener: &'a mut Option<Listener>,
    interest: Interest,
}

impl Ear<'_> {
    /// Returns when somebody has changed what matters here.
    async fn hear(&mut self) -> Heard {
        let Some(open) = self.listener.as_mut() else { return std::future::pending().await };
        open.disturbed(&self.interest).await.unwrap_or_else(|_| {
            // The next look opens another.
            *self.listener = None;
            Heard::Other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Routing, WhenDown};
    use crate::netlink::testing::{in_namespace, ip};

    #[test]
    fn a_guard_that_is_taken_away_ends_the_wait_where_it_may_and_what_others_lose_does_not() {
        in_namespace(async || {
            let rules = |order: &str, protocol: &str, mark: u32| {
                format!("rule {order} fwmark {mark} unreachable priority 9 protocol {protocol}")
            };
            ip([rules("add", "201", 1), rules("add", "201", 2), rules("add", "77", 3)]);
            let mut listener = Some(Listener::open().unwrap());
            let mut ear = Ear { listener: &mut listener, interest: Interest::default() };
            ip([rules("add", "77", 4), rules("del", "77", 3), rules("del", "201", 1)]);
            assert_eq!(
                [ear.hear().await, ear.hear().await, ear.hear().await],
                [Heard::Other, Heard::Other, Heard::Taken]
            );
            let routing = Routing {
                table_base: Some(1000),
                when_down: WhenDown::Unreachable,
                ..Routing::default()
            };
            let wanted = Wanted::by(&routing);
            let plan = plan::make(&wanted);
            let (_sender, mut wanted) = watch::channel(wanted);
            let never = Instant::now() + Duration::from_secs(3600);
            ip([rules("del", "77", 4), rules("del", "201", 2)]);
            let other = (Heard::Other, true);
            assert!(settled(&mut wanted, &plan, &mut ear, other, never).await);
            let too_often = (Heard::Taken, false);
            assert!(!settled(&mut wanted, &plan, &mut ear, too_often, Instant::now()).await);
        });
    }
}
