//! Who is at the other end of a connection.

use std::fmt;
use std::io;

use tokio::net::UnixStream;

use crate::control::question::Refusal;
use crate::control::socket::group_id;
use crate::core::event::Pid;
use crate::process::Proc;

/// Who is at the other end of a connection, as it was at connect (SO_PEERCRED, unix(7)), whatever
/// the peer becomes.
#[derive(Clone, Copy, Debug)]
pub(in crate::control) struct Peer {
    pub(in crate::control) uid: u32,
    /// Zero where it is of another pid namespace.
    pub(in crate::control) pid: Pid,
    is_admin: bool,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream, admin_group: Option<&str>) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let (uid, gid) = (credentials.uid(), credentials.gid());
        let pid = credentials.pid().and_then(|pid| Pid::try_from(pid).ok()).unwrap_or_default();
        let is_member = |group: u32| {
            // The number may be another process's by now: one of the same user is as good.
            gid == group || (Proc::host().groups_of(pid, uid).contains(&group))
        };
        let is_admin = uid == 0 || admin_group.and_then(group_id).is_some_and(is_member);
        Ok(Peer { uid, pid, is_admin })
    }

    /// What could show more of this host than its nodes is root's.
    ///
    /// # Errors
    /// When it is another's.
    pub(in crate::control) fn must_be_root(self, what: &str) -> Result<(), Refusal> {
        if self.uid == 0 {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!("{what} needs root; ask again as root, e.g. by sudo")))
    }

    /// Whoever can connect may read.
    ///
    /// # Errors
    /// When it may not more than that.
    pub(in crate::control) fn must_be_allowed(self, what: &str) -> Result<(), Refusal> {
        if self.is_admin {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!(
            "{what} needs root or membership of control.admin_group; ask again as root, e.g. by sudo"
        )))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, pid {}", self.uid, self.pid)
    }
}
