//! Does one manager run the backend, and is it the one that is told to restart it?

use futures::future::try_join_all;

use super::{ANSWER_WITHIN, Finding};
use crate::backend::managers::{self, MANAGERS, Manager, Plan, Question};
use crate::backend::target::{self, Target};
use crate::command::CommandError;
use crate::config::Backend;

const CHECK: &str = "two_managers";

/// A service that would be the backend, and its manager.
#[derive(Clone, Debug)]
struct Wanted {
    manager: &'static Manager,
    plan: Plan,
}

impl Wanted {
    fn shown(&self) -> String {
        format!("{} ({})", self.manager.call(&self.plan.name), self.plan.words)
    }
}

pub(super) async fn check(backend: &Backend) -> Finding {
    let target = target::of(&backend.restart);
    let target = target.as_ref();
    match try_join_all(MANAGERS.iter().map(|manager| wanted(manager, backend, target))).await {
        Ok(wanted) => judge(target, &wanted.concat()),
        Err(error) => Finding::warning(
            CHECK,
            format!("can't tell who would run the backend: {error}"),
            "run that command by hand and see what it waits for",
        ),
    }
}

/// The services of one manager that would be the backend.
async fn wanted(
    manager: &'static Manager,
    backend: &Backend,
    target: Option<&Target>,
) -> Result<Vec<Wanted>, CommandError> {
    let named = target.filter(|target| target.manager == manager).map(|target| &target.named);
    let named = &manager.looked_for(backend, named);
    let plans = manager.ask(Question { named, limit: ANSWER_WITHIN }).await?;
    let wanted = plans.into_iter().filter(|plan| plan.is_wanted);
    Ok(wanted.map(|plan| Wanted { manager, plan }).collect())
}

fn judge(target: Option<&Target>, wanted: &[Wanted]) -> Finding {
    let Some(first) = wanted.first() else { return by_none(target) };
    if wanted.iter().all(|service| service.manager == first.manager) {
        return by_one(target, first);
    }
    let told = target.map(|target| target.manager);
    let told = told.filter(|told| wanted.iter().any(|service| service.manager == *told));
    by_several(told.unwrap_or(first.manager), wanted)
}

/// Of several managers, the one that is told to restart is kept.
fn by_several(kept: &'static Manager, wanted: &[Wanted]) -> Finding {
    let mut names = Vec::new();
    let mut remedies = Vec::new();
    for manager in MANAGERS {
        let theirs = wanted.iter().filter(|service| service.manager == *manager);
        let theirs: Vec<&str> = theirs.map(|service| service.plan.name.as_str()).collect();
        if !theirs.is_empty() {
            names.push(manager.name);
            if *manager != kept {
                remedies.push(manager.stop(&theirs));
            }
        }
    }
    let all: Vec<String> = wanted.iter().map(Wanted::shown).collect();
    Finding::failed(
        CHECK,
        format!("{} both run the backend: {}", names.join(" and "), all.join(" and ")),
        format!("keep {kept}: {}", remedies.join("; ")),
    )
}

fn by_one(target: Option<&Target>, service: &Wanted) -> Finding {
    let Wanted { manager, plan } = service;
    match target {
        Some(target) if target.manager != *manager => {
            let restart = [manager.restart, &[plan.name.as_str()]].concat();
            Finding::failed(
                CHECK,
                format!(
                    "only {manager} runs the backend, as {}, but backend.restart restarts {target}",
                    service.shown()
                ),
                format!("set backend.restart = {restart:?}"),
            )
        }
        Some(_) | None => {
            Finding::ok(CHECK, format!("only {manager} runs the backend: {}", service.shown()))
        }
    }
}

fn by_none(target: Option<&Target>) -> Finding {
    match target {
        None => {
            let all = managers::listed(" nor ");
            Finding::ok(CHECK, format!("neither {all} is known to run the backend"))
        }
        Some(target) => Finding::warning(
            CHECK,
            format!(
                "the backend does not run, and will not at the next boot: {target}, which backend.restart restarts"
            ),
            target.manager.start(&target.named),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const SUPERVISORD: &str = "supervisorctl restart backend";
    const SYSTEMD: &str = "systemctl restart a";

    fn wanted(name: &str, words: &str) -> Wanted {
        let manager = if name.ends_with(".service") { "systemd" } else { "supervisord" };
        let manager = MANAGERS.iter().find(|known| known.name == manager).unwrap();
        Wanted { manager, plan: Plan { name: name.into(), words: words.into(), is_wanted: true } }
    }

    fn service() -> Wanted {
        wanted("a.service", "enabled, active")
    }

    fn program() -> Wanted {
        wanted("backend", "RUNNING, autostart")
    }

    fn finding(restart: &str, wanted: &[Wanted]) -> Finding {
        let argv: Vec<String> = restart.split(' ').map(str::to_owned).collect();
        judge(target::of(&argv).as_ref(), wanted)
    }

    #[test]
    fn two_managers_are_told_with_what_each_runs() {
        assert_eq!(
            finding(SUPERVISORD, &[program(), service()]).message,
            "supervisord and systemd both run the backend: program backend (RUNNING, autostart) \
             and a.service (enabled, active)"
        );
    }

    #[test]
    fn of_two_managers_the_one_that_is_told_to_restart_is_kept() {
        let remedy = |restart| finding(restart, &[program(), service()]).remedy.unwrap();
        assert_eq!(remedy(SUPERVISORD), "keep supervisord: systemctl disable --now a.service");
        assert_eq!(
            remedy(SYSTEMD),
            "keep systemd: supervisorctl stop backend, and autostart=false in its section"
        );
    }

    #[test]
    fn one_manager_that_is_told_to_restart_is_well() {
        let verdicts = [(SUPERVISORD, program()), (SYSTEMD, service()), ("/opt/x", service())]
            .map(|(restart, wanted)| finding(restart, &[wanted]).verdict);
        assert_eq!(verdicts, [Verdict::Ok; 3]);
    }

    #[test]
    fn one_manager_while_the_other_is_told_to_restart_is_not() {
        let remedies = [(SUPERVISORD, service()), (SYSTEMD, program())]
            .map(|(restart, wanted)| finding(restart, &[wanted]).remedy.unwrap());
        assert_eq!(
            remedies,
            [
                r#"set backend.restart = ["systemctl", "restart", "a.service"]"#,
                r#"set backend.restart = ["supervisorctl", "restart", "backend"]"#
            ]
        );
    }

    #[test]
    fn no_manager_at_all_is_worth_a_look() {
        let finding = finding(SUPERVISORD, &[]);
        assert_eq!(finding.verdict, Verdict::Warning);
        let remedy = "supervisorctl start backend, and autostart=true in its section";
        assert_eq!(finding.remedy.as_deref(), Some(remedy));
    }
}
