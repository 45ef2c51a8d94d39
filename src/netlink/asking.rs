//! Asking rtnetlink by its library, over a socket of its own.

use std::io;

use netlink_sys::AsyncSocket;
use rtnetlink::Handle;
use tokio::task::JoinSet;

/// A handle to ask by, and the task that serves it: the socket is closed when that is dropped. Call
/// it within the runtime.
///
/// # Errors
/// When there is no socket of this family.
pub(crate) fn connect() -> io::Result<(Handle, JoinSet<()>)> {
    open(false)
}

/// The same, where the kernel picks what is asked for out of its lists (`NETLINK_GET_STRICT_CHK`,
/// netlink(7)). Older ones list all, which is as good for who looks at what comes.
///
/// # Errors
/// As [`connect`].
pub(crate) fn connect_strict() -> io::Result<(Handle, JoinSet<()>)> {
    open(true)
}

fn open(is_strict: bool) -> io::Result<(Handle, JoinSet<()>)> {
    let (mut connection, handle, _) = rtnetlink::new_connection()?;
    if is_strict {
        let _ = connection.socket_mut().socket_mut().set_netlink_get_strict_chk(true);
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    Ok((handle, tasks))
}
