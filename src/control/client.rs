//! The client's side of the control API.

mod follow;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api::{ChangedNode, NodeInFull, Plan, Problem, Reloaded, Status, Traffic, change_path};
use super::problem::{NO_METHOD, NO_PATH};
use crate::core::event::Ask;
use crate::doctor::Diagnosis;
pub use follow::{Events, follow};

const PATIENCE: Duration = Duration::from_secs(10);
/// For what reads files: the database, the configuration. A disk or a writer may hold it up.
const OF_FILES: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("can't reach connexad at {}: {source}; is it running? `systemctl status connexad` tells; one with another socket is asked by --socket", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The socket is not for this user.
    #[error("not allowed to use {}; run as root or join the group that owns it", socket.display())]
    Permission {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is not for this user, and to change a node takes more than its group.
    #[error("not allowed to change anything by {}; ask again as root, e.g. by sudo", socket.display())]
    NotRoot {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon said no.
    #[error("connexad at {}: {}", socket.display(), problem.detail)]
    Refused {
        /// The socket.
        socket: PathBuf,
        /// What it said.
        problem: Problem,
    },
    /// The daemon hung up.
    #[error("connexad at {} went away before it answered; ask again, or see `systemctl status connexad`", socket.display())]
    WentAway {
        /// The socket.
        socket: PathBuf,
    },
    /// No answer has come.
    #[error(
        "connexad at {} has not answered within {}: it is busy, or held up by a disk or a lock; what was asked \
         for may still be done; see `connexactl status` and its journal, then ask again",
        socket.display(), humantime::format_duration(*waited)
    )]
    Late {
        /// The socket.
        socket: PathBuf,
        /// So long.
        waited: Duration,
    },
    /// The daemon has no such path, or takes no such request there.
    #[error(
        "connexad at {} does not know {path}: it is of another version; compare `connexad --version` with \
         `connexactl --version`, and restart connexad after an upgrade", socket.display()
    )]
    NotKnown {
        /// The socket.
        socket: PathBuf,
        /// What was asked for.
        path: String,
    },
    /// What came back is no answer.
    #[error("connexad at {} gave an answer that can't be read: {what}; compare `connexad --version` with `connexactl --version`, and restart connexad after an upgrade", socket.display())]
    Garbled {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Asks for the whole state.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn status(socket: &Path) -> Result<Status, ClientError> {
    get(socket, "/v1/status").await
}

/// Asks something of a node, and gives it back as it is right after.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn change(socket: &Path, node: u32, ask: Ask) -> Result<ChangedNode, ClientError> {
    post(socket, &change_path(node, ask), String::new()).await
}

/// Asks for one node, with what became of it.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn node(socket: &Path, node: u32) -> Result<NodeInFull, ClientError> {
    get(socket, &format!("/v1/nodes/{node}")).await
}

/// Asks what would be done; under another configuration, where one is given as TOML.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn plan(socket: &Path, other: Option<String>) -> Result<Plan, ClientError> {
    match other {
        None => get(socket, "/v1/plan").await,
        Some(toml) => post(socket, "/v1/plan", toml).await,
    }
}

/// Asks for the checks of its host, by the configuration in force.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn doctor(socket: &Path) -> Result<Diagnosis, ClientError> {
    get(socket, "/v1/doctor").await
}

/// Asks what the tunnels that are up have carried.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn traffic(socket: &Path) -> Result<Traffic, ClientError> {
    get(socket, "/v1/traffic").await
}

/// Asks for the figures, as text; `nodes`: also for the bytes of each node that is up.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn metrics(socket: &Path, nodes: bool) -> Result<String, ClientError> {
    let path = if nodes { "/metrics?nodes=bytes" } else { "/metrics" };
    let body = ask(socket, Method::GET, path, String::new()).await?;
    String::from_utf8(body.into()).map_err(|error| ClientError::Garbled {
        socket: socket.to_owned(),
        what: error.to_string(),
    })
}

/// Has the configuration read again.
///
/// # Errors
/// When the daemon can't be reached, refuses, or answers something else.
pub async fn reload(socket: &Path) -> Result<Reloaded, ClientError> {
    post(socket, "/v1/reload", String::new()).await
}

/// Whoever may only read is told what it takes to do more.
async fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: String,
) -> Result<T, ClientError> {
    let answer = request(socket, Method::POST, path, body).await;
    answer.map_err(|error| match error {
        // The group that may use the socket may only read.
        ClientError::Permission { socket } => ClientError::NotRoot { socket },
        error @ (ClientError::Unreachable { .. }
        | ClientError::NotRoot { .. }
        | ClientError::Refused { .. }
        | ClientError::WentAway { .. }
        | ClientError::Late { .. }
        | ClientError::NotKnown { .. }
        | ClientError::Garbled { .. }) => error,
    })
}

async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    request(socket, Method::GET, path, String::new()).await
}

async fn request<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<T, ClientError> {
    let answer = ask(socket, method, path, body).await?;
    serde_json::from_slice(&answer).map_err(|error| ClientError::Garbled {
        socket: socket.to_owned(),
        what: error.to_string(),
    })
}

async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<Bytes, ClientError> {
    ask_within(patience(path), socket, method, path, body).await
}

async fn ask_within(
    waited: Duration,
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<Bytes, ClientError> {
    let stream = connect(socket).await?;
    let answer = timeout(waited, exchange(stream, method, path, body)).await;
    let answer = answer.map_err(|_| ClientError::Late { socket: socket.to_owned(), waited })?;
    let (status, body) = answer.map_err(|error| of_hyper(socket, &error))?;
    if status.is_success() { Ok(body) } else { Err(refused(socket, path, status, &body)) }
}

/// How long an answer may take. Under a path of a node, too, the database may be looked at.
fn patience(path: &str) -> Duration {
    let is_of_files = ["/v1/plan", "/v1/reload", "/v1/nodes/", "/v1/doctor"];
    if is_of_files.iter().any(|begin| path.starts_with(begin)) { OF_FILES } else { PATIENCE }
}

fn of_hyper(socket: &Path, error: &hyper::Error) -> ClientError {
    let socket = socket.to_owned();
    if hung_up(error) {
        ClientError::WentAway { socket }
    } else {
        ClientError::Garbled { socket, what: error.to_string() }
    }
}

/// What the daemon said no by.
fn refused(socket: &Path, path: &str, status: StatusCode, body: &[u8]) -> ClientError {
    let (socket, path) = (socket.to_owned(), path.to_owned());
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let is_of_router = |problem: &Problem| [NO_PATH, NO_METHOD].contains(&problem.title.as_str());
    let is_not_known = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
    match problem {
        problem if is_not_known && problem.as_ref().is_none_or(is_of_router) => {
            ClientError::NotKnown { socket, path }
        }
        Some(problem) => ClientError::Refused { socket, problem },
        None => ClientError::Garbled { socket, what: format!("HTTP {status}") },
    }
}

/// Whether the connection ended before the answer did.
fn hung_up(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || source.is_some_and(|e| {
            [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&e.kind())
        })
}

/// The longest path of a Unix socket, in bytes (`sun_path` of unix(7), less the NUL at its end).
const LONGEST_SOCKET: usize = 107;

async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    if socket.as_os_str().len() > LONGEST_SOCKET {
        let why = format!("a socket's path has at most {LONGEST_SOCKET} bytes, name a shorter one");
        let (socket, source) = (socket.to_owned(), io::Error::other(why));
        return Err(ClientError::Unreachable { socket, source });
    }
    UnixStream::connect(socket).await.map_err(|source| {
        let socket = socket.to_owned();
        if source.kind() == io::ErrorKind::PermissionDenied {
            ClientError::Permission { socket }
        } else {
            ClientError::Unreachable { socket, source }
        }
    })
}

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: String,
) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let host = header::HeaderValue::from_static("connexa");
    request.headers_mut().insert(header::HOST, host);
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    // The connection has to be driven while the answer is awaited.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_files_is_given_more_time() {
        let times = ["/v1/reload", "/v1/plan", "/v1/nodes/2", "/v1/status"].map(patience);
        assert_eq!(times.map(|time| time.as_secs()), [60, 60, 60, 10]);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_told_as_that() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("silent");
        // The kernel takes connections, and nobody answers.
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let waited = Duration::from_millis(1);
        let late = ask_within(waited, &socket, Method::POST, "/v1/reload", String::new()).await;
        let text = late.unwrap_err().to_string();
        assert!(text.contains("has not answered within 1ms: it is busy"), "{text}");
    }
}
