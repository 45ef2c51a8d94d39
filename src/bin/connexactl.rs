//! connexactl: asks the daemon.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use connexa::cli::{
    Named, Terminal, arguments, compare_versions, complete, completions, fail, firewall, node,
    print, replay, report, setup, show_change, show_diagnosis, show_explanation, show_node,
    show_plan, show_reload, show_status, socket, status_as_json, top, watch,
};
use connexa::command_line::connexactl::{Arguments, Command};
use connexa::config;
use connexa::control::api::NodeInFull;
use connexa::control::client;
use connexa::core::event::Ask;
use connexa::doctor;
use connexa::exit::{Exit, Fatal, Refused};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    complete(Arguments::command);
    let arguments: Arguments = match arguments("connexactl") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    run(&arguments).map_or_else(|refused| fail("connexactl", &refused), ExitCode::from)
}

fn run(arguments: &Arguments) -> Result<Exit, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refused::with(Exit::No, format!("can't start: {error}")))?;
    let config = arguments.config.as_deref();
    let (text, exit) = match arguments.command {
        Command::Status { node: Some(ref named), .. } => {
            let node = full(&runtime, arguments, named)?.node;
            let text = show_node(&node, arguments.json)?;
            (text, if node.state == "up" { Exit::Done } else { Exit::No })
        }
        Command::Status { node: None, ref view } => {
            let status = runtime.block_on(client::status(&arguments.socket()?))?;
            compare_versions(&status);
            let text = if arguments.json {
                status_as_json(&status, view)?
            } else {
                show_status(&status, view, Terminal::of_stdout(view.wide))?
            };
            (text, Exit::Done)
        }
        Command::Watch => {
            let (socket, out) = (arguments.socket()?, std::io::stdout().lock());
            runtime.block_on(watch(&socket, arguments.json, out))?;
            return Ok(Exit::Done);
        }
        Command::Top => {
            if arguments.json {
                let instead = "`connexactl watch --json` follows";
                return Err(Refused::with(Exit::Usage, format!("top has no JSON; {instead}")));
            }
            runtime.block_on(top(&arguments.socket()?, Terminal::of_stdout(false)))?;
            return Ok(Exit::Done);
        }
        Command::Explain { ref node } => {
            let node = full(&runtime, arguments, node)?;
            (show_explanation(&node, arguments.json)?, Exit::Done)
        }
        Command::Plan => {
            // The daemon adds what wins over its own file: its environment and its command line.
            let other = config.map(config::load_alone).transpose()?;
            let other = other.map(|config| toml::to_string(&config)).transpose();
            let other = other.map_err(|error| Refused::with(Exit::Config, error))?;
            // The daemon is not asked by the socket of a configuration that it does not go by.
            let daemon = socket(arguments.socket.as_deref(), None)?;
            let plan = runtime.block_on(client::plan(&daemon, other))?;
            (show_plan(&plan, arguments.json)?, Exit::Done)
        }
        Command::Metrics { nodes } => {
            (runtime.block_on(client::metrics(&arguments.socket()?, nodes))?, Exit::Done)
        }
        Command::Reload => {
            let reloaded = runtime.block_on(client::reload(&arguments.socket()?))?;
            (show_reload(&reloaded, arguments.json)?, Exit::Done)
        }
        Command::Completions { shell } => (completions(shell)?, Exit::Done),
        Command::Report { ref file } => {
            let socket = arguments.socket()?;
            (runtime.block_on(report(file, &socket, config))?, Exit::Done)
        }
        Command::Replay { ref file } => return replay_file(file, arguments.json),
        Command::Setup(ref asked) => {
            (runtime.block_on(setup(asked, config, arguments.json))?, Exit::Done)
        }
        Command::Doctor => examine(&runtime, arguments)?,
        Command::Firewall(ref asked) => {
            runtime.block_on(firewall(asked, config, arguments.json))?
        }
        Command::Node(ref asked) => {
            (runtime.block_on(node(asked, config, arguments.json))?, Exit::Done)
        }
        Command::Start { ref node } => (change(&runtime, arguments, node, Ask::Start)?, Exit::Done),
        Command::Stop { ref node } => (change(&runtime, arguments, node, Ask::Stop)?, Exit::Done),
        Command::Retry { ref node } => (change(&runtime, arguments, node, Ask::Retry)?, Exit::Done),
    };
    print(&text)?;
    Ok(exit)
}

fn full(runtime: &Runtime, arguments: &Arguments, node: &Named) -> Result<NodeInFull, Refused> {
    let socket = arguments.socket()?;
    let id = runtime.block_on(node.id(&socket))?;
    Ok(runtime.block_on(client::node(&socket, id))?)
}

fn change(
    runtime: &Runtime,
    arguments: &Arguments,
    node: &Named,
    ask: Ask,
) -> Result<String, Refused> {
    let socket = arguments.socket()?;
    let id = runtime.block_on(node.id(&socket))?;
    let node = runtime.block_on(client::change(&socket, id, ask))?;
    Ok(show_change(&node, ask, arguments.json)?)
}

fn examine(runtime: &Runtime, arguments: &Arguments) -> Result<(String, Exit), Refused> {
    let file = config::file(arguments.config.clone());
    let mut config = config::load(file.as_deref(), |_| ())?;
    if let Some(socket) = &arguments.socket {
        config.control.socket.clone_from(socket);
    }
    let diagnosis = runtime.block_on(doctor::examine(&config, file.as_deref()));
    let text = show_diagnosis(&diagnosis, arguments.json)?;
    Ok((text, if diagnosis.is_healthy() { Exit::Done } else { Exit::No }))
}

fn replay_file(file: &Path, as_json: bool) -> Result<Exit, Refused> {
    let out = BufWriter::new(std::io::stdout().lock());
    let replayed = File::open(file)
        .map_err(Into::into)
        .and_then(|recording| replay(BufReader::new(recording), out, as_json));
    match replayed {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let what = format!("can't replay {}: {error}", file.display());
            Err(Refused::with(error.exit(), what))
        }
    }
}
