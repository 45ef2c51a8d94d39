//! Network namespaces for tests of what the kernel says.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test in an empty network namespace, on a thread of its own.
pub(crate) fn in_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    #[expect(deprecated, reason = "unsafe with file descriptor tables; this is NEWNET alone")]
    let unshare = || rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET);
    let body = move || {
        unshare().expect("tests of the kernel's links need root; nothing was tested here");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let test = async { tokio::time::timeout(DEADLINE, test()).await.unwrap() };
        runtime.block_on(test);
    };
    std::thread::spawn(body).join().unwrap();
}

/// Blocks the only thread, so nothing is read meanwhile.
pub(crate) fn ip(commands: impl IntoIterator<Item = String>) {
    let commands: Vec<String> = commands.into_iter().collect();
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    ip.stdin.take().unwrap().write_all(commands.join("\n").as_bytes()).unwrap();
    assert!(ip.wait().unwrap().success());
}
