use std::fs;
use std::path::Path;

use super::super::managers::samples::{program, unit, unnamed_program};
use super::*;

/// A `/proc` of files.
struct Table(tempfile::TempDir);

impl Table {
    fn new() -> Self {
        Table(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn proc(&self) -> Proc<'_> {
        Proc::at(self.folder())
    }

    fn file(self, pid: Pid, name: &str, content: &str) -> Self {
        let process = self.folder().join(pid.to_string());
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join(name), content).unwrap();
        self
    }

    fn process(self, pid: Pid, parent: Pid, command: &str) -> Self {
        let (program, _) = command.split_once('\0').unwrap();
        let name = program.rsplit('/').next().unwrap().to_owned() + "\n";
        self.file(pid, "status", &format!("Name:\tx\nPPid:\t{parent}\nUid:\t0\n"))
            .file(pid, "comm", &name)
            .file(pid, "cmdline", command)
    }

    fn service(&self, pid: Pid) -> Option<Service> {
        of(self.proc(), pid).unwrap().service
    }
}

const NAMES: &str = "TOKEN=x\0SUPERVISOR_GROUP_NAME=web\0SUPERVISOR_PROCESS_NAME=backend\0";

#[test]
fn a_child_of_supervisord_is_the_program_that_its_environment_names() {
    for supervisord in [
        "/usr/bin/supervisord\0-n\0",
        "/usr/bin/python3\0/usr/bin/supervisord\0-n\0",
        "/usr/bin/python3.11\0-u\0/opt/venv/bin/supervisord\0",
        "python3\0-m\0supervisor.supervisord\0",
    ] {
        let table = Table::new()
            .process(5, 1, supervisord)
            .process(9, 5, "app\0")
            .file(9, "environ", NAMES);
        assert_eq!(table.service(9), Some(program("web:backend")), "{supervisord:?}");
    }
}

#[test]
fn a_worker_is_of_the_program_of_those_that_started_it() {
    let table = Table::new()
        .process(5, 1, "supervisord\0")
        .process(9, 5, "app\0")
        .file(9, "environ", NAMES)
        .process(12, 9, "worker\0");
    assert_eq!(table.service(12), Some(program("web:backend")));
}

#[test]
fn the_cgroup_of_supervisord_does_not_make_its_programs_services_of_systemd() {
    let table = Table::new().process(5, 1, "supervisord\0").process(9, 5, "app\0").file(
        9,
        "cgroup",
        "0::/system.slice/supervisor.service\n",
    );
    assert_eq!(table.service(9), Some(unnamed_program()));
}

#[test]
fn a_program_whose_supervisord_is_gone_is_nobodys() {
    let table = Table::new().process(9, 1, "app\0").file(9, "environ", NAMES).file(
        9,
        "cgroup",
        "0::/system.slice/supervisor.service\n",
    );
    assert_eq!(table.service(9), None);
}

#[test]
fn a_program_that_only_speaks_of_supervisord_is_not_it() {
    let table = Table::new().process(5, 1, "vi\0/usr/bin/supervisord\0").process(9, 5, "app\0");
    assert_eq!(table.service(9), None);
}

#[test]
fn a_process_in_the_cgroup_of_a_service_is_of_that_service() {
    let table = Table::new().process(9, 1, "app\0").file(9, "cgroup", "0::/x.slice/a.service\n");
    assert_eq!(table.service(9), Some(unit("a.service")));
}

#[test]
fn what_was_started_from_our_own_service_is_nobodys() {
    let ours = "0::/system.slice/connexad.service\n";
    let table = Table::new().process(9, 1, "app\0").file(9, "cgroup", ours);
    fs::create_dir(table.folder().join("self")).unwrap();
    fs::write(table.folder().join("self/cgroup"), ours).unwrap();
    assert_eq!(table.service(9), None);
}

#[test]
fn a_circle_of_parents_has_an_end() {
    let table = Table::new().process(8, 9, "a\0").process(9, 8, "b\0");
    assert_eq!(table.service(9), None);
}

#[test]
fn a_command_line_is_shown_on_one_line_and_short() {
    let line = format!("python3\0a\nb\x1b[2J\0{}\0", "x".repeat(200));
    let table = Table::new().process(9, 1, &line);
    let owner = of(table.proc(), 9).unwrap();
    assert!(owner.command.starts_with(r"python3 a\nb\u{1b}[2J xxx"), "{}", owner.command);
    assert!(owner.command.ends_with('…') && owner.command.len() < 130, "{}", owner.command);
}

#[test]
fn nothing_of_an_environment_but_the_two_names_is_kept() {
    let table = Table::new()
        .process(5, 1, "supervisord\0")
        .process(9, 5, "app\0")
        .file(9, "environ", NAMES);
    assert!(!format!("{:?}", of(table.proc(), 9)).contains("TOKEN"));
}

#[test]
fn the_processes_that_hold_a_socket_are_found_by_its_number() {
    let table = Table::new();
    for (pid, link) in [(7, "socket:[41]"), (8, "socket:[41]"), (9, "pipe:[41]")] {
        let files = table.folder().join(format!("{pid}/fd"));
        fs::create_dir_all(&files).unwrap();
        std::os::unix::fs::symlink(link, files.join("3")).unwrap();
    }
    let holders = holders(table.proc(), &BTreeSet::from([41]));
    assert_eq!(holders, BTreeMap::from([(41, BTreeSet::from([7, 8]))]));
}

#[test]
fn a_program_that_is_in_no_group_goes_by_its_own_name() {
    let names = "SUPERVISOR_GROUP_NAME=backend\0SUPERVISOR_PROCESS_NAME=backend\0";
    let table = Table::new()
        .process(5, 1, "supervisord\0")
        .process(9, 5, "app\0")
        .file(9, "environ", names);
    assert_eq!(table.service(9), Some(program("backend")));
}

#[test]
fn what_is_restarted_with_a_program_of_supervisord_is_the_unit_that_supervisord_is_in() {
    let table = Table::new()
        .process(5, 1, "/usr/bin/supervisord\0-n\0")
        .process(9, 5, "app\0")
        .file(9, "environ", NAMES)
        .file(9, "cgroup", "0::/system.slice/supervisor.service\n");
    let owner = of(table.proc(), 9).unwrap();
    assert_eq!(owner.service, Some(program("web:backend")));
    assert_eq!(owner.within, Some(unit("supervisor.service")));
}
