//! Reading and judging the file.

use std::path::{Path, PathBuf};

use super::Config;

/// Where the file is when nobody names one.
pub const DEFAULT_PATH: &str = "/etc/connexa/connexad.toml";

/// Why a configuration can't be used. Each message names the file, the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't read the configuration: {source}; name a readable file with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that does not belong.
    #[error("{}: {place}{message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and the line itself, where known.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// A value that parses and yet can't work.
    #[error("{}: {key} {problem}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The key, dotted.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Reads the file at `path`, or the default file when `path` is `None`: a missing default file
/// means defaults, a missing named one is an error. `CONNEXA_DB` wins over `database.path`, and
/// `adjust` over both; what comes out is judged as a whole.
///
/// # Errors
/// When the file can't be read, does not parse, or holds a value that can't work.
pub fn load(path: Option<&Path>, adjust: impl FnOnce(&mut Config)) -> Result<Config, ConfigError> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(source) => return Err(ConfigError::Unreadable { path: file.to_owned(), source }),
    };
    let mut config = read(file, &text)?;
    if let Some(database) = std::env::var_os("CONNEXA_DB").filter(|v| !v.is_empty()) {
        config.database.path = database.into();
    }
    adjust(&mut config);
    judge(file, config)
}

/// Parses and judges `text`, the content of `path`.
///
/// # Errors
/// When it does not parse or holds a value that can't work.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    judge(path, read(path, text)?)
}

fn read(path: &Path, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        place: error.span().map(|span| place(text, span.start)).unwrap_or_default(),
        message: with_suggestion(error.message()),
    })
}

fn judge(path: &Path, config: Config) -> Result<Config, ConfigError> {
    match refuse(&config) {
        Some((key, problem)) => Err(ConfigError::Refused { path: path.to_owned(), key, problem }),
        None => Ok(config),
    }
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let number = before.matches('\n').count() + 1;
    let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
    format!("line {number}, column {column} (`{line}`): ")
}

/// Keys that are promised and don't do anything so far: to take them in silence would be a lie.
const UNBUILT: &[&str] = &["metrics", "admin_group"];

/// serde writes ``unknown field `x`, expected one of `a`, `b` ``; a long list helps less than the
/// one name that was meant.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let (true, Some(unknown)) = (message.starts_with("unknown field"), names.next()) else {
        return message.to_owned();
    };
    if UNBUILT.contains(&unknown) {
        return format!("`{unknown}` is not built yet; remove it");
    }
    let closest = names
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .min();
    match closest {
        Some((_, name)) => format!("unknown key `{unknown}`; did you mean `{name}`?"),
        None => message.replacen("unknown field", "unknown key", 1),
    }
}

/// The first value that can't work, if any.
fn refuse(config: &Config) -> Option<(&'static str, String)> {
    let tunnel = &config.tunnel;
    let at_least_one =
        |key, value: u32| (value == 0).then(|| (key, "must be 1 or more".to_owned()));
    let packet = |key, value: u16| {
        (!(128..=1500).contains(&value))
            .then(|| (key, format!("is {value}, not within 128 to 1500")))
    };
    let not_zero = |key, span: super::Span| {
        span.get().is_zero().then(|| (key, "must be longer than 0s".to_owned()))
    };
    let echo = tunnel.lcp_echo_interval.get();
    at_least_one("tunnel.dial_concurrency", tunnel.dial_concurrency)
        .or_else(|| at_least_one("tunnel.quarantine_after", tunnel.quarantine_after))
        .or_else(|| at_least_one("selection.max_rows", config.selection.max_rows))
        .or_else(|| at_least_one("outage.windows", config.outage.windows))
        .or_else(|| {
            let base = config.routing.table_base.filter(|base| *base == 0 || *base == u32::MAX);
            base.map(|base| {
                ("routing.table_base", format!("is {base}; give a number from 1, e.g. 1000"))
            })
        })
        .or_else(|| not_zero("hooks.timeout", config.hooks.timeout))
        .or_else(|| no_program("hooks.up", config.hooks.up.as_ref()))
        .or_else(|| no_program("hooks.down", config.hooks.down.as_ref()))
        .or_else(|| not_zero("probe.interval", config.probe.interval))
        .or_else(|| not_zero("probe.timeout", config.probe.timeout))
        .or_else(|| {
            (config.probe.timeout > config.probe.interval)
                .then(|| ("probe.timeout", "is longer than probe.interval".to_owned()))
        })
        .or_else(|| at_least_one("probe.loss", config.probe.loss))
        .or_else(|| packet("tunnel.mtu", tunnel.mtu))
        .or_else(|| packet("tunnel.mru", tunnel.mru))
        .or_else(|| not_zero("outage.interval", config.outage.interval))
        .or_else(|| not_zero("tunnel.dial_timeout", tunnel.dial_timeout))
        .or_else(|| not_zero("tunnel.stop_grace", tunnel.stop_grace))
        .or_else(|| not_zero("tunnel.backoff.min", tunnel.backoff.min))
        .or_else(|| {
            (tunnel.backoff.min > tunnel.backoff.max)
                .then(|| ("tunnel.backoff.min", "is longer than tunnel.backoff.max".to_owned()))
        })
        .or_else(|| {
            (!(0.0..=1.0).contains(&tunnel.backoff.jitter))
                .then(|| ("tunnel.backoff.jitter", "is not within 0.0 to 1.0".to_owned()))
        })
        .or_else(|| {
            (echo.subsec_millis() != 0 || echo.as_secs() > 3600).then(|| {
                ("tunnel.lcp_echo_interval", "must be whole seconds, at most an hour".to_owned())
            })
        })
        .or_else(|| no_program("backend.restart", Some(&config.backend.restart)))
        .or_else(|| not_zero("backend.restart_timeout", config.backend.restart_timeout))
        .or_else(|| not_zero("backend.ready_timeout", config.backend.ready_timeout))
        .or_else(|| {
            (config.backend.port == 0).then(|| {
                ("backend.port", "is 0; give the TCP port of the backend, e.g. 8001".to_owned())
            })
        })
        .or_else(|| {
            let bad = |unit: &&String| !is_unit_name(unit);
            config.backend.units.iter().find(bad).map(|unit| {
                ("backend.units", format!("has {unit:?}; name services, e.g. \"x.service\""))
            })
        })
        .or_else(|| {
            config
                .database
                .table
                .is_empty()
                .then(|| ("database.table", "is empty; name the table of nodes".to_owned()))
        })
        .or_else(|| relative_path(config))
        .or_else(|| {
            tunnel
                .extra_options
                .iter()
                .find_map(|line| refuse_option(line))
                .map(|problem| ("tunnel.extra_options", problem))
        })
}

/// A command whose first word names no program.
fn no_program(key: &'static str, argv: Option<&Vec<String>>) -> Option<(&'static str, String)> {
    let is_named = argv?.first().is_some_and(|program| !program.is_empty());
    let problem = "names no program; give one and its arguments, or leave it out";
    (!is_named).then(|| (key, problem.to_owned()))
}

fn relative_path(config: &Config) -> Option<(&'static str, String)> {
    let paths = &config.paths;
    let all = [
        ("database.path", &config.database.path),
        ("control.socket", &config.control.socket),
        ("paths.ppp_dir", &paths.ppp_dir),
        ("paths.run_dir", &paths.run_dir),
        ("paths.pppd", &paths.pppd),
        ("paths.pptp", &paths.pptp),
        ("paths.state_dir", &paths.state_dir),
    ];
    let bad = |path: &Path| {
        !path.is_absolute() || path.to_str().is_none_or(|t| t.chars().any(char::is_control))
    };
    all.into_iter()
        .find(|(_, path)| bad(path))
        .map(|(key, path)| (key, format!("is {path:?}, not a plain absolute path")))
        .or_else(|| {
            (!is_shell_safe(&paths.pptp)).then(|| {
                (
                    "paths.pptp",
                    "may hold only letters, digits and /._- because pppd hands it to a shell"
                        .to_owned(),
                )
            })
        })
}

/// Letters of a unit's name (systemd.unit(5)), and nothing that systemctl would take for an option.
fn is_unit_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

/// pppd runs its `pty` option through `sh -c`.
fn is_shell_safe(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)))
}

/// Options that would take from the daemon what it owns: retries, the device, identity, detaching.
const OWNED: &[&str] = &[
    "persist",
    "nopersist",
    "maxfail",
    "holdoff",
    "demand",
    "connect",
    "pty",
    "linkname",
    "ipparam",
    "name",
    "remotename",
    "user",
    "password",
    "nodetach",
    "updetach",
    "detach",
    "ifname",
    "unit",
    "call",
    "file",
    "plugin",
    "init",
    "disconnect",
    "welcome",
    "socket",
    "notty",
    "dryrun",
    "auth",
    "idle",
    "maxconnect",
];

/// pppd splits its file into words, whatever the lines, so every word is looked at.
fn refuse_option(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_none() || line.chars().any(|c| c.is_control() || "\"'\\#".contains(c)) {
        return Some(format!("has {line:?}; each entry is one pppd option, without quotes"));
    }
    words
        .find(|word| {
            OWNED.contains(word)
                || ["/", "tty", "require-", "+"].iter().any(|start| word.starts_with(start))
        })
        .map(|word| format!("has {word:?}, which the daemon sets itself; remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_means_defaults() {
        assert_eq!(parse(Path::new("c.toml"), "").unwrap(), Config::default());
    }

    #[test]
    fn what_check_config_prints_reads_back_the_same() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(parse(Path::new("c.toml"), &text).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_name_that_was_meant() {
        assert_eq!(
            error("[tunnel]\nmtuu = 1400\n"),
            "c.toml: line 2, column 1 (`mtuu = 1400`): unknown key `mtuu`; did you mean `mtu`?"
        );
    }

    #[test]
    fn a_bad_duration_is_refused_with_its_place() {
        assert!(error("[outage]\ninterval = \"soon\"\n").starts_with(
            "c.toml: line 2, column 12 (`interval = \"soon\"`): \"soon\" is not a duration"
        ));
    }

    #[test]
    fn values_that_can_not_work_are_refused() {
        for (text, key) in [
            ("[tunnel]\nmtu = 90", "tunnel.mtu"),
            ("[hooks]\nup = []", "hooks.up"),
            ("[probe]\ntimeout = \"20s\"", "probe.timeout"),
            ("[probe]\nloss = 0", "probe.loss"),
            ("[routing]\ntable_base = 0", "routing.table_base"),
            ("[tunnel]\ndial_concurrency = 0", "tunnel.dial_concurrency"),
            ("[tunnel]\nbackoff = { min = \"9m\" }", "tunnel.backoff.min"),
            ("[backend]\nrestart = []", "backend.restart"),
            ("[backend]\nrestart = [\"\"]", "backend.restart"),
            ("[backend]\nrestart_timeout = \"0s\"", "backend.restart_timeout"),
            ("[backend]\nready_timeout = \"0s\"", "backend.ready_timeout"),
            ("[backend]\nport = 0", "backend.port"),
            ("[hooks]\nup = [\"\"]", "hooks.up"),
            ("[backend]\nunits = [\"--force\"]", "backend.units"),
            ("[paths]\npptp = \"/usr/sbin/pptp; reboot\"", "paths.pptp"),
            ("[paths]\nstate_dir = \"here\"", "paths.state_dir"),
            ("[tunnel]\nextra_options = [\"persist\"]", "tunnel.extra_options"),
            ("[tunnel]\nextra_options = [\"debug\\npty x\"]", "tunnel.extra_options"),
            ("[tunnel]\nextra_options = [\"ms-dns 1.1.1.1 pty x\"]", "tunnel.extra_options"),
            ("[tunnel]\nextra_options = ['\"persist\"']", "tunnel.extra_options"),
            ("[tunnel]\nextra_options = [\"require-pap\"]", "tunnel.extra_options"),
            ("[outage]\ninterval = \"0s\"", "outage.interval"),
        ] {
            assert!(error(text).contains(key), "{text}: {}", error(text));
        }
    }
}
