//! The moment between the commit of a row and what guards its node, with `routing.when_down = "unreachable"`:
//! how long it is, and that a rule of the operator's own leaves none.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::{Running, run};
use crate::ways::host;

/// Commits a row, sends what is marked for its node until that can't be sent, and tells how many
/// milliseconds and packets that took.
const COMMIT_AND_SEND: &str = "
import socket, sqlite3, sys, time
path, statement, mark, rest = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 36, int(mark))  # SO_MARK
s.bind(('0.0.0.0', 0))
s.setblocking(False)
database = sqlite3.connect(path, timeout=60)
database.execute(statement)
time.sleep(float(rest))
database.commit()
committed, sent = time.monotonic(), 0
while time.monotonic() < committed + 60:
    try:
        s.sendto(b'secret', ('198.51.100.99', 9))
        sent += 1
    except BlockingIOError:
        pass
    except OSError:
        break
else:
    sys.exit('it is never guarded')
print((time.monotonic() - committed) * 1000, sent)
";

const ROUNDS: usize = 20;
/// Seconds after which nothing of an earlier change is under way any more.
const REST: &str = "0.5";
const INTO: &str = "INSERT INTO nodes (id, ip, login, password, status) VALUES ";
/// A server that is never heard is dialled for one node at a time, and the others wait.
const SILENT: &str = "10.9.0.250";

fn rows(ids: std::ops::RangeInclusive<u32>) -> String {
    let row = |id: u32| format!("({id}, '{SILENT}', 'admin', 'secret', 'speed_ok')");
    format!("{INTO}{}", ids.map(row).collect::<Vec<_>>().join(","))
}

fn guarded(gateway: &Gateway) -> usize {
    gateway.namespace.ip(&["-6", "rule"]).matches("unreachable proto 201").count()
}

fn wait_guarded(gateway: &Gateway, count: usize) {
    gateway.wait_for("all to be guarded", || (guarded(gateway) == count).then_some(()));
}

/// Commits rows of which the last is this one, so many seconds after the last change and as often as
/// said: the milliseconds, in order, and how many packets have left at most.
fn measure(
    gateway: &Gateway,
    statement: &str,
    last: u32,
    (rest, rounds): (&str, usize),
) -> (Vec<f64>, u64) {
    let before = guarded(gateway);
    let (mut took, mut most) = (Vec::new(), 0);
    for _ in 0..rounds {
        let mut python = gateway.namespace.command("/usr/bin/python3");
        python.args(["-IS", "-c", COMMIT_AND_SEND]).arg(gateway.path("connexa.db"));
        let said = run(python.args([statement, &(1000 + last).to_string(), rest]));
        let (milliseconds, sent) = said.trim().split_once(' ').unwrap();
        took.push(milliseconds.parse().unwrap());
        most = most.max(sent.parse().unwrap());
        gateway.sql(&format!("DELETE FROM nodes WHERE id > {before}"));
        wait_guarded(gateway, before);
    }
    took.sort_by(f64::total_cmp);
    (took, most)
}

#[test]
#[ignore = "it measures; docs/security.md has what it says"]
#[allow(clippy::print_stdout, reason = "it is run for what it prints")]
fn how_long_a_row_that_is_committed_is_not_guarded() {
    let mut gateway =
        host("routing = { table_base = 1000, when_down = \"unreachable\" }\nlog.level = \"error\"");
    // So that what leaves is not held up.
    let uplink = ["neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "wan"];
    gateway.namespace.ip(&uplink);
    gateway.server(SILENT, &json!({ "answer": "silent" }));
    gateway.start().wait_until("the rows read", |status| status.database.was_read);
    let print = |what: &str, (took, most): (Vec<f64>, u64)| {
        let [best, median, worst] = [0, took.len() / 2, took.len() - 1].map(|at| took[at]);
        println!("{what}: {best:.1}, {median:.1}, {worst:.1} ms; at most {most} packets");
    };
    print("one row alone", measure(&gateway, &rows(1..=1), 1, (REST, ROUNDS)));
    print("the same while others change", measure(&gateway, &rows(1..=1), 1, ("0", ROUNDS)));
    print(
        "the last of 1,000 rows in one commit",
        measure(&gateway, &rows(1..=1000), 1000, (REST, 5)),
    );
    gateway.sql(&rows(1..=1000));
    wait_guarded(&gateway, 1000);
    print("one row beside 1,000", measure(&gateway, &rows(1001..=1001), 1001, (REST, ROUNDS)));
}

/// As [docs/operations.md] has it: one rule for the marks of all nodes there may ever be.
#[test]
fn by_a_rule_of_the_operator_for_all_marks_nothing_leaves_before_its_row_is_there_either() {
    let mut gateway = host("routing.table_base = 65536");
    let of_all =
        ["rule", "add", "fwmark", "0x10000/0xffff0000", "unreachable", "priority", "11000"];
    gateway.namespace.ip(&of_all);
    let watch = "table inet watch {
        counter leaked { }
        chain out {
            type filter hook postrouting priority -300;
            meta mark 65537 oifname \"wan\" counter name leaked
        }
    }";
    std::fs::write(gateway.path("watch.nft"), watch).unwrap();
    run(gateway.namespace.command("nft").arg("-f").arg(gateway.path("watch.nft")));
    let sends = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 36, 65537)  # SO_MARK
s.bind(('0.0.0.0', 0))
while True:
    try:
        s.sendto(b'secret', ('198.51.100.99', 9))
    except OSError:
        pass
";
    let mut python: Command = gateway.namespace.command("/usr/bin/python3");
    let _sender = Running(python.args(["-IS", "-c", sends]).stdin(Stdio::null()).spawn().unwrap());
    gateway.start().wait_until("the rows read", |status| status.database.was_read);
    gateway.nodes(1);
    let link = gateway.wait_state(1, "up").interface.unwrap();
    let sent = || {
        let path = format!("/sys/class/net/{link}/statistics/tx_packets");
        run(gateway.namespace.command("cat").arg(path)).trim().parse::<u64>().unwrap()
    };
    gateway.wait_for("packets in the tunnel", || (sent() > 0).then_some(()));
    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    let mut nft = gateway.namespace.command("nft");
    let counter = run(nft.args(["list", "counter", "inet", "watch", "leaked"]));
    assert!(counter.contains("packets 0 "), "{counter}");
}
