//! Is there what dialling needs: pppd, pptp, `/dev/ppp`; with the kernel engine, PPTP in the kernel?

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::kernel_modules::Modules;
use super::restart_command::is_program;
use super::{ANSWER_WITHIN, Finding, Verdict};
use crate::config::Config;
use crate::node::Engine;
use crate::pptp::driver;

const PPP_DEVICE: &str = "/dev/ppp";
const RESOLVER: &str = "/etc/resolv.conf";

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let (paths, engine) = (config.paths.clone(), config.tunnel.engine);
    let use_peer_dns = config.tunnel.use_peer_dns;
    let mut told = unheeded(config);
    let look = spawn_blocking(move || {
        let pppd = program("pppd", &paths.pppd, "ppp");
        let pptp = program("pptp", &paths.pptp, "pptp-linux");
        let device = device(Path::new(PPP_DEVICE));
        if engine == Engine::Pppd {
            return vec![pppd, pptp, device];
        }
        let mut found = vec![only_for_some(pppd), only_for_some(pptp), device];
        if engine == Engine::Kernel {
            found.push(in_kernel());
            if use_peer_dns {
                found.push(resolver(&driver::resolver::file(&paths), Path::new(RESOLVER)));
            }
        }
        found
    });
    let look = async {
        told.extend(timeout(ANSWER_WITHIN, look).await.ok()?.ok()?);
        Some(told)
    };
    look.await.unwrap_or_else(|| {
        let remedy = "see the kernel's log for a disk that hangs";
        vec![Finding::failed("ppp_device", format!("{PPP_DEVICE} or its programs hang"), remedy)]
    })
}

fn program(name: &str, path: &Path, package: &str) -> Finding {
    let shown = path.display();
    if is_program(path) {
        Finding::ok(name, format!("{shown} is there"))
    } else {
        let remedy = format!("apt install {package}, or set paths.{name}");
        Finding::failed(name, format!("{shown} is not there, or not executable"), remedy)
    }
}

/// What the kernel engine does without is needed all the same by rows that name the other one.
fn only_for_some(finding: Finding) -> Finding {
    match finding.verdict {
        Verdict::Ok | Verdict::Warning => finding,
        Verdict::Failed => {
            let message = format!("{}; only rows whose engine is pppd need it", finding.message);
            Finding { verdict: Verdict::Warning, message, ..finding }
        }
    }
}

/// Whether the kernel has PPTP; to ask makes it load its module.
fn in_kernel() -> Finding {
    match driver::is_in_kernel() {
        Ok(()) => Finding::ok("pptp_module", "the kernel has PPTP (tunnel.engine)"),
        Err(error) => {
            let remedy =
                "modprobe pptp; where the kernel has no such module, set tunnel.engine to \"pppd\"";
            Finding::failed("pptp_module", format!("the kernel has no PPTP: {error}"), remedy)
        }
    }
}

/// A key that is set and is pppd's alone, where another engine makes the calls.
fn unheeded(config: &Config) -> Vec<Finding> {
    let engine = config.tunnel.engine;
    if engine == Engine::Pppd || config.tunnel.extra_options.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "tunnel.extra_options are pppd's and don't apply with tunnel.engine = \"{engine}\""
    );
    let remedy = "leave them out, or set tunnel.engine to \"pppd\"";
    vec![Finding::warning("engine", message, remedy)]
}

/// Whether the host goes by the name servers that tunnels bring. With pppd, scripts of the host may
/// see to it.
fn resolver(file: &Path, hosts: &Path) -> Finding {
    let leads = std::fs::read_link(hosts).ok();
    let leads = leads.and_then(|leads| Some(hosts.parent()?.join(leads)));
    let [file_shown, hosts_shown] = [file.display(), hosts.display()];
    if leads.as_deref() == Some(file) {
        return Finding::ok("resolver", format!("{hosts_shown} leads to {file_shown}"));
    }
    Finding::warning(
        "resolver",
        format!(
            "the name servers of tunnel.use_peer_dns are in {file_shown}, and {hosts_shown} does not lead there"
        ),
        format!("ln -sf {file_shown} {hosts_shown}, or have hooks.up copy it"),
    )
}

/// To open the device makes the kernel load its module, as pppd does.
fn device(path: &Path) -> Finding {
    let shown = path.display();
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Finding::ok("ppp_device", format!("{shown} opens")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::warning("ppp_device", format!("no right to open {shown}"), "ask again as root")
        }
        Err(error) => {
            Finding::failed("ppp_device", format!("can't open {shown}: {error}"), of_kernel())
        }
    }
}

/// What helps where the kernel that runs has no PPP yet.
fn of_kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    remedy(release.trim(), &modules)
}

/// The same, by the folder of the kernel's modules.
fn remedy(release: &str, modules: &Path) -> String {
    match Modules::read(modules) {
        Some(modules) if modules.have("ppp_generic") => "modprobe ppp_generic".to_owned(),
        Some(_) => format!(
            "the kernel {release} has no module ppp_generic: install one that has (Debian: \
             linux-image-amd64, not its cloud variant) and boot it"
        ),
        None => {
            let elsewhere = "in a container, modprobe ppp_generic on its host and pass /dev/ppp in";
            format!(
                "{elsewhere}; else install a kernel with its modules (Debian: linux-image-amd64)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let finding = program("pptp", Path::new("/nowhere/pptp"), "pptp-linux");
        assert_eq!(finding.verdict, Verdict::Failed);
        assert_eq!(finding.remedy.unwrap(), "apt install pptp-linux, or set paths.pptp");
    }

    #[test]
    fn a_program_that_the_kernel_engine_does_without_is_a_warning() {
        let missing = || program("pptp", Path::new("/nowhere/pptp"), "pptp-linux");
        let told = only_for_some(missing());
        assert_eq!([missing().verdict, told.verdict], [Verdict::Failed, Verdict::Warning]);
        assert!(told.message.contains("only rows whose engine is pppd"), "{}", told.message);
    }

    #[test]
    fn what_the_kernel_engine_takes_no_heed_of_is_told() {
        let mut config = Config::default();
        config.tunnel.extra_options = vec!["debug".to_owned()];
        assert_eq!(unheeded(&config), []);
        config.tunnel.engine = Engine::Kernel;
        assert_eq!(unheeded(&config).len(), 1);
    }

    #[test]
    fn name_servers_of_tunnels_that_the_host_does_not_go_by_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let [hosts, file] = ["resolv.conf", "ppp/resolv.conf"].map(|name| folder.path().join(name));
        std::fs::write(&hosts, "nameserver 10.9.0.99\n").unwrap();
        assert_eq!(resolver(&file, &hosts).verdict, Verdict::Warning);
        for leads in [file.as_path(), Path::new("ppp/resolv.conf")] {
            std::fs::remove_file(&hosts).unwrap();
            std::os::unix::fs::symlink(leads, &hosts).unwrap();
            assert_eq!(resolver(&file, &hosts).verdict, Verdict::Ok);
        }
    }

    /// What helps on a kernel with these modules.
    fn remedy_with(modules: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.dep"), modules).unwrap();
        remedy("6.1.0", folder.path())
    }

    #[test]
    fn modprobe_is_advised_where_the_kernel_has_the_module_only() {
        assert_eq!(
            remedy_with("kernel/drivers/net/ppp/ppp_generic.ko.xz:\n"),
            "modprobe ppp_generic"
        );
        let without = remedy_with("kernel/drivers/net/veth.ko:\n");
        assert!(without.contains("install") && !without.contains("modprobe"), "{without}");
        let container = remedy("6.1.0", Path::new("/nowhere"));
        assert!(container.contains("pass /dev/ppp in"), "{container}");
    }

    #[test]
    fn a_device_that_opens_is_well_and_one_that_is_missing_is_not() {
        let [there, gone] = ["/dev/null", "/nowhere/ppp"].map(|p| device(Path::new(p)).verdict);
        assert_eq!([there, gone], [Verdict::Ok, Verdict::Failed]);
    }
}
