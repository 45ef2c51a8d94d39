//! Has the kernel what the engines need, as modules or built in?

use std::fs;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::database::Read;
use super::{ANSWER_WITHIN, Finding};
use crate::config::Config;
use crate::node::{Engine, Mppe};

const CHECK: &str = "kernel_modules";

/// What a tunnel by pppd and pptp needs; MPPE only where it is wanted.
const BY_PPPD: [&str; 2] = ["ppp_generic", "ppp_async"];
const MPPE: &str = "ppp_mppe";
/// What a tunnel needs whose data the kernel carries by itself (Linux, drivers/net/ppp/pptp.c).
const BY_KERNEL: [&str; 3] = ["ppp_generic", "pptp", "gre"];

/// Makes no finding where the kernel's lists are not there, as in a container: then whether
/// `/dev/ppp` opens has to tell.
pub(super) async fn check(config: &Config, rows: &Read) -> Option<Finding> {
    let (mppe, used) = (config.tunnel.mppe, Used::of(config, rows));
    let look = spawn_blocking(move || {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim().to_owned();
        let modules = Modules::read(&Path::new("/lib/modules").join(&release))?;
        Some(judge(&modules, &release, mppe, used))
    });
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).flatten()
}

/// The engines that dial: that of the configuration, and those that rows name.
#[derive(Clone, Copy)]
struct Used {
    pppd: bool,
    kernel: bool,
}

impl Used {
    fn of(config: &Config, rows: &Read) -> Self {
        let of_rows = rows.nodes().into_iter().flatten().filter_map(|node| node.engine);
        let engines: Vec<Engine> = of_rows.chain([config.tunnel.engine]).collect();
        let is_used = |engine| engines.contains(&engine);
        Used { pppd: is_used(Engine::Pppd), kernel: is_used(Engine::Kernel) }
    }
}

/// The modules of a kernel, loaded or not, and those that are built into it.
#[derive(Debug)]
pub(super) struct Modules(String);

impl Modules {
    /// By the folder of the kernel's modules (depmod(8)); none where it has no lists.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let lists = ["modules.dep", "modules.builtin"].map(|list| folder.join(list));
        let lists = lists.iter().filter_map(|list| fs::read_to_string(list).ok());
        let all = lists.collect::<String>();
        (!all.is_empty()).then_some(Modules(all))
    }

    /// Whether it is there. Names differ in `-` and `_` alone between a module and its file.
    pub(super) fn have(&self, name: &str) -> bool {
        self.0.lines().any(|line| {
            let path = line.split(':').next().unwrap_or_default();
            let file = path.rsplit('/').next().unwrap_or_default();
            let module = file.split('.').next().unwrap_or_default();
            module.replace('-', "_") == name
        })
    }

    fn lacking<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| !self.have(name)).collect()
    }
}

fn judge(modules: &Modules, release: &str, mppe: Mppe, used: Used) -> Finding {
    let other =
        "install a kernel that has (Debian: linux-image-amd64, not its cloud variant) and boot it";
    let lacking = lacking(modules, used);
    if !lacking.is_empty() {
        let message = format!("the kernel {release} has {}", lacking.join("; and "));
        return Finding::failed(CHECK, message, other);
    }
    if !modules.have(MPPE) {
        let message = format!("the kernel {release} has no {MPPE}: no tunnel can be encrypted");
        return match mppe {
            Mppe::Require => Finding::failed(CHECK, message, other),
            Mppe::Off => {
                Finding::warning(CHECK, message, format!("let no row ask for MPPE, or {other}"))
            }
        };
    }
    let whose = match used {
        Used { kernel: false, .. } => "pppd needs",
        Used { pppd: false, kernel: true } => "the engine \"kernel\" needs",
        Used { pppd: true, kernel: true } => "both engines need",
    };
    let lacking = modules.lacking(&BY_KERNEL);
    let rest = if lacking.is_empty() {
        String::new()
    } else {
        format!("; it has no {}, which a tunnel by pppd does not need", listed(&lacking))
    };
    Finding::ok(CHECK, format!("the kernel {release} has what {whose}, and MPPE{rest}"))
}

/// What the engines that are used lack, each with what follows from it.
fn lacking(modules: &Modules, used: Used) -> Vec<String> {
    let of = |is_used: bool, names: &[&'static str], follows: &str| {
        let lacking = if is_used { modules.lacking(names) } else { Vec::new() };
        (!lacking.is_empty()).then(|| format!("no {}: {follows}", listed(&lacking)))
    };
    let all = "no tunnel can come up";
    let by_pppd = if used.kernel { "no tunnel by pppd can come up" } else { all };
    let by_kernel = if used.pppd { "no tunnel of the engine \"kernel\" can come up" } else { all };
    let lacking = [of(used.pppd, &BY_PPPD, by_pppd), of(used.kernel, &BY_KERNEL, by_kernel)];
    lacking.into_iter().flatten().collect()
}

fn listed(names: &[&str]) -> String {
    names.join(" and no ")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn modules(names: &[&str]) -> Modules {
        let folder = tempfile::tempdir().unwrap();
        let (built_in, rest) = names.split_at(1);
        let path = |name: &&str| format!("kernel/drivers/net/ppp/{name}.ko");
        let built_in: Vec<String> = built_in.iter().map(path).collect();
        let rest: Vec<String> = rest.iter().map(|name| path(name) + ".xz: a.ko\n").collect();
        fs::write(folder.path().join("modules.builtin"), built_in.join("\n") + "\n").unwrap();
        fs::write(folder.path().join("modules.dep"), rest.concat()).unwrap();
        Modules::read(folder.path()).unwrap()
    }

    const PPPD: Used = Used { pppd: true, kernel: false };
    const KERNEL: Used = Used { pppd: false, kernel: true };
    const BOTH: Used = Used { pppd: true, kernel: true };

    fn finding(names: &[&str], mppe: Mppe) -> Finding {
        judge(&modules(names), "6.1.0", mppe, PPPD)
    }

    #[test]
    fn each_engine_that_dials_needs_its_own_modules() {
        let of = |used, names: &[&str]| judge(&modules(names), "6.1.0", Mppe::Require, used);
        let kernels_own = ["ppp_generic", "pptp", "gre", "ppp_mppe"];
        assert_eq!(of(KERNEL, &kernels_own).verdict, Verdict::Ok);
        let pppds = ["ppp_generic", "ppp_async", "ppp_mppe"];
        let finding = of(KERNEL, &pppds);
        assert_eq!(finding.verdict, Verdict::Failed);
        assert!(
            finding.message.ends_with("no pptp and no gre: no tunnel can come up"),
            "{finding:?}"
        );
        let finding = of(BOTH, &kernels_own);
        assert_eq!(finding.verdict, Verdict::Failed);
        assert!(
            finding.message.ends_with("no ppp_async: no tunnel by pppd can come up"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_kernel_with_modules_loaded_or_built_in_is_well() {
        let finding =
            finding(&["ppp_generic", "ppp_async", "ppp_mppe", "pptp", "gre"], Mppe::Require);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert_eq!(finding.message, "the kernel 6.1.0 has what pppd needs, and MPPE");
    }

    #[test]
    fn a_kernel_without_ppp_fails_with_what_it_lacks() {
        let finding = finding(&["veth", "ppp_generic"], Mppe::Off);
        assert_eq!(finding.verdict, Verdict::Failed);
        assert!(finding.message.contains("has no ppp_async:"), "{}", finding.message);
    }

    #[test]
    fn a_kernel_without_mppe_fails_where_encryption_is_required() {
        let of = |mppe| finding(&["ppp_generic", "ppp-async"], mppe).verdict;
        assert_eq!([of(Mppe::Require), of(Mppe::Off)], [Verdict::Failed, Verdict::Warning]);
    }

    #[test]
    fn what_only_the_kernels_own_pptp_needs_is_told_and_is_no_failure() {
        let finding = finding(&["ppp_generic", "ppp_async", "ppp_mppe"], Mppe::Require);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.message.contains("no pptp and no gre"), "{}", finding.message);
    }

    #[test]
    fn without_lists_nothing_is_known() {
        assert!(Modules::read(Path::new("/nowhere")).is_none());
    }
}
