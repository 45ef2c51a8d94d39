//! connexad: holds the tunnels up.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connexa::cli;
use connexa::config::{Config, Span};
use connexa::control::socket::{self, SocketError};
use connexa::exit::Exit;
use connexa::once;
use connexa::supervisor::{self, Options, SupervisorError};
use connexa::telemetry;
use rustix::process::DumpableBehavior;

/// Holds PPTP tunnels up.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Check the configuration, print it with all defaults, and exit
    #[arg(long)]
    check_config: bool,
    /// Look once, print the outage object as JSON, change nothing (exit code 1 when no tunnel is up)
    #[arg(long)]
    once: bool,
    /// Tell what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Record all that the core is told to this file, for `connexactl replay`; where it exists, to
    /// the first free of FILE.1, FILE.2 and so on
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Length of an outage window, e.g. 30s; overrides outage.interval
    #[arg(long, value_name = "DURATION", value_parser = window)]
    interval: Option<Span>,
    /// Time before the first outage window; overrides outage.startup_delay
    #[arg(long, value_name = "DURATION")]
    startup_delay: Option<Span>,
}

/// The length of a window, of a word of the command line.
fn window(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.get().is_zero() { Err("must be longer than 0s".to_owned()) } else { Ok(span) }
}

fn main() -> ExitCode {
    let arguments: Arguments = match cli::arguments("connexad") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let options = Options {
        config: arguments.config.clone(),
        interval: arguments.interval,
        startup_delay: arguments.startup_delay,
        dry_run: arguments.dry_run,
        record: arguments.record.clone(),
    };
    match obey(&arguments, options) {
        Ok(exit) => exit.into(),
        Err((message, exit)) => {
            cli::complain("connexad", &message);
            exit.into()
        }
    }
}

type Ended = Result<Exit, (String, Exit)>;

fn obey(arguments: &Arguments, options: Options) -> Ended {
    let config = options.load().map_err(|error| (error.to_string(), Exit::Config))?;
    if arguments.check_config {
        print_config(&config)
    } else if arguments.once {
        look_once(&config)
    } else {
        run(options, config)
    }
}

fn print_config(config: &Config) -> Ended {
    socket::check(config).map_err(|error| (error.to_string(), Exit::Config))?;
    print(&toml::to_string(config).map_err(|error| (error.to_string(), Exit::Config))?);
    Ok(Exit::Done)
}

fn need_root() -> Result<(), (String, Exit)> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = "needs root, for pppd, its files and signals; run it as root";
    Err((message.to_owned(), Exit::Permission))
}

fn look_once(config: &Config) -> Ended {
    need_root()?;
    let seen = runtime()?.block_on(once::observe(config));
    let outage = seen.map_err(|error| (error.to_string(), Exit::No))?;
    let json = serde_json::to_string(&outage).map_err(|error| (error.to_string(), Exit::No))?;
    print(&(json + "\n"));
    Ok(if outage.ppp_interfaces > 0 { Exit::Done } else { Exit::No })
}

fn print(text: &str) {
    // A closed pipe is no failure of what was printed.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn runtime() -> Result<tokio::runtime::Runtime, (String, Exit)> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (format!("can't start: {error}"), Exit::No))
}

fn run(options: Options, config: Config) -> Ended {
    need_root()?;
    // A core dump would hold passwords, wherever the kernel sends it.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| (format!("can't forbid core dumps: {error}"), Exit::No))?;
    telemetry::init(&config.log).map_err(|error| (error.to_string(), Exit::Config))?;
    let runtime = runtime()?;
    let ended = runtime.block_on(supervisor::run(options, config));
    // Work that hangs on a disk must not hold up the end.
    runtime.shutdown_background();
    let ended = ended.map_err(|error| {
        let exit = match &error {
            SupervisorError::Socket(socket) if socket.is_permission() => Exit::Permission,
            SupervisorError::Socket(SocketError::Taken { .. }) => Exit::Config,
            SupervisorError::Socket(_)
            | SupervisorError::Signals(_)
            | SupervisorError::Record(_) => Exit::No,
            // Another code than for a second daemon: systemd starts it again.
            SupervisorError::Part(_) => Exit::Unreachable,
        };
        (error.to_string(), exit)
    });
    ended.map(|()| Exit::Done)
}
