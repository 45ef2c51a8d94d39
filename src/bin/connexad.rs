//! connexad: holds the tunnels up.

use std::process::ExitCode;

use connexa::cli;
use connexa::command_line::connexad::Arguments;
use connexa::config::{self, Config};
use connexa::control::socket;
use connexa::exit::{Exit, Refused};
use connexa::once;
use connexa::purge;
use connexa::runtime;
use connexa::supervisor::{self, Options};
use connexa::systemd;
use connexa::telemetry;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

fn main() -> ExitCode {
    let arguments: Arguments = match cli::arguments("connexad") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    if arguments.hold {
        return hold().map_or_else(|refused| cli::fail("connexad", &refused), ExitCode::from);
    }
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
    if arguments.check_config {
        print_config(&options.load()?)
    } else if arguments.once {
        look_once(&options.load()?)
    } else if arguments.purge {
        purge(&options.load()?, arguments.dry_run)
    } else {
        run(options).inspect_err(|refused| systemd::show_end(&refused.lines))
    }
}

/// Beside a daemon, for its tunnels.
fn hold() -> Ended {
    need_root()?;
    forbid_core_dumps()?;
    connexa::pptp::hold().map_err(|error| {
        let message = format!("--hold is for connexad itself, which gives it a socket: {error}");
        Refused::with(Exit::Usage, message)
    })?;
    Ok(Exit::Done)
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
    // Not the code of a second daemon: systemd starts it again.
    runtime::start()
        .map_err(|error| Refused::with(Exit::Unreachable, format!("can't start: {error}")))
}

/// A core dump would hold passwords, wherever the kernel sends it. The limit is for pppd, hooks and the
/// like: they have it from the daemon, under whatever manager it runs.
fn forbid_core_dumps() -> Result<(), Refused> {
    let refused = |error| Refused::with(Exit::No, format!("can't forbid core dumps: {error}"));
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)
}

fn run(options: Options) -> Ended {
    let config = options.load()?;
    need_root()?;
    forbid_core_dumps()?;
    let log = telemetry::init(&config.log)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(supervisor::run(options, config));
    // Work that hangs on a disk must not hold up the end.
    runtime.shutdown_background();
    log.finish();
    ended?;
    Ok(Exit::Done)
}
