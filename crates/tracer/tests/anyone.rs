#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

//! What nobody's work enters: silent once it is known, for as long as no profile is at work.

use playtrace_tracer::{Arm, CodeId, Disarm, Entry, FileId, Tracer, Wants, Way};

const WAYS: [Way; 3] = [Way::Start, Way::Resume { at: 4 }, Way::Resume { at: 8 }];

fn recording() -> (Tracer, CodeId) {
    let mut tracer = Tracer::new();
    assert_eq!(tracer.begin_anyone().unwrap(), []);
    let code = tracer.add_code(FileId(1), 5);
    (tracer, code)
}

fn lines(tracer: &Tracer) -> Vec<u32> {
    tracer.anyones().values().flat_map(|lines| lines.iter().collect::<Vec<_>>()).collect()
}

#[test]
fn each_place_is_silent_at_its_second_entry() {
    let (mut tracer, code) = recording();
    assert!(!tracer.wants_lines_of(code), "nobody wants them");
    assert!(tracer.enter_for_anyone(code, Way::Start).1.is_some());
    for way in WAYS {
        assert_eq!(tracer.enter_for_anyone(code, way), (Entry::Silence, None));
    }
    assert_eq!(lines(&tracer), [5]);
    assert!(tracer.anyone_has_news() && !tracer.anyone_has_news());
}

#[test]
fn what_an_import_enters_stays_to_be_entered() {
    let (mut tracer, code) = recording();
    for _ in 0..1000 {
        assert_eq!(tracer.enter(code, Way::Start, None), (Entry::Keep, None));
    }
    assert_eq!(lines(&tracer), []);
    assert!(tracer.enter_for_anyone(code, Way::Start).1.is_some());
}

#[test]
fn a_modules_body_is_silent_at_once_and_no_function() {
    let (mut tracer, code) = recording();
    tracer.is_no_function(code);
    assert_eq!(tracer.enter_for_anyone(code, Way::Start), (Entry::Silence, None));
    assert_eq!(lines(&tracer), []);
}

#[test]
fn after_a_profile_what_is_known_is_disarmed_and_the_rest_reports_its_entries() {
    let (mut tracer, known) = recording();
    tracer.enter_for_anyone(known, Way::Start);
    let profile = tracer.add_context(Wants::Lines, None);
    let token = tracer.activate(profile).token;
    let lacked = tracer.add_code(FileId(1), 9);
    assert!(tracer.wants_lines_of(lacked));
    assert_eq!(tracer.enter(known, Way::Start, Some(token)).0, Entry::Rearm, "its lines were off");
    for _ in 0..1000 {
        assert_ne!(tracer.enter(lacked, Way::Start, Some(token)).0, Entry::Silence);
    }
    assert_eq!(tracer.disarm(), [], "the profile is at work");
    tracer.deactivate(profile);
    assert_eq!(tracer.disarm(), [(known, Disarm::Everything), (lacked, Disarm::Lines)]);
    assert_eq!(tracer.disarm(), []);
    assert!(tracer.enter_for_anyone(lacked, Way::Start).1.is_some());
    assert_eq!(lines(&tracer), [5, 9]);
}

#[test]
fn a_new_day_arms_entries_alone() {
    let (mut tracer, code) = recording();
    for _ in 0..2 {
        tracer.enter_for_anyone(code, Way::Start);
    }
    assert_eq!(tracer.disarm(), [(code, Disarm::Everything)]);
    assert_eq!(tracer.renew_anyone(), [(code, Arm::Entries { lines: false })]);
    assert_eq!(lines(&tracer), []);
    assert!(tracer.enter_for_anyone(code, Way::Start).1.is_some());
}

#[test]
fn without_a_slot_it_waits() {
    let mut tracer = Tracer::new();
    let contexts: Vec<_> = (0..63).map(|_| tracer.add_context(Wants::Lines, None)).collect();
    for context in &contexts {
        tracer.activate(*context);
    }
    assert_eq!(tracer.begin_anyone(), None);
    tracer.deactivate(contexts[0]);
    assert!(tracer.begin_anyone().is_some());
}
