//! What can be said to connexad.

use std::path::PathBuf;

use clap::Parser;

use crate::config::{Span, SpanError};
use crate::version::VERSION;

/// Holds PPTP tunnels up.
#[derive(Debug, Parser)]
#[command(name = "connexad", version = VERSION)]
pub struct Arguments {
    /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Check the configuration, print it with all defaults, and exit
    #[arg(long)]
    pub check_config: bool,
    /// Look once, print the outage object as JSON, change nothing (exit code 1 when no tunnel is up)
    #[arg(long)]
    pub once: bool,
    /// Say what the daemon would do, and do none of it
    #[arg(long)]
    pub dry_run: bool,
    /// End our tunnels and remove all that connexad wrote on this host, but for the configuration, the
    /// database and recordings; with --dry-run only list it
    #[arg(long, conflicts_with_all = ["once", "check_config", "record"])]
    pub purge: bool,
    /// Record all that the core is told to this file, for `connexactl replay`; where it exists, to
    /// the first free of FILE.1, FILE.2 and so on
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Keep what a daemon hands over by the socket at the standard input, until nobody needs it: the
    /// daemon starts this by itself
    #[arg(long, hide = true, exclusive = true)]
    pub hold: bool,
    /// Length of an outage window, e.g. 30s; overrides outage.interval
    #[arg(long, value_name = "DURATION", value_parser = window)]
    pub interval: Option<Span>,
    /// Time before the first outage window; overrides outage.startup_delay
    #[arg(long, value_name = "DURATION")]
    pub startup_delay: Option<Span>,
}

/// The length of a window, of a word of the command line.
fn window(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: SpanError| error.to_string())?;
    if span.get().is_zero() { Err("must be longer than 0s".to_owned()) } else { Ok(span) }
}
