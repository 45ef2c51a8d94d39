//! Is the clock right? The journal, the history and the shown times go by it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{ANSWER_WITHIN, Finding};
use crate::command;

const CHECK: &str = "clock";

/// 2020 began so many seconds after 1970.
const START_OF_2020: u64 = 1_577_836_800;
const SET: &str = "set it, and have it kept: timedatectl set-ntp true";

pub(super) async fn check() -> Finding {
    let argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"].map(str::to_owned);
    // Where nothing answers, as in a container, the clock is another's to keep.
    let answer = command::ask(&argv, ANSWER_WITHIN).await.ok();
    judge(SystemTime::now(), answer.as_ref().map(|answer| answer.text.trim()))
}

fn judge(now: SystemTime, synchronised: Option<&str>) -> Finding {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds < START_OF_2020 {
        let year = humantime::format_rfc3339_seconds(now.max(UNIX_EPOCH));
        return Finding::warning(CHECK, format!("the clock shows {year}, which is long ago"), SET);
    }
    match synchronised {
        Some("yes") => Finding::ok(CHECK, "the clock is synchronised"),
        Some("no") => Finding::warning(
            CHECK,
            "the clock is not synchronised: times in the journal may be wrong",
            SET,
        ),
        Some(_) | None => Finding::ok(
            CHECK,
            "the clock's date is plausible; whether it is kept right can't be told",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_of_long_ago_or_without_a_source_is_worth_a_look() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (now, synchronised, verdict) in [
            (at(0), Some("yes"), Verdict::Warning),
            (UNIX_EPOCH - Duration::from_secs(1), None, Verdict::Warning),
            (at(START_OF_2020), Some("yes"), Verdict::Ok),
            (at(START_OF_2020), Some("no"), Verdict::Warning),
            (at(START_OF_2020), Some(""), Verdict::Ok),
            (at(START_OF_2020), None, Verdict::Ok),
        ] {
            assert_eq!(judge(now, synchronised).verdict, verdict, "{now:?}, {synchronised:?}");
        }
    }
}
