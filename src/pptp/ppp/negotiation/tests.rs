use super::*;
use crate::pptp::ppp::ipcp::Ipcp;

const NOW: Monotonic = Monotonic(0);
/// An address of the server's, and ours.
const THEIRS: &[u8] = &[3, 6, 10, 0, 0, 1];
const OURS: &[u8] = &[3, 6, 10, 0, 0, 2];
const ASKED: &[u8] = &[3, 6, 0, 0, 0, 0];

fn started(manner: Manner) -> Negotiation<Ipcp> {
    let mut negotiation = Negotiation::new(Ipcp::new(false), manner);
    let sent = negotiation.start(NOW);
    assert_eq!(sent, [send(Code::ConfigureRequest, 1, ASKED)]);
    negotiation
}

fn packet(code: Code, id: u8, data: &[u8]) -> Packet {
    Packet::new(code, id, data.to_vec())
}

fn send(code: Code, id: u8, data: &[u8]) -> Output {
    Output::Send(packet(code, id, data))
}

fn opened() -> Negotiation<Ipcp> {
    let mut negotiation = started(Manner::Plain);
    negotiation.receive(packet(Code::ConfigureAck, 1, ASKED), NOW);
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 5, THEIRS), NOW);
    assert_eq!(outputs, [send(Code::ConfigureAck, 5, THEIRS), Output::Up]);
    negotiation
}

#[test]
fn a_request_that_comes_again_after_both_agreed_is_acknowledged_again_three_times() {
    let mut negotiation = opened();
    for id in [5, 6, 7] {
        let outputs = negotiation.receive(packet(Code::ConfigureRequest, id, THEIRS), NOW);
        assert_eq!(outputs, [send(Code::ConfigureAck, id, THEIRS)]);
    }
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 8, THEIRS), NOW);
    assert_eq!(outputs.first(), Some(&Output::Down));
}

#[test]
fn another_request_after_both_agreed_begins_anew() {
    let outputs = opened().receive(packet(Code::ConfigureRequest, 6, &[3, 6, 10, 0, 0, 9]), NOW);
    assert_eq!(outputs.first(), Some(&Output::Down));
}

#[test]
fn a_second_copy_of_an_answer_changes_nothing() {
    let mut negotiation = opened();
    assert_eq!(negotiation.receive(packet(Code::ConfigureAck, 1, ASKED), NOW), []);
    assert_eq!(negotiation.receive(packet(Code::ConfigureNak, 1, OURS), NOW), []);
    assert!(negotiation.is_opened());
}

#[test]
fn an_answer_with_another_id_or_with_other_options_does_not_count() {
    let mut negotiation = started(Manner::Plain);
    for (id, data) in [(2, ASKED), (1, OURS), (1, &[3, 6, 0][..])] {
        assert_eq!(negotiation.receive(packet(Code::ConfigureAck, id, data), NOW), []);
    }
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 5, THEIRS), NOW);
    assert_eq!(outputs, [send(Code::ConfigureAck, 5, THEIRS)]);
    let outputs = negotiation.receive(packet(Code::ConfigureAck, 1, ASKED), NOW);
    assert_eq!(outputs, [Output::Up]);
}

#[test]
fn a_try_that_is_repeated_keeps_its_id_and_one_that_changes_gets_another() {
    let mut negotiation = started(Manner::Plain);
    let later = negotiation.deadline().unwrap();
    assert_eq!(negotiation.on_deadline(later), [send(Code::ConfigureRequest, 1, ASKED)]);
    let outputs = negotiation.receive(packet(Code::ConfigureNak, 1, OURS), later);
    assert_eq!(outputs, [send(Code::ConfigureRequest, 2, OURS)]);
}

#[test]
fn ten_tries_without_an_answer_are_the_end() {
    let mut negotiation = started(Manner::Plain);
    let mut sent = 1;
    let mut last = Vec::new();
    while let Some(at) = negotiation.deadline() {
        last = negotiation.on_deadline(at);
        sent += last.iter().filter(|output| matches!(output, Output::Send(_))).count();
    }
    assert_eq!(sent, 10);
    assert!(matches!(last[..], [Output::Finished, Output::Failed(_)]), "{last:?}");
}

#[test]
fn refusals_without_end_are_the_end() {
    let mut negotiation = started(Manner::Plain);
    let mut refused = 0;
    let failure = loop {
        let id = negotiation.request_id;
        match negotiation.receive(packet(Code::ConfigureNak, id, OURS), NOW).as_slice() {
            [Output::Send(_)] => refused += 1,
            [Output::Failed(failure)] => break failure.clone(),
            other => panic!("{other:?}"),
        }
        assert!(refused <= MAX_NAKS_TAKEN);
    };
    assert!(failure.to_string().contains("refused more than 10"), "{failure}");
}

#[test]
fn requests_without_end_are_the_end() {
    let mut negotiation = started(Manner::Plain);
    for id in 0..40 {
        let outputs = negotiation.receive(packet(Code::ConfigureRequest, id, THEIRS), NOW);
        assert_eq!(outputs, [send(Code::ConfigureAck, id, THEIRS)]);
    }
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 40, THEIRS), NOW);
    assert!(matches!(outputs[..], [Output::Failed(_)]), "{outputs:?}");
}

#[test]
fn ours_is_acknowledged_first_where_that_is_the_manner() {
    let mut negotiation = started(Manner::OursFirst);
    assert_eq!(negotiation.receive(packet(Code::ConfigureRequest, 5, THEIRS), NOW), []);
    let outputs = negotiation.receive(packet(Code::ConfigureAck, 1, ASKED), NOW);
    assert_eq!(outputs, [send(Code::ConfigureAck, 5, THEIRS), Output::Up]);
}

#[test]
fn one_that_waits_in_the_same_way_is_not_waited_for() {
    let mut negotiation = started(Manner::OursFirst);
    assert_eq!(negotiation.receive(packet(Code::ConfigureRequest, 5, THEIRS), NOW), []);
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 6, THEIRS), NOW);
    assert_eq!(outputs, [send(Code::ConfigureAck, 6, THEIRS)]);
}

#[test]
fn the_first_sign_of_the_other_side_has_our_request_sent_again_before_the_answer() {
    let mut negotiation = started(Manner::AskAgain);
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 5, THEIRS), NOW);
    let again = send(Code::ConfigureRequest, 1, ASKED);
    assert_eq!(outputs, [again, send(Code::ConfigureAck, 5, THEIRS)]);
    let outputs = negotiation.receive(packet(Code::ConfigureRequest, 6, THEIRS), NOW);
    assert_eq!(outputs, [send(Code::ConfigureAck, 6, THEIRS)]);
}

#[test]
fn an_end_is_asked_for_twice_and_then_taken() {
    let mut negotiation = opened();
    let outputs = negotiation.close(NOW);
    assert_eq!(outputs, [Output::Down, send(Code::TerminateRequest, 1, &[])]);
    let at = negotiation.deadline().unwrap();
    assert_eq!(negotiation.on_deadline(at), [send(Code::TerminateRequest, 2, &[])]);
    let at = negotiation.deadline().unwrap();
    assert_eq!(negotiation.on_deadline(at), [Output::Finished]);
    assert_eq!(negotiation.deadline(), None);
}

#[test]
fn a_code_that_nobody_knows_is_rejected_with_the_packet() {
    let mut negotiation = started(Manner::Plain);
    let outputs = negotiation.receive(packet(Code::Other(99), 3, &[7]), NOW);
    assert_eq!(outputs, [send(Code::CodeReject, 1, &[99, 3, 0, 5, 7])]);
}

#[test]
fn a_server_that_does_not_know_requests_is_no_server() {
    let mut negotiation = started(Manner::Plain);
    let outputs = negotiation.receive(packet(Code::CodeReject, 1, &[1, 1, 0, 4]), NOW);
    assert!(matches!(outputs[..], [Output::Finished, Output::Failed(_)]), "{outputs:?}");
}
