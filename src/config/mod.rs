//! The configuration file: TOML, every key optional, unknown keys refused.

mod load;
mod sections;
mod span;

pub use load::{ConfigError, DEFAULT_PATH, load, parse};
pub use sections::{
    Backend, Backoff, Columns, Config, Control, Database, InterfaceName, Log, LogFormat, LogLevel,
    Outage, Paths, Selection, Tunnel,
};
pub use span::Span;
