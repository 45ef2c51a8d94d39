//! Does what stands in the host's own option files of pppd let tunnels be?

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config::Config;
use crate::pppd::host_options::{Harm, Wish, culprits};

const CHECK: &str = "ppp_options";

/// A finding for each option that hurts, or one that all is well.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let (ppp_dir, wish) = (config.paths.ppp_dir.clone(), Wish::from(config));
    let look = spawn_blocking(move || look(&ppp_dir, wish));
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).unwrap_or_else(|| {
        let message = "what the options of pppd do can't be seen";
        vec![Finding::warning(CHECK, message, "see the kernel's log for a disk that hangs")]
    })
}

fn look(ppp_dir: &Path, wish: Wish) -> Vec<Finding> {
    let options = ppp_dir.join("options");
    let shown = options.display();
    if let Err(error) = File::open(&options)
        && error.kind() != ErrorKind::NotFound
    {
        let message = format!("{shown} can't be read: {error}");
        return vec![Finding::warning(CHECK, message, "ask again as root")];
    }
    let culprits = culprits(ppp_dir, wish);
    if culprits.is_empty() {
        return vec![Finding::ok(CHECK, format!("nothing in {shown} hurts a tunnel"))];
    }
    let findings = culprits.iter().map(|culprit| match culprit.harm {
        Harm::NoTunnel => Finding::failed(CHECK, culprit.to_string(), culprit.remedy()),
        Harm::Maybe | Harm::Beside => {
            Finding::warning(CHECK, culprit.to_string(), culprit.remedy())
        }
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn each_option_that_hurts_is_a_finding_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("options"), "silent\nauth\ndemand\n").unwrap();
        let found = look(dir.path(), Wish::from(&Config::default()));
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Warning, Verdict::Failed]);
        assert!(found[1].message.contains("options, line 3, has \"demand\""), "{:?}", found[1]);
        assert!(found[1].remedy.as_ref().unwrap().contains("options"), "{:?}", found[1]);
    }

    #[test]
    fn a_host_without_options_is_well() {
        let found = look(Path::new("/nowhere"), Wish::from(&Config::default()));
        assert_eq!(found.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Ok]);
    }
}
