//! The client's side of `GET /v1/events`.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{ClientError, PATIENCE, connect, of_hyper, refused};

const EVENTS: &str = "/v1/events";

/// Events as they come, a line each.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    /// What came after the last whole line.
    rest: Vec<u8>,
    socket: PathBuf,
}

/// Begins to follow; answers when the first event is about to come.
///
/// # Errors
/// When the daemon can't be reached, or refuses.
pub async fn follow(socket: &Path) -> Result<Events, ClientError> {
    let stream = connect(socket).await?;
    let asked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the answer has, or is dropped.
        tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = hyper::Uri::from_static(EVENTS);
        let host = header::HeaderValue::from_static("connexa");
        request.headers_mut().insert(header::HOST, host);
        sender.send_request(request).await
    };
    let too_late = |_| ClientError::Late { socket: socket.to_owned(), waited: PATIENCE };
    let response = timeout(PATIENCE, asked).await.map_err(too_late)?;
    let (head, body) = response.map_err(|error| of_hyper(socket, &error))?.into_parts();
    if head.status.is_success() {
        return Ok(Events { body, rest: Vec::new(), socket: socket.to_owned() });
    }
    let body = timeout(PATIENCE, body.collect()).await.map_err(too_late)?;
    let body = body.map_err(|error| of_hyper(socket, &error))?.to_bytes();
    Err(refused(socket, EVENTS, head.status, &body))
}

impl Events {
    /// The next event's line; `None` once the daemon has ended, or has hung up.
    ///
    /// # Errors
    /// When what comes is no text.
    pub async fn next(&mut self) -> Option<Result<String, ClientError>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).map_err(|error| ClientError::Garbled {
                    socket: self.socket.clone(),
                    what: error.to_string(),
                }));
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}
