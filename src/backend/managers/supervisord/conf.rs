//! supervisord's configuration files: which programs it starts by itself.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian and others keep them, below `/etc`: files, and folders with an ending.
const FILES: &[&str] = &["supervisord.conf", "supervisor/supervisord.conf"];
const FOLDERS: &[(&str, &str)] = &[("supervisor/conf.d", "conf"), ("supervisord.d", "ini")];

/// Whether the program is started with supervisord; `None` where no file below `etc` has it.
pub(super) fn autostart(etc: &Path, program: &str) -> Option<bool> {
    files(etc).iter().find_map(|file| {
        let text = fs::read(file).unwrap_or_default();
        in_text(&String::from_utf8_lossy(&text), program)
    })
}

fn files(etc: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = FILES.iter().map(|file| etc.join(file)).collect();
    for (folder, ending) in FOLDERS {
        let entries = fs::read_dir(etc.join(folder)).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|e| e == *ending)));
    }
    files
}

/// As supervisor's manual has it ("Configuration File"): a Windows-INI file, comments behind ` ;`,
/// and programs start unless `autostart` says otherwise.
fn in_text(text: &str, program: &str) -> Option<bool> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        let line = line.split(" ;").next().unwrap_or(line).trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.strip_prefix("program:").is_some_and(|name| name.trim() == program);
            if inside {
                found = found.or(Some(true));
            }
        } else if let Some((key, value)) = line.split_once(['=', ':']).filter(|_| inside)
            && key.trim().eq_ignore_ascii_case("autostart")
        {
            found = Some(!is_no(value.trim()));
        }
    }
    found
}

/// `FALSY_STRINGS` of supervisor/datatypes.py.
fn is_no(value: &str) -> bool {
    ["no", "false", "off", "0", "n", "f"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_starts_unless_it_says_otherwise() {
        for (section, expected) in [
            ("[program:backend]\ncommand=x", Some(true)),
            ("[program:backend]\nautostart = true", Some(true)),
            ("[program:backend]\nautostart=false", Some(false)),
            ("[program:backend]\ncommand=x\nAutostart: No ; not yet", Some(false)),
            ("[program:backend]\n;autostart=false", Some(true)),
            ("[program:other]\nautostart=false", None),
            ("[program:backend]\n[program:other]\nautostart=false", Some(true)),
            ("", None),
        ] {
            assert_eq!(in_text(section, "backend"), expected, "{section}");
        }
    }

    #[test]
    fn programs_are_found_in_the_folder_of_debian() {
        let etc = tempfile::tempdir().unwrap();
        let folder = etc.path().join("supervisor/conf.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.conf"), "[program:backend]\nautostart=no\n").unwrap();
        fs::write(folder.join("b.conf.old"), "[program:gone]\n").unwrap();
        let found = ["backend", "gone"].map(|name| autostart(etc.path(), name));
        assert_eq!(found, [Some(false), None]);
    }
}
