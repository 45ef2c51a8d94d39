//! What the kernel has answered, with what to do about it.

use std::io;

use rustix::io::Errno;

/// The answer. Where it is that no more files may be open, nothing else helps than more of them;
/// `otherwise` is what to do about any other one, and may be empty.
pub(crate) fn with_remedy(error: &io::Error, otherwise: &str) -> String {
    let remedy = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "raise LimitNOFILE= in the unit of connexad, and restart it",
        Some(Errno::NFILE) => "raise fs.file-max of this host (sysctl)",
        Some(_) | None => otherwise,
    };
    if remedy.is_empty() { error.to_string() } else { format!("{error}; {remedy}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_file_may_be_opened_the_remedy_is_more_of_them_and_nothing_else() {
        let told = |errno: Errno| with_remedy(&errno.into(), "allow AF_NETLINK in the unit");
        for (errno, remedy) in [(Errno::MFILE, "LimitNOFILE="), (Errno::NFILE, "fs.file-max")] {
            assert!(told(errno).contains(remedy), "{}", told(errno));
            assert!(!told(errno).contains("AF_NETLINK"), "{}", told(errno));
        }
        assert!(told(Errno::AFNOSUPPORT).ends_with("; allow AF_NETLINK in the unit"));
        let bare = with_remedy(&Errno::CONNREFUSED.into(), "");
        assert_eq!(bare, io::Error::from(Errno::CONNREFUSED).to_string());
    }
}
