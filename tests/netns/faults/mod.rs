//! Faults of the host, of what stands around the daemon and of the daemon itself, each so many
//! times: no tunnel is lost, none is dialled twice, and the daemon does its work once the fault is
//! over. `FAULT_ROUNDS` says how many times; without it a few.

mod processes;

/// How many times a fault happens: a few, or what `FAULT_ROUNDS` says.
fn rounds(few: u32) -> u32 {
    match std::env::var("FAULT_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("FAULT_ROUNDS is a number"),
        Err(_) => few,
    }
}
