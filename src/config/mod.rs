//! The configuration file: TOML, every key optional, unknown keys refused.

mod load;
mod probe;
mod sections;
mod span;

pub use load::{ConfigError, DEFAULT_PATH, load, parse};
pub use probe::{Probe, Target};
pub use sections::{
    Backend, Backoff, Columns, Config, Control, Database, Hooks, InterfaceName, Log, LogFormat,
    LogLevel, Outage, Paths, Routing, Selection, Tunnel,
};
pub use span::Span;
