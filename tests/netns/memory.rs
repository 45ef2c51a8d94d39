//! What is in the daemon's memory: no line of `chap-secrets` of a node whose row is gone. What SQLite has
//! read and made of it is another matter: nobody wipes it.

use std::fs;
use std::os::unix::fs::FileExt;

use serde_json::json;

use crate::gateway::Gateway;

/// All that a process may have written, in one text; what can't be read is left out.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mem = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        if mem.read_exact_at(&mut bytes, begin).is_ok() {
            all.extend(bytes);
        }
    }
    all
}

#[test]
fn a_line_of_secrets_is_no_more_in_the_daemon_s_memory_when_its_row_is_gone() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let password = "Vp8-Kq3_Zt7+Rm2";
    let line = format!("\"{password}\" *\n");
    gateway.server("10.9.0.2", &json!({ "password": password }));
    gateway.node(2, "10.9.0.2", password);
    gateway.start().wait_state(2, "up");
    let pid = gateway.status().unwrap().daemon.pid;
    let has = |text: &str| memory(pid).windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(password) && gateway.read("ppp/chap-secrets").contains(&line));
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    gateway.wait_until("its end", |status| status.nodes.iter().all(|node| node.id != 2));
    gateway.wait_for("its line to go", || {
        (!gateway.read("ppp/chap-secrets").contains(&line)).then_some(())
    });
    gateway.wait_for("no trace of it", || (!has(&line)).then_some(()));
}
