//! Completions for shells: they ask `connexactl` itself, so that they know its nodes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Command, ValueEnum};
use clap_complete::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use tokio::time::timeout;

use crate::control::client;
use crate::exit::{Exit, Refused};
use crate::printable::printable;

/// The variable by which a shell asks.
const VARIABLE: &str = "CONNEXACTL_COMPLETE";
/// Where zsh loads the script at the first tab key, as it does with those of packages, that key is
/// to be answered, too.
const AT_FIRST: &str = "
if [[ $funcstack[1] == _connexactl ]]; then
    _clap_dynamic_completer_connexactl
fi
";
/// Nobody waits longer for a list of nodes.
const NODES_WITHIN: Duration = Duration::from_secs(1);

/// A shell that can be served.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// Of GNU.
    Bash,
    /// With its completion system.
    Zsh,
    /// The friendly one.
    Fish,
}

/// Answers a shell that asks for completions, and ends the program then.
pub fn complete(command: fn() -> Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The script that has a shell ask.
///
/// # Errors
/// When it can't be made.
pub fn completions(shell: Shell) -> Result<String, Refused> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let failed = |what: &dyn std::fmt::Display| {
        Refused::with(Exit::No, format!("can't make completions for {name}: {what}"))
    };
    let shells = Shells::builtins();
    let completer = shells.completer(name).ok_or_else(|| failed(&"it is not known"))?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "connexactl", "connexactl", "connexactl", &mut script)
        .map_err(|error| failed(&error))?;
    let script = String::from_utf8(script).map_err(|error| failed(&error))?;
    Ok(match shell {
        Shell::Zsh => script + AT_FIRST,
        Shell::Bash | Shell::Fish => script,
    })
}

/// The nodes of the daemon that runs, for the shell; none where it does not answer.
pub fn nodes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok((runtime, socket)) = runtime.map_err(drop).and_then(|runtime| {
        let socket =
            super::socket(typed_after("--socket").as_deref(), typed_after("--config").as_deref());
        socket.map(|socket| (runtime, socket)).map_err(drop)
    }) else {
        return Vec::new();
    };
    let asked = async { timeout(NODES_WITHIN, client::status(&socket)).await };
    let Ok(Ok(status)) = runtime.block_on(asked) else { return Vec::new() };
    let candidate = |node: crate::control::api::Node| {
        let id = node.id.to_string();
        let about = format!("{} {}", node.state, printable(node.ip.as_deref().unwrap_or("?")));
        id.starts_with(&*typed).then(|| CompletionCandidate::new(id).help(Some(about.into())))
    };
    status.nodes.into_iter().filter_map(candidate).collect()
}

/// The word that was typed after an option of the line that is completed.
fn typed_after(option: &str) -> Option<PathBuf> {
    std::env::args_os().skip_while(|word| word != option).nth(1).map(PathBuf::from)
}
