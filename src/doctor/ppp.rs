//! Is there what dialling needs: pppd, pptp, `/dev/ppp`?

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::kernel_modules::Modules;
use super::restart_command::is_program;
use super::{ANSWER_WITHIN, Finding};
use crate::config::Paths;

const PPP_DEVICE: &str = "/dev/ppp";

pub(super) async fn check(paths: &Paths) -> Vec<Finding> {
    let paths = paths.clone();
    let look = spawn_blocking(move || {
        vec![
            program("pppd", &paths.pppd, "ppp"),
            program("pptp", &paths.pptp, "pptp-linux"),
            device(Path::new(PPP_DEVICE)),
        ]
    });
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).unwrap_or_else(|| {
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
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let finding = program("pptp", Path::new("/nowhere/pptp"), "pptp-linux");
        assert_eq!(finding.verdict, Verdict::Failed);
        assert_eq!(finding.remedy.unwrap(), "apt install pptp-linux, or set paths.pptp");
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
