//! A node as it is named on a command line: by its id, or by something that is none.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::timeout;

use crate::control::client;
use crate::exit::{Exit, Refused};
use crate::unknown::{Known, no_id};

/// Nobody waits longer to hear what else could have been meant.
const WITHIN: Duration = Duration::from_secs(2);

/// The word for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// An id.
    Id(u32),
    /// What is no id, and an address or a login perhaps.
    Other(String),
}

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Named::Other(text.to_owned()), Named::Id))
    }
}

impl Named {
    /// The id.
    ///
    /// # Errors
    /// Where it is none, with the daemon's nodes that have this address or login.
    pub async fn id(&self, socket: &Path) -> Result<u32, Refused> {
        match self {
            Named::Id(id) => Ok(*id),
            Named::Other(text) => {
                let status = timeout(WITHIN, client::status(socket)).await;
                let nodes = status.ok().and_then(Result::ok).map(|status| status.nodes);
                let nodes = nodes.as_deref().unwrap_or_default();
                Err(Refused::with(Exit::Usage, no_id(text, nodes.iter().map(Known::of))))
            }
        }
    }
}
