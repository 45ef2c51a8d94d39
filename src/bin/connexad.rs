//! connexad: holds the tunnels up.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connexa::cli;
use connexa::config::{self, Config, Span, SpanError};
use connexa::control::socket;
use connexa::exit::{Exit, Refused};
use connexa::once;
use connexa::purge;
use connexa::supervisor::{self, Options};
use connexa::telemetry;
use rustix::process::DumpableBehavior;

/// Holds PPTP tunnels up.
#[derive(Debug, Parser)]
#[command(name = "connexad", version)]
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
    /// End our tunnels and remove all that connexad wrote on this host, but for the configuration, the
    /// database and recordings; with --dry-run only list it
    #[arg(long, conflicts_with_all = ["once", "check_config", "record"])]
    purge: bool,
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
    let span: Span = text.parse().map_err(|error: SpanError| error.to_string())?;
    if span.get().is_zero() { Err("must be longer than 0s".to_owned()) } else { Ok(span) }
}

fn main() -> ExitCode {
    let arguments: Arguments = match cli::arguments("connexad") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let options = Options {
        config: config::file(arguments.config.clone()),
        interval: arguments.interval,
        startup_delay: arguments.startup_delay,
        dry_run: arguments.dry_run,
        record: arguments.record.clone(),
    };
    obey(&arguments, options).map_or_else(|refused| cli::fail("connexad", &refused), ExitCode::from)
}

type Ended = Result<Exit, Refused>;

fn obey(arguments: &Arguments, options: Options) -> Ended {
    let config = options.load()?;
    if arguments.check_config {
        print_config(&config)
    } else if arguments.once {
        look_once(&config)
    } else if arguments.purge {
        purge(&config, arguments.dry_run)
    } else {
        run(options, config)
    }
}

fn print_config(config: &Config) -> Ended {
    socket::check(config)?;
    cli::print(&toml::to_string(config).map_err(|error| Refused::with(Exit::Config, error))?)?;
    Ok(Exit::Done)
}

fn need_root() -> Result<(), Refused> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = "needs root, for pppd, its files and signals; run it as root";
    Err(Refused::with(Exit::Permission, message))
}

fn look_once(config: &Config) -> Ended {
    need_root()?;
    let outage = runtime()?.block_on(once::observe(config))?;
    let json = serde_json::to_string(&outage).map_err(|error| Refused::with(Exit::No, error))?;
    cli::print(&(json + "\n"))?;
    Ok(if outage.ppp_interfaces > 0 { Exit::Done } else { Exit::No })
}

fn purge(config: &Config, dry_run: bool) -> Ended {
    need_root()?;
    let told = runtime()?.block_on(purge::purge(config, dry_run))?;
    cli::print(&(told.join("\n") + "\n"))?;
    Ok(Exit::Done)
}

fn runtime() -> Result<tokio::runtime::Runtime, Refused> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refused::with(Exit::No, format!("can't start: {error}")))
}

fn run(options: Options, config: Config) -> Ended {
    need_root()?;
    // A core dump would hold passwords, wherever the kernel sends it.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| Refused::with(Exit::No, format!("can't forbid core dumps: {error}")))?;
    let log = telemetry::init(&config.log).map_err(|error| Refused::with(Exit::Config, error))?;
    let runtime = runtime()?;
    let ended = runtime.block_on(supervisor::run(options, config));
    // Work that hangs on a disk must not hold up the end.
    runtime.shutdown_background();
    log.finish();
    ended?;
    Ok(Exit::Done)
}
