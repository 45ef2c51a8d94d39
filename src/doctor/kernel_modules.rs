//! Has the kernel what the engines need, as modules or built in?

use std::fs;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config::Config;
use crate::node::Mppe;

const CHECK: &str = "kernel_modules";

/// What a tunnel by pppd and pptp needs; MPPE only where it is wanted.
const BY_PPPD: [&str; 2] = ["ppp_generic", "ppp_async"];
const MPPE: &str = "ppp_mppe";
/// What a tunnel needs whose data the kernel carries by itself (Linux, drivers/net/ppp/pptp.c).
const BY_KERNEL: [&str; 3] = ["ppp_generic", "pptp", "gre"];

/// Makes no finding where the kernel's lists are not there, as in a container: then whether
/// `/dev/ppp` opens has to tell.
pub(super) async fn check(config: &Config) -> Option<Finding> {
    let mppe = config.tunnel.mppe;
    let look = spawn_blocking(move || {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim().to_owned();
        let modules = Modules::read(&Path::new("/lib/modules").join(&release))?;
        Some(judge(&modules, &release, mppe))
    });
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).flatten()
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

fn judge(modules: &Modules, release: &str, mppe: Mppe) -> Finding {
    let lacking = modules.lacking(&BY_PPPD);
    let other =
        "install a kernel that has (Debian: linux-image-amd64, not its cloud variant) and boot it";
    if !lacking.is_empty() {
        let message =
            format!("the kernel {release} has no {}: no tunnel can come up", listed(&lacking));
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
    let lacking = modules.lacking(&BY_KERNEL);
    let rest = if lacking.is_empty() {
        String::new()
    } else {
        format!("; it has no {}, which a tunnel by pppd does not need", listed(&lacking))
    };
    Finding::ok(CHECK, format!("the kernel {release} has what pppd needs, and MPPE{rest}"))
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

    fn finding(names: &[&str], mppe: Mppe) -> Finding {
        judge(&modules(names), "6.1.0", mppe)
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
