//! The moment between the commit of a row and what guards its node, with `routing.when_down = "unreachable"`:
//! how long it is, and that a rule of the operator's own leaves none.

use serde_json::json;

use crate::gateway::Gateway;
use crate::marked;
use crate::namespace::run;
use crate::ways::host;

/// A socket for what is marked, and sending by it until that can't be sent: tells how many milliseconds and
/// packets that took.
const SEND: &str = "
import socket, sqlite3, subprocess, sys, time
def opened(mark):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 36, int(mark))  # SO_MARK
    s.bind(('0.0.0.0', 0))
    s.setblocking(False)
    return s
def until_guarded(s):
    begun, sent = time.monotonic(), 0
    while time.monotonic() < begun + 60:
        try:
            s.sendto(b'secret', ('198.51.100.99', 9))
            sent += 1
        except BlockingIOError:
            pass
        except OSError:
            break
    else:
        sys.exit('it is never guarded')
    print((time.monotonic() - begun) * 1000, sent)
";

/// Commits a row, and sends what is marked for its node.
const COMMIT: &str = "
path, statement, mark, rest = sys.argv[1:]
s = opened(mark)
database = sqlite3.connect(path, timeout=60)
database.execute(statement)
time.sleep(float(rest))
database.commit()
until_guarded(s)
";

/// Deletes the rule that guards a node, and sends what is marked for it.
const DELETE: &str = "
mark, rest = sys.argv[1:]
s = opened(mark)
time.sleep(float(rest))
subprocess.run(['ip', 'rule', 'del', 'fwmark', mark, 'protocol', '201'], check=True)
until_guarded(s)
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
    let once = |_| {
        let path = gateway.path("connexa.db");
        let mark = (1000 + last).to_string();
        let told = sent(gateway, COMMIT, &[path.to_str().unwrap(), statement, &mark, rest]);
        gateway.sql(&format!("DELETE FROM nodes WHERE id > {before}"));
        wait_guarded(gateway, before);
        told
    };
    in_order((0..rounds).map(once).collect())
}

/// The same when another program deletes the rule of a node that is guarded.
fn measure_deletion(gateway: &Gateway, node: u32) -> (Vec<f64>, u64) {
    let mark = (1000 + node).to_string();
    in_order((0..ROUNDS).map(|_| sent(gateway, DELETE, &[&mark, REST])).collect())
}

/// How many milliseconds packets were sent after this, and how many.
fn sent(gateway: &Gateway, after: &str, arguments: &[&str]) -> (f64, u64) {
    let mut python = gateway.namespace.command("/usr/bin/python3");
    python.args(["-IS", "-c", &format!("{SEND}{after}")]).args(arguments);
    let said = run(&mut python);
    let (milliseconds, packets) = said.trim().split_once(' ').unwrap();
    (milliseconds.parse().unwrap(), packets.parse().unwrap())
}

/// The milliseconds in order, and the most packets.
fn in_order(rounds: Vec<(f64, u64)>) -> (Vec<f64>, u64) {
    let (mut took, packets): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    took.sort_by(f64::total_cmp);
    (took, packets.into_iter().max().unwrap())
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
    print("a rule of one of 1,000 deleted", measure_deletion(&gateway, 500));
}

/// As [docs/operations.md] has it: one rule for the marks of all nodes there may ever be.
#[test]
fn by_a_rule_of_the_operator_for_all_marks_nothing_leaves_before_its_row_is_there_either() {
    let mut gateway = host("routing.table_base = 65536");
    let of_all =
        ["rule", "add", "fwmark", "0x10000/0xffff0000", "unreachable", "priority", "11000"];
    gateway.namespace.ip(&of_all);
    let mark = 65537;
    marked::watch(&gateway, mark);
    let _sender = marked::send(&gateway, mark);
    gateway.start().wait_until("the rows read", |status| status.database.was_read);
    gateway.nodes(1);
    gateway.wait_state(1, "up");
    marked::wait_carried(&gateway);
    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    assert_eq!(marked::counted(&gateway, "leaked"), 0);
}
