//! What is over leaves nothing behind, and leads nowhere.

use playtrace_tracer::{Entry, FileId, Followed, Tracer, Track, Wants, Way};

/// A token that outlived its activation credits nobody, also when its slot is in use again.
#[test]
fn a_stale_token_hits_nobody() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let (old, new) = (tracer.add_context(Wants::Lines, None), tracer.add_context(Wants::Lines, None));
    let stale = tracer.activate(old).token;
    tracer.deactivate(old);
    let token = tracer.activate(new).token;
    assert_eq!(token.raw() & 63, stale.raw() & 63, "the slot is used again");
    tracer.line(code, 1, stale);
    assert!(tracer.whole(new).is_empty() && tracer.whole(old).is_empty());
    tracer.line(code, 1, token);
    assert!(!tracer.whole(new).is_empty());
}

/// An app that compiles for each request doesn't grow, and what it executed stays.
#[test]
fn code_that_is_gone_leaves_nothing_behind() {
    let mut tracer = Tracer::new();
    let context = tracer.add_context(Wants::Lines, None);
    let token = tracer.activate(context).token;
    for line in 1..=1_000 {
        let code = tracer.add_code(FileId(0), 1);
        tracer.enter(code, Way::Start, Some(token));
        assert_eq!(tracer.redundant_line(code, line), None);
        tracer.line(code, line, token);
        assert_eq!((tracer.codes(), code.index()), (1, 0));
        tracer.remove_codes(&[code]);
    }
    assert_eq!(tracer.whole(context)[&FileId(0)].len(), 1_000);
    tracer.deactivate(context);
}

/// The short cut leads to the same lines, and nowhere once something changed.
#[test]
fn a_trail_ends_with_its_context() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let (context, lacking) = (tracer.add_context(Wants::Lines, None), tracer.add_context(Wants::Lines, None));
    let token = tracer.activate(context).token;
    let trail = tracer.trail(token).unwrap();
    assert!(tracer.track(code, &trail).is_none(), "nothing was recorded yet");
    tracer.line(code, 1, token);
    let track = tracer.track(code, &trail).unwrap();
    let on = |_: FileId| Some((&track, ()));
    let follow = |tracer: &mut Tracer, line| tracer.follow(code, line, || Some(&trail), on, |()| true);
    let lost = |tracer: &mut Tracer, line| tracer.follow(code, line, || None, on, |()| true);
    assert_eq!(tracer.follow(code, 2, || Some(&trail), on, |()| false), Followed::Lost, "it can't be noted");
    assert_eq!(tracer.follow(code, 2, || Some(&trail), |_| None::<(&Track, ())>, |()| true), Followed::Lost);
    assert_eq!(follow(&mut tracer, 2), Followed::Fresh);
    let stretch = tracer.stretch(code, &trail, &track).unwrap();
    assert_eq!((stretch.first_line, stretch.drained, &*stretch.fresh), (1, &[][..], &[0b110][..]));
    assert_eq!(stretch.seen[..3], [stretch.bit, stretch.bit, 0]);
    assert_eq!(lost(&mut tracer, 2), Followed::Known, "nobody lacks it");
    let beside = tracer.activate(lacking).token;
    assert_eq!(lost(&mut tracer, 2), Followed::Lost, "somebody does, and who runs is not known");
    assert_eq!(follow(&mut tracer, 2), Followed::Known);
    assert_eq!(follow(&mut tracer, 1_000), Followed::Lost, "its masks do not reach that far");
    let besides = tracer.trail(beside).unwrap();
    assert_eq!(
        tracer.follow(code, 2, || Some(&besides), on, |()| true),
        Followed::Lost,
        "the other one never touched the code object"
    );
    tracer.line(code, 1, beside);
    assert_eq!(
        tracer.follow(code, 2, || Some(&besides), on, |()| true),
        Followed::Lost,
        "where the first one has the file is not where the other one has it"
    );
    let elsewhere = tracer.add_code(FileId(1), 1);
    tracer.line(elsewhere, 1, token);
    tracer.line(elsewhere, 2, beside);
    assert_eq!(
        tracer.follow(elsewhere, 2, || Some(&trail), on, |()| true),
        Followed::Lost,
        "it is of another file"
    );
    assert_eq!(tracer.drain(context)[&FileId(0)].iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(follow(&mut tracer, 2), Followed::Known);
    assert_eq!(follow(&mut tracer, 3), Followed::Lost, "a file's first line since the flush");
    assert!(tracer.stretch(code, &trail, &track).is_none(), "likewise");
    tracer.deactivate(context);
    let other = tracer.add_context(Wants::Lines, None);
    let new = tracer.activate(other).token;
    assert_eq!(new.raw() & 63, token.raw() & 63, "the slot is used again");
    assert_eq!(follow(&mut tracer, 3), Followed::Lost);
    tracer.line(code, 1, new);
    assert!(tracer.stretch(code, &trail, &track).is_none(), "it ended with the context");
    assert_eq!(tracer.whole(context)[&FileId(0)].len(), 2);
    assert_eq!(tracer.whole(other)[&FileId(0)].len(), 1);
}

/// The end of a context looks for its bits in the code objects that it touched: in no other one may there be any.
#[test]
fn a_trail_does_not_lead_into_code_that_its_context_never_touched() {
    let mut tracer = Tracer::new();
    let (code, beside) = (tracer.add_code(FileId(0), 1), tracer.add_code(FileId(0), 10));
    let (context, other) = (tracer.add_context(Wants::Lines, None), tracer.add_context(Wants::Lines, None));
    let (token, others) = (tracer.activate(context).token, tracer.activate(other).token);
    tracer.line(code, 1, token);
    tracer.line(beside, 10, others);
    let trail = tracer.trail(token).unwrap();
    let track = tracer.track(beside, &trail).unwrap();
    let follow =
        |tracer: &mut Tracer| tracer.follow(beside, 11, || Some(&trail), |_| Some((&track, ())), |()| true);
    assert_eq!(follow(&mut tracer), Followed::Lost);
    assert!(tracer.stretch(beside, &trail, &track).is_none());
    tracer.enter(beside, Way::Start, Some(token));
    assert!(tracer.stretch(beside, &trail, &track).is_some());
    assert_eq!(follow(&mut tracer), Followed::Fresh);
    tracer.deactivate(context);
    let next = tracer.add_context(Wants::Lines, None);
    let token = tracer.activate(next).token;
    assert_eq!(tracer.line(beside, 11, token).map(|fresh| fresh.line), Some(11), "whose slot it has now");
}

/// Processes live for months: contexts that ended leave nothing behind.
#[test]
fn ten_thousand_contexts_do_not_grow() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let mut highest = 0;
    for _ in 0..10_000 {
        let context = tracer.add_context(Wants::Lines, None);
        let token = tracer.activate(context).token;
        assert_eq!(tracer.enter(code, Way::Start, Some(token)), (Entry::First, None));
        assert_eq!(tracer.redundant_line(code, 3), None);
        tracer.line(code, 3, token);
        assert_eq!(tracer.drain(context).len(), 1);
        tracer.remove_context(context);
        highest = highest.max(token.raw() & 63);
    }
    assert_eq!(highest, 0);
    assert_eq!(tracer.free_slots(), 63);
}
