//! The configuration file: TOML, every key optional, unknown keys refused.

mod changes;
mod document;
mod fault;
mod judge;
mod load;
mod metrics;
mod parsed;
mod pppd_options;
mod probe;
mod rights;
mod sections;
mod span;
mod wording;

pub(crate) use changes::{Changed, When, changes};
pub use fault::{ConfigError, Fault, Place};
#[cfg(test)]
pub(crate) use judge::LONGEST_PPTP;
pub(crate) use load::parse_to_run;
pub use load::{DEFAULT_PATH, database_of_environment, file, load, load_alone, parse};
pub use metrics::{Listen, ListenError, Metrics};
pub use probe::{Probe, Target, TargetError};
pub use rights::{Exposed, exposed};
pub use sections::{
    Backend, Backoff, Columns, Config, Control, Database, Hooks, InterfaceName, Log, LogFormat,
    LogLevel, Outage, Paths, Routing, Selection, Tunnel, WhenDown,
};
pub use span::{Span, SpanError};

#[cfg(test)]
mod tests;
