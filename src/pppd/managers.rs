//! Call managers of pptp, watched for their end.
//!
//! A pptp that has lost its call manager goes on carrying packets that the server no longer takes,
//! and only missing echoes would tell. All are watched by one epoll(7), so that one costs a
//! descriptor and no more.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::core::event::Pid;
use crate::process::lives;

/// Those that are watched.
#[derive(Debug)]
pub(super) struct Managers {
    held: BTreeMap<Pid, OwnedFd>,
    ends: AsyncFd<OwnedFd>,
}

impl Managers {
    /// None yet.
    ///
    /// # Errors
    /// When the kernel can't watch one more file.
    #[expect(
        deprecated,
        reason = "deprecated for fds that may close early, which an OwnedFd can't"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let ends = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let ends = AsyncFd::with_interest(ends, Interest::READABLE)?;
        Ok(Managers { held: BTreeMap::new(), ends })
    }

    /// Watches this one too.
    ///
    /// # Errors
    /// When the kernel can't watch one more file.
    pub(super) fn watch(&mut self, pid: Pid, pidfd: OwnedFd) -> io::Result<()> {
        let data = epoll::EventData::new_u64(pid.into());
        epoll::add(self.ends.get_ref(), &pidfd, data, epoll::EventFlags::IN)?;
        self.held.insert(pid, pidfd);
        Ok(())
    }

    /// Forgets those that have ended, and tells which are left.
    pub(super) fn living(&mut self) -> impl Iterator<Item = Pid> {
        self.held.retain(|_, pidfd| lives(pidfd));
        self.held.keys().copied()
    }

    /// Returns when one has ended that is not forgotten yet; once for each.
    pub(super) async fn ended(&self) {
        match self.ends.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            // Only at the end of the runtime.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::process::take_hold;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn watched(managers: &mut Managers) -> Child {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        managers.watch(child.id(), take_hold(child.id()).unwrap()).unwrap();
        child
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn the_end_of_each_is_told_and_the_living_are_left() {
        let mut managers = Managers::new().unwrap();
        let children = [(); 3].map(|()| watched(&mut managers));
        let [first, second, third] = children;
        for child in [first, second] {
            end(child);
            timeout(DEADLINE, managers.ended()).await.unwrap();
        }
        assert_eq!(managers.living().collect::<Vec<_>>(), [third.id()]);
        end(third);
    }

    #[tokio::test]
    async fn those_that_were_forgotten_are_told_no_more() {
        let mut managers = Managers::new().unwrap();
        let [first, second] = [(); 2].map(|()| watched(&mut managers));
        end(first);
        timeout(DEADLINE, managers.ended()).await.unwrap();
        assert_eq!(managers.living().count(), 1);
        assert!(timeout(Duration::ZERO, managers.ended()).await.is_err());
        end(second);
        timeout(DEADLINE, managers.ended()).await.unwrap();
    }
}
