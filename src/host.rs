//! Looks out for what dialling needs of this host: `/dev/ppp`, pppd, pptp.

use std::path::Path;

use tokio::sync::mpsc;

use crate::config::Paths;
use crate::core::event::Event;
use crate::watch::{Interest, Watch};

const PPP_DEVICE: &str = "/dev/ppp";

/// Tells the core whenever one of them came, went or changed its rights.
pub(crate) async fn follow(paths: Paths, events: mpsc::Sender<Event>) {
    let files = [Path::new(PPP_DEVICE), &paths.pppd, &paths.pptp];
    let mut watch = Watch::new(files.into_iter().filter_map(interest).collect());
    loop {
        watch.changed().await;
        if events.send(Event::HostChanged).await.is_err() {
            return;
        }
    }
}

/// Writes don't matter: pppd writes to `/dev/ppp` at every echo.
fn interest(file: &Path) -> Option<Interest> {
    let name = file.file_name()?.to_owned();
    Some(Interest::files(file.parent()?, vec![name]).without_writes())
}
