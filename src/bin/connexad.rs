//! connexad: holds the tunnels up.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connexa::config::{Config, Span};
use connexa::exit::Exit;
use connexa::supervisor::{self, Options, SupervisorError};
use connexa::telemetry;

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
    /// Tell what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Length of an outage window, e.g. 30s; overrides outage.interval
    #[arg(long, value_name = "DURATION")]
    interval: Option<Span>,
    /// Time before the first outage window; overrides outage.startup_delay
    #[arg(long, value_name = "DURATION")]
    startup_delay: Option<Span>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        config: arguments.config,
        interval: arguments.interval,
        startup_delay: arguments.startup_delay,
        dry_run: arguments.dry_run,
    };
    let ended =
        options.load().map_err(|error| (error.to_string(), Exit::Config)).and_then(|config| {
            if arguments.check_config { print(&config) } else { run(options, config) }
        });
    match ended {
        Ok(()) => Exit::Done.into(),
        Err((message, exit)) => {
            // Nothing is left to be done where stderr is closed.
            let _ = writeln!(std::io::stderr(), "connexad: {message}");
            exit.into()
        }
    }
}

fn print(config: &Config) -> Result<(), (String, Exit)> {
    let text = toml::to_string(config).map_err(|error| (error.to_string(), Exit::Config))?;
    // A closed pipe is no failure of the configuration.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn run(options: Options, config: Config) -> Result<(), (String, Exit)> {
    if !rustix::process::geteuid().is_root() {
        let message = "needs root, for pppd, its files and signals; run it as root";
        return Err((message.to_owned(), Exit::Permission));
    }
    telemetry::init(&config.log).map_err(|error| (error.to_string(), Exit::Config))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (format!("can't start: {error}"), Exit::No))?;
    runtime.block_on(supervisor::run(options, config)).map_err(|error| {
        let exit = match &error {
            SupervisorError::Socket(socket) if socket.is_permission() => Exit::Permission,
            SupervisorError::Socket(_) | SupervisorError::Signals(_) | SupervisorError::Part(_) => {
                Exit::No
            }
        };
        (error.to_string(), exit)
    })
}
