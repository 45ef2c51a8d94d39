//! Why a node is where it is, and what to do about it.

use crate::core::reason::Reason;

impl Reason {
    /// What happened, in words.
    pub fn message(&self) -> String {
        match self {
            Reason::Failure(failure) => failure.message.clone(),
            Reason::HangUp(why) => why.to_string(),
            Reason::Stopped => "stopped by the operator".to_owned(),
            Reason::Invalid(row) => row.reason.to_string(),
            Reason::NoPlace => "all places of selection.max_tunnels are taken".to_owned(),
            Reason::NotStarted => "its files are not yet written below paths.ppp_dir".to_owned(),
            Reason::OutOfSight => {
                "its call goes on, but which link is its own is not known, so whether the tunnel is \
                 up can't be told"
                    .to_owned()
            }
        }
    }

    /// What to do about it, for people; none where the message says it, or nothing is to be done.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Reason::Failure(failure) => Some(failure.kind.remedy()),
            Reason::NoPlace => Some("raise selection.max_tunnels to have more tunnels up at once"),
            Reason::NotStarted => Some("check whether that disk is busy or fails (iostat, dmesg)"),
            Reason::OutOfSight => Some(
                "give a renamed link its name back, or dial anew by `connexactl stop` and \
                 `connexactl start`",
            ),
            Reason::HangUp(_) | Reason::Stopped | Reason::Invalid(_) => None,
        }
    }
}
