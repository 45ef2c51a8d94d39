//! Is there what dialling needs: pppd, pptp, `/dev/ppp`?

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

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
        Err(error) => Finding::failed(
            "ppp_device",
            format!("can't open {shown}: {error}"),
            "modprobe ppp_generic; in a container, have the device passed in",
        ),
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

    #[test]
    fn a_device_that_opens_is_well_and_one_that_is_missing_is_not() {
        let [there, gone] = ["/dev/null", "/nowhere/ppp"].map(|p| device(Path::new(p)).verdict);
        assert_eq!([there, gone], [Verdict::Ok, Verdict::Failed]);
    }
}
