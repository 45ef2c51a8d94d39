//! Where the daemon is spoken to.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigError};

/// The socket of this command line: the named one, that of a named configuration, or that of the
/// default file. A default file that this user may not read, or that is faulty, keeps nobody from
/// asking a daemon that runs by the default socket.
///
/// # Errors
/// When a named configuration can't be used.
pub fn socket(named: Option<&Path>, config: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let of = |config: Config| config.control.socket;
    match (named, config) {
        (Some(socket), _) => Ok(socket.to_owned()),
        (None, Some(_)) => config::load(config, |_| ()).map(of),
        (None, None) => Ok(config::load(None, |_| ()).map_or_else(|_| of(Config::default()), of)),
    }
}
