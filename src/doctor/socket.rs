//! Does the daemon answer?

use std::io::ErrorKind;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};

const CHECK: &str = "socket";
const START: &str = "systemctl start connexad, and see: systemctl status connexad";

pub(super) async fn check(socket: &Path) -> Finding {
    let shown = socket.display();
    match timeout(ANSWER_WITHIN, UnixStream::connect(socket)).await {
        Ok(Ok(_)) => Finding::ok(CHECK, format!("connexad listens on {shown}")),
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Finding::warning(
            CHECK,
            format!("no right to use {shown}"),
            "ask again as root, or join the group of control.group",
        ),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            Finding::warning(CHECK, format!("connexad does not run: there is no {shown}"), START)
        }
        Ok(Err(error)) => {
            let message = format!("connexad does not run: nobody listens on {shown} ({error})");
            Finding::warning(CHECK, message, START)
        }
        Err(_) => {
            let message = format!("connexad does not take connections on {shown}");
            Finding::failed(
                CHECK,
                message,
                "systemctl restart connexad; its tunnels stay up meanwhile",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::Verdict;
    use super::*;
    use crate::control::socket::hang_up;

    #[tokio::test]
    async fn a_daemon_that_listens_is_well_and_one_that_does_not_is_worth_a_look() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("connexad.sock");
        assert!(check(&socket).await.message.contains("there is no"));
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(check(&socket).await.verdict, Verdict::Ok);
        hang_up(&listener);
        let finding = check(&socket).await;
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.contains("nobody listens"), "{}", finding.message);
    }
}
