//! The automaton of option negotiation (RFC 1661 section 4).

use Action::{Irc, Sca, Scj, Scn, Scr, Ser, Sta, Str, Tld, Tlf, Tls, Tlu, Zrc};
use State::{
    AckReceived, AckSent, Closed, Closing, Initial, Opened, RequestSent, Starting, Stopped,
    Stopping,
};

/// Section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Initial,
    Starting,
    Closed,
    Stopped,
    Closing,
    Stopping,
    RequestSent,
    AckReceived,
    AckSent,
    Opened,
}

/// Section 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The lower layer is up.
    Up,
    /// The lower layer is down. A call ends with its lower layer.
    #[cfg_attr(not(test), expect(dead_code, reason = "the table stands as a whole"))]
    Down,
    /// Wanted up.
    Open,
    /// Wanted down.
    Close,
    /// TO+: the timer ran out, tries are left.
    TimeoutAgain,
    /// TO-: the timer ran out for the last time.
    TimeoutLast,
    /// RCR+: a request that can be acknowledged.
    RequestGood,
    /// RCR-: a request that can't.
    RequestBad,
    /// RCA: our request is acknowledged.
    Ack,
    /// RCN: our request is refused in part.
    Nak,
    /// RTR.
    TerminateRequest,
    /// RTA.
    TerminateAck,
    /// RUC: a code that nobody knows.
    UnknownCode,
    /// RXJ+: a reject that can be lived with.
    RejectGood,
    /// RXJ-: a reject that can't.
    RejectBad,
    /// RXR: echo and discard.
    Echo,
}

/// Section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// This layer is up.
    Tlu,
    /// It is down.
    Tld,
    /// It wants the lower layer.
    Tls,
    /// It needs it no more.
    Tlf,
    /// Initialise the restart count.
    Irc,
    /// Zero it.
    Zrc,
    /// Send a request.
    Scr,
    /// Send an acknowledgement.
    Sca,
    /// Send a Nak or a Reject.
    Scn,
    /// Send a Terminate-Request.
    Str,
    /// Send a Terminate-Ack.
    Sta,
    /// Send a Code-Reject.
    Scj,
    /// Send an Echo-Reply.
    Ser,
}

/// What an event leads to in a state; `None` where section 4.1 has a dash: it can't happen, and
/// where it does it changes nothing.
pub(super) fn next(state: State, event: Event) -> Option<(&'static [Action], State)> {
    let row = row(event);
    let place = match state {
        Initial => 0,
        Starting => 1,
        Closed => 2,
        Stopped => 3,
        Closing => 4,
        Stopping => 5,
        RequestSent => 6,
        AckReceived => 7,
        AckSent => 8,
        Opened => 9,
    };
    row.into_iter().nth(place).flatten()
}

type Cell = Option<(&'static [Action], State)>;

const fn to(state: State) -> Cell {
    Some((&[], state))
}

const fn does(actions: &'static [Action], state: State) -> Cell {
    Some((actions, state))
}

/// The table of section 4.1, a row an event, without the options "restart" and "passive".
#[rustfmt::skip]
fn row(event: Event) -> [Cell; 10] {
    match event {
        Event::Up => [
            to(Closed), does(&[Irc, Scr], RequestSent), None, None, None, None,
            None, None, None, None,
        ],
        Event::Down => [
            None, None, to(Initial), does(&[Tls], Starting), to(Initial), to(Starting),
            to(Starting), to(Starting), to(Starting), does(&[Tld], Starting),
        ],
        Event::Open => [
            does(&[Tls], Starting), to(Starting), does(&[Irc, Scr], RequestSent), to(Stopped), to(Stopping), to(Stopping),
            to(RequestSent), to(AckReceived), to(AckSent), to(Opened),
        ],
        Event::Close => [
            to(Initial), does(&[Tlf], Initial), to(Closed), to(Closed), to(Closing), to(Closing),
            does(&[Irc, Str], Closing), does(&[Irc, Str], Closing), does(&[Irc, Str], Closing), does(&[Tld, Irc, Str], Closing),
        ],
        Event::TimeoutAgain => [
            None, None, None, None, does(&[Str], Closing), does(&[Str], Stopping),
            does(&[Scr], RequestSent), does(&[Scr], RequestSent), does(&[Scr], AckSent), None,
        ],
        Event::TimeoutLast => [
            None, None, None, None, does(&[Tlf], Closed), does(&[Tlf], Stopped),
            does(&[Tlf], Stopped), does(&[Tlf], Stopped), does(&[Tlf], Stopped), None,
        ],
        Event::RequestGood => [
            None, None, does(&[Sta], Closed), does(&[Irc, Scr, Sca], AckSent), to(Closing), to(Stopping),
            does(&[Sca], AckSent), does(&[Sca, Tlu], Opened), does(&[Sca], AckSent), does(&[Tld, Scr, Sca], AckSent),
        ],
        Event::RequestBad => [
            None, None, does(&[Sta], Closed), does(&[Irc, Scr, Scn], RequestSent), to(Closing), to(Stopping),
            does(&[Scn], RequestSent), does(&[Scn], AckReceived), does(&[Scn], RequestSent), does(&[Tld, Scr, Scn], RequestSent),
        ],
        Event::Ack => [
            None, None, does(&[Sta], Closed), does(&[Sta], Stopped), to(Closing), to(Stopping),
            does(&[Irc], AckReceived), does(&[Scr], RequestSent), does(&[Irc, Tlu], Opened), does(&[Tld, Scr], RequestSent),
        ],
        Event::Nak => [
            None, None, does(&[Sta], Closed), does(&[Sta], Stopped), to(Closing), to(Stopping),
            does(&[Irc, Scr], RequestSent), does(&[Scr], RequestSent), does(&[Irc, Scr], AckSent), does(&[Tld, Scr], RequestSent),
        ],
        Event::TerminateRequest => [
            None, None, does(&[Sta], Closed), does(&[Sta], Stopped), does(&[Sta], Closing), does(&[Sta], Stopping),
            does(&[Sta], RequestSent), does(&[Sta], RequestSent), does(&[Sta], RequestSent), does(&[Tld, Zrc, Sta], Stopping),
        ],
        Event::TerminateAck => [
            None, None, to(Closed), to(Stopped), does(&[Tlf], Closed), does(&[Tlf], Stopped),
            to(RequestSent), to(RequestSent), to(AckSent), does(&[Tld, Scr], RequestSent),
        ],
        Event::UnknownCode => [
            None, None, does(&[Scj], Closed), does(&[Scj], Stopped), does(&[Scj], Closing), does(&[Scj], Stopping),
            does(&[Scj], RequestSent), does(&[Scj], AckReceived), does(&[Scj], AckSent), does(&[Scj], Opened),
        ],
        Event::RejectGood => [
            None, None, to(Closed), to(Stopped), to(Closing), to(Stopping),
            to(RequestSent), to(RequestSent), to(AckSent), to(Opened),
        ],
        Event::RejectBad => [
            None, None, does(&[Tlf], Closed), does(&[Tlf], Stopped), does(&[Tlf], Closed), does(&[Tlf], Stopped),
            does(&[Tlf], Stopped), does(&[Tlf], Stopped), does(&[Tlf], Stopped), does(&[Tld, Irc, Str], Stopping),
        ],
        Event::Echo => [
            None, None, to(Closed), to(Stopped), to(Closing), to(Stopping),
            to(RequestSent), to(AckReceived), to(AckSent), does(&[Ser], Opened),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1661 section 4.1, both halves of the table side by side, without footnotes.
    const TABLE: &str = "
        Up    2     irc,scr/6  -         -              -         -         -         -         -         -
        Down  -     -          0         tls/1          0         1         1         1         1         tld/1
        Open  tls/1 1          irc,scr/6 3              5         5         6         7         8         9
        Close 0     tlf/0      2         2              4         4         irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
        TO+   -     -          -         -              str/4     str/5     scr/6     scr/6     scr/8     -
        TO-   -     -          -         -              tlf/2     tlf/3     tlf/3     tlf/3     tlf/3     -
        RCR+  -     -          sta/2     irc,scr,sca/8  4         5         sca/8     sca,tlu/9 sca/8     tld,scr,sca/8
        RCR-  -     -          sta/2     irc,scr,scn/6  4         5         scn/6     scn/7     scn/6     tld,scr,scn/6
        RCA   -     -          sta/2     sta/3          4         5         irc/7     scr/6     irc,tlu/9 tld,scr/6
        RCN   -     -          sta/2     sta/3          4         5         irc,scr/6 scr/6     irc,scr/8 tld,scr/6
        RTR   -     -          sta/2     sta/3          sta/4     sta/5     sta/6     sta/6     sta/6     tld,zrc,sta/5
        RTA   -     -          2         3              tlf/2     tlf/3     6         6         8         tld,scr/6
        RUC   -     -          scj/2     scj/3          scj/4     scj/5     scj/6     scj/7     scj/8     scj/9
        RXJ+  -     -          2         3              4         5         6         6         8         9
        RXJ-  -     -          tlf/2     tlf/3          tlf/2     tlf/3     tlf/3     tlf/3     tlf/3     tld,irc,str/5
        RXR   -     -          2         3              4         5         6         7         8         ser/9";

    const STATES: [State; 10] = [
        Initial,
        Starting,
        Closed,
        Stopped,
        Closing,
        Stopping,
        RequestSent,
        AckReceived,
        AckSent,
        Opened,
    ];

    fn event(name: &str) -> Event {
        match name {
            "Up" => Event::Up,
            "Down" => Event::Down,
            "Open" => Event::Open,
            "Close" => Event::Close,
            "TO+" => Event::TimeoutAgain,
            "TO-" => Event::TimeoutLast,
            "RCR+" => Event::RequestGood,
            "RCR-" => Event::RequestBad,
            "RCA" => Event::Ack,
            "RCN" => Event::Nak,
            "RTR" => Event::TerminateRequest,
            "RTA" => Event::TerminateAck,
            "RUC" => Event::UnknownCode,
            "RXJ+" => Event::RejectGood,
            "RXJ-" => Event::RejectBad,
            "RXR" => Event::Echo,
            other => panic!("{other}"),
        }
    }

    fn shown(cell: Cell) -> String {
        let Some((actions, state)) = cell else { return "-".to_owned() };
        let place = STATES.iter().position(|known| *known == state).unwrap();
        let actions: Vec<_> = actions.iter().map(|a| format!("{a:?}").to_lowercase()).collect();
        if actions.is_empty() {
            place.to_string()
        } else {
            format!("{}/{place}", actions.join(","))
        }
    }

    #[test]
    fn the_table_is_the_one_of_the_rfc() {
        let mut cells = 0;
        for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let event = event(words.next().unwrap());
            for (state, cell) in STATES.into_iter().zip(words) {
                assert_eq!(shown(next(state, event)), cell, "{event:?} in {state:?}");
                cells += 1;
            }
        }
        assert_eq!(cells, 160);
    }
}
