//! Does one manager run the backend, and is it the one that is told to restart it?

use super::Finding;
use super::supervisord::{self, Supervised};
use super::systemd::{self, Service};
use crate::backend::target::{self, Target};
use crate::command::{CommandError, shown};
use crate::config::Backend;

const CHECK: &str = "two_managers";

/// The program that is looked for where `backend.restart` names none.
const PROGRAM: &str = "backend";

pub(super) async fn check(backend: &Backend) -> Finding {
    let target = target::of(&backend.restart);
    match tokio::join!(services(backend, &target), programs(&target)) {
        (Ok(services), Ok(programs)) => judge(&target, &services, &programs),
        (Err(error), _) | (_, Err(error)) => Finding::warning(
            CHECK,
            format!("can't tell who would run the backend: {error}"),
            "run that command by hand and see what it waits for",
        ),
    }
}

async fn services(backend: &Backend, target: &Target) -> Result<Vec<Service>, CommandError> {
    let mut names: Vec<String> =
        backend.units.iter().filter_map(|unit| target::service(unit)).collect();
    match target {
        Target::Systemd { units, .. } => names.extend(units.iter().cloned()),
        Target::Supervisord { .. } | Target::Unknown => {}
    }
    names.sort();
    names.dedup();
    let mut services = Vec::new();
    for name in names {
        services.push(systemd::service(&name).await?);
    }
    Ok(services)
}

async fn programs(target: &Target) -> Result<Vec<Supervised>, CommandError> {
    match target {
        Target::Supervisord { client, programs } => supervisord::programs(client, programs).await,
        Target::Systemd { .. } | Target::Unknown => {
            supervisord::programs(&["supervisorctl".to_owned()], &[PROGRAM.to_owned()]).await
        }
    }
}

fn judge(target: &Target, services: &[Service], programs: &[Supervised]) -> Finding {
    let services: Vec<&Service> = services.iter().filter(|service| service.is_wanted()).collect();
    let programs: Vec<&Supervised> = programs.iter().filter(|p| p.is_wanted()).collect();
    match (services.first(), programs.first()) {
        (Some(_), Some(_)) => both(target, &services, &programs),
        (Some(service), None) => by_systemd(target, service),
        (None, Some(program)) => by_supervisord(target, program),
        (None, None) => by_none(target),
    }
}

fn both(target: &Target, services: &[&Service], programs: &[&Supervised]) -> Finding {
    let all: Vec<String> = services
        .iter()
        .map(|service| in_systemd(service))
        .chain(programs.iter().map(|program| in_supervisord(program)))
        .collect();
    let message = format!("systemd and supervisord both run the backend: {}", all.join(" and "));
    let remedy = match target {
        Target::Systemd { .. } => {
            let names: Vec<&str> = programs.iter().map(|p| p.name.as_str()).collect();
            format!(
                "keep systemd: supervisorctl stop {}, and autostart=false in its section",
                names.join(" ")
            )
        }
        Target::Supervisord { .. } | Target::Unknown => {
            let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
            format!("keep supervisord: systemctl disable --now {}", names.join(" "))
        }
    };
    Finding::failed(CHECK, message, remedy)
}

fn in_systemd(service: &Service) -> String {
    format!("{} ({}, {})", service.name, service.enabled, service.active)
}

fn in_supervisord(program: &Supervised) -> String {
    let state = program.state.as_deref().unwrap_or("not started");
    let autostart = if program.autostart { ", autostart" } else { "" };
    format!("program {} ({state}{autostart})", program.name)
}

fn by_systemd(target: &Target, service: &Service) -> Finding {
    match target {
        Target::Supervisord { .. } => Finding::failed(
            CHECK,
            format!(
                "only systemd runs the backend, as {}, but backend.restart speaks to {target}",
                in_systemd(service)
            ),
            format!("set backend.restart = [\"systemctl\", \"restart\", \"{}\"]", service.name),
        ),
        Target::Systemd { .. } | Target::Unknown => {
            Finding::ok(CHECK, format!("only systemd runs the backend: {}", in_systemd(service)))
        }
    }
}

fn by_supervisord(target: &Target, program: &Supervised) -> Finding {
    let seen = in_supervisord(program);
    match target {
        Target::Systemd { .. } => Finding::failed(
            CHECK,
            format!(
                "only supervisord runs the backend, as {seen}, but backend.restart speaks to \
                 {target}"
            ),
            format!("set backend.restart = [\"supervisorctl\", \"restart\", \"{}\"]", program.name),
        ),
        Target::Supervisord { .. } | Target::Unknown => {
            Finding::ok(CHECK, format!("only supervisord runs the backend: {seen}"))
        }
    }
}

fn by_none(target: &Target) -> Finding {
    match target {
        Target::Unknown => {
            Finding::ok(CHECK, "neither systemd nor supervisord is known to run the backend")
        }
        Target::Systemd { client, units } => {
            let enable = [&[client.clone(), "enable".into(), "--now".into()], units.as_slice()];
            Finding::warning(CHECK, nothing_runs(target), shown(&enable.concat()))
        }
        Target::Supervisord { client, programs } => {
            let start = [client.as_slice(), &["start".to_owned()], programs].concat();
            let remedy = format!("{}, and autostart=true in its section", shown(&start));
            Finding::warning(CHECK, nothing_runs(target), remedy)
        }
    }
}

fn nothing_runs(target: &Target) -> String {
    format!("{target}, which backend.restart speaks to, neither runs nor will at the next boot")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const SUPERVISORD: &str = "supervisorctl restart backend";
    const SYSTEMD: &str = "systemctl restart a";

    fn service(enabled: &str, active: &str) -> Service {
        Service { name: "a.service".into(), enabled: enabled.into(), active: active.into() }
    }

    fn program(state: Option<&str>, autostart: bool) -> Supervised {
        Supervised { name: "backend".into(), state: state.map(str::to_owned), autostart }
    }

    fn finding(restart: &str, service: Service, program: Supervised) -> Finding {
        let argv: Vec<String> = restart.split(' ').map(str::to_owned).collect();
        judge(&target::of(&argv), &[service], &[program])
    }

    #[test]
    fn whoever_runs_or_will_counts() {
        for (service, program) in [
            (service("enabled", "active"), program(Some("RUNNING"), true)),
            (service("enabled", "failed"), program(Some("FATAL"), true)),
            (service("disabled", "active"), program(Some("BACKOFF"), false)),
            (service("static", "activating"), program(None, true)),
        ] {
            let finding = finding(SUPERVISORD, service.clone(), program.clone());
            assert_eq!(finding.verdict, Verdict::Failed, "{service:?} {program:?}");
        }
    }

    #[test]
    fn of_two_managers_the_one_that_is_told_to_restart_is_kept() {
        let remedy = |restart| {
            let both = (service("enabled", "active"), program(Some("RUNNING"), true));
            finding(restart, both.0, both.1).remedy.unwrap()
        };
        assert_eq!(remedy(SUPERVISORD), "keep supervisord: systemctl disable --now a.service");
        assert_eq!(
            remedy(SYSTEMD),
            "keep systemd: supervisorctl stop backend, and autostart=false in its section"
        );
    }

    #[test]
    fn one_manager_that_is_told_to_restart_is_well() {
        let only_supervisord =
            finding(SUPERVISORD, service("disabled", "inactive"), program(Some("RUNNING"), true));
        let only_systemd =
            finding(SYSTEMD, service("enabled", "active"), program(Some("STOPPED"), false));
        assert_eq!([only_supervisord.verdict, only_systemd.verdict], [Verdict::Ok; 2]);
    }

    #[test]
    fn one_manager_while_the_other_is_told_to_restart_is_not() {
        let only_systemd =
            finding(SUPERVISORD, service("enabled", "active"), program(Some("STOPPED"), false));
        let only_supervisord =
            finding(SYSTEMD, service("masked", "inactive"), program(Some("RUNNING"), true));
        assert_eq!([only_supervisord.verdict, only_systemd.verdict], [Verdict::Failed; 2]);
    }

    #[test]
    fn no_manager_at_all_is_worth_a_look() {
        let finding = finding(SUPERVISORD, service("", ""), program(None, false));
        assert_eq!(finding.verdict, Verdict::Warning);
        let remedy = "supervisorctl start backend, and autostart=true in its section";
        assert_eq!(finding.remedy.as_deref(), Some(remedy));
    }
}
