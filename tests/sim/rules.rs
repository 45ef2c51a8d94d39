//! What must be so, from what the documents promise and from the table of states in
//! `docs/architecture.md`. Each rule has a name, which stands first in what it says of a breach,
//! and in the first line of a mutation of the core that it must catch.

mod backend;
mod dials;
mod failures;
mod falls;
mod kernel;
mod signals;
mod states;

use crate::ledger::Ledger;
use crate::wire::{Did, View};
use crate::world::World;

pub type Verdict = Result<(), String>;

/// The breach of a rule.
fn broken<T>(rule: &str, what: String) -> Result<T, String> {
    Err(format!("{rule}: {what}"))
}

/// The daemon does these one after the other about what it was told last, and shows that.
pub fn check(ledger: &mut Ledger, did: &[Did], after: &View, world: &World) -> Verdict {
    for one in did {
        dials::check(ledger, one)?;
        signals::check(ledger, one)?;
        falls::check(ledger, one)?;
        failures::check(ledger, one)?;
        backend::check(ledger, one, after)?;
        ledger.order(one);
    }
    ledger.shown(after);
    states::check(ledger, after)?;
    kernel::check(ledger, after, world)?;
    dials::check_all(ledger, did, after)?;
    signals::check_all(ledger, after)?;
    falls::check_all(ledger, did, after)?;
    failures::check_all(ledger, did, after)?;
    backend::check_all(ledger, did, after)
}
