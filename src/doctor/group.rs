//! Can those use the daemon's socket who are meant to?

use std::fs;
use std::path::Path;

use super::Finding;
use crate::config::Control;

const CHECK: &str = "group";
/// Holds `group` and `passwd` (group(5), passwd(5)).
const FOLDER: &str = "/etc";

pub(super) fn check(control: &Control) -> Finding {
    judge(control, Path::new(FOLDER))
}

fn judge(control: &Control, folder: &Path) -> Finding {
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (groups, users) = (text("group"), text("passwd"));
    let members = |name: &str| members(name, &groups, &users);
    let Control { group, admin_group, .. } = control;
    let Some(readers) = members(group) else {
        let message =
            format!("there is no group {group} (control.group): only root may ask the daemon");
        return Finding::warning(
            CHECK,
            message,
            format!("groupadd --system {group}, then systemctl restart connexad"),
        );
    };
    let Some(name) = admin_group else {
        return Finding::ok(CHECK, format!("the group {group} may ask the daemon (control.group)"));
    };
    let Some(admins) = members(name) else {
        let message = format!(
            "there is no group {name} (control.admin_group): only root may change anything"
        );
        return Finding::warning(
            CHECK,
            message,
            format!("groupadd --system {name}, or unset control.admin_group"),
        );
    };
    let is_out = |admin: &&String| *admin != "root" && !readers.contains(admin);
    let out: Vec<&str> = admins.iter().filter(is_out).map(String::as_str).collect();
    if out.is_empty() {
        let message =
            format!("the group {group} may ask the daemon, and {name} may change its nodes");
        return Finding::ok(CHECK, message);
    }
    let message = format!(
        "{} of group {name} (control.admin_group) can't open the socket, for that takes the group {group} too",
        out.join(" and ")
    );
    let remedies: Vec<String> =
        out.iter().map(|user| format!("usermod -aG {group} {user}")).collect();
    Finding::warning(CHECK, message, remedies.join("; "))
}

/// The users of a group: those that it lists, and those whose first group it is. None where there is
/// no such group.
fn members(name: &str, groups: &str, users: &str) -> Option<Vec<String>> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let field = |fields: &[String], place: usize| fields.get(place).cloned().unwrap_or_default();
    let group = groups.lines().map(fields).find(|group| field(group, 0) == name)?;
    let number = field(&group, 2);
    let listed = field(&group, 3);
    let listed =
        listed.split(',').map(str::trim).filter(|user| !user.is_empty()).map(str::to_owned);
    let first = users.lines().map(fields).filter(|user| field(user, 3) == number);
    Some(listed.chain(first.map(|user| field(&user, 0))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn finding(groups: &str, admin_group: Option<&str>) -> Finding {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("group"), groups).unwrap();
        let users =
            "root:x:0:0::/root:/bin/sh\nanna:x:1000:900::/:/bin/sh\nbert:x:1001:1001::/:/bin/sh\n";
        fs::write(folder.path().join("passwd"), users).unwrap();
        let admin_group = admin_group.map(str::to_owned);
        judge(&Control { admin_group, ..Control::default() }, folder.path())
    }

    #[test]
    fn a_group_that_is_missing_is_worth_a_look() {
        assert_eq!(finding("root:x:0:\n", None).verdict, Verdict::Warning);
        assert_eq!(finding("connexa:x:900:\n", None).verdict, Verdict::Ok);
        let finding = finding("connexa:x:900:\n", Some("admins"));
        assert_eq!(
            finding.remedy.unwrap(),
            "groupadd --system admins, or unset control.admin_group"
        );
    }

    #[test]
    fn administrators_who_can_not_open_the_socket_are_named() {
        let groups = "connexa:x:900:\nadmins:x:901:anna,bert,root\n";
        let finding = finding(groups, Some("admins"));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.starts_with("bert of group admins"), "{}", finding.message);
        assert_eq!(finding.remedy.unwrap(), "usermod -aG connexa bert");
    }

    #[test]
    fn administrators_who_are_in_both_groups_are_well() {
        let groups = "connexa:x:900:bert\nadmins:x:901:anna,bert\n";
        assert_eq!(finding(groups, Some("admins")).verdict, Verdict::Ok);
    }
}
