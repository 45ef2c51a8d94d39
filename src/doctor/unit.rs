//! Does systemd go by the unit of the program that is installed?

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;

const CHECK: &str = "unit";
const NAME: &str = "connexad.service";
/// Where `make install` puts the unit, and where a package does; the first one that has it counts
/// (systemd.unit(5)).
const BY_HAND: &str = "/etc/systemd/system";
const BY_PACKAGE: [&str; 2] = ["/lib/systemd/system", "/usr/lib/systemd/system"];

pub(super) fn check() -> Finding {
    judge(Path::new(BY_HAND), &BY_PACKAGE.map(PathBuf::from))
}

fn judge(by_hand: &Path, by_package: &[PathBuf]) -> Finding {
    let own = by_hand.join(NAME);
    let shown = own.display();
    let packages = by_package.iter().map(|folder| folder.join(NAME)).find(|unit| unit.exists());
    if fs::read_link(&own).is_ok_and(|to| to == Path::new("/dev/null")) {
        let message = format!("{shown} leads to /dev/null: systemd starts no connexad");
        return Finding::warning(CHECK, message, format!("systemctl unmask {NAME}"));
    }
    match packages {
        Some(unit) if own.exists() => Finding::warning(
            CHECK,
            format!(
                "{shown}, made by hand or by make install, hides {} of the package",
                unit.display()
            ),
            format!("rm {shown} && systemctl daemon-reload && systemctl restart connexad"),
        ),
        Some(unit) => Finding::ok(CHECK, format!("{} is the only unit", unit.display())),
        None if own.exists() => Finding::ok(CHECK, format!("{shown} is the only unit")),
        None => Finding::ok(CHECK, "systemd has no unit of connexad"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_unit_that_hides_the_packages_is_worth_a_look() {
        let folder = tempfile::tempdir().unwrap();
        let [by_hand, by_package] = ["etc", "lib"].map(|name| folder.path().join(name));
        for place in [&by_hand, &by_package] {
            fs::create_dir(place).unwrap();
        }
        let finding = || judge(&by_hand, std::slice::from_ref(&by_package));
        assert_eq!(finding().message, "systemd has no unit of connexad");
        fs::write(by_package.join(NAME), "").unwrap();
        assert_eq!(finding().verdict, Verdict::Ok);
        fs::write(by_hand.join(NAME), "").unwrap();
        assert_eq!(finding().verdict, Verdict::Warning);
        assert!(finding().remedy.unwrap().starts_with("rm "), "{:?}", finding());
        fs::remove_file(by_package.join(NAME)).unwrap();
        assert_eq!(finding().verdict, Verdict::Ok);
        fs::remove_file(by_hand.join(NAME)).unwrap();
        symlink("/dev/null", by_hand.join(NAME)).unwrap();
        assert!(finding().remedy.unwrap().contains("unmask"), "{:?}", finding());
    }
}
