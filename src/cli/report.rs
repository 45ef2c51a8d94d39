//! `connexactl report FILE`: what a colleague needs to help, in one file without secrets.

mod secrets;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrets::{Known, SHORTEST, known, without};

use super::status::{StatusView, show_status};
use super::terminal::Terminal;
use super::{show_diagnosis, show_explanation};
use crate::config::{self, Config};
use crate::control::api::{Status, counted};
use crate::control::client;
use crate::exit::{Exit, Fatal};
use crate::printable::printable;
use crate::version::VERSION;
use crate::{command, doctor};

/// Nodes that are explained at most.
const EXPLAINED: usize = 50;
/// For one program of the host.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the host's own programs tell, with a title each.
const PROGRAMS: [(&str, &[&str]); 6] = [
    ("the journal's last lines", &["journalctl", "-u", "connexad", "-n", "300", "--no-pager"]),
    ("links", &["ip", "-details", "link"]),
    ("addresses", &["ip", "address"]),
    ("rules", &["ip", "rule"]),
    ("routes", &["ip", "route", "show", "table", "all"]),
    ("kernel", &["uname", "-a"]),
];

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nothing is written over.
    #[error("{} exists already, and nothing is written over; name another file", .0.display())]
    Exists(PathBuf),
    /// It can't be written.
    #[error("can't write {}: {source}; name a file in a folder that exists and can be written", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Fatal for ReportError {
    fn exit(&self) -> Exit {
        match self {
            ReportError::Unwritable { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ReportError::Exists(_) | ReportError::Unwritable { .. } => Exit::No,
        }
    }
}

/// Writes the report; the text to print, which says what is in it.
///
/// # Errors
/// When the file exists or can't be written. What can't be asked is told in the report.
pub async fn report(
    file: &Path,
    socket: &Path,
    config: Option<&Path>,
) -> Result<String, ReportError> {
    // First, so that nobody waits in vain.
    let mut out = create(file)?;
    let mut parts = vec![("versions", versions())];
    daemon(socket, &mut parts).await;
    let used = config::file(config.map(Path::to_owned));
    let read = config::load(used.as_deref(), |_| ());
    match &read {
        Ok(config) => host(config, used.as_deref(), &mut parts).await,
        Err(error) => {
            parts.push(("configuration", error.lines().join("\n")));
            parts.push(("doctor", by_daemon(socket).await));
        }
    }
    for (title, argv) in PROGRAMS {
        parts.push((title, answer(argv).await));
    }
    let mut text = String::new();
    for (title, part) in &parts {
        let _ = writeln!(text, "==== {title} ====\n{}\n", part.trim_end());
    }
    let found = match &read {
        Ok(config) => known(config).await,
        Err(error) => Known { unread: error.lines(), ..Known::default() },
    };
    text = without(&text, &found.secrets);
    let promise = if found.unread.is_empty() {
        format!(
            "No password of the table, of chap-secrets or of pap-secrets is in it, but those shorter than \
             {SHORTEST} characters are not looked for; logins and addresses are."
        )
    } else {
        let why = found.unread.join("; ");
        format!("Not all passwords could be looked for ({why}): read it before you give it away.")
    };
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(|source| {
        // It was made here, and half of it helps nobody.
        let _ = std::fs::remove_file(file);
        ReportError::Unwritable { path: file.to_owned(), source }
    })?;
    let titles: Vec<&str> = parts.iter().map(|(title, _)| *title).collect();
    let shown = file.display();
    Ok(format!("{shown} holds: {}. {promise}\n", titles.join(", ")))
}

fn create(file: &Path) -> Result<std::fs::File, ReportError> {
    // No link is followed either (O_EXCL, open(2)).
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|source| {
        let path = file.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            ReportError::Exists(path)
        } else {
            ReportError::Unwritable { path, source }
        }
    })
}

fn versions() -> String {
    format!("connexactl {VERSION}\n")
}

/// What the daemon says of itself and of what is not up.
async fn daemon(socket: &Path, parts: &mut Vec<(&'static str, String)>) {
    let status = match client::status(socket).await {
        Ok(status) => status,
        Err(error) => return parts.push(("status", error.to_string())),
    };
    let view = StatusView::default();
    let shown = show_status(&status, &view, Terminal::of_stdout(true).plain());
    let daemon = &status.daemon;
    let head = format!(
        "connexad {} (process {}) since {}, configuration {}\n",
        daemon.version,
        daemon.pid,
        daemon.started_at,
        printable(&daemon.config_path)
    );
    parts.push(("status", head + &shown.unwrap_or_else(|error| error.to_string())));
    parts.push(("what is not up", explanations(socket, &status).await));
    let figures = client::metrics(socket, false).await;
    parts.push(("figures", figures.unwrap_or_else(|error| error.to_string())));
}

async fn explanations(socket: &Path, status: &Status) -> String {
    let not_up: Vec<u32> =
        status.nodes.iter().filter(|node| node.state != "up").map(|node| node.id).collect();
    let mut text = String::new();
    for id in not_up.iter().take(EXPLAINED) {
        let told = match client::node(socket, *id).await {
            Ok(node) => show_explanation(&node, false).unwrap_or_default(),
            Err(error) => format!("{error}\n"),
        };
        let _ = writeln!(text, "{told}");
    }
    if let Some(more) = not_up.len().checked_sub(EXPLAINED).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {} more", counted(more, "node"));
    }
    if text.is_empty() { "all nodes are up\n".to_owned() } else { text }
}

/// What is seen without the daemon.
async fn host(config: &Config, file: Option<&Path>, parts: &mut Vec<(&'static str, String)>) {
    let diagnosis = doctor::examine(config, file).await;
    let shown = show_diagnosis(&diagnosis, false).unwrap_or_else(|error| error.to_string());
    parts.push(("doctor", shown));
    let text = toml::to_string(config).unwrap_or_else(|error| error.to_string());
    parts.push(("configuration of the file, with all defaults", text));
}

/// Where the file is wrong, the daemon goes by the configuration before.
async fn by_daemon(socket: &Path) -> String {
    let diagnosis = match client::doctor(socket).await {
        Ok(diagnosis) => diagnosis,
        Err(error) => return error.to_string(),
    };
    show_diagnosis(&diagnosis, false).unwrap_or_else(|error| error.to_string())
}

async fn answer(argv: &[&str]) -> String {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    match command::ask(&argv, ANSWER_WITHIN).await {
        Ok(answer) => answer.text,
        Err(error) => error.to_string(),
    }
}
