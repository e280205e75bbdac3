#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

//! A sample of nobody's work: it sees what is silent, leaves it silent again, and takes nothing from anybody.

use playtrace_tracer::{Arm, CodeId, Disarm, Entry, FileId, Tracer, Wants, Way};

/// Two code objects that nobody's work has entered, and that are silent.
fn known() -> (Tracer, CodeId, CodeId) {
    let mut tracer = Tracer::new();
    tracer.begin_anyone().unwrap();
    let codes = [5, 9].map(|line| tracer.add_code(FileId(1), line));
    for code in codes {
        assert!(tracer.enter_for_anyone(code, Way::Start).1.is_some());
        assert_eq!(tracer.enter_for_anyone(code, Way::Start), (Entry::Silence, None));
    }
    (tracer, codes[0], codes[1])
}

#[test]
fn what_is_silent_is_heard_of_once_more() {
    let (mut tracer, first, second) = known();
    assert_eq!(tracer.sample_wants(), Some(2));
    let entries = Arm::Entries { lines: false };
    assert_eq!(tracer.begin_sample().unwrap(), [(first, entries), (second, entries)]);
    assert_eq!(tracer.enter_for_sample(first, Way::Start).1.unwrap().line, 5);
    assert_eq!(tracer.enter_for_sample(first, Way::Start).1, None, "once");
    // Others' requests go on meanwhile: the sample has not been there, so it stays reported.
    assert_eq!(tracer.enter_for_anyone(second, Way::Start), (Entry::Keep, None));
    tracer.end_sample();
    for code in [first, second] {
        assert_eq!(tracer.enter_for_anyone(code, Way::Start), (Entry::Silence, None), "at the first entry");
    }
    assert_eq!(tracer.sample_wants(), Some(2), "the next one arms them again");
}

#[test]
fn a_loop_in_a_sample_is_silent_before_it_ends() {
    let (mut tracer, code, _) = known();
    tracer.begin_sample().unwrap();
    let heard =
        (0..10_000).take_while(|_| tracer.enter_for_sample(code, Way::Start).0 != Entry::Silence).count();
    assert!(heard < 100, "{heard}");
}

#[test]
fn what_a_sample_is_the_first_to_enter_is_nobodys_work_too() {
    let (mut tracer, ..) = known();
    tracer.anyone_has_news();
    tracer.begin_sample().unwrap();
    let code = tracer.add_code(FileId(2), 30);
    assert_eq!(tracer.enter_for_sample(code, Way::Start).1.unwrap().line, 30);
    tracer.end_sample();
    assert!(tracer.anyone_has_news());
    assert!(tracer.anyones()[&FileId(2)].contains(30));
    assert_eq!(tracer.enter_for_sample(code, Way::Start), (Entry::Silence, None), "it is over");
}

#[test]
fn a_modules_body_is_no_function_in_a_sample() {
    let (mut tracer, ..) = known();
    tracer.begin_sample().unwrap();
    let body = tracer.add_code(FileId(2), 1);
    tracer.is_no_function(body);
    assert_eq!(tracer.enter_for_sample(body, Way::Start).1, None);
}

#[test]
fn none_begins_while_another_or_a_profile_is_at_work_or_nothing_is_recorded() {
    assert_eq!(Tracer::new().sample_wants(), None);
    let (mut tracer, ..) = known();
    tracer.begin_sample().unwrap();
    assert_eq!((tracer.sample_wants(), tracer.begin_sample()), (None, None));
    tracer.end_sample();
    let profile = tracer.add_context(Wants::Lines, None);
    tracer.activate(profile);
    assert_eq!(tracer.begin_sample(), None);
    tracer.deactivate(profile);
    assert!(tracer.begin_sample().is_some());
}

#[test]
fn a_profile_that_begins_within_a_sample_gets_its_lines_and_the_sample_its_entries() {
    let (mut tracer, code, _) = known();
    tracer.begin_sample().unwrap();
    let profile = tracer.add_context(Wants::Lines, None);
    let token = tracer.activate(profile).token;
    assert_eq!(tracer.enter(code, Way::Start, Some(token)).0, Entry::Rearm, "its lines were off");
    assert!(tracer.line(code, 6, token).is_some());
    assert_eq!(tracer.enter_for_sample(code, Way::Start).1.unwrap().line, 5);
    tracer.end_sample();
    assert!(tracer.line(code, 7, token).is_some());
    tracer.deactivate(profile);
    assert!(tracer.disarm().contains(&(code, Disarm::Everything)));
}

#[test]
fn a_forked_child_has_no_sample() {
    let (mut tracer, code, _) = known();
    tracer.begin_sample().unwrap();
    tracer.after_fork(&[]);
    assert_eq!(tracer.enter_for_sample(code, Way::Start), (Entry::Silence, None));
    assert!(tracer.begin_sample().is_some());
}
